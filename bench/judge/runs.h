/*
 * runs: a case of the table, run many times on all cores, and what came of it.
 */
#ifndef PERCH_BENCH_JUDGE_RUNS_H
#define PERCH_BENCH_JUDGE_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "simulate.h"
#include "town.h"
#include "traffic.h"

/* What is run: clients by numbers, or, with town, one by one. */
struct judged {
	struct traffic_case traffic;
	struct town_case town;
	bool is_town;
	simulate_word_fn *say; /* NULL: nobody meddles */
	struct evidence_config evidence;
	struct plan_config plan;
	double horizon_s;
};

/* The defaults of all of them, a release within two hours. */
void judged_init(struct judged *judged);

struct results {
	struct outcome *outcomes; /* in the order of their seeds */
	unsigned n;
	unsigned n_rolled_back;
	unsigned n_done;
	unsigned n_retreats; /* releases with one or more */
	unsigned n_untrusted;
	double cpu_s;
};

/* n runs from seeds 1 to n, parted among so many processes. */
void runs_go(const struct judged *judged, unsigned n, unsigned n_processes,
	struct results *out);
void runs_free(struct results *results);

/* Over those rolled back; part 0.5 is the median. Seconds since harm began. */
double runs_time_s(const struct results *results, double part);
double runs_hurt(const struct results *results, double part);
/* How many were rolled back before harm began. */
unsigned runs_early(const struct results *results);
/* How many were rolled back for this signal. */
unsigned runs_reason(const struct results *results, unsigned signal);

/* Runs work(i, arg) for i below n in n_processes; what work writes must be
 * shared memory, as by runs_shared(). Returns the CPU seconds used. */
double runs_part(unsigned n, unsigned n_processes,
	void (*work)(unsigned i, void *arg), void *arg);
void *runs_shared(size_t size);

/* Upper bound of a probability at 95 %, k of n seen (Clopper, Pearson). */
double runs_upper_bound(unsigned k, unsigned n);
/* P(X >= k) for n trials of probability p. */
double runs_tail(unsigned k, unsigned n, double p);

#endif
