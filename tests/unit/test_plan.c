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

static void
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

static void
prepare(struct world *world)
{
	struct evidence_config config;

	memset(world, 0, sizeof(*world));
	plan_config_init(&world->config);
	strcpy(world->config.candidate, "v2");
	strcpy(world->config.stable, "v1");
	evidence_config_init(&config);
	evidence_begin(&world->evidence, &config);
	evidence_begin_step(&world->evidence, 100);
	world->input.evidence = &world->evidence;
	world->input.clients = 1000;
	world->input.n_endpoints = 3;
	world->input.n_healthy = 3;
	world->input.now_ns = 1000 * CLOCK_NS_PER_S;
}

static void
tick(struct world *world)
{
	world->input.now_ns += TICK_NS;
	plan_tick(&world->plan, &world->input, &world->out);
	take(world);
}

static void
pass(struct world *world, uint64_t ns)
{
	world->input.now_ns += ns - TICK_NS;
	tick(world);
}

/* From prepare() on: begun at the first step. */
static void
begin(struct world *world)
{
	plan_begin(&world->plan, &world->config, 0, world->input.now_ns,
		&world->out);
	take(world);
	tick(world);
	assert_int_equal(world->out.act, PLAN_ACT_SHARE);
	assert_int_equal(world->plan.state, PLAN_RUNNING);
}

static void
begin_default(struct world *world)
{
	prepare(world);
	begin(world);
}

/* The journal's time of its step, then the step itself. */
static void
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

static bool
say(struct world *world, enum plan_word_kind kind, uint16_t share_bp,
	struct error *error)
{
	struct plan_word word = {.kind = kind, .share_bp = share_bp};
	bool is_said = plan_say(
		&world->plan, &word, world->input.now_ns, &world->out, error);

	take(world);
	return is_said;
}

static void
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
static void
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

/* --- the road ----------------------------------------------------------------- */

static void
test_release_begins_when_its_record_is_durable(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	world.is_stuck = true;
	plan_begin(
		&world.plan, &world.config, 41, world.input.now_ns, &world.out);
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	assert_true(world.out.has_record);
	assert_int_equal(world.out.record.seq, 42);
	assert_int_equal(world.out.record.state, PLAN_RUNNING);
	assert_int_equal(world.out.record.share_bp, 100);
	world.written = 42;
	world.input.durable_seq = 41;
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	assert_int_equal(world.plan.state, PLAN_IDLE);
	assert_int_equal(world.plan.share_bp, 0);
	world.input.durable_seq = 42;
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_SHARE);
	assert_int_equal(world.out.share_bp, 100);
	assert_int_equal(world.plan.state, PLAN_RUNNING);
	assert_string_equal(world.out.event, "running: v2 at 1 %");
}

static void
test_good_release_goes_all_the_way(void **state)
{
	static const uint16_t shares[] = {500, 1000, 2000, 5000, 8000, 10000};
	struct world world;

	(void)state;
	begin_default(&world);
	for (size_t i = 0; i < 6; i++) {
		pass(&world, HOLD_NS - TICK_NS);
		assert_false(world.out.has_record);
		tick(&world);
		assert_int_equal(world.out.act, PLAN_ACT_NONE);
		assert_int_equal(world.out.record.share_bp, shares[i]);
		assert_int_equal(world.out.record.step, i + 1);
		tick(&world);
		assert_int_equal(world.out.act, PLAN_ACT_SHARE);
		assert_int_equal(world.out.share_bp, shares[i]);
		assert_int_equal(world.plan.step, i + 1);
	}
	pass(&world, HOLD_NS);
	assert_true(world.out.record.is_promotion);
	assert_int_equal(world.plan.state, PLAN_RUNNING);
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_PROMOTE);
	assert_int_equal(world.plan.state, PLAN_DONE);
	assert_string_equal(world.out.event, "done: v2 is stable now");
	pass(&world, HOLD_NS);
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	assert_false(world.out.has_record);
}

static void
test_running_says_for_how_long(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	pass(&world, 20 * CLOCK_NS_PER_S);
	assert_string_equal(
		world.plan.reason, "running: v2 at 1 % for 20 of 60 s");
	assert_false(world.out.has_event);
}

/* --- held ------------------------------------------------------------------- */

/* The hold is over, and the lack named keeps it; then it doesn't. */
static void
assert_held(struct world *world, const char *reason)
{
	pass(world, HOLD_NS);
	assert_int_equal(world->plan.state, PLAN_HELD);
	assert_string_equal(world->plan.reason, reason);
	assert_string_equal(world->out.event, reason);
	assert_int_equal(world->out.record.state, PLAN_HELD);
	assert_int_equal(world->out.record.share_bp, world->plan.share_bp);
	tick(world);
	assert_int_equal(world->plan.state, PLAN_HELD);
	assert_false(world->out.has_event);
	assert_false(world->out.has_record);
}

static void
assert_goes_on(struct world *world)
{
	tick(world);
	assert_int_equal(world->plan.state, PLAN_RUNNING);
	assert_true(world->out.has_record);
	tick(world);
	assert_int_equal(world->out.act, PLAN_ACT_SHARE);
}

static void
test_too_few_clients_hold(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.input.clients = 12;
	assert_held(&world, "waiting: 12 of 50 clients seen in this step");
	world.input.clients = 50;
	assert_goes_on(&world);
}

static void
test_unhealthy_endpoints_hold(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.input.n_healthy = 1;
	assert_held(&world, "waiting: 1 of 3 endpoints of v2 are healthy");
	world.input.n_healthy = 2;
	assert_goes_on(&world);
}

static void
test_half_of_the_endpoints_is_enough(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.input.n_endpoints = 2;
	world.input.n_healthy = 1;
	advance_to(&world, 500);
}

static void
test_exhausted_crowd_holds(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.input.is_exhausted = true;
	assert_held(&world, "held: exhausted: more than half of the clients "
			    "have been hurt, on either version");
	world.input.is_exhausted = false;
	assert_goes_on(&world);
}

static void
test_proof_is_awaited_where_it_is_asked_for(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	world.config.needs_proof = true;
	begin(&world);
	assert_held(&world, "waiting: not yet proven that v2 is not much worse "
			    "(1.0 of 20)");
	world.evidence.ln_safe = 3;
	assert_goes_on(&world);
}

static void
test_full_share_needs_no_proof(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	world.config.needs_proof = true;
	world.config.n_steps = 1;
	world.config.steps_bp[0] = 10000;
	begin(&world);
	pass(&world, HOLD_NS);
	tick(&world);
	assert_int_equal(world.plan.state, PLAN_DONE);
}

static void
test_word_is_awaited_where_auto_is_off(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	world.config.is_auto = false;
	begin(&world);
	assert_held(&world, "waiting: for the word to advance");
	assert_true(say(&world, PLAN_ADVANCE, 0, NULL));
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	assert_true(world.out.has_record);
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_SHARE);
	assert_int_equal(world.out.share_bp, 500);
	assert_int_equal(world.plan.state, PLAN_RUNNING);
}

static void
test_last_step_below_full_waits_for_ever(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	world.config.n_steps = 2;
	begin(&world);
	advance_to(&world, 500);
	assert_held(&world,
		"waiting: the last step is at 5 %; promote or roll back");
	assert_refused(&world, PLAN_ADVANCE, 0,
		"5 % is the last step: promote or roll back");
}

static void
test_suspicion_holds_at_once(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	set_evidence(&world, EVIDENCE_ERRORS, 10);
	tick(&world);
	assert_int_equal(world.plan.state, PLAN_HELD);
	assert_string_equal(world.plan.reason, "held: " HURT);
	assert_int_equal(world.out.record.state, PLAN_HELD);
	/* It passes, and the time of the step runs on. */
	set_evidence(&world, EVIDENCE_ERRORS, 9.9);
	tick(&world);
	assert_int_equal(world.plan.state, PLAN_RUNNING);
	pass(&world, HOLD_NS);
	tick(&world);
	assert_int_equal(world.out.share_bp, 500);
}

static void
test_held_says_when_its_reason_changes(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.input.clients = 12;
	pass(&world, HOLD_NS);
	world.input.is_exhausted = true;
	tick(&world);
	assert_true(world.out.has_event);
	assert_false(world.out.has_record); /* the same state */
}

/* --- the journal ------------------------------------------------------------- */

static void
test_step_awaits_the_journal(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.is_stuck = true;
	pass(&world, HOLD_NS);
	assert_true(world.out.has_record);
	for (unsigned i = 0; i < 100; i++) {
		tick(&world);
		assert_int_equal(world.out.act, PLAN_ACT_NONE);
		assert_false(world.out.has_record);
	}
	world.is_stuck = false;
	world.input.durable_seq = world.written;
	tick(&world);
	assert_int_equal(world.out.share_bp, 500);
}

static void
test_step_is_called_off_if_suspicion_comes_first(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.is_stuck = true;
	pass(&world, HOLD_NS);
	set_evidence(&world, EVIDENCE_ERRORS, 20);
	world.input.durable_seq = world.written;
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	assert_int_equal(world.plan.state, PLAN_HELD);
	/* The journal's last word is the share in force. */
	assert_int_equal(world.out.record.share_bp, 100);
	set_evidence(&world, EVIDENCE_ERRORS, 1);
	world.input.durable_seq = world.written;
	tick(&world);
	assert_true(world.out.has_record);
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
}

static void
test_failing_journal_holds(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.input.is_journal_failing = true;
	assert_held(&world, "held: the journal can't be written");
	world.input.is_journal_failing = false;
	assert_goes_on(&world);
}

static void
test_journal_that_fails_on_the_way_is_said(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.is_stuck = true;
	pass(&world, HOLD_NS);
	world.input.is_journal_failing = true;
	tick(&world);
	assert_string_equal(
		world.out.event, "held: the journal can't be written");
	tick(&world);
	assert_false(world.out.has_event);
	world.input.is_journal_failing = false;
	world.input.durable_seq = world.written;
	tick(&world);
	assert_int_equal(world.out.share_bp, 500);
}

static void
test_rollback_needs_no_journal(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.is_stuck = true;
	world.input.is_journal_failing = true;
	set_evidence(&world, EVIDENCE_ERRORS, 1000);
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_ROLLBACK);
	assert_true(world.out.has_record);
}

/* --- harm -------------------------------------------------------------------- */

static void
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

static void
test_score_zero_rolls_back_in_every_state(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	set_evidence(&world, EVIDENCE_ERRORS, 1000);
	tick(&world);
	assert_rolled_back(&world, "rolled back: " HURT);

	begin_default(&world); /* held */
	set_evidence(&world, EVIDENCE_ERRORS, 500);
	tick(&world);
	set_evidence(&world, EVIDENCE_ERRORS, 1001);
	tick(&world);
	assert_rolled_back(&world, "rolled back: " HURT);

	begin_default(&world); /* paused */
	assert_true(say(&world, PLAN_PAUSE, 0, NULL));
	set_evidence(&world, EVIDENCE_ERRORS, 1001);
	tick(&world);
	assert_rolled_back(&world, "rolled back: " HURT);

	begin_default(&world); /* about to step on */
	world.is_stuck = true;
	pass(&world, HOLD_NS);
	set_evidence(&world, EVIDENCE_ERRORS, 1001);
	world.input.durable_seq = world.written;
	tick(&world);
	assert_rolled_back(&world, "rolled back: " HURT);
}

static void
test_no_healthy_endpoint_rolls_back(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.input.n_healthy = 0;
	tick(&world);
	assert_rolled_back(&world, "rolled back: no endpoint of v2 is healthy");

	prepare(&world);
	world.config.on_harm = PLAN_HARM_FREEZE;
	begin(&world);
	set_evidence(&world, EVIDENCE_ERRORS, 1001);
	tick(&world);
	assert_int_equal(world.plan.state, PLAN_FROZEN);
	world.input.n_healthy = 0;
	tick(&world);
	assert_rolled_back(&world, "rolled back: no endpoint of v2 is healthy");
}

static void
test_freeze_keeps_the_share(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	world.config.on_harm = PLAN_HARM_FREEZE;
	begin(&world);
	advance_to(&world, 1000);
	set_evidence(&world, EVIDENCE_ERRORS, 1000);
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	assert_int_equal(world.plan.state, PLAN_FROZEN);
	assert_string_equal(world.out.event, "frozen: " HURT);
	assert_int_equal(world.out.record.share_bp, 1000);
	pass(&world, 10 * HOLD_NS);
	assert_int_equal(world.plan.state, PLAN_FROZEN);
	assert_int_equal(world.plan.share_bp, 1000);
	assert_false(world.out.has_event);
	assert_refused(&world, PLAN_RESUME, 0,
		"it is frozen, not paused: promote or roll back");
	assert_refused(&world, PLAN_ADVANCE, 0,
		"it is frozen: promote or roll back first");
	assert_refused(&world, PLAN_PAUSE, 0, "it is frozen already");
	assert_true(say(&world, PLAN_SHARE, 200, NULL));
	tick(&world);
	assert_int_equal(world.plan.state, PLAN_FROZEN);
	assert_int_equal(world.plan.share_bp, 200);
	assert_true(say(&world, PLAN_ROLLBACK, 0, NULL));
	assert_rolled_back(&world, "rolled back: by hand");
}

/* Ticks in which more clients are hurt than the limit at 100 % allows. */
static void
exceed_limit(struct world *world)
{
	struct evidence_tick hurt = {0};

	hurt.counts[EVIDENCE_ERRORS][EVIDENCE_OTHER].candidate =
		(struct evidence_part){1000, 500};
	hurt.candidate_clients = 1000;
	for (unsigned i = 0; i < 3; i++)
		evidence_add(&world->evidence, &hurt, world->input.now_ns);
}

static void
test_over_the_limit_at_full_share_goes_back_to_compare(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	advance_to(&world, 10000);
	world.is_stuck = true; /* it doesn't wait for the journal */
	exceed_limit(&world);
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_SHARE);
	assert_int_equal(world.out.share_bp, 8000);
	assert_int_equal(world.out.record.share_bp, 8000);
	assert_int_equal(world.plan.state, PLAN_RUNNING);
	assert_string_equal(world.out.event,
		"running: back to 80 % to compare: limit.errors: "
		"1,500 of 1,000 clients hurt on v2, over 1 %");
	evidence_begin_step(&world.evidence, 8000);
	world.is_stuck = false;
	world.input.durable_seq = world.written;
	advance_to(&world, 10000);
	/* Once more: that is for people to look at. */
	exceed_limit(&world);
	tick(&world);
	assert_int_equal(world.out.share_bp, 8000);
	assert_int_equal(world.plan.state, PLAN_PAUSED);
}

static void
test_going_back_needs_no_step_below(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	world.config.n_steps = 1;
	world.config.steps_bp[0] = 10000;
	evidence_begin_step(&world.evidence, 10000);
	begin(&world);
	exceed_limit(&world);
	tick(&world);
	assert_int_equal(world.out.share_bp, 5000);
	evidence_begin_step(&world.evidence, 5000);
	advance_to(&world, 10000);
}

static void
test_over_the_limit_freezes_where_that_is_asked_for(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	world.config.on_harm = PLAN_HARM_FREEZE;
	begin(&world);
	advance_to(&world, 10000);
	exceed_limit(&world);
	tick(&world);
	assert_int_equal(world.plan.state, PLAN_FROZEN);
	assert_int_equal(world.plan.share_bp, 10000);
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
}

/* --- words ------------------------------------------------------------------- */

static void
test_pause_stops_the_clock_and_resume_starts_it_anew(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	pass(&world, HOLD_NS / 2);
	assert_true(say(&world, PLAN_PAUSE, 0, NULL));
	assert_int_equal(world.out.record.state, PLAN_PAUSED);
	assert_string_equal(world.out.event, "paused: by hand at 1 %");
	pass(&world, 100 * HOLD_NS);
	assert_int_equal(world.plan.share_bp, 100);
	assert_false(world.out.has_record);
	assert_refused(&world, PLAN_PAUSE, 0, "it is paused already");
	assert_refused(&world, PLAN_ADVANCE, 0, "it is paused: resume first");
	assert_true(say(&world, PLAN_RESUME, 0, NULL));
	assert_int_equal(world.out.record.state, PLAN_RUNNING);
	pass(&world, HOLD_NS - TICK_NS);
	assert_false(world.out.has_record);
	advance_to(&world, 500);
	assert_refused(&world, PLAN_RESUME, 0, "it is running, not paused");
}

static void
test_pause_calls_a_pending_step_off(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	pass(&world, HOLD_NS);
	assert_true(say(&world, PLAN_PAUSE, 0, NULL));
	assert_int_equal(world.out.record.share_bp, 100);
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	assert_int_equal(world.plan.share_bp, 100);
}

static void
test_share_by_hand_stays_until_resumed(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	assert_true(say(&world, PLAN_SHARE, 3025, NULL));
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	assert_int_equal(world.out.record.share_bp, 3025);
	assert_int_equal(world.out.record.step, 3);
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_SHARE);
	assert_string_equal(world.out.event, "paused: v2 at 30.25 %");
	pass(&world, 100 * HOLD_NS);
	assert_int_equal(world.plan.share_bp, 3025);
	assert_true(say(&world, PLAN_RESUME, 0, NULL));
	advance_to(&world, 5000);
}

static void
test_share_below_the_first_step_goes_on_to_it(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	assert_true(say(&world, PLAN_SHARE, 10, NULL));
	tick(&world);
	assert_true(say(&world, PLAN_RESUME, 0, NULL));
	advance_to(&world, 100);
}

static void
test_share_must_be_a_share(void **state)
{
	struct world world;
	const char *why = "a share is above 0 and up to 100 %; to take it all "
			  "back, roll back";

	(void)state;
	begin_default(&world);
	assert_refused(&world, PLAN_SHARE, 0, why);
	assert_refused(&world, PLAN_SHARE, 10001, why);
}

static void
test_word_is_not_called_off_by_a_lack(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.is_stuck = true;
	world.input.clients = 0;
	set_evidence(&world, EVIDENCE_ERRORS, 20);
	assert_true(say(&world, PLAN_ADVANCE, 0, NULL));
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	world.input.durable_seq = world.written;
	tick(&world);
	assert_int_equal(world.out.share_bp, 500);
}

static void
test_promotion_by_hand_awaits_the_journal(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	assert_true(say(&world, PLAN_PROMOTE, 0, NULL));
	assert_int_equal(world.out.act, PLAN_ACT_NONE);
	assert_true(world.out.record.is_promotion);
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_PROMOTE);
	assert_int_equal(world.plan.state, PLAN_DONE);
	assert_refused(&world, PLAN_ROLLBACK, 0,
		"no release is running: done: v2 is stable now");
}

static void
test_advance_at_full_share_promotes(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	advance_to(&world, 10000);
	assert_true(say(&world, PLAN_ADVANCE, 0, NULL));
	tick(&world);
	assert_int_equal(world.out.act, PLAN_ACT_PROMOTE);
}

static void
test_rollback_by_hand_acts_at_once(void **state)
{
	struct world world;

	(void)state;
	begin_default(&world);
	world.is_stuck = true;
	assert_true(say(&world, PLAN_ROLLBACK, 0, NULL));
	assert_rolled_back(&world, "rolled back: by hand");
}

static void
test_release_that_only_just_begins_can_be_rolled_back(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	plan_begin(
		&world.plan, &world.config, 0, world.input.now_ns, &world.out);
	take(&world);
	assert_refused(&world, PLAN_PAUSE, 0,
		"no release is running: idle: v2 is to get 1 %");
	assert_true(say(&world, PLAN_ROLLBACK, 0, NULL));
	assert_rolled_back(&world, "rolled back: by hand");
}

/* --- after a restart ----------------------------------------------------------- */

static void
resume(struct world *world, enum plan_state state, uint16_t share_bp)
{
	struct plan_record record = {.seq = 7,
		.state = state,
		.share_bp = share_bp,
		.reason = "as it was"};

	prepare(world);
	world->written = world->input.durable_seq = 7;
	plan_resume(&world->plan, &world->config, &record, world->input.now_ns,
		&world->out);
}

static void
test_restart_holds_for_one_hold(void **state)
{
	struct world world;

	(void)state;
	resume(&world, PLAN_RUNNING, 2000);
	assert_int_equal(world.plan.state, PLAN_HELD);
	assert_int_equal(world.plan.step, 3);
	assert_string_equal(
		world.out.event, "held: at 20 % for 60 s after a restart");
	tick(&world);
	assert_int_equal(world.plan.state, PLAN_HELD);
	assert_false(world.out.has_event);
	pass(&world, HOLD_NS - 2 * TICK_NS);
	assert_int_equal(world.plan.state, PLAN_HELD);
	advance_to(&world, 5000);
	assert_int_equal(world.plan.state, PLAN_RUNNING);
}

static void
test_restart_keeps_what_people_decided(void **state)
{
	struct world world;

	(void)state;
	resume(&world, PLAN_PAUSED, 2000);
	assert_int_equal(world.plan.state, PLAN_PAUSED);
	assert_string_equal(world.plan.reason, "as it was");
	pass(&world, 10 * HOLD_NS);
	assert_int_equal(world.plan.share_bp, 2000);
	resume(&world, PLAN_FROZEN, 2000);
	assert_int_equal(world.plan.state, PLAN_FROZEN);
}

static void
test_restart_makes_good_what_was_written_last(void **state)
{
	struct world world;

	(void)state;
	resume(&world, PLAN_DONE, 10000);
	assert_int_equal(world.out.act, PLAN_ACT_PROMOTE);
	resume(&world, PLAN_ROLLED_BACK, 0);
	assert_int_equal(world.out.act, PLAN_ACT_ROLLBACK);
	assert_false(plan_is_active(&world.plan));
}

static void
test_every_state_has_a_name(void **state)
{
	enum plan_state parsed;

	(void)state;
	for (int i = PLAN_IDLE; i <= PLAN_ROLLED_BACK; i++) {
		assert_true(plan_state_parse(
			plan_state_name((enum plan_state)i), &parsed));
		assert_int_equal(parsed, i);
	}
	assert_string_equal(
		plan_state_name((enum plan_state)(PLAN_ROLLED_BACK + 1)),
		"unknown");
	assert_false(plan_state_parse("unknown", &parsed));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_release_begins_when_its_record_is_durable),
		cmocka_unit_test(test_good_release_goes_all_the_way),
		cmocka_unit_test(test_running_says_for_how_long),
		cmocka_unit_test(test_too_few_clients_hold),
		cmocka_unit_test(test_unhealthy_endpoints_hold),
		cmocka_unit_test(test_half_of_the_endpoints_is_enough),
		cmocka_unit_test(test_exhausted_crowd_holds),
		cmocka_unit_test(test_proof_is_awaited_where_it_is_asked_for),
		cmocka_unit_test(test_full_share_needs_no_proof),
		cmocka_unit_test(test_word_is_awaited_where_auto_is_off),
		cmocka_unit_test(test_last_step_below_full_waits_for_ever),
		cmocka_unit_test(test_suspicion_holds_at_once),
		cmocka_unit_test(test_held_says_when_its_reason_changes),
		cmocka_unit_test(test_step_awaits_the_journal),
		cmocka_unit_test(
			test_step_is_called_off_if_suspicion_comes_first),
		cmocka_unit_test(test_failing_journal_holds),
		cmocka_unit_test(test_journal_that_fails_on_the_way_is_said),
		cmocka_unit_test(test_rollback_needs_no_journal),
		cmocka_unit_test(test_score_zero_rolls_back_in_every_state),
		cmocka_unit_test(test_no_healthy_endpoint_rolls_back),
		cmocka_unit_test(test_freeze_keeps_the_share),
		cmocka_unit_test(
			test_over_the_limit_at_full_share_goes_back_to_compare),
		cmocka_unit_test(test_going_back_needs_no_step_below),
		cmocka_unit_test(
			test_over_the_limit_freezes_where_that_is_asked_for),
		cmocka_unit_test(
			test_pause_stops_the_clock_and_resume_starts_it_anew),
		cmocka_unit_test(test_pause_calls_a_pending_step_off),
		cmocka_unit_test(test_share_by_hand_stays_until_resumed),
		cmocka_unit_test(test_share_below_the_first_step_goes_on_to_it),
		cmocka_unit_test(test_share_must_be_a_share),
		cmocka_unit_test(test_word_is_not_called_off_by_a_lack),
		cmocka_unit_test(test_promotion_by_hand_awaits_the_journal),
		cmocka_unit_test(test_advance_at_full_share_promotes),
		cmocka_unit_test(test_rollback_by_hand_acts_at_once),
		cmocka_unit_test(
			test_release_that_only_just_begins_can_be_rolled_back),
		cmocka_unit_test(test_restart_holds_for_one_hold),
		cmocka_unit_test(test_restart_keeps_what_people_decided),
		cmocka_unit_test(test_restart_makes_good_what_was_written_last),
		cmocka_unit_test(test_every_state_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
