#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/sequence.h"

#define MEMBERS_MAX 70000

static unsigned counts[MEMBERS_MAX];

/* Builds, counts each member's turns, and frees. */
static size_t
count_turns(const unsigned *weights, size_t n)
{
	size_t len;
	uint32_t *sequence = sequence_build(weights, n, &len);

	for (size_t i = 0; i < n; i++)
		counts[i] = 0;
	for (size_t i = 0; i < len; i++) {
		assert_true(sequence[i] < n);
		counts[sequence[i]]++;
	}
	free(sequence);
	return len;
}

static void
test_turns_are_as_many_as_the_weight(void **state)
{
	const unsigned weights[] = {5, 1, 1, 17, 300};

	(void)state;
	assert_int_equal(count_turns(weights, 5), 324);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(counts[i], weights[i]);
}

static void
test_common_divisor_is_taken_out(void **state)
{
	const unsigned weights[] = {1000, 500, 500};
	const unsigned one[] = {777};

	(void)state;
	assert_int_equal(count_turns(weights, 3), 4);
	assert_int_equal(counts[0], 2);
	assert_int_equal(count_turns(one, 1), 1);
}

static void
test_order_is_by_due_time_then_index(void **state)
{
	/* Due: a at 1/10, 3/10, 5/10, 7/10, 9/10; b and c at 1/2. */
	const unsigned weights[] = {5, 1, 1};
	const uint32_t want[] = {0, 0, 0, 1, 2, 0, 0};
	const unsigned equal[] = {2, 2, 2};
	size_t len;
	uint32_t *sequence = sequence_build(weights, 3, &len);

	(void)state;
	assert_int_equal(len, 7);
	assert_memory_equal(sequence, want, sizeof(want));
	free(sequence);
	sequence = sequence_build(equal, 3, &len);
	assert_int_equal(len, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(sequence[i], i);
	free(sequence);
}

static void
test_turns_are_spread_evenly(void **state)
{
	const unsigned weights[] = {10, 3, 7, 1, 29};
	const double sum = 50;
	size_t len;
	uint32_t *sequence = sequence_build(weights, 5, &len);
	unsigned seen[5] = {0};

	(void)state;
	assert_int_equal(len, 50);
	for (size_t i = 0; i < len; i++) {
		seen[sequence[i]]++;
		/* After any number of turns each had its part, give or take
		 * less than two. */
		for (unsigned k = 0; k < 5; k++)
			assert_true(
				fabs(seen[k] - (double)(i + 1) * weights[k] /
						       sum) < 2);
	}
	free(sequence);
}

static void
test_taking_one_away_keeps_the_order_of_the_rest(void **state)
{
	const unsigned all[] = {5, 3, 7, 2};
	const unsigned rest[] = {5, 7, 2};
	const uint32_t renamed[] = {0, 2, 3};
	size_t n_all, n_rest, at = 0;
	uint32_t *with = sequence_build(all, 4, &n_all);
	uint32_t *without = sequence_build(rest, 3, &n_rest);

	(void)state;
	for (size_t i = 0; i < n_all; i++) {
		if (with[i] == 1)
			continue;
		assert_true(at < n_rest);
		assert_int_equal(with[i], renamed[without[at++]]);
	}
	assert_int_equal(at, n_rest);
	free(with);
	free(without);
}

static void
test_long_cycles_are_scaled_down(void **state)
{
	static unsigned weights[101];
	size_t len;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		weights[i] = 9901 + i; /* sum over 990,000 */
	weights[100] = 1;
	len = count_turns(weights, 101);
	assert_true(len <= SEQUENCE_MAX);
	assert_true(len > SEQUENCE_MAX * 9 / 10);
	assert_int_equal(counts[100], 1);
	for (unsigned i = 0; i < 100; i++)
		assert_true(fabs(counts[i] / (double)len -
				    weights[i] / 995051.0) < 0.0001);
}

static void
test_extreme_weights_leave_each_a_turn(void **state)
{
	const unsigned weights[] = {UINT32_MAX, 1, UINT32_MAX - 1, 1};
	size_t len = count_turns(weights, 4);

	(void)state;
	assert_true(len <= SEQUENCE_MAX);
	assert_int_equal(counts[1], 1);
	assert_int_equal(counts[3], 1);
	assert_true(counts[0] > 32000 && counts[2] > 32000);
}

static void
test_as_many_members_as_turns(void **state)
{
	static unsigned weights[SEQUENCE_MAX];
	size_t len;

	(void)state;
	for (unsigned i = 0; i < SEQUENCE_MAX; i++)
		weights[i] = 1 + i % 2;
	len = count_turns(weights, SEQUENCE_MAX);
	assert_int_equal(len, SEQUENCE_MAX);
	for (unsigned i = 0; i < SEQUENCE_MAX; i++)
		assert_int_equal(counts[i], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns_are_as_many_as_the_weight),
		cmocka_unit_test(test_common_divisor_is_taken_out),
		cmocka_unit_test(test_order_is_by_due_time_then_index),
		cmocka_unit_test(test_turns_are_spread_evenly),
		cmocka_unit_test(
			test_taking_one_away_keeps_the_order_of_the_rest),
		cmocka_unit_test(test_long_cycles_are_scaled_down),
		cmocka_unit_test(test_extreme_weights_leave_each_a_turn),
		cmocka_unit_test(test_as_many_members_as_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
