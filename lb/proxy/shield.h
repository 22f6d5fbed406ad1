/*
 * shield: the candidate's failure is not the client's.
 *
 * What a running release's candidate fails is asked once of the stable version,
 * within a budget. Here are what counts as a failure, and the budget. Pure:
 * times come from the caller. proxy/exchange carries it out.
 */
#ifndef PERCH_PROXY_SHIELD_H
#define PERCH_PROXY_SHIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "http/message.h"

/* The budget looks at so many seconds. */
#define SHIELD_WINDOW_S 10
/* What may always be asked, however few the requests; over all workers. */
#define SHIELD_FLOOR_PER_S 10

struct shield_slot {
	uint64_t second;
	uint64_t requests;
	uint64_t shields;
};

/* A worker's own, of a service that has several versions. */
struct shield {
	unsigned
		methods; /* those that may be repeated: 1 << enum http_method */
	uint64_t percent; /* of the requests */
	uint64_t floor_per_s;
	struct shield_slot slots[SHIELD_WINDOW_S];
};

/* With nothing spent. */
void shield_init(struct shield *shield, unsigned methods, uint64_t percent,
	uint64_t floor_per_s);

/* Does this answer mean that the version has failed? */
bool shield_is_failure(enum http_method method, unsigned status);

/* May a request of this method be asked twice? */
bool shield_may_repeat(const struct shield *shield, enum http_method method);

/* One more request of the service. */
void shield_count(struct shield *shield, uint64_t now_ns);

/* Takes one off the budget; false if it is spent. */
bool shield_take(struct shield *shield, uint64_t now_ns)
	__attribute__((warn_unused_result));

#endif
