/*
 * evidence_mixture: one signal's evidence over time, for each point of a grid,
 * begun again and again with a part of the stake. Pure; used by
 * release/evidence.
 *
 * Harm may begin late, and a long good spell must buy no credit; so only a part
 * of the stake is laid at the first tick, and the rest little by little. The
 * parts add up to 1 over an endless run, and what isn't laid yet counts as it
 * is, so the whole is a supermartingale that starts at 1 (P(it ever reaches 1/a)
 * <= a) as long as each factor's expectation is at most 1.
 */
#ifndef PERCH_RELEASE_EVIDENCE_MIXTURE_H
#define PERCH_RELEASE_EVIDENCE_MIXTURE_H

#include <stdint.h>

#include "release/evidence_factor.h"

struct evidence_mixture {
	double ln_r[EVIDENCE_GRID_MAX]; /* -INFINITY before the first tick */
	unsigned n_grid;
	double kept; /* of the stake, not yet laid */
	double ln_e; /* after the latest tick; 0 at the start */
	uint64_t began_ns; /* time of the first tick */
	uint64_t n_laid; /* parts laid so far */
};

void evidence_mixture_begin(struct evidence_mixture *mixture, unsigned n_grid);
/* One tick: lays what is due at now_ns, then multiplies by F; ln_f has n_grid,
 * or is NULL where all factors are 1. now_ns never goes back. */
void evidence_mixture_add(
	struct evidence_mixture *mixture, const double *ln_f, uint64_t now_ns);

/* ln(e^a + e^b), also for -INFINITY. */
double evidence_log_add(double a, double b);

#endif
