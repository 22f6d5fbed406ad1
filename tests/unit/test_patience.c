#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "proxy/patience.h"

#define S CLOCK_NS_PER_S
#define MS CLOCK_NS_PER_MS

static struct histogram histogram;

static void
took(unsigned n, uint64_t ns)
{
	while (n-- > 0)
		histogram_record(&histogram, ns);
}

static uint64_t
patience(void)
{
	struct histogram_counts counts;

	memset(&counts, 0, sizeof(counts));
	histogram_add(&histogram, &counts);
	return patience_of(&counts);
}

static int
set_up(void **state)
{
	(void)state;
	memset(&histogram, 0, sizeof(histogram));
	return 0;
}

static void
test_at_least_five_seconds(void **state)
{
	(void)state;
	took(1000, 20 * MS);
	assert_int_equal(patience(), 5 * S);
	took(1000, 480 * MS);
	assert_int_equal(patience(), 5 * S);
}

/* After a start there are no times yet: what takes long isn't cut short. */
static void
test_too_few_say_nothing(void **state)
{
	(void)state;
	assert_int_equal(patience(), 0);
	took(19, 20 * MS);
	assert_int_equal(patience(), 0);
	took(1, 20 * MS);
	assert_int_equal(patience(), 5 * S);
}

static void
test_ten_times_the_p99(void **state)
{
	(void)state;
	took(970, 20 * MS);
	took(30, 1100 * MS);
	assert_int_equal(patience(), 12 * S);
}

/* The p99 doesn't see them. */
static void
test_long_polls_are_no_hangs(void **state)
{
	(void)state;
	took(9970, 20 * MS);
	took(30, 25 * S);
	assert_int_equal(patience(), 40 * S);
}

static void
test_single_one_is_no_rule(void **state)
{
	(void)state;
	took(9999, 20 * MS);
	took(1, 25 * S);
	assert_int_equal(patience(), 5 * S);
}

static void
test_none_is_long_enough(void **state)
{
	(void)state;
	took(100, 90 * S);
	assert_int_equal(patience(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, set_up)
		T(test_at_least_five_seconds),
		T(test_too_few_say_nothing),
		T(test_ten_times_the_p99),
		T(test_long_polls_are_no_hangs),
		T(test_single_one_is_no_rule),
		T(test_none_is_long_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
