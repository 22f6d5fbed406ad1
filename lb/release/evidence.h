/*
 * evidence: is the candidate hurting more clients than stable does?
 *
 * control feeds it what release/crowd counted in each tick (250 ms), and
 * release/plan obeys its summary. It keeps one e-process for each signal,
 * weighted so that P(E ever reaches 1/false_rollback) <= false_rollback over a
 * whole release of a harmless candidate, however long and often one looks
 * (Ville's inequality, union bound over signals and windows). The factors are
 * in evidence_factor, their mixture over time in evidence_mixture, what is said
 * to people in evidence_words. With little traffic several ticks are weighed as
 * one (a minute at most), as a tick with clients of one side alone says nothing.
 *
 * Pure: no clock, I/O or allocation. One plain struct of the control thread's,
 * free to copy.
 */
#ifndef PERCH_RELEASE_EVIDENCE_H
#define PERCH_RELEASE_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "release/evidence_factor.h"
#include "release/evidence_mixture.h"
#include "release/histogram.h"

#define EVIDENCE_WATCHES_MAX 16
#define EVIDENCE_NAME_MAX 64
#define EVIDENCE_NUMBER_SIZE 32
#define EVIDENCE_SHARE_FULL 10000 /* as RELEASE_SHARE_FULL */
#define EVIDENCE_HELD_AT 10.0 /* E from here on: nothing advances */
#define EVIDENCE_SAFE_AT 20.0 /* E_safe from here on: a certificate */
#define EVIDENCE_WINDOW_NS UINT64_C(600000000000) /* latency starts afresh */

/* Signals by index. Those below EVIDENCE_COUNTS are counts (F1), each with a
 * bit of its own in release/crowd. */
enum {
	EVIDENCE_ERRORS,
	EVIDENCE_NOT_FOUND,
	EVIDENCE_WATCH, /* the first; watch i is EVIDENCE_WATCH + i */
	EVIDENCE_COUNTS = EVIDENCE_WATCH + EVIDENCE_WATCHES_MAX,
	EVIDENCE_LATENCY = EVIDENCE_COUNTS, /* p50, p95, p99 in this order */
	EVIDENCE_LIMIT = EVIDENCE_LATENCY + 3,
	EVIDENCE_SIGNALS,
};
#define EVIDENCE_QUANTILES 3

enum evidence_stratum {
	EVIDENCE_NAVIGATION, /* of clients with identity */
	EVIDENCE_OTHER, /* other requests of clients with identity */
	EVIDENCE_ANONYMOUS, /* requests without any, counted one by one */
	EVIDENCE_STRATA,
};

struct evidence_config {
	double false_rollback; /* 0 < alpha < 1; 0.001 */
	double tolerance; /* r0 of errors, not_found and watch; >= 1 */
	double latency_tolerance; /* of m(q) = tolerance q + slack; >= 1; 1.2 */
	uint64_t latency_slack_ns; /* 5 ms */
	double worse; /* r0 of E_safe; > 1; 2 */
	double max_error_rate; /* of limit.errors; 0: see evidence_begin_step() */
	bool has_not_found;
	bool has_latency;
	unsigned n_watches; /* <= EVIDENCE_WATCHES_MAX */
	/* The watched services, for words only. */
	char watches[EVIDENCE_WATCHES_MAX][EVIDENCE_NAME_MAX + 1];
};

/* The defaults above, all signals, no watch. */
void evidence_config_init(struct evidence_config *config);

/*
 * Where a sample becomes bad, as buckets of release/histogram: a duration is
 * over a line if its bucket is above it. A sample keeps the lines that stood at
 * its start.
 */
struct evidence_lines {
	bool is_known;
	uint16_t stable[EVIDENCE_QUANTILES]; /* q */
	uint16_t candidate[EVIDENCE_QUANTILES]; /* m(q) */
};

/* Lines from stable's samples of the ten seconds before. With fewer than 20
 * in them lines stays as it is. */
void evidence_draw_lines(const struct evidence_config *config,
	const struct histogram_counts *stable, struct evidence_lines *lines);

/* n: at risk, x: newly hurt. Stable's two halves are by another hash of the
 * cell; together they are stable, against each other they are the sentinel. */
struct evidence_count {
	struct evidence_part candidate;
	struct evidence_part stable[2];
};

/* Samples decided in the tick: n of them, x over the line. */
struct evidence_samples {
	struct evidence_part candidate; /* over m(q) */
	struct evidence_part stable[2]; /* halves, over q */
	struct evidence_part
		beyond[2]; /* the same halves, over m(q): sentinel */
};

/* What happened between two ticks. */
struct evidence_tick {
	struct evidence_count counts[EVIDENCE_COUNTS][EVIDENCE_STRATA];
	struct evidence_samples samples[EVIDENCE_QUANTILES];
	/* Clients seen in this step so far, each once; for words only. */
	uint32_t candidate_clients;
	uint32_t stable_clients;
};

/* x of n over a step, which may last for weeks. */
struct evidence_sum {
	uint64_t n;
	uint64_t x;
};

/* x of n, the past forgotten little by little. */
struct evidence_fraction {
	double n;
	double x;
};

/* What ticks said since the last block was weighed. */
union evidence_block {
	struct evidence_count counts[EVIDENCE_STRATA];
	struct evidence_samples samples;
};

/* One signal; read it, don't write it. */
struct evidence_signal {
	bool is_on; /* counts in E, unless it is untrusted */
	bool is_untrusted; /* its sentinel has spoken */
	double weight; /* fixed when the release starts */
	struct evidence_mixture judge;
	struct evidence_fraction bad; /* latency: of stable's samples */
	union evidence_block block;
	double n_block; /* clients in it, both sides */
	unsigned n_block_ticks;
	/* The sentinel gathers several blocks. */
	struct evidence_mixture sentinel[2];
	union evidence_block watched;
	unsigned n_watched_ticks;
	double watched_bad; /* latency: as known before the first of them */
	/* Since the step (for latency the window) began. */
	struct evidence_sum candidate;
	struct evidence_sum stable;
};

struct evidence {
	struct evidence_config config;
	double count_grid[EVIDENCE_COUNT_GRID];
	struct evidence_signal signals[EVIDENCE_SIGNALS];
	double share; /* of the step */
	uint64_t now_ns; /* of the latest tick */
	unsigned window; /* latency's, from 1 */
	bool has_window_begun; /* its first tick was at: */
	uint64_t window_began_ns;
	double ln_safe; /* ln E_safe */
	double limit_rate; /* that limit.errors compares with; 0: none */
	uint32_t candidate_clients;
	uint32_t stable_clients;
};

struct evidence_summary {
	double e; /* weighted, the largest over signals */
	double score; /* 100: no evidence of harm; 0: roll back */
	double e_safe;
	unsigned reason; /* the signal that gives e */
	uint32_t untrusted; /* a bit for each signal, by index */
	/* At 100 %, and no max_error_rate is configured: far more clients are
	 * hurt than stable hurt in the step before. It may be the candidate, or
	 * what both need; it is no part of e, as nothing here can tell. */
	bool is_over_limit;
};

/* A release starts. Weights are fixed here. */
void
evidence_begin(struct evidence *evidence, const struct evidence_config *config);

/*
 * After evidence_begin() and at each change of share, before the first tick
 * under it: latency gets a new window, E_safe starts afresh. What the release
 * has shown so far stays. limit.errors compares the candidate with
 * max_error_rate, in every step; where none is configured, at 100 % with max(1 %,
 * 3 x stable's rate in the step before), afresh.
 */
void evidence_begin_step(struct evidence *evidence, uint16_t share_bp);

/* now_ns: monotonic, never going back. Ten minutes after it began, latency's
 * window ends and another one begins: the caller sees window rise, and tells the
 * crowd. */
void evidence_add(struct evidence *evidence, const struct evidence_tick *tick,
	uint64_t now_ns);

void evidence_summarize(
	const struct evidence *evidence, struct evidence_summary *out);

/* A signal's own E, by its weight: the largest of them is e. */
double evidence_signal_e(const struct evidence *evidence, unsigned signal);

/* "errors", "latency.p95", "watch.api", ... into out; returns out. */
const char *evidence_signal_name(const struct evidence *evidence,
	unsigned signal, char *out, size_t size);

/* Of how many clients x of the signal's parts were hurt, for words: those seen in
 * this step, each once; for latency those sampled in this window. limit.errors
 * has nobody on stable. Their n is another count: exposure, in which a client is
 * there again in each tick. */
struct evidence_clients {
	uint32_t candidate;
	uint32_t stable;
};
struct evidence_clients
evidence_signal_clients(const struct evidence *evidence, unsigned signal);

/* "errors: 7 of 210 clients hurt on v2, 2 of 20,512 on v1" */
const char *evidence_explain(const struct evidence *evidence, unsigned signal,
	const char *candidate, const char *stable, char *out, size_t size);

/* "20,512" into out; returns out. */
const char *evidence_number(uint64_t number, char out[EVIDENCE_NUMBER_SIZE]);

/* For planning: seconds until a rise of an error rate (of clients seen in a
 * tick) from p to ratio p is seen at a share of clients_per_s; INFINITY where
 * it never is. share is in (0, 1], ratio above 1. */
double evidence_seconds_to_see(double clients_per_s, double share, double p,
	double ratio, double false_rollback);

#endif
