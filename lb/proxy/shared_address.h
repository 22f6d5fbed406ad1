/*
 * shared_address: which addresses too many clients share.
 *
 * A client without cookie and key goes by its address. Where a
 * balancer hides its clients' addresses that would move all of them at once, and
 * they would count as one; so an address with more than a twentieth of such
 * requests in about an hour, many, and under many names (User-Agent), is
 * nobody's. One worker's, for one service. Pure: times come from the caller.
 *
 * The counts are those of the Space-Saving algorithm (Metwally, Agrawal and El
 * Abbadi, 2005): of addresses with more than 1/64 of the requests none is
 * missed, and what is said of one is never more than was seen of it.
 */
#ifndef PERCH_PROXY_SHARED_ADDRESS_H
#define PERCH_PROXY_SHARED_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#define SHARED_ADDRESS_SLOTS 64
/* Fewer requests of an address say nothing: it may be one busy client. */
#define SHARED_ADDRESS_MIN 1000
/* One in so many. */
#define SHARED_ADDRESS_PART 20
/* So many names, or more: fewer may be one client's programs. */
#define SHARED_ADDRESS_AGENTS 6
/* How often all counts are halved. */
#define SHARED_ADDRESS_HALF_S 1800

/* All zero at first. */
struct shared_address {
	uint64_t halved_ns; /* when the counts were, last */
	uint64_t n_requests;
	uint32_t hashes[SHARED_ADDRESS_SLOTS];
	uint32_t counts[SHARED_ADDRESS_SLOTS]; /* 0: free */
	uint32_t excess[SHARED_ADDRESS_SLOTS]; /* of which others may be */
	uint64_t agents[SHARED_ADDRESS_SLOTS]; /* a bit for each name's hash */
};

/* One more request from the address of that hash, by the name of that one. Is it
 * a shared one? */
bool shared_address_count(struct shared_address *table, uint32_t hash,
	uint64_t agent_hash, uint64_t now_ns);

#endif
