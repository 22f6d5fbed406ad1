#include "plan_world.h"

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
test_nobody_counted_holds(void **state)
{
	struct world world;

	(void)state;
	prepare(&world);
	world.config.min_clients = 0;
	begin(&world);
	world.input.is_blind = true;
	assert_held(&world, "held: there is no memory to count its clients in: "
			    "it isn't judged");
	world.input.is_blind = false;
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

/* Of a group those services' versions by which it is. */
static void
test_harm_names_the_versions_at_hand(void **state)
{
	struct plan_names hurt[EVIDENCE_SIGNALS] = {
		[EVIDENCE_ERRORS] = {"page v2", "page v1"}};
	const struct plan_names healthy = {"entry v2", "entry v1"};
	struct world world;

	(void)state;
	begin_default(&world);
	world.input.hurt = hurt;
	set_evidence(&world, EVIDENCE_ERRORS, 1000);
	tick(&world);
	assert_rolled_back(&world,
		"rolled back: errors: 7 of 210 clients hurt on page v2, 2 of "
		"20,512 on page v1");
	begin_default(&world);
	world.input.healthy = &healthy;
	world.input.n_healthy = 0;
	tick(&world);
	assert_rolled_back(
		&world, "rolled back: no endpoint of entry v2 is healthy");
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
		"the release is frozen, not paused: promote or roll back");
	assert_refused(&world, PLAN_ADVANCE, 0,
		"the release is frozen: promote or roll back first");
	assert_refused(&world, PLAN_PAUSE, 0, "the release is frozen already");
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
		cmocka_unit_test(test_nobody_counted_holds),
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
		cmocka_unit_test(test_harm_names_the_versions_at_hand),
		cmocka_unit_test(test_no_healthy_endpoint_rolls_back),
		cmocka_unit_test(test_freeze_keeps_the_share),
		cmocka_unit_test(
			test_over_the_limit_at_full_share_goes_back_to_compare),
		cmocka_unit_test(test_going_back_needs_no_step_below),
		cmocka_unit_test(
			test_over_the_limit_freezes_where_that_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
