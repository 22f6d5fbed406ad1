/*
 * rescue_budget: how many rescues a service may have, and whose they are.
 *
 * A worker's requests of the service earn them, so many percent of one each;
 * up to RESCUE_BURST are saved up. Of these a client's network has a tenth, as
 * has anybody's who asks for what is nowhere. What is found elsewhere counts
 * for its network only while more than half of all is spent: an office behind
 * one address gets what nobody else needs, and one that drains it doesn't. The
 * lower half is kept for what pages are made of; calls do without.
 *
 * Pure: times come from the caller. Some 5 KiB; networks beyond the table's
 * room share the credit of those that they displace.
 */
#ifndef PERCH_PROXY_RESCUE_BUDGET_H
#define PERCH_PROXY_RESCUE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define RESCUE_BURST 200
/* A network's part: one in so many. */
#define RESCUE_NETWORK_PART 10
#define RESCUE_NETWORKS 128 /* a power of two */
/* How long who was late, or for whom, is left alone. */
#define RESCUE_LATE_NS UINT64_C(10000000000)

/* What a rescue is for. */
enum rescue_need {
	RESCUE_ASSET, /* the same for everybody: scripts, styles, images */
	RESCUE_CALL, /* whatever else */
	RESCUE_PREFLIGHT, /* may a page of another origin call? */
};

/* What there is of an account, when so much had been earned. */
struct rescue_account {
	uint64_t credit; /* hundredths of a rescue */
	uint64_t earned;
};

struct rescue_network {
	uint64_t key; /* 0: free */
	struct rescue_account account;
	/* Monotonic ns. */
	uint64_t late_until_ns;
	uint64_t late_calls_until_ns;
};

struct rescue_budget {
	uint64_t percent;
	uint64_t earned; /* ever, hundredths of a rescue */
	struct rescue_account service;
	struct rescue_network networks[RESCUE_NETWORKS];
};

/* With all saved up. percent: of the requests. */
void rescue_budget_init(struct rescue_budget *budget, uint64_t percent);

/* One more request of the service. */
static inline void
rescue_budget_earn(struct rescue_budget *budget)
{
	budget->earned += budget->percent;
}

/* Takes one for the network, a hash; false if there is none for it. */
bool rescue_budget_take(struct rescue_budget *budget, uint64_t network,
	enum rescue_need need, uint64_t now_ns)
	__attribute__((warn_unused_result));

/* The same in the service's own name. */
bool rescue_budget_take_test(struct rescue_budget *budget)
	__attribute__((warn_unused_result));

/* What was taken for the network has found something. */
void rescue_budget_note_found(struct rescue_budget *budget, uint64_t network);

/* It was waited for in vain: that network isn't to wait again for a while. */
void rescue_budget_note_late(struct rescue_budget *budget, uint64_t network,
	enum rescue_need need, uint64_t now_ns);

#endif
