/*
 * cases: the rows of the table.
 */
#ifndef PERCH_BENCH_JUDGE_CASES_H
#define PERCH_BENCH_JUDGE_CASES_H

#include "runs.h"

typedef void case_setup_fn(struct judged *judged);

/* Identical versions: to be rolled back with false_rollback at most. */
struct harmless_case {
	const char *name;
	case_setup_fn *setup;
	bool is_for_comparison; /* shows what goes wrong; nothing is asserted */
};
extern const struct harmless_case harmless_cases[];
extern const unsigned n_harmless_cases;

/* Harm: always to be rolled back, and soon. */
struct harmful_case {
	const char *name;
	case_setup_fn *setup;
	double most_median_s; /* 0: not asked */
	double most_median_hurt; /* likewise */
	double most_s; /* of all but one in a thousand */
	int reason; /* the signal that must say it; -1: any */
	double (*limit_s)(const struct judged *judged); /* or NULL */
	/* The case that it may take twice as long as; or NULL. */
	const char *twice_as;
};
extern const struct harmful_case harmful_cases[];
extern const unsigned n_harmful_cases;

/* For the rules: everything at a share of 5 %, one step without end. */
struct rules_case {
	const char *name;
	case_setup_fn *setup;
};
extern const struct rules_case rules_cases[];
extern const unsigned n_rules_cases;

#endif
