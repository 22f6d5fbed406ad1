#include "net/timeouts.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"

/* Late by this much at most; saves wake-ups where deadlines lie close. */
#define SLACK_NS (5 * CLOCK_NS_PER_MS)

static void
sweep_list(struct timeout_list *list, uint64_t now_ns)
{
	struct timeout *timeout;

	while (!list_is_empty(&list->members)) {
		timeout = list_entry(
			list->members.next, struct timeout, node);
		if (timeout->deadline_ns > now_ns)
			return;
		list_remove(&timeout->node);
		list->expired(timeout);
	}
}

static void
sweep(evutil_socket_t fd, short what, void *arg)
{
	struct timeouts *timeouts = arg;
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t earliest_ns = UINT64_MAX;
	struct timeout_list *list;
	struct timeout *first;

	timeouts->armed_ns = UINT64_MAX;
	for (list = timeouts->lists; list != NULL; list = list->next)
		sweep_list(list, now_ns);
	for (list = timeouts->lists; list != NULL; list = list->next) {
		if (list_is_empty(&list->members))
			continue;
		first = list_entry(list->members.next, struct timeout, node);
		if (first->deadline_ns < earliest_ns)
			earliest_ns = first->deadline_ns;
	}
	if (earliest_ns < timeouts->armed_ns)
		timeouts_arm(timeouts, earliest_ns);
}

void
timeouts_arm(struct timeouts *timeouts, uint64_t deadline_ns)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t wait_ns =
		(deadline_ns > now_ns ? deadline_ns - now_ns : 0) + SLACK_NS;
	struct timeval wait = {
		.tv_sec = (time_t)(wait_ns / CLOCK_NS_PER_S),
		.tv_usec = (suseconds_t)(wait_ns % CLOCK_NS_PER_S /
					 CLOCK_NS_PER_US),
	};

	timeouts->armed_ns = deadline_ns;
	evtimer_add(timeouts->timer, &wait);
}

bool
timeouts_init(struct timeouts *timeouts, struct event_base *base)
{
	timeouts->lists = NULL;
	timeouts->armed_ns = UINT64_MAX;
	timeouts->timer = evtimer_new(base, sweep, timeouts);
	return timeouts->timer != NULL;
}

void
timeouts_close(struct timeouts *timeouts)
{
	struct timeout_list *list;

	while ((list = timeouts->lists) != NULL) {
		timeouts->lists = list->next;
		free(list);
	}
	if (timeouts->timer != NULL)
		event_free(timeouts->timer);
	timeouts->timer = NULL;
}

struct timeout_list *
timeouts_list(struct timeouts *timeouts, uint64_t length_ns,
	timeout_expired_fn *expired)
{
	struct timeout_list *list;

	for (list = timeouts->lists; list != NULL; list = list->next)
		if (list->length_ns == length_ns && list->expired == expired)
			return list;
	list = malloc(sizeof(*list));
	if (list == NULL)
		return NULL;
	list_init(&list->members);
	list->length_ns = length_ns;
	list->expired = expired;
	list->next = timeouts->lists;
	timeouts->lists = list;
	return list;
}
