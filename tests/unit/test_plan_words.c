#include "plan_world.h"

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
	assert_refused(
		&world, PLAN_PAUSE, 0, "the release is paused already");
	assert_refused(&world, PLAN_ADVANCE, 0,
		"the release is paused: resume first");
	assert_true(say(&world, PLAN_RESUME, 0, NULL));
	assert_int_equal(world.out.record.state, PLAN_RUNNING);
	pass(&world, HOLD_NS - TICK_NS);
	assert_false(world.out.has_record);
	advance_to(&world, 500);
	assert_refused(&world, PLAN_RESUME, 0,
		"the release is running, not paused");
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

/* Nobody's hand: a service has left the config. */
static void
test_an_end_says_what_it_is_because_of(void **state)
{
	struct plan_word word = {
		.kind = PLAN_ROLLBACK, .because = "page left the configuration"};
	struct world world;

	(void)state;
	begin_default(&world);
	assert_true(plan_say(&world.plan, &word, world.input.now_ns, &world.out,
		NULL));
	take(&world);
	assert_rolled_back(&world, "rolled back: page left the configuration");
	begin_default(&world);
	word.kind = PLAN_PROMOTE;
	word.because = "v2 is stable now";
	assert_true(plan_say(&world.plan, &word, world.input.now_ns, &world.out,
		NULL));
	assert_string_equal(world.out.record.reason,
		"running: v2 is to become stable: v2 is stable now");
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
		"no release is running: starting: v2 is to get 1 %");
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
	tick(&world);
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
			test_pause_stops_the_clock_and_resume_starts_it_anew),
		cmocka_unit_test(test_pause_calls_a_pending_step_off),
		cmocka_unit_test(test_share_by_hand_stays_until_resumed),
		cmocka_unit_test(test_share_below_the_first_step_goes_on_to_it),
		cmocka_unit_test(test_share_must_be_a_share),
		cmocka_unit_test(test_word_is_not_called_off_by_a_lack),
		cmocka_unit_test(test_promotion_by_hand_awaits_the_journal),
		cmocka_unit_test(test_advance_at_full_share_promotes),
		cmocka_unit_test(test_rollback_by_hand_acts_at_once),
		cmocka_unit_test(test_an_end_says_what_it_is_because_of),
		cmocka_unit_test(
			test_release_that_only_just_begins_can_be_rolled_back),
		cmocka_unit_test(test_restart_holds_for_one_hold),
		cmocka_unit_test(test_restart_keeps_what_people_decided),
		cmocka_unit_test(test_restart_makes_good_what_was_written_last),
		cmocka_unit_test(test_every_state_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
