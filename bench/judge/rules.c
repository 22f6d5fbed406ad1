#include "rules.h"

#include <math.h>
#include <string.h>

#define TICKS_PER_MINUTE 240
#define LEAST_SUCCESS 0.99
#define FAILURES 5
#define FIRST_MINUTES 5
#define SIGNIFICANT_Z 2.326 /* 0.02, two-sided */
#define POINTS 50
#define LEAST_SCORE 75

void
rule_begin(struct rule_watch *watch, enum rule rule)
{
	memset(watch, 0, sizeof(*watch));
	watch->rule = rule;
}

double
rule_delay_s(struct random *random)
{
	return 15 + 15 * random_unit(random) + 20;
}

/* Is a significantly higher than b? Normal approximation, corrected for ties
 * and continuity. */
static bool
is_higher(const double *a, const double *b, unsigned n)
{
	double u = 0, ties = 0, all = 2.0 * n, variance;
	double both[2 * RULE_MINUTES_MAX];

	for (unsigned i = 0; i < n; i++) {
		both[i] = a[i];
		both[n + i] = b[i];
		for (unsigned k = 0; k < n; k++)
			u += a[i] > b[k] ? 1 : a[i] == b[k] ? 0.5 : 0;
	}
	for (unsigned i = 0; i < 2 * n; i++) {
		double equal = 0;

		for (unsigned k = 0; k < 2 * n; k++)
			equal += both[i] == both[k];
		/* Each of a tie's members adds its part of t^3 - t. */
		ties += equal * equal - 1;
	}
	variance = n * n / 12.0 * (all + 1 - ties / (all * (all - 1)));
	if (variance <= 0)
		return false;
	return (u - n * n / 2.0 - 0.5) / sqrt(variance) > SIGNIFICANT_Z;
}

static bool
judge_minute(struct rule_watch *watch)
{
	unsigned n = watch->n_minutes;
	double score = 0;

	if (watch->rule == RULE_SUCCESS) {
		if (watch->failures[0] >
			(1 - LEAST_SUCCESS) * watch->requests[0])
			watch->n_failed++;
		return watch->n_failed >= FAILURES;
	}
	if (n < FIRST_MINUTES)
		return false;
	if (!is_higher(watch->error_rates[0], watch->error_rates[1], n))
		score += POINTS;
	if (!is_higher(watch->latencies[0], watch->latencies[1], n))
		score += POINTS;
	return score < LEAST_SCORE;
}

bool
rule_tick(struct rule_watch *watch, const struct traffic *traffic)
{
	unsigned n = watch->n_minutes;
	bool is_decided;

	for (unsigned i = 0; i < 2; i++) {
		watch->requests[i] += traffic->requests[i];
		watch->failures[i] += traffic->failures[i];
		watch->latency[i] += traffic->latency_ms[i];
	}
	if (++watch->n_ticks < TICKS_PER_MINUTE || n == RULE_MINUTES_MAX)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		watch->error_rates[i][n] =
			watch->failures[i] / fmax(watch->requests[i], 1);
		watch->latencies[i][n] = watch->latency[i] / TICKS_PER_MINUTE;
	}
	watch->n_minutes++;
	is_decided = judge_minute(watch);
	watch->n_ticks = 0;
	memset(watch->requests, 0, sizeof(watch->requests));
	memset(watch->failures, 0, sizeof(watch->failures));
	memset(watch->latency, 0, sizeof(watch->latency));
	return is_decided;
}
