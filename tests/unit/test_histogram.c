#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "release/histogram.h"

#define US UINT64_C(1000)
#define SECOND UINT64_C(1000000000)

static void
test_middle_is_within_3_2_percent(void **state)
{
	double worst = 0;

	(void)state;
	for (double d = 10.0 * US; d <= 100.0 * SECOND; d *= 1.0003) {
		struct histogram histogram = {0};
		struct histogram_counts counts = {0};
		double error;

		histogram_record(&histogram, (uint64_t)d);
		histogram_add(&histogram, &counts);
		error = fabs((double)histogram_quantile_ns(&counts, 0.5) - d) /
			d;
		if (error > worst)
			worst = error;
	}
	assert_true(worst <= 0.032);
	/* The test itself must see the buckets' width. */
	assert_true(worst > 0.02);
}

static void
test_buckets_cover_all_without_gap(void **state)
{
	unsigned last = histogram_bucket(UINT64_MAX);

	(void)state;
	assert_true(last < HISTOGRAM_BUCKETS);
	assert_int_equal(histogram_low_ns(0), 0);
	for (unsigned i = 0; i < last; i++) {
		uint64_t high = histogram_high_ns(i);

		assert_true(histogram_low_ns(i) < high);
		assert_int_equal(high, histogram_low_ns(i + 1));
		assert_int_equal(histogram_bucket(histogram_low_ns(i)), i);
		assert_int_equal(histogram_bucket(high - 1), i);
	}
	assert_true(histogram_high_ns(last) == UINT64_MAX);
}

static void
test_range_has_buckets_of_its_own(void **state)
{
	unsigned last = histogram_bucket(UINT64_MAX);

	(void)state;
	for (uint64_t d = 0; d < 40; d++)
		assert_int_equal(histogram_bucket(d), 0);
	assert_true(histogram_bucket(10 * US) > 0);
	assert_true(histogram_bucket(100 * SECOND) < last);
	assert_int_equal(histogram_bucket(104 * SECOND), last);
}

static void
test_quantiles_of_a_known_spread(void **state)
{
	static const double quantiles[] = {0.01, 0.5, 0.95, 0.99, 1.0};
	struct histogram histogram = {0};
	struct histogram_counts counts = {0};

	(void)state;
	/* 1 to 10,000 times 100 us: the q-quantile is q seconds. */
	for (uint64_t i = 1; i <= 10000; i++)
		histogram_record(&histogram, i * 100 * US);
	histogram_add(&histogram, &counts);
	assert_int_equal(counts.n, 10000);
	assert_int_equal(counts.sum_ns, UINT64_C(50005000) * 100 * US);
	for (unsigned i = 0; i < 5; i++) {
		double want = quantiles[i] * SECOND;
		double got =
			(double)histogram_quantile_ns(&counts, quantiles[i]);

		assert_true(fabs(got - want) / want <= 0.032);
	}
}

static void
test_quantile_takes_the_rank_not_the_mean(void **state)
{
	struct histogram histogram = {0};
	struct histogram_counts counts = {0};

	(void)state;
	for (unsigned i = 0; i < 99; i++)
		histogram_record(&histogram, 1000 * US);
	histogram_record(&histogram, SECOND);
	histogram_add(&histogram, &counts);
	assert_int_equal(histogram_bucket(histogram_quantile_ns(&counts, 0.99)),
		histogram_bucket(1000 * US));
	assert_int_equal(
		histogram_bucket(histogram_quantile_ns(&counts, 0.991)),
		histogram_bucket(SECOND));
}

static void
test_empty_has_no_quantile(void **state)
{
	struct histogram_counts counts = {0};

	(void)state;
	assert_int_equal(histogram_quantile_ns(&counts, 0.5), 0);
}

static void
test_beyond_the_range_reports_its_edge(void **state)
{
	struct histogram histogram = {0};
	struct histogram_counts counts = {0};

	(void)state;
	histogram_record(&histogram, 5000 * SECOND);
	histogram_add(&histogram, &counts);
	assert_true(histogram_quantile_ns(&counts, 0.5) > 100 * SECOND);
	assert_true(histogram_quantile_ns(&counts, 0.5) < 110 * SECOND);
}

static void
test_subtract_leaves_what_came_between(void **state)
{
	struct histogram histogram = {0};
	struct histogram_counts earlier = {0}, later = {0}, between;

	(void)state;
	histogram_record(&histogram, 20 * US);
	histogram_add(&histogram, &earlier);
	histogram_record(&histogram, SECOND);
	histogram_record(&histogram, SECOND);
	histogram_add(&histogram, &later);
	histogram_subtract(&later, &earlier, &between);
	assert_int_equal(between.n, 2);
	assert_int_equal(between.sum_ns, 2 * SECOND);
	assert_int_equal(between.counts[histogram_bucket(20 * US)], 0);
	assert_int_equal(between.counts[histogram_bucket(SECOND)], 2);
}

static void
test_add_sums_histograms(void **state)
{
	struct histogram one = {0}, other = {0};
	struct histogram_counts counts = {0};

	(void)state;
	histogram_record(&one, 20 * US);
	histogram_record(&other, 20 * US);
	histogram_add(&one, &counts);
	histogram_add(&other, &counts);
	assert_int_equal(counts.n, 2);
	assert_int_equal(counts.counts[histogram_bucket(20 * US)], 2);
}

static void
test_count_below_takes_whole_buckets_only(void **state)
{
	struct histogram histogram = {0};
	struct histogram_counts counts = {0};
	unsigned bucket = histogram_bucket(SECOND);

	(void)state;
	histogram_record(&histogram, 20 * US);
	histogram_record(&histogram, SECOND);
	histogram_record(&histogram, 5000 * SECOND);
	histogram_add(&histogram, &counts);
	assert_int_equal(histogram_count_below(&counts, 0), 0);
	assert_int_equal(
		histogram_count_below(&counts, histogram_high_ns(bucket) - 1),
		1);
	assert_int_equal(
		histogram_count_below(&counts, histogram_high_ns(bucket)), 2);
	assert_int_equal(histogram_count_below(&counts, UINT64_MAX), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_middle_is_within_3_2_percent),
		cmocka_unit_test(test_buckets_cover_all_without_gap),
		cmocka_unit_test(test_range_has_buckets_of_its_own),
		cmocka_unit_test(test_quantiles_of_a_known_spread),
		cmocka_unit_test(test_quantile_takes_the_rank_not_the_mean),
		cmocka_unit_test(test_empty_has_no_quantile),
		cmocka_unit_test(test_beyond_the_range_reports_its_edge),
		cmocka_unit_test(test_subtract_leaves_what_came_between),
		cmocka_unit_test(test_add_sums_histograms),
		cmocka_unit_test(test_count_below_takes_whole_buckets_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
