/*
 * evidence_mixture: one signal's evidence over time, for each point of a grid,
 * begun again at every tick with a part of the stake. Pure; used by
 * release/evidence.
 *
 * Harm may begin late, and a long good spell must buy no credit; so half of the
 * stake is laid at the first tick, and the rest little by little: after t
 * minutes t / (t + 1) of it. What isn't laid yet counts as it is. So the whole
 * starts at 1 and is a supermartingale where each factor's expectation is at
 * most 1, given the ticks before: P(it ever reaches 1/a) <= a.
 *
 * It is kept as plain numbers, not logarithms: a tick's stake bounds each point
 * from below, and from above it is cut at EVIDENCE_E_MAX, which only lowers it.
 */
#ifndef PERCH_RELEASE_EVIDENCE_MIXTURE_H
#define PERCH_RELEASE_EVIDENCE_MIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "release/evidence_factor.h"

#define EVIDENCE_E_MAX 1e300

struct evidence_mixture {
	double r[EVIDENCE_GRID_MAX];
	unsigned n_grid;
	double e; /* after the latest tick; 1 at the start */
	double kept; /* of the stake, not laid yet */
	bool has_begun;
	uint64_t began_ns; /* time of the first tick */
};

void evidence_mixture_begin(struct evidence_mixture *mixture, unsigned n_grid);

/* One tick: lays what is due by now_ns, then multiplies by F. ln_f has n_grid
 * logarithms, or is NULL where all are 0. now_ns never goes back. */
void evidence_mixture_add(
	struct evidence_mixture *mixture, const double *ln_f, uint64_t now_ns);

#endif
