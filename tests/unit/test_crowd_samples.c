#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crowd_world.h"

static void
start(struct world *world, uint32_t cell, bool is_candidate,
	struct crowd_ticket *ticket, uint64_t now_ns)
{
	struct crowd_facts facts = facts_of(world, cell, is_candidate);

	crowd_begin(world->crowd, 0, &facts, ticket);
	crowd_start_sample(world->crowd, 0, &world->flights, ticket, now_ns);
}

/* One that is answered after so long. */
static void
answer(struct world *world, uint32_t cell, bool is_candidate, uint64_t took_ns)
{
	struct crowd_ticket ticket;

	start(world, cell, is_candidate, &ticket, 1000 * MS);
	crowd_first_byte(world->crowd, 0, &ticket, 1000 * MS + took_ns);
	crowd_end(world->crowd, 0, &ticket, 0);
}

static void
assert_candidate_samples(const struct world *world, unsigned n, unsigned x_50,
	unsigned x_95, unsigned x_99)
{
	const unsigned x[EVIDENCE_QUANTILES] = {x_50, x_95, x_99};

	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		assert_int_equal(world->tick.samples[i].candidate.n, n);
		assert_int_equal(world->tick.samples[i].candidate.x, x[i]);
	}
}

static void
test_sample_is_held_to_its_sides_lines(void **state)
{
	struct world world;
	unsigned n = 0, over_q = 0, over_m = 0;

	(void)state;
	open_world(&world, 1, 0);
	set_lines(&world);
	answer(&world, 1, true, 15 * MS);
	answer(&world, 2, true, 50 * MS);
	answer(&world, 3, true, 100 * MS);
	answer(&world, 4, false, 15 * MS);
	answer(&world, 5, false, 50 * MS);
	read_tick(&world);
	assert_candidate_samples(&world, 3, 2, 2, 1);
	for (unsigned i = 0; i < 2; i++) {
		const struct evidence_samples *at = &world.tick.samples[0];

		n += at->stable[i].n;
		over_q += at->stable[i].x;
		over_m += at->beyond[i].x;
		assert_int_equal(at->stable[i].n, at->beyond[i].n);
	}
	assert_int_equal(n, 2);
	assert_int_equal(over_q, 2);
	assert_int_equal(over_m, 1);
	crowd_free(world.crowd);
}

static void
test_client_gives_one_sample_a_window(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, 1, 0);
	set_lines(&world);
	answer(&world, 1, true, MS);
	answer(&world, 1, true, MS);
	read_tick(&world);
	assert_candidate_samples(&world, 1, 0, 0, 0);
	answer(&world, 1, true, MS);
	read_tick(&world);
	assert_candidate_samples(&world, 0, 0, 0, 0);
	crowd_begin_window(world.crowd);
	answer(&world, 1, true, MS);
	read_tick(&world);
	assert_candidate_samples(&world, 1, 0, 0, 0);
	begin_step(&world);
	answer(&world, 1, true, MS);
	read_tick(&world);
	assert_candidate_samples(&world, 1, 0, 0, 0);
	crowd_free(world.crowd);
}

/* One that goes to an endpoint that is warming up. */
static void
warm_up(struct world *world, const struct crowd_facts *facts)
{
	struct crowd_ticket ticket;

	crowd_begin(world->crowd, 0, facts, &ticket);
	crowd_skip_sample(world->crowd, &ticket);
	crowd_first_byte(world->crowd, 0, &ticket, 2000 * MS);
	crowd_end(world->crowd, 0, &ticket, 0);
}

static void
test_client_whose_first_endpoint_warms_up_gives_no_sample(void **state)
{
	struct world world;
	struct crowd_facts facts;

	(void)state;
	open_world(&world, 1, 0);
	set_lines(&world);
	facts = facts_of(&world, 1, true);
	warm_up(&world, &facts);
	answer(&world, 1, true, 100 * MS);
	answer(&world, 2, true, MS);
	read_tick(&world);
	assert_candidate_samples(&world, 1, 0, 0, 0);
	/* It is seen all the same. */
	assert_errors(&world, 2, 0, 0, 0);
	crowd_begin_window(world.crowd);
	answer(&world, 1, true, 100 * MS);
	read_tick(&world);
	assert_candidate_samples(&world, 1, 1, 1, 1);
	/* Nor does it take one from who can't be met again. */
	facts = facts_of(&world, 3, true);
	facts.has_identity = false;
	warm_up(&world, &facts);
	answer(&world, 3, true, MS);
	read_tick(&world);
	assert_candidate_samples(&world, 1, 0, 0, 0);
	crowd_free(world.crowd);
}

static void
test_first_started_request_is_the_sample(void **state)
{
	struct world world;
	struct crowd_ticket slow, quick;

	(void)state;
	open_world(&world, 1, 0);
	set_lines(&world);
	start(&world, 1, true, &slow, 1000 * MS);
	start(&world, 1, true, &quick, 1001 * MS);
	crowd_first_byte(world.crowd, 0, &quick, 1002 * MS);
	crowd_first_byte(world.crowd, 0, &slow, 1200 * MS);
	crowd_end(world.crowd, 0, &quick, 0);
	crowd_end(world.crowd, 0, &slow, 0);
	read_tick(&world);
	assert_candidate_samples(&world, 1, 1, 1, 1);
	crowd_free(world.crowd);
}

static void
test_sample_in_flight_is_bad_as_its_line_passes(void **state)
{
	struct world world;
	struct crowd_ticket old, young;

	(void)state;
	open_world(&world, 1, 0);
	set_lines(&world);
	start(&world, 1, true, &old, 1000 * MS);
	start(&world, 2, true, &young, 1030 * MS);
	crowd_sweep(world.crowd, 0, &world.flights, 1019 * MS);
	read_tick(&world);
	assert_candidate_samples(&world, 0, 0, 0, 0);
	crowd_sweep(world.crowd, 0, &world.flights, 1045 * MS);
	read_tick(&world);
	assert_int_equal(world.tick.samples[0].candidate.n, 1);
	assert_int_equal(world.tick.samples[0].candidate.x, 1);
	assert_int_equal(world.tick.samples[1].candidate.x, 1);
	assert_int_equal(world.tick.samples[2].candidate.n, 0);
	/* Not once more when it comes; only by the line still open. */
	crowd_first_byte(world.crowd, 0, &old, 1060 * MS);
	crowd_sweep(world.crowd, 0, &world.flights, 2000 * MS);
	read_tick(&world);
	assert_int_equal(world.tick.samples[0].candidate.n, 1);
	assert_int_equal(world.tick.samples[1].candidate.n, 1);
	assert_int_equal(world.tick.samples[2].candidate.n, 2);
	assert_int_equal(world.tick.samples[2].candidate.x, 1);
	assert_true(list_is_empty(&world.flights.by_start));
	crowd_end(world.crowd, 0, &old, 0);
	crowd_drop(&young);
	crowd_free(world.crowd);
}

/* Though stable's is held to a shorter line. */
static void
test_who_waits_is_decided_with_the_other_side(void **state)
{
	const struct evidence_samples *at;
	struct crowd_ticket tickets[2];
	struct world world;

	(void)state;
	open_world(&world, 1, 0);
	set_lines(&world);
	at = &world.tick.samples[0];
	start(&world, 1, true, &tickets[0], 1000 * MS);
	start(&world, 2, false, &tickets[1], 1000 * MS);
	crowd_sweep(world.crowd, 0, &world.flights, 1015 * MS);
	read_tick(&world);
	assert_int_equal(at->stable[0].n + at->stable[1].n, 0);
	crowd_sweep(world.crowd, 0, &world.flights, 1025 * MS);
	read_tick(&world);
	assert_int_equal(at->candidate.x, 1);
	assert_int_equal(at->stable[0].x + at->stable[1].x, 1);
	crowd_drop(&tickets[0]);
	crowd_drop(&tickets[1]);
	crowd_free(world.crowd);
}

#define RUSH 20000u
#define RUSH_MS 2000u
#define LATER_MS 20 /* then one comes in so many */

/* One in ten is the candidate's, and one in fifteen of either side hangs. */
static uint32_t
send(struct world *world, struct crowd_ticket *tickets, uint32_t cell,
	uint64_t now_ms)
{
	struct crowd_ticket *ticket = &tickets[cell];

	start(world, cell, cell % 10 == 0, ticket, now_ms * MS);
	if (cell / 10 % 15 != 0) {
		crowd_first_byte(world->crowd, 0, ticket, (now_ms + 1) * MS);
		crowd_end(world->crowd, 0, ticket, 0);
	}
	return cell + 1;
}

/* All who ask again and again do so when a window begins; hardly anybody is new
 * when those who wait are decided. */
static void
test_rush_of_clients_shows_no_harm(void **state)
{
	static struct crowd_ticket tickets[2 * RUSH];
	struct evidence_lines lines = {.is_known = true};
	struct evidence_config config;
	struct evidence evidence;
	struct world world;
	uint32_t cell = 0;

	(void)state;
	open_world(&world, 1, 0);
	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		lines.stable[i] = (uint16_t)histogram_bucket(5000 * MS);
		lines.candidate[i] = (uint16_t)histogram_bucket(6005 * MS);
	}
	crowd_set_lines(world.crowd, &lines);
	evidence_config_init(&config);
	evidence_begin(&evidence, &config);
	evidence_begin_step(&evidence, 1000);
	for (uint64_t ms = 1; ms <= 12000; ms++) {
		for (unsigned i = 0; ms <= RUSH_MS && i < RUSH / RUSH_MS; i++)
			cell = send(&world, tickets, cell, ms);
		if (ms > RUSH_MS && ms % LATER_MS == 0)
			cell = send(&world, tickets, cell, ms);
		if (ms % 250 != 0)
			continue;
		crowd_sweep(world.crowd, 0, &world.flights, ms * MS);
		read_tick(&world);
		evidence_add(&evidence, &world.tick, ms * MS);
		for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++)
			assert_true(evidence_signal_e(&evidence,
					    EVIDENCE_LATENCY + i) < 1);
	}
	crowd_free(world.crowd);
}

static void
test_sample_without_first_byte_is_none(void **state)
{
	struct world world;
	struct crowd_ticket ticket;

	(void)state;
	open_world(&world, 1, 0);
	set_lines(&world);
	start(&world, 1, true, &ticket, 1000 * MS);
	crowd_end(world.crowd, 0, &ticket, ERRORS);
	assert_true(list_is_empty(&world.flights.by_start));
	start(&world, 2, true, &ticket, 1000 * MS);
	crowd_drop(&ticket);
	assert_true(list_is_empty(&world.flights.by_start));
	read_tick(&world);
	assert_candidate_samples(&world, 0, 0, 0, 0);
	assert_errors(&world, 1, 1, 0, 0);
	crowd_free(world.crowd);
}

static void
test_samples_of_another_window_are_let_go(void **state)
{
	struct world world;
	struct crowd_ticket swept, answered;

	(void)state;
	open_world(&world, 1, 0);
	set_lines(&world);
	start(&world, 1, true, &swept, 1000 * MS);
	start(&world, 2, true, &answered, 1000 * MS);
	crowd_begin_window(world.crowd);
	crowd_first_byte(world.crowd, 0, &answered, 1001 * MS);
	crowd_sweep(world.crowd, 0, &world.flights, 2000 * MS);
	assert_true(list_is_empty(&world.flights.by_start));
	read_tick(&world);
	assert_candidate_samples(&world, 0, 0, 0, 0);
	/* Their outcome counts. */
	crowd_end(world.crowd, 0, &swept, ERRORS);
	crowd_end(world.crowd, 0, &answered, 0);
	read_tick(&world);
	assert_errors(&world, 2, 1, 0, 0);
	crowd_free(world.crowd);
}

static void
test_flights_outlive_the_crowd(void **state)
{
	struct world world;
	struct crowd_ticket swept, ended;

	(void)state;
	open_world(&world, 1, 0);
	set_lines(&world);
	start(&world, 1, true, &swept, 1000 * MS);
	start(&world, 2, true, &ended, 1000 * MS);
	crowd_free(world.crowd);
	crowd_end(NULL, 0, &ended, ERRORS);
	crowd_sweep(NULL, 0, &world.flights, 1001 * MS);
	assert_true(list_is_empty(&world.flights.by_start));
	crowd_first_byte(NULL, 0, &swept, 1002 * MS);
	crowd_end(NULL, 0, &swept, 0);
}

static void
test_stable_samples_of_ten_seconds_draw_the_lines(void **state)
{
	struct world world;
	struct histogram_counts counts;

	(void)state;
	open_world(&world, 1, 0);
	/* Before there are lines: all of stable's help to draw them. */
	answer(&world, 1, false, 10 * MS);
	answer(&world, 1, false, 10 * MS);
	answer(&world, 2, true, 10 * MS);
	read_tick(&world);
	crowd_stable_samples(world.crowd, &counts);
	assert_int_equal(counts.n, 2);
	assert_int_equal(counts.counts[histogram_bucket(10 * MS)], 2);
	set_lines(&world);
	answer(&world, 1, false, 30 * MS);
	answer(&world, 1, false, 30 * MS);
	read_tick(&world);
	crowd_stable_samples(world.crowd, &counts);
	assert_int_equal(counts.n, 3);
	for (unsigned i = 0; i < 39; i++)
		read_tick(&world);
	crowd_stable_samples(world.crowd, &counts);
	assert_int_equal(counts.n, 1);
	read_tick(&world);
	crowd_stable_samples(world.crowd, &counts);
	assert_int_equal(counts.n, 0);
	crowd_free(world.crowd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample_is_held_to_its_sides_lines),
		cmocka_unit_test(test_client_gives_one_sample_a_window),
		cmocka_unit_test(
			test_client_whose_first_endpoint_warms_up_gives_no_sample),
		cmocka_unit_test(test_first_started_request_is_the_sample),
		cmocka_unit_test(
			test_sample_in_flight_is_bad_as_its_line_passes),
		cmocka_unit_test(test_who_waits_is_decided_with_the_other_side),
		cmocka_unit_test(test_rush_of_clients_shows_no_harm),
		cmocka_unit_test(test_sample_without_first_byte_is_none),
		cmocka_unit_test(test_samples_of_another_window_are_let_go),
		cmocka_unit_test(test_flights_outlive_the_crowd),
		cmocka_unit_test(
			test_stable_samples_of_ten_seconds_draw_the_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
