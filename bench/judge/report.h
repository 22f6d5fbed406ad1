/*
 * report: the tables, and whether what they show is what is promised.
 */
#ifndef PERCH_BENCH_JUDGE_REPORT_H
#define PERCH_BENCH_JUDGE_REPORT_H

#include <stdbool.h>
#include <stdio.h>

struct report {
	FILE *out;
	unsigned n_processes;
	unsigned n_harmless; /* releases for each case */
	unsigned n_harmful;
	unsigned n_rules;
	double false_rollback; /* of the harmless ones */
	/* With few releases the bound of 95 % says nothing; then no more may
	 * be rolled back than would be one time in ten thousand. */
	bool is_quick;
	const char *only; /* cases with this in their name; NULL: all */
	unsigned n_missed; /* promises */
	double cpu_s;
};

void report_harmless(struct report *report);
void report_harmful(struct report *report);
void report_rules(struct report *report);

#endif
