/*
 * maglev: consistent hashing by table (Eisenbud et al., "Maglev: A Fast and
 * Reliable Software Network Load Balancer", NSDI 2016, section 3.4), with
 * weights. Pure.
 *
 * Endpoints are known by their name's hash, so that their order in the config
 * doesn't matter. A lookup is one memory access; a table is 256 KiB.
 */
#ifndef PERCH_PROXY_MAGLEV_H
#define PERCH_PROXY_MAGLEV_H

#include <stddef.h>
#include <stdint.h>

#define MAGLEV_SIZE 65537 /* prime */

struct maglev_member {
	uint64_t name_hash;
	unsigned weight; /* at least 1 */
};

/* Fills table[MAGLEV_SIZE] with indexes into members (n at least 1). Time
 * O(MAGLEV_SIZE log MAGLEV_SIZE) or so; memory for n work entries is allocated
 * and freed. */
void maglev_build(uint32_t *table, const struct maglev_member *members,
	size_t n);

static inline uint32_t
maglev_find(const uint32_t *table, uint64_t hash)
{
	return table[hash % MAGLEV_SIZE];
}

#endif
