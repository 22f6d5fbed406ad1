/*
 * simulate: a release from its beginning to its end on a virtual clock, with
 * the real plan and evidence.
 */
#ifndef PERCH_BENCH_JUDGE_SIMULATE_H
#define PERCH_BENCH_JUDGE_SIMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "release/evidence.h"
#include "release/plan.h"

/* What has happened in the tick that ends at now_ns. */
typedef void
simulate_tick_fn(void *source, uint64_t now_ns, struct evidence_tick *out);
/* A share is in force from now on. */
typedef void simulate_share_fn(void *source, uint16_t share_bp);
/* A new window of latency within a step. */
typedef void simulate_window_fn(void *source);
/* NULL: nobody meddles. True: word is to be said. */
typedef bool
simulate_word_fn(void *source, double time_s, struct plan_word *word);

struct simulate_source {
	void *source;
	simulate_tick_fn *tick;
	simulate_share_fn *set_share;
	simulate_window_fn *begin_window;
	simulate_word_fn *say;
};

struct outcome {
	bool is_rolled_back;
	bool is_done;
	float time_s; /* of its end */
	uint32_t n_retreats;
	uint32_t n_hurt; /* for the caller */
	uint32_t reason; /* of a rollback: the signal */
	uint32_t untrusted;
};

void simulate_release(const struct simulate_source *source,
	const struct evidence_config *evidence, const struct plan_config *plan,
	double horizon_s, struct outcome *out);

#endif
