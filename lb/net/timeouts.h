/*
 * timeouts: a worker's deadlines, in lists by length.
 *
 * All members of a list wait equally long, so they expire in the order in
 * which they were set, and setting one is moving it to the list's end: no
 * system call, no heap. One libevent timer, armed for the earliest deadline
 * and re-armed when it fires, sweeps all lists.
 */
#ifndef PERCH_NET_TIMEOUTS_H
#define PERCH_NET_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct event;
struct event_base;
struct timeout;

typedef void timeout_expired_fn(struct timeout *timeout);

/* A member; part of whatever waits. Deadlines are monotonic ns. */
struct timeout {
	struct list node;
	uint64_t deadline_ns;
};

struct timeout_list {
	struct list members;
	uint64_t length_ns;
	timeout_expired_fn *expired;
	struct timeout_list *next;
};

struct timeouts {
	struct timeout_list *lists;
	struct event *timer;
	uint64_t armed_ns; /* the timer's deadline; UINT64_MAX: not armed */
};

/* False if memory is out. */
bool timeouts_init(struct timeouts *timeouts, struct event_base *base);
void timeouts_close(struct timeouts *timeouts);

/* The list for a length and a callback, made if there is none: for start and
 * reload. The callback finds its member out of the list. NULL if memory is
 * out. */
struct timeout_list *timeouts_list(struct timeouts *timeouts,
	uint64_t length_ns, timeout_expired_fn *expired);

/* For timeouts_set only. */
void timeouts_arm(struct timeouts *timeouts, uint64_t deadline_ns);

static inline void
timeout_init(struct timeout *timeout)
{
	list_init(&timeout->node);
}

/* Starts it, or starts it anew, in this list. */
static inline void
timeouts_set(struct timeouts *timeouts, struct timeout *timeout,
	struct timeout_list *list, uint64_t now_ns)
{
	list_remove(&timeout->node);
	timeout->deadline_ns = now_ns + list->length_ns;
	list_push_back(&list->members, &timeout->node);
	if (timeout->deadline_ns < timeouts->armed_ns)
		timeouts_arm(timeouts, timeout->deadline_ns);
}

static inline void
timeout_stop(struct timeout *timeout)
{
	list_remove(&timeout->node);
}

#endif
