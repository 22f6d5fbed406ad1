/*
 * rules: how releases are judged where requests are counted by a metrics
 * system: what others do, on the same traffic.
 *
 * Both look once a minute, at metrics that are 15 to 30 s late, and what they
 * decide takes 20 s until clients feel it.
 */
#ifndef PERCH_BENCH_JUDGE_RULES_H
#define PERCH_BENCH_JUDGE_RULES_H

#include <stdbool.h>

#include "random.h"
#include "traffic.h"

#define RULE_MINUTES_MAX 64

enum rule {
	/* Of the candidate's requests in a minute 99 % must succeed; the fifth
	 * minute that doesn't rolls back. */
	RULE_SUCCESS,
	/* Error rate and mean latency of each minute so far, candidate's against
	 * stable's: Mann-Whitney, two-sided, 0.02. Each gives 50 points if the
	 * candidate's isn't significantly higher; below 75 it rolls back. From
	 * the fifth minute on. */
	RULE_MANN_WHITNEY,
	RULES,
};

struct rule_watch {
	enum rule rule;
	unsigned n_minutes, n_ticks, n_failed;
	double requests[2], failures[2], latency[2]; /* of this minute */
	double error_rates[2][RULE_MINUTES_MAX];
	double latencies[2][RULE_MINUTES_MAX];
};

void rule_begin(struct rule_watch *watch, enum rule rule);
/* True when it decides to roll back; after rule_delay_s() it is felt. */
bool rule_tick(struct rule_watch *watch, const struct traffic *traffic);
double rule_delay_s(struct random *random);

#endif
