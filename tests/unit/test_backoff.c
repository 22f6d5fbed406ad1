#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/backoff.h"
#include "base/clock.h"

#define S CLOCK_NS_PER_S
/* Neither shorter nor longer. */
#define MIDDLE (UINT32_MAX / 2)

static const struct backoff backoff = {
	.first_ns = S,
	.max_ns = 60 * S,
	.tries = 12,
	.limit_ns = 600 * S,
};

static void
assert_near(uint64_t value_ns, uint64_t wanted_ns)
{
	assert_in_range(value_ns, wanted_ns - CLOCK_NS_PER_MS,
		wanted_ns + CLOCK_NS_PER_MS);
}

static void
test_each_failure_doubles_the_wait(void **state)
{
	static const unsigned seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};

	for (unsigned i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
		assert_near(backoff_wait_ns(&backoff, i + 1, MIDDLE),
			seconds[i] * S);
}

static void
test_chance_moves_the_wait_by_a_quarter(void **state)
{
	assert_near(backoff_wait_ns(&backoff, 1, 0), S * 3 / 4);
	assert_near(backoff_wait_ns(&backoff, 1, UINT32_MAX), S * 5 / 4);
	assert_near(backoff_wait_ns(&backoff, 4, 0), S * 6);
	assert_near(backoff_wait_ns(&backoff, 4, UINT32_MAX), S * 10);
}

static void
test_no_wait_is_longer_than_the_longest(void **state)
{
	assert_int_equal(backoff_wait_ns(&backoff, 7, UINT32_MAX), 60 * S);
	assert_int_equal(
		backoff_wait_ns(&backoff, UINT32_MAX, UINT32_MAX), 60 * S);
	assert_near(backoff_wait_ns(&backoff, UINT32_MAX, 0), 45 * S);
}

static void
test_tries_and_time_end(void **state)
{
	assert_false(backoff_is_over(&backoff, 1, 0));
	assert_false(backoff_is_over(&backoff, 11, 600 * S - 1));
	assert_true(backoff_is_over(&backoff, 12, 0));
	assert_true(backoff_is_over(&backoff, 1, 600 * S));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_failure_doubles_the_wait),
		cmocka_unit_test(test_chance_moves_the_wait_by_a_quarter),
		cmocka_unit_test(test_no_wait_is_longer_than_the_longest),
		cmocka_unit_test(test_tries_and_time_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
