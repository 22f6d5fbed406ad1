/*
 * plan_world: a release on a virtual clock, for the tests of release/plan.
 */
#ifndef PERCH_TESTS_PLAN_WORLD_H
#define PERCH_TESTS_PLAN_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "release/plan.h"

#define TICK_NS (CLOCK_NS_PER_S / 4)
#define HOLD_NS (60 * CLOCK_NS_PER_S)

/* A release with a virtual clock, whose journal is as fast as is_durable says. */
struct world {
	struct plan_config config;
	struct plan plan;
	struct evidence evidence;
	struct plan_input input;
	struct plan_output out;
	bool is_stuck; /* the journal: nothing becomes durable */
	uint64_t written;
};

static inline void
take(struct world *world)
{
	if (world->out.has_record) {
		assert_int_equal(world->out.record.seq, world->written + 1);
		world->written = world->out.record.seq;
		assert_true(world->out.record.reason[0] != '\0');
	}
	if (!world->is_stuck)
		world->input.durable_seq = world->written;
}

static inline void
prepare(struct world *world)
{
	struct evidence_config config;

	memset(world, 0, sizeof(*world));
	plan_config_init(&world->config);
	strcpy(world->config.names.candidate, "v2");
	strcpy(world->config.names.stable, "v1");
	evidence_config_init(&config);
	evidence_begin(&world->evidence, &config);
	evidence_begin_step(&world->evidence, 100);
	world->input.evidence = &world->evidence;
	world->input.clients = 1000;
	world->input.n_endpoints = 3;
	world->input.n_healthy = 3;
	world->input.now_ns = 1000 * CLOCK_NS_PER_S;
}

static inline void
tick(struct world *world)
{
	world->input.now_ns += TICK_NS;
	plan_tick(&world->plan, &world->input, &world->out);
	take(world);
}

static inline void
pass(struct world *world, uint64_t ns)
{
	world->input.now_ns += ns - TICK_NS;
	tick(world);
}

/* From prepare() on: begun at the first step. */
static inline void
begin(struct world *world)
{
	plan_begin(&world->plan, &world->config, 0, world->input.now_ns,
		&world->out);
	take(world);
	tick(world);
	assert_int_equal(world->out.act, PLAN_ACT_SHARE);
	assert_int_equal(world->plan.state, PLAN_RUNNING);
}

static inline void
begin_default(struct world *world)
{
	prepare(world);
	begin(world);
}

/* The journal's time of its step, then the step itself. */
static inline void
advance_to(struct world *world, uint16_t share_bp)
{
	while (world->plan.share_bp < share_bp) {
		pass(world, HOLD_NS);
		assert_true(world->out.has_record);
		tick(world);
		assert_int_equal(world->out.act, PLAN_ACT_SHARE);
		evidence_begin_step(&world->evidence, world->plan.share_bp);
	}
	assert_int_equal(world->plan.share_bp, share_bp);
}

static inline bool
say(struct world *world, enum plan_word_kind kind, uint16_t share_bp,
	struct error *error)
{
	struct plan_word word = {.kind = kind, .share_bp = share_bp};
	bool is_said = plan_say(
		&world->plan, &word, world->input.now_ns, &world->out, error);

	take(world);
	return is_said;
}

static inline void
assert_refused(struct world *world, enum plan_word_kind kind, uint16_t share_bp,
	const char *why)
{
	struct plan before = world->plan;
	struct error error;

	assert_false(say(world, kind, share_bp, &error));
	assert_string_equal(error.message, why);
	assert_memory_equal(&before, &world->plan, sizeof(before));
}

/* Puts a signal's E so that it gives this much in the whole. */
static inline void
set_evidence(struct world *world, unsigned signal, double e)
{
	world->evidence.signals[signal].judge.e =
		e / world->evidence.signals[signal].weight;
	world->evidence.signals[signal].candidate.x = 7;
	world->evidence.signals[signal].stable.x = 2;
	world->evidence.candidate_clients = 210;
	world->evidence.stable_clients = 20512;
}

#define HURT "errors: 7 of 210 clients hurt on v2, 2 of 20,512 on v1"

static inline void
assert_rolled_back(struct world *world, const char *reason)
{
	assert_int_equal(world->out.act, PLAN_ACT_ROLLBACK);
	assert_int_equal(world->plan.state, PLAN_ROLLED_BACK);
	assert_int_equal(world->plan.share_bp, 0);
	assert_int_equal(world->out.record.state, PLAN_ROLLED_BACK);
	assert_int_equal(world->out.record.share_bp, 0);
	assert_string_equal(world->out.event, reason);
	tick(world);
	assert_int_equal(world->out.act, PLAN_ACT_NONE);
	assert_false(world->out.has_record);
	assert_false(plan_is_active(&world->plan));
}

#endif
