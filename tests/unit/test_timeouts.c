/*
 * Deadlines on a real loop. Nothing sleeps: the time that a timeout was set at
 * is given by the test, so most deadlines lie a few milliseconds ahead.
 */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/timeouts.h"

#define MS CLOCK_NS_PER_MS

struct waiter {
	struct timeout timeout;
	int id;
	unsigned n_expired;
	uint64_t expired_ns;
};

static struct event_base *base;
static struct timeouts timeouts;
/* Who expired, in order. */
static int order[64];
static size_t n_order;
/* What a test wants done when one expires. */
static void (*on_expired)(struct waiter *waiter);

static void
note(struct timeout *timeout)
{
	struct waiter *waiter = list_entry(timeout, struct waiter, timeout);

	/* It is out of its list by now. */
	assert_true(list_is_empty(&timeout->node));
	waiter->n_expired++;
	waiter->expired_ns = clock_monotonic_ns();
	assert_true(waiter->expired_ns >= timeout->deadline_ns);
	assert_true(n_order < sizeof(order) / sizeof(order[0]));
	order[n_order++] = waiter->id;
	if (on_expired != NULL)
		on_expired(waiter);
}

static void
note_too(struct timeout *timeout)
{
	note(timeout);
}

static int
set_up(void **state)
{
	(void)state;
	n_order = 0;
	on_expired = NULL;
	base = event_base_new();
	return base != NULL && timeouts_init(&timeouts, base) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	timeouts_close(&timeouts);
	event_base_free(base);
	return 0;
}

static struct waiter
waiter_of(int id)
{
	return (struct waiter){.id = id};
}

/* Sets it so that it expires at deadline_ns. */
static void
set_for(struct waiter *waiter, struct timeout_list *list, uint64_t deadline_ns)
{
	timeouts_set(&timeouts, &waiter->timeout, list,
		deadline_ns - list->length_ns);
}

static void
assert_order(const int *expected, size_t n)
{
	assert_int_equal(n_order, n);
	assert_memory_equal(order, expected, n * sizeof(*expected));
}

#define ASSERT_ORDER(...)                                                      \
	assert_order((const int[]){__VA_ARGS__},                               \
		sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

/* Until n have expired; the loop ends by itself where no timer is armed. */
static void
run_until(size_t n)
{
	while (n_order < n)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void
test_members_expire_in_the_order_they_were_set(void **state)
{
	struct timeout_list *list = timeouts_list(&timeouts, 100 * MS, note);
	uint64_t now_ns = clock_monotonic_ns();
	struct waiter waiters[20];
	int i;

	for (i = 0; i < 20; i++) {
		waiters[i] = waiter_of(i);
		timeout_init(&waiters[i].timeout);
		set_for(&waiters[i], list, now_ns + (uint64_t)i * MS);
	}
	run_until(20);
	for (i = 0; i < 20; i++) {
		assert_int_equal(order[i], i);
		assert_int_equal(waiters[i].n_expired, 1);
	}
}

static void
test_lists_of_different_lengths_share_the_timer(void **state)
{
	struct timeout_list *slow = timeouts_list(&timeouts, 60 * MS, note);
	struct timeout_list *fast = timeouts_list(&timeouts, 10 * MS, note);
	struct timeout_list *other = timeouts_list(&timeouts, 30 * MS, note);
	struct waiter a = waiter_of(1), b = waiter_of(2), c = waiter_of(3);
	uint64_t now_ns = clock_monotonic_ns();

	timeout_init(&a.timeout);
	timeout_init(&b.timeout);
	timeout_init(&c.timeout);
	timeouts_set(&timeouts, &a.timeout, slow, now_ns);
	assert_true(timeouts.armed_ns == now_ns + 60 * MS);
	/* An earlier deadline pulls the timer forward; a later one doesn't. */
	timeouts_set(&timeouts, &b.timeout, fast, now_ns);
	assert_true(timeouts.armed_ns == now_ns + 10 * MS);
	timeouts_set(&timeouts, &c.timeout, other, now_ns);
	assert_true(timeouts.armed_ns == now_ns + 10 * MS);
	run_until(3);
	/* Where the machine is late, all are due at once: in any order. */
	assert_int_equal(a.n_expired + b.n_expired + c.n_expired, 3);
	assert_true(a.n_expired == 1 && b.n_expired == 1);
	assert_true(timeouts.armed_ns == UINT64_MAX);
}

static void
test_setting_anew_moves_it_behind_the_others(void **state)
{
	struct timeout_list *list = timeouts_list(&timeouts, 20 * MS, note);
	struct waiter a = waiter_of(1), b = waiter_of(2);
	uint64_t now_ns = clock_monotonic_ns();

	timeout_init(&a.timeout);
	timeout_init(&b.timeout);
	timeouts_set(&timeouts, &a.timeout, list, now_ns);
	timeouts_set(&timeouts, &b.timeout, list, now_ns + 1 * MS);
	timeouts_set(&timeouts, &a.timeout, list, now_ns + 2 * MS);
	assert_true(a.timeout.deadline_ns == now_ns + 22 * MS);
	run_until(2);
	ASSERT_ORDER(2, 1);
	assert_int_equal(a.n_expired, 1);
}

static void
test_setting_in_another_list_takes_it_out_of_the_first(void **state)
{
	/* Where the machine is late, both are due at once, and the newest list
	 * is swept first. */
	struct timeout_list *slow = timeouts_list(&timeouts, 20 * MS, note);
	struct timeout_list *fast = timeouts_list(&timeouts, 1 * MS, note);
	struct waiter a = waiter_of(1), b = waiter_of(2);
	uint64_t now_ns = clock_monotonic_ns();

	timeout_init(&a.timeout);
	timeout_init(&b.timeout);
	timeouts_set(&timeouts, &a.timeout, fast, now_ns);
	timeouts_set(&timeouts, &b.timeout, fast, now_ns);
	timeouts_set(&timeouts, &a.timeout, slow, now_ns);
	run_until(2);
	ASSERT_ORDER(2, 1);
	assert_true(a.expired_ns >= now_ns + 20 * MS);
}

static void
test_stopped_one_never_expires(void **state)
{
	struct timeout_list *list = timeouts_list(&timeouts, 5 * MS, note);
	struct waiter a = waiter_of(1), b = waiter_of(2);
	uint64_t now_ns = clock_monotonic_ns();

	timeout_init(&a.timeout);
	timeout_init(&b.timeout);
	timeout_stop(&a.timeout); /* one that was never set */
	timeouts_set(&timeouts, &a.timeout, list, now_ns);
	timeouts_set(&timeouts, &b.timeout, list, now_ns);
	timeout_stop(&a.timeout);
	timeout_stop(&a.timeout);
	/* Ends when the timer is armed no more. */
	event_base_loop(base, 0);
	ASSERT_ORDER(2);
	assert_int_equal(a.n_expired, 0);
	assert_true(list_is_empty(&list->members));
}

static void
test_timer_rests_when_all_are_stopped(void **state)
{
	struct timeout_list *list = timeouts_list(&timeouts, 5 * MS, note);
	struct waiter a = waiter_of(1);

	timeout_init(&a.timeout);
	timeouts_set(&timeouts, &a.timeout, list, clock_monotonic_ns());
	timeout_stop(&a.timeout);
	event_base_loop(base, 0);
	assert_int_equal(n_order, 0);
	assert_true(timeouts.armed_ns == UINT64_MAX);
	/* And starts again. */
	timeouts_set(&timeouts, &a.timeout, list, clock_monotonic_ns());
	event_base_loop(base, 0);
	ASSERT_ORDER(1);
}

static void
test_deadline_in_the_past_expires_at_once(void **state)
{
	struct timeout_list *list = timeouts_list(&timeouts, 5 * MS, note);
	struct waiter a = waiter_of(1);

	timeout_init(&a.timeout);
	set_for(&a, list, clock_monotonic_ns() - 1000 * MS);
	run_until(1);
	ASSERT_ORDER(1);
}

static struct timeout_list *again_list;

static void
set_again(struct waiter *waiter)
{
	if (waiter->n_expired < 3)
		timeouts_set(&timeouts, &waiter->timeout, again_list,
			clock_monotonic_ns());
}

static void
test_callback_may_set_it_again(void **state)
{
	struct waiter a = waiter_of(1);

	again_list = timeouts_list(&timeouts, 2 * MS, note);
	on_expired = set_again;
	timeout_init(&a.timeout);
	timeouts_set(&timeouts, &a.timeout, again_list, clock_monotonic_ns());
	event_base_loop(base, 0);
	assert_int_equal(a.n_expired, 3);
	assert_true(timeouts.armed_ns == UINT64_MAX);
}

static struct waiter *victim;

static void
stop_victim(struct waiter *waiter)
{
	timeout_stop(&victim->timeout);
}

/* As when one of two connections takes the other along. */
static void
test_callback_may_stop_one_that_is_due_too(void **state)
{
	struct timeout_list *list = timeouts_list(&timeouts, 5 * MS, note);
	struct waiter a = waiter_of(1), b = waiter_of(2), c = waiter_of(3);
	uint64_t past_ns = clock_monotonic_ns() - 100 * MS;

	on_expired = stop_victim;
	victim = &b;
	timeout_init(&a.timeout);
	timeout_init(&b.timeout);
	timeout_init(&c.timeout);
	set_for(&a, list, past_ns);
	set_for(&b, list, past_ns);
	set_for(&c, list, past_ns);
	event_base_loop(base, 0);
	ASSERT_ORDER(1, 3);
}

static void
test_list_is_shared_by_length_and_callback(void **state)
{
	struct timeout_list *list = timeouts_list(&timeouts, 5 * MS, note);

	assert_non_null(list);
	assert_ptr_equal(timeouts_list(&timeouts, 5 * MS, note), list);
	assert_ptr_not_equal(timeouts_list(&timeouts, 6 * MS, note), list);
	assert_ptr_not_equal(timeouts_list(&timeouts, 5 * MS, note_too), list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_members_expire_in_the_order_they_were_set),
		TEST(test_lists_of_different_lengths_share_the_timer),
		TEST(test_setting_anew_moves_it_behind_the_others),
		TEST(test_setting_in_another_list_takes_it_out_of_the_first),
		TEST(test_stopped_one_never_expires),
		TEST(test_timer_rests_when_all_are_stopped),
		TEST(test_deadline_in_the_past_expires_at_once),
		TEST(test_callback_may_set_it_again),
		TEST(test_callback_may_stop_one_that_is_due_too),
		TEST(test_list_is_shared_by_length_and_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
