/*
 * evidence_factor: what one tick says, as factors F whose expectation is at most
 * 1 while the candidate is no worse. Pure; used by release/evidence.
 *
 * counts: F1, clients newly hurt of those at risk, on both sides (errors,
 * not_found, watch). latency: F2, samples over a line, on both sides. limit: on
 * the candidate alone, against a rate. All are in logs; a factor with nothing
 * to compare is 0, the logarithm of 1.
 */
#ifndef PERCH_RELEASE_EVIDENCE_FACTOR_H
#define PERCH_RELEASE_EVIDENCE_FACTOR_H

#include <stdint.h>

#define EVIDENCE_COUNT_GRID 16 /* rate ratios r1, log-spaced */
#define EVIDENCE_LATENCY_GRID 8 /* odds ratios */
#define EVIDENCE_GRID_MAX 16

/* x of n; x is never above n. */
struct evidence_part {
	uint32_t n;
	uint32_t x;
};

/* The rate ratios for which harm is looked for where r0 is tolerated: 16 from
 * 1.2 r0 to 50 r0. out has EVIDENCE_COUNT_GRID. */
void evidence_count_grid(double r0, double *out);
/* The odds ratios for latency and limit; EVIDENCE_LATENCY_GRID of them. */
extern const double evidence_odds_grid[EVIDENCE_LATENCY_GRID];

/* Adds ln F1 of one tick and stratum to out[k], for each of n ratios r1[k].
 * With r1 below r0 the same formula speaks for the candidate (E_safe). */
void
evidence_add_counts(struct evidence_part candidate, struct evidence_part stable,
	double r0, const double *r1, unsigned n, double *out);

/* Adds ln F2 of one tick to out[k] for each odds ratio. bad: what part of
 * stable's samples is bad, estimated from ticks before; in (0, 1). */
void evidence_add_latency(struct evidence_part candidate,
	struct evidence_part stable, double bad, double *out);

/* Adds ln F of the candidate against a rate that it should not exceed, in
 * (0, 1), to out[k] for each odds ratio. */
void
evidence_add_limit(struct evidence_part candidate, double rate, double *out);

#endif
