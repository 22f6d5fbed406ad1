#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "proxy/rescue_budget.h"

#define SECOND UINT64_C(1000000000)
#define T0 (1000 * SECOND)
#define PERCENT 20
#define BURST RESCUE_BURST
#define PART (RESCUE_BURST / RESCUE_NETWORK_PART)

static struct rescue_budget budget;

static int
set_up(void **state)
{
	(void)state;
	rescue_budget_init(&budget, PERCENT);
	return 0;
}

static void
earn(unsigned n)
{
	while (n-- > 0)
		rescue_budget_earn(&budget);
}

static uint64_t
network(unsigned n)
{
	return hash_u64(n, 0);
}

/* How many are granted of n that a network wants at once. */
static unsigned
take_for(uint64_t key, unsigned n, enum rescue_need need)
{
	unsigned granted = 0;

	while (n-- > 0)
		granted += rescue_budget_take(&budget, key, need, T0);
	return granted;
}

/* By as many networks as it takes. */
static unsigned
take(unsigned n, enum rescue_need need)
{
	unsigned granted = 0;

	for (unsigned i = 0; i < n; i++)
		granted += rescue_budget_take(
			&budget, network(1000 + i % 64), need, T0);
	return granted;
}

static void
test_burst_then_percent_of_the_requests(void **state)
{
	(void)state;
	assert_int_equal(take(2 * BURST, RESCUE_ASSET), BURST);
	earn(1000);
	assert_int_equal(take(1000, RESCUE_ASSET), 1000 * PERCENT / 100);
	earn(4);
	assert_int_equal(take(1, RESCUE_ASSET), 0);
	earn(1);
	assert_int_equal(take(2, RESCUE_ASSET), 1);
}

static void
test_no_more_than_the_burst_is_saved_up(void **state)
{
	(void)state;
	earn(1000000);
	assert_int_equal(take(2 * BURST, RESCUE_ASSET), BURST);
}

static void
test_network_has_a_tenth(void **state)
{
	(void)state;
	assert_int_equal(take_for(network(1), BURST, RESCUE_ASSET), PART);
	earn(1000);
	assert_int_equal(take_for(network(1), BURST, RESCUE_ASSET),
		1000 * PERCENT / 100 / RESCUE_NETWORK_PART);
}

static void
test_one_network_leaves_the_others_theirs(void **state)
{
	unsigned refused = 0;

	(void)state;
	/* 75 a second of one, among 100 a second of whom a tenth needs help. */
	for (unsigned i = 0; i < 17500; i++) {
		earn(1);
		if (i % 7 < 3)
			take_for(network(1), 1, RESCUE_ASSET);
		else if (i % 70 == 3)
			refused += !rescue_budget_take(
				&budget, network(2 + i % 50), RESCUE_ASSET, T0);
	}
	assert_int_equal(refused, 0);
}

/* While more than half is left, what is found costs a network nothing. */
static void
test_network_that_finds_has_what_nobody_needs(void **state)
{
	unsigned found = 0;

	(void)state;
	while (take_for(network(1), 1, RESCUE_ASSET) == 1) {
		rescue_budget_note_found(&budget, network(1));
		found++;
	}
	assert_int_equal(found, BURST / 2 + PART);
	/* The others have their half of it. */
	assert_int_equal(take(BURST, RESCUE_ASSET), BURST / 2 - PART);
}

static void
test_office_that_is_all_there_is_has_the_whole_percentage(void **state)
{
	unsigned granted = 0;

	(void)state;
	while (take_for(network(1), 1, RESCUE_ASSET) == 1)
		rescue_budget_note_found(&budget, network(1));
	earn(2000); /* back above the half */
	for (unsigned i = 0; i < 10000; i++) {
		earn(1);
		if (take_for(network(1), 1, RESCUE_ASSET) == 1) {
			rescue_budget_note_found(&budget, network(1));
			granted++;
		}
	}
	assert_true(granted > 10000 * PERCENT / 100);
}

static void
test_found_gives_no_more_than_the_burst(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		rescue_budget_note_found(&budget, network(1));
	assert_int_equal(take_for(network(1), BURST, RESCUE_ASSET), PART);
}

static void
test_calls_leave_half_to_assets_and_preflights(void **state)
{
	(void)state;
	assert_int_equal(take(BURST, RESCUE_CALL), BURST / 2);
	assert_int_equal(take(BURST / 4, RESCUE_PREFLIGHT), BURST / 4);
	assert_int_equal(take(BURST, RESCUE_ASSET), BURST / 4);
}

static void
test_changing_networks_is_of_no_use(void **state)
{
	unsigned granted = 0;

	(void)state;
	/* The service's own burst is never short. */
	for (unsigned i = 0; i < 5000; i++) {
		granted += take_for(network(i), PART, RESCUE_ASSET);
		budget.service.credit = (uint64_t)BURST * 100;
	}
	assert_true(granted <= RESCUE_NETWORKS * PART);
	assert_true(granted > RESCUE_NETWORKS * PART / 2);
}

/* The n-th of those that share a set. */
static uint64_t
network_of_set(unsigned n)
{
	return (uint64_t)n << 32 | 2;
}

static void
test_newcomer_takes_the_place_of_who_has_most(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 3; i++)
		take_for(network_of_set(i), PART, RESCUE_ASSET);
	take_for(network_of_set(4), 1, RESCUE_ASSET);
	rescue_budget_note_late(&budget, network_of_set(4), RESCUE_ASSET, T0);
	assert_int_equal(
		take_for(network_of_set(5), PART, RESCUE_ASSET), PART - 1);
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(
			take_for(network_of_set(i), 1, RESCUE_ASSET), 0);
}

static void
test_networks_come_and_go_where_there_is_no_want(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		earn(5 * RESCUE_NETWORK_PART);
		assert_int_equal(take_for(network(i), 1, RESCUE_ASSET), 1);
	}
}

static void
test_tests_are_the_service_s(void **state)
{
	(void)state;
	assert_int_equal(take_for(network(1), BURST, RESCUE_ASSET), PART);
	for (unsigned i = PART; i < BURST; i++)
		assert_true(rescue_budget_take_test(&budget));
	assert_false(rescue_budget_take_test(&budget));
	earn(5);
	assert_true(rescue_budget_take_test(&budget));
}

static void
test_who_waited_doesn_t_wait_again(void **state)
{
	uint64_t end = T0 + RESCUE_LATE_NS;

	(void)state;
	rescue_budget_note_late(&budget, network(1), RESCUE_ASSET, T0);
	for (enum rescue_need need = RESCUE_ASSET; need <= RESCUE_PREFLIGHT;
		need++) {
		assert_false(
			rescue_budget_take(&budget, network(1), need, end - 1));
		assert_true(rescue_budget_take(&budget, network(1), need, end));
		assert_true(
			rescue_budget_take(&budget, network(2), need, end - 1));
	}
}

static void
test_slow_call_is_nothing_against_assets(void **state)
{
	uint64_t end = T0 + RESCUE_LATE_NS;

	(void)state;
	rescue_budget_note_late(&budget, network(1), RESCUE_CALL, T0);
	assert_true(rescue_budget_take(&budget, network(1), RESCUE_ASSET, T0));
	assert_false(
		rescue_budget_take(&budget, network(1), RESCUE_CALL, end - 1));
	assert_false(rescue_budget_take(
		&budget, network(1), RESCUE_PREFLIGHT, end - 1));
	assert_true(rescue_budget_take(&budget, network(1), RESCUE_CALL, end));
}

static void
test_size_is_as_stated(void **state)
{
	(void)state;
	assert_true(sizeof(budget) < 6 * 1024);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_burst_then_percent_of_the_requests),
		TEST(test_no_more_than_the_burst_is_saved_up),
		TEST(test_network_has_a_tenth),
		TEST(test_one_network_leaves_the_others_theirs),
		TEST(test_network_that_finds_has_what_nobody_needs),
		TEST(test_office_that_is_all_there_is_has_the_whole_percentage),
		TEST(test_found_gives_no_more_than_the_burst),
		TEST(test_calls_leave_half_to_assets_and_preflights),
		TEST(test_changing_networks_is_of_no_use),
		TEST(test_newcomer_takes_the_place_of_who_has_most),
		TEST(test_networks_come_and_go_where_there_is_no_want),
		TEST(test_tests_are_the_service_s),
		TEST(test_who_waited_doesn_t_wait_again),
		TEST(test_slow_call_is_nothing_against_assets),
		TEST(test_size_is_as_stated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
