#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "release/evidence.h"
#include "release/evidence_factor.h"

/* What a floating point sum of some thousand terms may be off. */
#define SLACK 1e-9

static double
choose(unsigned n, unsigned k)
{
	return exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0));
}

static double
binomial(unsigned n, unsigned x, double p)
{
	return choose(n, x) * pow(p, x) * pow(1 - p, n - x);
}

struct sides {
	unsigned n_c, n_s;
	double p_c, p_s;
};

/* A factor under test: adds to out what the outcome is worth. */
typedef void factor_fn(struct evidence_part candidate,
	struct evidence_part stable, double parameter, double *out);

/* E[F] at each point of the grid, by going through all outcomes. */
static void
expect(const struct sides *sides, factor_fn *factor, double parameter,
	unsigned n_grid, double *expectation)
{
	for (unsigned k = 0; k < n_grid; k++)
		expectation[k] = 0;
	for (unsigned x_c = 0; x_c <= sides->n_c; x_c++) {
		for (unsigned x_s = 0; x_s <= sides->n_s; x_s++) {
			double p = binomial(sides->n_c, x_c, sides->p_c) *
				   binomial(sides->n_s, x_s, sides->p_s);
			double ln_f[EVIDENCE_GRID_MAX] = {0};

			factor((struct evidence_part){sides->n_c, x_c},
				(struct evidence_part){sides->n_s, x_s},
				parameter, ln_f);
			for (unsigned k = 0; k < n_grid; k++)
				expectation[k] += p * exp(ln_f[k]);
		}
	}
}

static void
counts(struct evidence_part candidate, struct evidence_part stable, double r0,
	double *out)
{
	double grid[EVIDENCE_COUNT_GRID];

	evidence_count_grid(r0, grid);
	evidence_add_counts(
		candidate, stable, r0, grid, EVIDENCE_COUNT_GRID, out);
}

static void
safe(struct evidence_part candidate, struct evidence_part stable, double worse,
	double *out)
{
	static const double same = 1;

	evidence_add_counts(candidate, stable, worse, &same, 1, out);
}

static void
limit(struct evidence_part candidate, struct evidence_part stable, double rate,
	double *out)
{
	(void)stable;
	evidence_add_limit(candidate, rate, out);
}

static void
assert_at_most_one(const double *expectation, unsigned n_grid)
{
	for (unsigned k = 0; k < n_grid; k++)
		assert_true(expectation[k] <= 1 + SLACK);
}

static const double rates[] = {0.001, 0.02, 0.1, 0.3, 0.5, 0.9, 1};
#define N_RATES (sizeof(rates) / sizeof(rates[0]))
static const unsigned sizes[] = {0, 1, 2, 5, 9};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))
static const double tolerances[] = {1, 1.1, 1.5, 3};
#define N_TOLERANCES (sizeof(tolerances) / sizeof(tolerances[0]))

/* Calls check with all pairs of sizes. */
static void
with_all_sizes(void (*check)(unsigned n_c, unsigned n_s))
{
	for (size_t i = 0; i < N_SIZES; i++)
		for (size_t k = 0; k < N_SIZES; k++)
			check(sizes[i], sizes[k]);
}

static void
check_counts(unsigned n_c, unsigned n_s)
{
	double got[EVIDENCE_COUNT_GRID];

	for (size_t i = 0; i < N_RATES; i++) {
		for (size_t k = 0; k < N_TOLERANCES; k++) {
			double r0 = tolerances[k];
			struct sides worst = {
				n_c, n_s, rates[i], rates[i] / r0};
			struct sides better = worst;

			expect(&worst, counts, r0, EVIDENCE_COUNT_GRID, got);
			assert_at_most_one(got, EVIDENCE_COUNT_GRID);
			better.p_c *= 0.7;
			expect(&better, counts, r0, EVIDENCE_COUNT_GRID, got);
			assert_at_most_one(got, EVIDENCE_COUNT_GRID);
		}
	}
}

static void
test_counts_of_a_harmless_candidate_expect_at_most_one(void **state)
{
	(void)state;
	with_all_sizes(check_counts);
}

static void
test_counts_of_a_harmful_candidate_expect_more(void **state)
{
	struct sides sides = {5, 9, 0.4, 0.05};
	double got[EVIDENCE_COUNT_GRID];

	(void)state;
	expect(&sides, counts, 1, EVIDENCE_COUNT_GRID, got);
	assert_true(got[8] > 2);
}

static void
check_safe(unsigned n_c, unsigned n_s)
{
	double got;

	for (size_t i = 0; i < N_RATES; i++) {
		struct sides sides = {n_c, n_s, rates[i], rates[i] / 2};

		expect(&sides, safe, 2, 1, &got);
		assert_true(got <= 1 + SLACK);
		sides.p_s *= 0.6; /* more than twice as bad */
		expect(&sides, safe, 2, 1, &got);
		assert_true(got <= 1 + SLACK);
	}
}

static void
test_certificate_of_a_twice_as_bad_one_expects_at_most_one(void **state)
{
	(void)state;
	with_all_sizes(check_safe);
}

static void
check_limit(unsigned n_c, unsigned n_s)
{
	double got[EVIDENCE_LATENCY_GRID];

	for (size_t i = 0; i < N_RATES; i++) {
		struct sides sides = {n_c, 0, rates[i], 0};

		expect(&sides, limit, rates[i], EVIDENCE_LATENCY_GRID, got);
		assert_at_most_one(got, EVIDENCE_LATENCY_GRID);
		sides.p_c /= 2;
		expect(&sides, limit, rates[i], EVIDENCE_LATENCY_GRID, got);
		assert_at_most_one(got, EVIDENCE_LATENCY_GRID);
	}
	(void)n_s;
}

static void
test_limit_below_its_rate_expects_at_most_one(void **state)
{
	(void)state;
	with_all_sizes(check_limit);
}

static void
check_latency(unsigned n_c, unsigned n_s)
{
	static const double estimates[] = {0.0005, 0.01, 0.05, 0.5, 0.95};
	double got[EVIDENCE_LATENCY_GRID];

	for (size_t i = 0; i < N_RATES; i++) {
		for (size_t k = 0; k < sizeof(estimates) / sizeof(double);
			k++) {
			struct sides sides = {n_c, n_s, rates[i], rates[i]};

			expect(&sides, evidence_add_latency, estimates[k],
				EVIDENCE_LATENCY_GRID, got);
			assert_at_most_one(got, EVIDENCE_LATENCY_GRID);
			sides.p_c *= 0.6;
			expect(&sides, evidence_add_latency, estimates[k],
				EVIDENCE_LATENCY_GRID, got);
			assert_at_most_one(got, EVIDENCE_LATENCY_GRID);
		}
	}
}

static void
test_latency_of_a_harmless_candidate_expects_at_most_one(void **state)
{
	(void)state;
	with_all_sizes(check_latency);
}

/* --- the same with latencies, by the lines drawn from them ------------------ */

#define N_TIMES 5

static uint64_t
worst_tolerated(const struct evidence_config *config, uint64_t ns)
{
	return (uint64_t)(config->latency_tolerance * (double)ns) +
	       config->latency_slack_ns;
}

/* The part of the times that is over the line, each as likely as another. */
static double
over(const uint64_t *times, uint16_t line)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N_TIMES; i++)
		n += histogram_bucket(times[i]) > line;
	return (double)n / N_TIMES;
}

static void
check_times(const struct evidence_config *config, const uint64_t *stable,
	const uint64_t *candidate)
{
	struct histogram_counts seen = {0};
	struct evidence_lines lines = {0};
	double got[EVIDENCE_LATENCY_GRID];

	for (unsigned i = 0; i < N_TIMES; i++)
		seen.counts[histogram_bucket(stable[i])] += 100;
	seen.n = 100 * N_TIMES;
	evidence_draw_lines(config, &seen, &lines);
	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		struct sides sides = {4, 6, over(candidate, lines.candidate[i]),
			over(stable, lines.stable[i])};

		assert_true(sides.p_c <= sides.p_s);
		expect(&sides, evidence_add_latency, 0.2, EVIDENCE_LATENCY_GRID,
			got);
		assert_at_most_one(got, EVIDENCE_LATENCY_GRID);
	}
}

static void
test_latencies_that_are_tolerated_expect_at_most_one(void **state)
{
	static const uint64_t stable[][N_TIMES] = {
		{1000000, 1000000, 1000000, 1000000, 1000000},
		{1, 20000, 3000000, 40000000, 500000000},
		{10000000, 11000000, 12100000, 13300000, 14600000},
		{50000000, 50000001, 99000000, 100000000, 100000001},
		{90000000000, 95000000000, 99000000000, 99500000000,
			120000000000},
	};
	struct evidence_config config;

	(void)state;
	evidence_config_init(&config);
	for (size_t i = 0; i < sizeof(stable) / sizeof(stable[0]); i++) {
		uint64_t worst[N_TIMES], same[N_TIMES], mixed[N_TIMES];

		for (unsigned k = 0; k < N_TIMES; k++) {
			worst[k] = worst_tolerated(&config, stable[i][k]);
			same[k] = stable[i][k];
			mixed[k] = k % 2 == 0 ? worst[k] : same[k] / 3;
		}
		check_times(&config, stable[i], worst);
		check_times(&config, stable[i], same);
		check_times(&config, stable[i], mixed);
	}
}

/* --- exact values ----------------------------------------------------------- */

static void
test_grid_is_log_spaced_from_a_fifth_more_to_fiftyfold(void **state)
{
	double grid[EVIDENCE_COUNT_GRID];

	(void)state;
	evidence_count_grid(1.5, grid);
	assert_float_equal(grid[0], 1.8, 1e-12);
	assert_float_equal(grid[EVIDENCE_COUNT_GRID - 1], 75, 1e-9);
	assert_float_equal(grid[8] / grid[7], grid[1] / grid[0], 1e-9);
}

static void
test_counts_have_the_value_of_the_likelihood_ratio(void **state)
{
	double r1 = 9, got = 0;
	double th0 = 10.0 / 100, th1 = 90.0 / 180;

	(void)state;
	evidence_add_counts((struct evidence_part){10, 2},
		(struct evidence_part){90, 3}, 1, &r1, 1, &got);
	assert_float_equal(
		got, 2 * log(th1 / th0) + 3 * log((1 - th1) / (1 - th0)), 1e-9);
	/* A second stratum adds to it. */
	evidence_add_counts((struct evidence_part){10, 1},
		(struct evidence_part){90, 0}, 1, &r1, 1, &got);
	assert_float_equal(
		got, 3 * log(th1 / th0) + 3 * log((1 - th1) / (1 - th0)), 1e-9);
}

static void
test_latency_has_the_value_of_the_likelihood_ratio(void **state)
{
	double got[EVIDENCE_LATENCY_GRID] = {0};
	double t_s = 0.2, t_c = 0.6 / 1.4; /* odds 1/4 and, sixfold, 3/2... */
	double t_0;

	(void)state;
	t_c = 6 * 0.25 / (1 + 6 * 0.25);
	t_0 = (10 * t_c + 30 * t_s) / 40;
	evidence_add_latency((struct evidence_part){10, 7},
		(struct evidence_part){30, 5}, t_s, got);
	assert_float_equal(got[4],
		7 * log(t_c / t_0) + 3 * log((1 - t_c) / (1 - t_0)) +
			5 * log(t_s / t_0) + 25 * log((1 - t_s) / (1 - t_0)),
		1e-9);
}

static void
test_limit_has_the_value_of_the_likelihood_ratio(void **state)
{
	double got[EVIDENCE_LATENCY_GRID] = {0};

	(void)state;
	evidence_add_limit((struct evidence_part){10, 4}, 0.2, got);
	assert_float_equal(
		got[4], 4 * log(0.6 / 0.2) + 6 * log(0.4 / 0.8), 1e-9);
}

static void
test_one_side_alone_says_nothing(void **state)
{
	double got[EVIDENCE_GRID_MAX] = {0};
	struct evidence_part none = {0}, some = {5, 3};

	(void)state;
	counts(none, some, 1, got);
	counts(some, none, 1, got);
	evidence_add_latency(none, some, 0.1, got);
	evidence_add_latency(some, none, 0.1, got);
	evidence_add_limit(none, 0.1, got);
	for (unsigned k = 0; k < EVIDENCE_GRID_MAX; k++)
		assert_true(got[k] == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_counts_of_a_harmless_candidate_expect_at_most_one),
		cmocka_unit_test(
			test_counts_of_a_harmful_candidate_expect_more),
		cmocka_unit_test(
			test_certificate_of_a_twice_as_bad_one_expects_at_most_one),
		cmocka_unit_test(test_limit_below_its_rate_expects_at_most_one),
		cmocka_unit_test(
			test_latency_of_a_harmless_candidate_expects_at_most_one),
		cmocka_unit_test(
			test_latencies_that_are_tolerated_expect_at_most_one),
		cmocka_unit_test(
			test_grid_is_log_spaced_from_a_fifth_more_to_fiftyfold),
		cmocka_unit_test(
			test_counts_have_the_value_of_the_likelihood_ratio),
		cmocka_unit_test(
			test_latency_has_the_value_of_the_likelihood_ratio),
		cmocka_unit_test(
			test_limit_has_the_value_of_the_likelihood_ratio),
		cmocka_unit_test(test_one_side_alone_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
