#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "release/evidence.h"

#define TICK_NS (CLOCK_NS_PER_S / 4)

/* --- the mixture ------------------------------------------------------------ */

static void
test_half_of_the_stake_is_laid_at_once_the_rest_in_time(void **state)
{
	struct evidence_mixture mixture;
	double ln_f[2] = {log(3), log(5)};
	uint64_t start = 7 * CLOCK_NS_PER_S;

	(void)state;
	evidence_mixture_begin(&mixture, 2);
	assert_float_equal(mixture.e, 1, 0);
	evidence_mixture_add(&mixture, ln_f, start);
	assert_float_equal(mixture.e, 0.5 * 4 + 0.5, 1e-12);
	/* A minute later half of the rest has been laid. */
	evidence_mixture_add(&mixture, NULL, start + 60 * CLOCK_NS_PER_S);
	assert_float_equal(mixture.e, 0.5 * 4 + 0.25 + 0.25, 1e-12);
	evidence_mixture_add(&mixture, ln_f, start + 60 * CLOCK_NS_PER_S);
	assert_float_equal(mixture.e, (1.75 * 3 + 2.75 * 5) / 2 + 0.25, 1e-12);
	/* Never all of it. */
	evidence_mixture_add(
		&mixture, NULL, start + 365 * 86400 * CLOCK_NS_PER_S);
	assert_true(mixture.kept > 0 && mixture.kept < 1e-5);
}

static void
test_a_good_spell_buys_no_credit(void **state)
{
	struct evidence_mixture mixture;
	double good = -5, bad = 1;
	uint64_t now = 0;

	(void)state;
	evidence_mixture_begin(&mixture, 1);
	for (unsigned i = 0; i < 1200; i++, now += TICK_NS)
		evidence_mixture_add(&mixture, &good, now);
	for (unsigned i = 0; i < 18; i++, now += TICK_NS)
		evidence_mixture_add(&mixture, &bad, now);
	assert_true(mixture.e > 1000);
}

static void
test_mixture_is_never_infinite_nor_nothing(void **state)
{
	struct evidence_mixture mixture;
	double up = 1e9, down = -1e9;

	(void)state;
	evidence_mixture_begin(&mixture, 1);
	for (unsigned i = 0; i < 100; i++)
		evidence_mixture_add(&mixture, &up, i * TICK_NS);
	assert_true(isfinite(mixture.e) && mixture.e > 1e299);
	for (unsigned i = 100; i < 1000; i++)
		evidence_mixture_add(&mixture, &down, i * TICK_NS);
	assert_true(mixture.e > 0 && mixture.e <= 1);
	evidence_mixture_add(&mixture, &up, 1000 * TICK_NS);
	assert_true(mixture.e > 1000);
}

/* All outcomes of four ticks with two clients at risk here and three there: at
 * no moment may the mixture expect to rise. */
#define PLAYED_TICKS 4
#define N_C 2
#define N_S 3

static double
binomial(unsigned n, unsigned x, double p)
{
	double ways = tgamma(n + 1) / tgamma(x + 1) / tgamma(n - x + 1);

	return ways * pow(p, x) * pow(1 - p, n - x);
}

static void
play(const struct evidence_mixture *before, unsigned tick, double p, double r0)
{
	/* 20 s apart, so that much of the stake is laid meanwhile. */
	uint64_t now = tick * 20 * CLOCK_NS_PER_S;
	double expected = 0, grid[EVIDENCE_COUNT_GRID];

	if (tick == PLAYED_TICKS)
		return;
	evidence_count_grid(r0, grid);
	for (unsigned x_c = 0; x_c <= N_C; x_c++) {
		for (unsigned x_s = 0; x_s <= N_S; x_s++) {
			struct evidence_mixture after = *before;
			double ln_f[EVIDENCE_COUNT_GRID] = {0};

			evidence_add_counts((struct evidence_part){N_C, x_c},
				(struct evidence_part){N_S, x_s}, r0, grid,
				EVIDENCE_COUNT_GRID, ln_f);
			evidence_mixture_add(&after, ln_f, now);
			expected += binomial(N_C, x_c, r0 * p) *
				    binomial(N_S, x_s, p) * after.e;
			/* Stable's rate may be any other in the next. */
			play(&after, tick + 1, tick % 2 == 0 ? p / 3 : p * 3,
				r0);
		}
	}
	assert_true(expected <= before->e * (1 + 1e-9));
}

static void
test_restarts_keep_the_mixture_a_supermartingale(void **state)
{
	struct evidence_mixture mixture;

	(void)state;
	evidence_mixture_begin(&mixture, EVIDENCE_COUNT_GRID);
	play(&mixture, 0, 0.02, 1);
	play(&mixture, 0, 0.3, 1);
	play(&mixture, 0, 0.2, 1.5);
}

/* --- the whole --------------------------------------------------------------- */

struct world {
	struct evidence evidence;
	struct evidence_tick tick;
	uint64_t now_ns;
};

static void
begin(struct world *world, const struct evidence_config *config)
{
	struct evidence_config defaults;

	memset(world, 0, sizeof(*world));
	evidence_config_init(&defaults);
	evidence_begin(&world->evidence, config != NULL ? config : &defaults);
	evidence_begin_step(&world->evidence, 100);
}

/* Adds the tick at hand, and empties it. */
static void
end_tick(struct world *world)
{
	evidence_add(&world->evidence, &world->tick, world->now_ns);
	world->now_ns += TICK_NS;
	memset(&world->tick, 0, sizeof(world->tick));
}

static void
count(struct world *world, unsigned signal, unsigned stratum,
	struct evidence_part candidate, struct evidence_part stable)
{
	struct evidence_count *at = &world->tick.counts[signal][stratum];

	at->candidate = candidate;
	/* As evenly as can be: nothing for the sentinel to find. */
	at->stable[0] = (struct evidence_part){stable.n / 2, stable.x / 2};
	at->stable[1] = (struct evidence_part){
		stable.n - stable.n / 2, stable.x - stable.x / 2};
}

static void
sample(struct world *world, unsigned quantile, struct evidence_part candidate,
	struct evidence_part stable)
{
	struct evidence_samples *at = &world->tick.samples[quantile];

	at->candidate = candidate;
	at->stable[0] = (struct evidence_part){stable.n / 2, stable.x / 2};
	at->stable[1] = (struct evidence_part){
		stable.n - stable.n / 2, stable.x - stable.x / 2};
	at->beyond[0] = (struct evidence_part){stable.n / 2, stable.x / 4};
	at->beyond[1] = at->beyond[0];
}

static struct evidence_summary
summary(const struct world *world)
{
	struct evidence_summary out;

	evidence_summarize(&world->evidence, &out);
	return out;
}

static void
test_nothing_seen_is_a_perfect_score(void **state)
{
	struct world world;

	struct evidence_config config;

	(void)state;
	evidence_config_init(&config);
	evidence_begin(&world.evidence, &config);
	assert_float_equal(summary(&world).score, 100, 0); /* before a step */
	begin(&world, NULL);
	end_tick(&world);
	assert_float_equal(summary(&world).score, 100, 0);
	assert_float_equal(summary(&world).e, 0.4, 1e-12);
	assert_float_equal(summary(&world).e_safe, 1, 0);
	assert_int_equal(summary(&world).untrusted, 0);
	assert_false(summary(&world).is_over_limit);
}

static void
test_weights_add_up_to_one_at_most(void **state)
{
	struct evidence_config config;
	struct evidence evidence;

	(void)state;
	evidence_config_init(&config);
	for (config.n_watches = 0; config.n_watches <= EVIDENCE_WATCHES_MAX;
		config.n_watches++) {
		double sum = 0;

		evidence_begin(&evidence, &config);
		for (unsigned i = 0; i < EVIDENCE_SIGNALS; i++)
			sum += evidence.signals[i].weight;
		assert_float_equal(sum, 1, 1e-12);
	}
	config.n_watches = 1;
	config.has_latency = false;
	config.has_not_found = false;
	evidence_begin(&evidence, &config);
	/* What is off leaves its weight to nobody. */
	assert_float_equal(evidence.signals[EVIDENCE_ERRORS].weight, 0.4, 0);
	assert_float_equal(evidence.signals[EVIDENCE_WATCH].weight, 0.1, 0);
	assert_float_equal(evidence.signals[EVIDENCE_NOT_FOUND].weight, 0, 0);
}

static void
test_score_falls_to_zero_as_clients_are_hurt(void **state)
{
	struct world world;
	double before = 100;
	unsigned hurt = 0;

	(void)state;
	begin(&world, NULL);
	while (summary(&world).score > 0) {
		assert_true(hurt < 6);
		count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
			(struct evidence_part){3, 1},
			(struct evidence_part){250, 0});
		end_tick(&world);
		hurt++;
		assert_true(summary(&world).score <= before);
		before = summary(&world).score;
	}
	assert_true(summary(&world).e >= 1000);
	assert_int_equal(summary(&world).reason, EVIDENCE_ERRORS);
	assert_true(hurt >= 3);
}

static void
test_outage_of_both_moves_nothing(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	for (unsigned i = 0; i < 100; i++) {
		count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
			(struct evidence_part){10, 5},
			(struct evidence_part){1000, 500});
		end_tick(&world);
	}
	assert_float_equal(summary(&world).score, 100, 0);
}

static void
test_little_traffic_is_gathered_until_both_sides_are_seen(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL); /* 1 %: a block has 200 clients */
	count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){1, 1}, (struct evidence_part){0, 0});
	end_tick(&world);
	assert_float_equal(summary(&world).e, 0.4, 1e-12);
	count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){0, 0}, (struct evidence_part){198, 0});
	end_tick(&world);
	assert_float_equal(summary(&world).e, 0.4, 1e-12);
	count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){0, 0}, (struct evidence_part){1, 0});
	end_tick(&world);
	assert_true(summary(&world).e > 1);
}

static void
test_block_ends_after_a_minute_at_the_latest(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){1, 1}, (struct evidence_part){20, 0});
	for (unsigned i = 0; i < 239; i++)
		end_tick(&world);
	assert_float_equal(summary(&world).e, 0.4, 1e-12);
	end_tick(&world);
	assert_true(summary(&world).e > 1);
}

static void
test_block_has_one_share(void **state)
{
	struct world world;
	double e;

	(void)state;
	begin(&world, NULL);
	count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){1, 1}, (struct evidence_part){20, 0});
	for (unsigned i = 0; i < 3; i++)
		sample(&world, i, (struct evidence_part){1, 1},
			(struct evidence_part){20, 0});
	end_tick(&world);
	evidence_begin_step(&world.evidence, 5000);
	e = summary(&world).e;
	assert_true(e > 1);
	/* What latency had gathered is gone with its window. */
	for (unsigned i = 0; i < 3; i++)
		sample(&world, i, (struct evidence_part){0, 0},
			(struct evidence_part){20, 0});
	end_tick(&world);
	assert_true(world.evidence.signals[EVIDENCE_LATENCY].judge.e == 1);
	/* Half and half, four clients are enough. */
	count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){2, 2}, (struct evidence_part){2, 0});
	end_tick(&world);
	assert_true(summary(&world).e > e);
}

static void
test_strata_are_compared_each_for_itself(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	/* Navigations fail more on both sides, and the candidate has more of
	 * them: as a sum it would look far worse. */
	for (unsigned i = 0; i < 100; i++) {
		count(&world, EVIDENCE_ERRORS, EVIDENCE_NAVIGATION,
			(struct evidence_part){100, 10},
			(struct evidence_part){10, 1});
		count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
			(struct evidence_part){0, 0},
			(struct evidence_part){1000, 1});
		end_tick(&world);
	}
	assert_float_equal(summary(&world).score, 100, 0);
}

static void
test_each_signal_can_be_the_reason(void **state)
{
	static const unsigned signals[] = {
		EVIDENCE_ERRORS, EVIDENCE_NOT_FOUND, EVIDENCE_WATCH + 1};
	struct evidence_config config;
	struct world world;

	(void)state;
	evidence_config_init(&config);
	config.n_watches = 2;
	for (size_t i = 0; i < 3; i++) {
		begin(&world, &config);
		count(&world, signals[i], EVIDENCE_OTHER,
			(struct evidence_part){10, 10},
			(struct evidence_part){1000, 1});
		end_tick(&world);
		assert_float_equal(summary(&world).score, 0, 0);
		assert_int_equal(summary(&world).reason, signals[i]);
	}
}

static void
test_slow_candidate_is_seen_by_its_quantile(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	for (unsigned i = 0; i < 20; i++) {
		sample(&world, 2, (struct evidence_part){20, 3},
			(struct evidence_part){200, 2});
		end_tick(&world);
	}
	assert_float_equal(summary(&world).score, 0, 0);
	assert_int_equal(summary(&world).reason, EVIDENCE_LATENCY + 2);
}

static void
test_a_new_step_starts_latency_afresh_but_not_errors(void **state)
{
	struct world world;
	double errors;

	(void)state;
	begin(&world, NULL);
	count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){10, 3}, (struct evidence_part){1000, 3});
	for (unsigned i = 0; i < 3; i++)
		sample(&world, i, (struct evidence_part){100, 60},
			(struct evidence_part){200, 2});
	end_tick(&world);
	errors = world.evidence.signals[EVIDENCE_ERRORS].judge.e;
	assert_true(summary(&world).reason >= EVIDENCE_LATENCY);
	evidence_begin_step(&world.evidence, 500);
	assert_int_equal(world.evidence.window, 2);
	assert_float_equal(
		world.evidence.signals[EVIDENCE_LATENCY].judge.e, 1, 0);
	assert_float_equal(
		world.evidence.signals[EVIDENCE_ERRORS].judge.e, errors, 0);
	assert_int_equal(summary(&world).reason, EVIDENCE_ERRORS);
	assert_float_equal(summary(&world).e, 0.4 * errors, 1e-9 * errors);
}

static void
test_later_windows_weigh_less(void **state)
{
	struct world world;
	double first;

	(void)state;
	begin(&world, NULL);
	sample(&world, 0, (struct evidence_part){100, 90},
		(struct evidence_part){200, 90});
	end_tick(&world);
	first = summary(&world).e;
	begin(&world, NULL);
	evidence_begin_step(&world.evidence, 100);
	evidence_begin_step(&world.evidence, 100);
	sample(&world, 0, (struct evidence_part){100, 90},
		(struct evidence_part){200, 90});
	end_tick(&world);
	assert_float_equal(summary(&world).e, first / 6, 1e-9 * first);
}

static void
test_latency_window_ends_after_ten_minutes(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	world.now_ns = 12345;
	end_tick(&world);
	world.now_ns = 12345 + EVIDENCE_WINDOW_NS - 1;
	end_tick(&world);
	assert_int_equal(world.evidence.window, 1);
	world.now_ns = 12345 + EVIDENCE_WINDOW_NS;
	end_tick(&world);
	assert_int_equal(world.evidence.window, 2);
	world.now_ns = 12345 + 2 * EVIDENCE_WINDOW_NS - 1;
	end_tick(&world);
	assert_int_equal(world.evidence.window, 2);
}

static void
test_certificate_grows_with_a_good_candidate(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	for (unsigned i = 0; i < 40; i++) {
		count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
			(struct evidence_part){100, 1},
			(struct evidence_part){100, 1});
		end_tick(&world);
	}
	/* ((1/2)/(2/3) * (1/2)/(1/3))^40 */
	assert_float_equal(summary(&world).e_safe, pow(9.0 / 8, 40), 1e-6);
	evidence_begin_step(&world.evidence, 500);
	assert_float_equal(summary(&world).e_safe, 1, 0);
}

static void
test_sentinel_silences_a_signal_it_disbelieves(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	for (unsigned i = 0; i < 5; i++) {
		struct evidence_count *at =
			&world.tick.counts[EVIDENCE_ERRORS][EVIDENCE_OTHER];

		/* One half of stable is hurt, the other isn't. */
		at->candidate = (struct evidence_part){10, 5};
		at->stable[0] = (struct evidence_part){500, 20};
		at->stable[1] = (struct evidence_part){500, 0};
		end_tick(&world);
	}
	assert_int_equal(summary(&world).untrusted, 1u << EVIDENCE_ERRORS);
	assert_float_equal(summary(&world).score, 100, 0);
	/* For good. */
	evidence_begin_step(&world.evidence, 500);
	assert_int_equal(summary(&world).untrusted, 1u << EVIDENCE_ERRORS);
}

/* A second without errors, after a sentinel has come to so much. */
static uint32_t
untrusted_at(double e)
{
	struct world world;
	struct evidence_signal *signal =
		&world.evidence.signals[EVIDENCE_ERRORS];

	begin(&world, NULL);
	/* Of the two the mean counts, and of the grid. */
	signal->sentinel[1].r[3] = 2 * e * EVIDENCE_COUNT_GRID;
	for (unsigned i = 0; i < 4; i++) {
		count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
			(struct evidence_part){0, 0},
			(struct evidence_part){500, 0});
		end_tick(&world);
	}
	return summary(&world).untrusted;
}

static void
test_sentinel_must_show_far_more_than_a_rollback_takes(void **state)
{
	(void)state;
	assert_int_equal(untrusted_at(99000), 0);
	assert_int_equal(untrusted_at(101000), 1u << EVIDENCE_ERRORS);
}

static void
test_sentinel_watches_latency_too(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	for (unsigned i = 0; i < 20; i++) {
		struct evidence_samples *at = &world.tick.samples[1];

		at->stable[0] = (struct evidence_part){100, 20};
		at->beyond[0] = at->stable[0];
		at->stable[1] = (struct evidence_part){100, 1};
		at->beyond[1] = at->stable[1];
		end_tick(&world);
	}
	assert_int_equal(
		summary(&world).untrusted, 1u << (EVIDENCE_LATENCY + 1));
}

static void
test_sentinel_tolerates_what_the_judge_does(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	for (unsigned i = 0; i < 20; i++) {
		struct evidence_samples *at = &world.tick.samples[1];

		/* One half is slower, but not beyond m(q). */
		at->stable[0] = (struct evidence_part){100, 20};
		at->stable[1] = (struct evidence_part){100, 1};
		at->beyond[0] = at->beyond[1] = at->stable[1];
		end_tick(&world);
	}
	assert_int_equal(summary(&world).untrusted, 0);
}

static void
count_alone(struct world *world, unsigned n, unsigned x)
{
	count(world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){n, x}, (struct evidence_part){0, 0});
	end_tick(world);
}

static void
test_limit_of_the_config_counts_in_every_step(void **state)
{
	struct evidence_config config;
	struct world world;

	(void)state;
	evidence_config_init(&config);
	config.max_error_rate = 0.02;
	begin(&world, &config);
	for (unsigned i = 0; i < 100; i++)
		count_alone(&world, 100, 2);
	assert_float_equal(summary(&world).score, 100, 0);
	for (unsigned i = 0; i < 10; i++)
		count_alone(&world, 100, 20);
	assert_float_equal(summary(&world).score, 0, 0);
	assert_int_equal(summary(&world).reason, EVIDENCE_LIMIT);
	assert_false(summary(&world).is_over_limit);
}

static void
test_limit_is_armed_by_a_step_of_weeks(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	for (unsigned i = 0; i < 3; i++) {
		count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
			(struct evidence_part){0, 0},
			(struct evidence_part){2000000000, 40000000});
		end_tick(&world);
	}
	evidence_begin_step(&world.evidence, EVIDENCE_SHARE_FULL);
	assert_float_equal(world.evidence.limit_rate, 0.06, 1e-12);
}

/* There can't be more. */
static void
test_limit_of_all_clients_is_none(void **state)
{
	struct evidence_config config;
	struct world world;

	(void)state;
	evidence_config_init(&config);
	config.max_error_rate = 1;
	begin(&world, &config);
	count_alone(&world, 100, 0);
	count_alone(&world, 100, 50);
	count_alone(&world, 100, 100);
	assert_float_equal(summary(&world).score, 100, 0);
}

static void
test_limit_is_armed_by_itself_at_full_share_only(void **state)
{
	struct world world;

	(void)state;
	begin(&world, NULL);
	for (unsigned i = 0; i < 10; i++)
		count_alone(&world, 100, 50);
	assert_false(summary(&world).is_over_limit);
	/* Stable's rate in this step is 2 %, so the limit will be 6 %. */
	count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){0, 0}, (struct evidence_part){1000, 20});
	end_tick(&world);
	evidence_begin_step(&world.evidence, 10000);
	assert_float_equal(world.evidence.limit_rate, 0.06, 1e-12);
	for (unsigned i = 0; i < 20; i++)
		count_alone(&world, 100, 6);
	assert_false(summary(&world).is_over_limit);
	for (unsigned i = 0; i < 10; i++)
		count_alone(&world, 100, 50);
	assert_true(summary(&world).is_over_limit);
	/* It can't tell whose fault it is. */
	assert_float_equal(summary(&world).score, 100, 0);
	evidence_begin_step(&world.evidence, 8000);
	assert_false(summary(&world).is_over_limit);
	evidence_begin_step(&world.evidence, 10000);
	assert_false(summary(&world).is_over_limit);
	assert_float_equal(world.evidence.limit_rate, 0.01, 1e-12);
}

static void
test_lines_are_quantiles_at_upper_edges(void **state)
{
	struct evidence_config config;
	struct histogram_counts counts = {0};
	struct evidence_lines lines = {0};

	(void)state;
	evidence_config_init(&config);
	counts.counts[histogram_bucket(10000000)] = 19;
	counts.n = 19;
	evidence_draw_lines(&config, &counts, &lines);
	assert_false(lines.is_known); /* too few */
	counts.counts[histogram_bucket(10000000)] = 90;
	counts.counts[histogram_bucket(100000000)] = 8;
	counts.counts[histogram_bucket(1000000000)] = 2;
	counts.n = 100;
	evidence_draw_lines(&config, &counts, &lines);
	assert_true(lines.is_known);
	assert_int_equal(lines.stable[0], histogram_bucket(10000000));
	assert_int_equal(lines.stable[1], histogram_bucket(100000000));
	assert_int_equal(lines.stable[2], histogram_bucket(1000000000));
	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		double q = (double)histogram_high_ns(lines.stable[i]);
		double m = 1.2 * q + 5e6;

		assert_true((double)histogram_high_ns(lines.candidate[i]) >= m);
		assert_true((double)histogram_low_ns(lines.candidate[i]) <= m);
	}
}

static void
test_explanation_is_for_people(void **state)
{
	struct evidence_config config;
	struct world world;
	struct evidence_clients clients;
	char text[256];

	(void)state;
	evidence_config_init(&config);
	config.n_watches = 1;
	strcpy(config.watches[0], "api");
	begin(&world, &config);
	count(&world, EVIDENCE_ERRORS, EVIDENCE_OTHER,
		(struct evidence_part){210, 7},
		(struct evidence_part){20512, 2});
	sample(&world, 1, (struct evidence_part){120, 31},
		(struct evidence_part){1200, 40});
	world.tick.candidate_clients = 210;
	world.tick.stable_clients = 1020512;
	end_tick(&world);
	assert_string_equal(evidence_explain(&world.evidence, EVIDENCE_ERRORS,
				    "v2", "v1", text, sizeof(text)),
		"errors: 7 of 210 clients hurt on v2, 2 of 1,020,512 on v1");
	assert_string_equal(
		evidence_explain(&world.evidence, EVIDENCE_LATENCY + 1, "v2",
			"v1", text, sizeof(text)),
		"latency.p95: 31 of 120 clients slow on v2, 40 of 1,200 on v1");
	clients = evidence_signal_clients(&world.evidence, EVIDENCE_ERRORS);
	assert_int_equal(clients.candidate, 210);
	assert_int_equal(clients.stable, 1020512);
	clients = evidence_signal_clients(
		&world.evidence, EVIDENCE_LATENCY + 1);
	assert_int_equal(clients.candidate, 120);
	assert_int_equal(clients.stable, 1200);
	clients = evidence_signal_clients(&world.evidence, EVIDENCE_LIMIT);
	assert_int_equal(clients.candidate, 210);
	assert_int_equal(clients.stable, 0);
	evidence_begin_step(&world.evidence, 10000);
	count_alone(&world, 100, 9);
	assert_string_equal(evidence_explain(&world.evidence, EVIDENCE_LIMIT,
				    "v2", "v1", text, sizeof(text)),
		"limit.errors: 9 of 0 clients hurt on v2, over 1 %");
	assert_string_equal(evidence_signal_name(&world.evidence,
				    EVIDENCE_WATCH, text, sizeof(text)),
		"watch.api");
}

static void
test_seconds_to_see_a_rise(void **state)
{
	(void)state;
	/* ln(16 / (0.2 * 0.001)) = 11.29; 10 clients/s, 0.05 hurt of them. */
	assert_float_equal(
		evidence_seconds_to_see(1000, 0.01, 0.005, 10, 0.001),
		11.28978 / (10 * 0.005 * (10 * log(10) - 9)), 1e-4);
	assert_true(isinf(evidence_seconds_to_see(0, 0.01, 0.005, 2, 0.001)));
	assert_true(isinf(evidence_seconds_to_see(1000, 0.01, 0, 2, 0.001)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_half_of_the_stake_is_laid_at_once_the_rest_in_time),
		cmocka_unit_test(test_a_good_spell_buys_no_credit),
		cmocka_unit_test(test_mixture_is_never_infinite_nor_nothing),
		cmocka_unit_test(
			test_restarts_keep_the_mixture_a_supermartingale),
		cmocka_unit_test(test_nothing_seen_is_a_perfect_score),
		cmocka_unit_test(test_weights_add_up_to_one_at_most),
		cmocka_unit_test(test_score_falls_to_zero_as_clients_are_hurt),
		cmocka_unit_test(test_outage_of_both_moves_nothing),
		cmocka_unit_test(
			test_little_traffic_is_gathered_until_both_sides_are_seen),
		cmocka_unit_test(test_block_ends_after_a_minute_at_the_latest),
		cmocka_unit_test(test_block_has_one_share),
		cmocka_unit_test(test_strata_are_compared_each_for_itself),
		cmocka_unit_test(test_each_signal_can_be_the_reason),
		cmocka_unit_test(test_slow_candidate_is_seen_by_its_quantile),
		cmocka_unit_test(
			test_a_new_step_starts_latency_afresh_but_not_errors),
		cmocka_unit_test(test_later_windows_weigh_less),
		cmocka_unit_test(test_latency_window_ends_after_ten_minutes),
		cmocka_unit_test(test_certificate_grows_with_a_good_candidate),
		cmocka_unit_test(
			test_sentinel_silences_a_signal_it_disbelieves),
		cmocka_unit_test(
			test_sentinel_must_show_far_more_than_a_rollback_takes),
		cmocka_unit_test(test_sentinel_watches_latency_too),
		cmocka_unit_test(test_sentinel_tolerates_what_the_judge_does),
		cmocka_unit_test(test_limit_of_the_config_counts_in_every_step),
		cmocka_unit_test(test_limit_is_armed_by_a_step_of_weeks),
		cmocka_unit_test(test_limit_of_all_clients_is_none),
		cmocka_unit_test(
			test_limit_is_armed_by_itself_at_full_share_only),
		cmocka_unit_test(test_lines_are_quantiles_at_upper_edges),
		cmocka_unit_test(test_explanation_is_for_people),
		cmocka_unit_test(test_seconds_to_see_a_rise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
