#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crowd_world.h"

/* --- exposure and outcome -------------------------------------------------------- */

static void
test_client_is_exposed_once_a_tick(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, 1, 0);
	for (unsigned i = 0; i < 5; i++) {
		visit(&world, 1, true, 0);
		visit(&world, 2, false, 0);
		visit(&world, 3, false, 0);
	}
	read_tick(&world);
	assert_errors(&world, 1, 0, 2, 0);
	visit(&world, 1, true, 0);
	read_tick(&world);
	assert_errors(&world, 1, 0, 0, 0);
	read_tick(&world);
	assert_errors(&world, 0, 0, 0, 0);
	crowd_free(world.crowd);
}

static void
test_only_the_first_bad_outcome_counts_and_ends_the_risk(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, 1, 0);
	visit(&world, 1, true, 0);
	visit(&world, 1, true, ERRORS);
	visit(&world, 1, true, ERRORS);
	read_tick(&world);
	assert_errors(&world, 1, 1, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		visit(&world, 1, true, ERRORS);
		visit(&world, 1, true, 0);
		read_tick(&world);
		assert_errors(&world, 0, 0, 0, 0);
		/* Of the other signal it is still at risk. */
		assert_count(
			&world, EVIDENCE_NOT_FOUND, EVIDENCE_OTHER, 1, 0, 0, 0);
	}
	/* Nor on the other side, nor in another step or stratum. */
	begin_step(&world);
	visit(&world, 1, false, ERRORS);
	read_tick(&world);
	assert_errors(&world, 0, 0, 0, 0);
	visit(&world, 1, false, NOT_FOUND);
	read_tick(&world);
	assert_count(&world, EVIDENCE_NOT_FOUND, EVIDENCE_OTHER, 0, 0, 1, 1);
	crowd_free(world.crowd);
}

/* By which a group's judge knows which service it was. */
static void
test_an_end_tells_whom_it_has_newly_hurt(void **state)
{
	const unsigned both = ERRORS | NOT_FOUND;
	struct world world;
	struct crowd_facts candidate, stable, anonymous;

	(void)state;
	open_world(&world, 1, 0);
	candidate = facts_of(&world, 1, true);
	stable = facts_of(&world, 2, false);
	anonymous = facts_of(&world, 3, true);
	anonymous.has_identity = false;
	assert_int_equal(run(&world, &candidate, 0), 0);
	assert_int_equal(run(&world, &candidate, NOT_FOUND), NOT_FOUND);
	assert_int_equal(run(&world, &candidate, both), ERRORS);
	assert_int_equal(run(&world, &candidate, both), 0);
	assert_int_equal(run(&world, &stable, ERRORS), 0);
	assert_int_equal(run(&world, &anonymous, ERRORS), ERRORS);
	assert_int_equal(run(&world, &anonymous, ERRORS), ERRORS);
	crowd_free(world.crowd);
}

static void
test_strata_are_counted_apart(void **state)
{
	struct world world;
	struct crowd_facts page, other;

	(void)state;
	open_world(&world, 1, 0);
	page = facts_of(&world, 1, true);
	page.is_navigation = true;
	other = facts_of(&world, 1, true);
	run(&world, &page, 0);
	run(&world, &other, ERRORS);
	read_tick(&world);
	assert_count(&world, EVIDENCE_ERRORS, EVIDENCE_NAVIGATION, 1, 0, 0, 0);
	assert_errors(&world, 1, 1, 0, 0);
	run(&world, &page, ERRORS); /* hurt already */
	read_tick(&world);
	assert_count(&world, EVIDENCE_ERRORS, EVIDENCE_NAVIGATION, 0, 0, 0, 0);
	crowd_free(world.crowd);
}

static void
test_requests_without_identity_count_one_by_one(void **state)
{
	struct world world;
	struct crowd_facts facts;

	(void)state;
	open_world(&world, 1, 0);
	facts = facts_of(&world, 1, false);
	facts.has_identity = false;
	for (unsigned i = 0; i < 4; i++)
		run(&world, &facts, i < 3 ? ERRORS : 0);
	read_tick(&world);
	assert_count(&world, EVIDENCE_ERRORS, EVIDENCE_ANONYMOUS, 0, 0, 4, 3);
	assert_int_equal(world.tick.stable_clients, 4);
	/* The cell they happened to have stays unharmed. */
	visit(&world, 1, false, ERRORS);
	read_tick(&world);
	assert_errors(&world, 0, 0, 1, 1);
	crowd_free(world.crowd);
}

static void
test_stable_is_halved_by_cell(void **state)
{
	struct world world;
	const struct evidence_part *halves;

	(void)state;
	open_world(&world, 1, 0);
	for (uint32_t cell = 0; cell < 10000; cell++)
		visit(&world, cell * 97 % CROWD_CELLS, false, ERRORS);
	read_tick(&world);
	halves = world.tick.counts[EVIDENCE_ERRORS][EVIDENCE_OTHER].stable;
	assert_int_equal(halves[0].n + halves[1].n, 10000);
	/* Five standard deviations. */
	assert_in_range(halves[0].n, 4750, 5250);
	assert_int_equal(halves[0].x, halves[0].n);
	crowd_free(world.crowd);
}

/* --- who is counted ---------------------------------------------------------------- */

/* A browser's first page: its cookie comes back with this cell. */
static void
test_visitor_whose_first_page_was_bad_is_hurt_already(void **state)
{
	struct world world;
	struct crowd_facts page;

	(void)state;
	open_world(&world, 1, 0);
	page = facts_of(&world, 5, true);
	page.is_navigation = true;
	page.has_identity = false;
	run(&world, &page, ERRORS);
	read_tick(&world);
	assert_count(&world, EVIDENCE_ERRORS, EVIDENCE_ANONYMOUS, 1, 1, 0, 0);
	page.has_identity = true;
	run(&world, &page, ERRORS);
	visit(&world, 5, true, ERRORS);
	read_tick(&world);
	assert_count(&world, EVIDENCE_ERRORS, EVIDENCE_NAVIGATION, 0, 0, 0, 0);
	assert_errors(&world, 0, 0, 0, 0);
	/* Of the other signal it is at risk. */
	visit(&world, 5, true, NOT_FOUND);
	read_tick(&world);
	assert_count(&world, EVIDENCE_NOT_FOUND, EVIDENCE_OTHER, 1, 1, 0, 0);
	crowd_free(world.crowd);
}

static void
test_pinned_requests_count_once_the_client_is_enrolled(void **state)
{
	struct world world;
	struct crowd_facts pinned, page;

	(void)state;
	open_world(&world, 1, 0);
	pinned = facts_of(&world, 1, false);
	pinned.is_by_bucket = false;
	page = facts_of(&world, 1, false);
	page.is_navigation = true;
	run(&world, &pinned, ERRORS);
	read_tick(&world);
	assert_errors(&world, 0, 0, 0, 0);
	assert_int_equal(world.tick.stable_clients, 0);
	run(&world, &page, 0);
	run(&world, &pinned, ERRORS);
	read_tick(&world);
	assert_errors(&world, 0, 0, 1, 1);
	assert_int_equal(world.tick.stable_clients, 1);
	crowd_free(world.crowd);
}

static void
test_each_step_enrols_anew(void **state)
{
	struct world world;
	struct crowd_facts pinned;

	(void)state;
	open_world(&world, 1, 0);
	visit(&world, 1, false, 0);
	begin_step(&world);
	pinned = facts_of(&world, 1, false);
	pinned.is_by_bucket = false;
	run(&world, &pinned, 0);
	read_tick(&world);
	/* The one before the step was counted in it; nothing since. */
	assert_errors(&world, 0, 0, 1, 0);
	run(&world, &pinned, 0);
	read_tick(&world);
	assert_errors(&world, 0, 0, 0, 0);
	visit(&world, 1, false, 0);
	run(&world, &pinned, 0);
	read_tick(&world);
	assert_errors(&world, 0, 0, 1, 0);
	crowd_free(world.crowd);
}

static void
test_first_page_of_a_new_visitor_enrols_its_cookie(void **state)
{
	struct world world;
	struct crowd_facts page, asset;

	(void)state;
	open_world(&world, 1, 0);
	page = facts_of(&world, 5, true);
	page.is_navigation = true;
	page.has_identity = false;
	run(&world, &page, 0);
	asset = facts_of(&world, 5, true);
	asset.is_by_bucket = false;
	run(&world, &asset, NOT_FOUND);
	read_tick(&world);
	assert_count(&world, EVIDENCE_ERRORS, EVIDENCE_ANONYMOUS, 1, 0, 0, 0);
	assert_count(&world, EVIDENCE_NOT_FOUND, EVIDENCE_OTHER, 1, 1, 0, 0);
	assert_int_equal(world.tick.candidate_clients, 1);
	crowd_free(world.crowd);
}

static void
test_another_epoch_or_release_is_not_counted(void **state)
{
	struct world world;
	struct crowd_facts facts;
	struct crowd_ticket ticket;

	(void)state;
	open_world(&world, 1, 0);
	facts = facts_of(&world, 1, true);
	facts.epoch--;
	run(&world, &facts, ERRORS);
	facts = facts_of(&world, 1, true);
	facts.generation++;
	run(&world, &facts, ERRORS);
	/* One that began under the epoch before. */
	facts = facts_of(&world, 1, true);
	crowd_begin(world.crowd, 0, &facts, &ticket);
	begin_step(&world);
	crowd_end(world.crowd, 0, &ticket, ERRORS);
	read_tick(&world);
	assert_errors(&world, 0, 0, 0, 0);
	assert_int_equal(world.tick.candidate_clients, 0);
	/* None of it has marked the client. */
	visit(&world, 1, false, ERRORS);
	read_tick(&world);
	assert_errors(&world, 0, 0, 1, 1);
	crowd_free(world.crowd);
}

static void
test_ticket_ends_once(void **state)
{
	struct world world;
	struct crowd_facts facts;
	struct crowd_ticket ticket;

	(void)state;
	open_world(&world, 1, 0);
	facts = facts_of(&world, 1, true);
	facts.has_identity = false;
	crowd_begin(world.crowd, 0, &facts, &ticket);
	crowd_end(world.crowd, 0, &ticket, ERRORS);
	crowd_end(world.crowd, 0, &ticket, ERRORS);
	crowd_begin(world.crowd, 0, &facts, &ticket);
	crowd_drop(&ticket);
	crowd_drop(&ticket);
	crowd_end(world.crowd, 0, &ticket, ERRORS);
	read_tick(&world);
	assert_count(&world, EVIDENCE_ERRORS, EVIDENCE_ANONYMOUS, 1, 1, 0, 0);
	crowd_free(world.crowd);
}

static void
test_no_crowd_is_no_work(void **state)
{
	struct crowd_facts facts = {.generation = GENERATION};
	struct crowd_flights flights;
	struct crowd_ticket ticket;

	(void)state;
	crowd_flights_init(&flights);
	crowd_begin(NULL, 0, &facts, &ticket);
	crowd_start_sample(NULL, 0, &flights, &ticket, 1);
	crowd_skip_sample(NULL, &ticket);
	crowd_first_byte(NULL, 0, &ticket, 2);
	crowd_sweep(NULL, 0, &flights, 3);
	crowd_end(NULL, 0, &ticket, ERRORS);
	crowd_drop(&ticket);
	memset(&ticket, 0, sizeof(ticket));
	crowd_end(NULL, 0, &ticket, ERRORS);
	crowd_drop(&ticket);
}

static void
test_clients_are_counted_by_step_and_release(void **state)
{
	struct world world;
	struct crowd_totals totals;

	(void)state;
	open_world(&world, 1, 0);
	for (uint32_t cell = 0; cell < 10; cell++)
		visit(&world, cell, cell < 3, 0);
	crowd_totals(world.crowd, &totals);
	assert_int_equal(totals.candidate_clients, 3);
	assert_int_equal(totals.stable_clients, 7);
	assert_int_equal(totals.cells, 10);
	begin_step(&world);
	for (uint32_t cell = 5; cell < 15; cell++)
		visit(&world, cell, true, 0);
	crowd_totals(world.crowd, &totals);
	assert_int_equal(totals.candidate_clients, 10);
	assert_int_equal(totals.stable_clients, 0);
	assert_int_equal(totals.cells, 15);
	crowd_free(world.crowd);
}

static void
test_crowd_is_exhausted_when_most_are_hurt(void **state)
{
	struct world world;
	struct crowd_totals totals;

	(void)state;
	open_world(&world, 1, 0);
	for (uint32_t cell = 0; cell < 10; cell++)
		visit(&world, cell, cell % 2, cell < 5 ? ERRORS : NOT_FOUND);
	read_tick(&world);
	crowd_totals(world.crowd, &totals);
	assert_false(totals.is_exhausted);
	visit(&world, 7, true, ERRORS);
	read_tick(&world);
	crowd_totals(world.crowd, &totals);
	assert_true(totals.is_exhausted);
	crowd_free(world.crowd);
}

/* --- watch -------------------------------------------------------------------------- */

static void
test_neighbour_counts_enrolled_clients_only(void **state)
{
	struct world world;
	struct crowd_facts facts;
	struct crowd_ticket ticket;

	(void)state;
	open_world(&world, 1, 2);
	facts = facts_of(&world, 1, true);
	crowd_begin_watch(world.crowd, 0, 1, &facts, &ticket);
	crowd_end(world.crowd, 0, &ticket, ERRORS);
	read_tick(&world);
	assert_count(&world, EVIDENCE_WATCH + 1, EVIDENCE_OTHER, 0, 0, 0, 0);
	visit(&world, 1, true, 0);
	for (unsigned i = 0; i < 3; i++) {
		crowd_begin_watch(world.crowd, 0, 1, &facts, &ticket);
		crowd_end(world.crowd, 0, &ticket, i > 0);
	}
	read_tick(&world);
	assert_count(&world, EVIDENCE_WATCH + 1, EVIDENCE_OTHER, 1, 1, 0, 0);
	assert_count(&world, EVIDENCE_WATCH, EVIDENCE_OTHER, 0, 0, 0, 0);
	/* At home it is unharmed. */
	visit(&world, 1, true, 0);
	read_tick(&world);
	assert_errors(&world, 1, 0, 0, 0);
	crowd_free(world.crowd);
}

static void
test_neighbour_counts_nobody_without_identity(void **state)
{
	struct world world;
	struct crowd_facts facts;
	struct crowd_ticket ticket;

	(void)state;
	open_world(&world, 1, 1);
	visit(&world, 1, true, 0);
	facts = facts_of(&world, 1, true);
	facts.has_identity = false;
	crowd_begin_watch(world.crowd, 0, 0, &facts, &ticket);
	crowd_end(world.crowd, 0, &ticket, ERRORS);
	read_tick(&world);
	for (unsigned i = 0; i < EVIDENCE_STRATA; i++)
		assert_count(&world, EVIDENCE_WATCH, i, 0, 0, 0, 0);
	crowd_free(world.crowd);
}

/* By a worker that read the watches of the release before. */
static void
test_neighbour_that_is_not_watched_any_more_counts_nobody(void **state)
{
	struct world world;
	struct crowd_facts facts;
	struct crowd_ticket ticket;

	(void)state;
	open_world(&world, 1, 1);
	visit(&world, 1, true, 0);
	facts = facts_of(&world, 1, true);
	crowd_begin_watch(world.crowd, 0, 1, &facts, &ticket);
	assert_int_equal(ticket.crowd, 0);
	crowd_free(world.crowd);
}

/* --- its life --------------------------------------------------------------------------- */

static void
test_crowd_is_kept_until_all_have_let_go(void **state)
{
	struct crowd_handle handle = {.retired = NULL};
	struct crowd *first = crowd_new(1, 1, 0);
	struct crowd *second = crowd_new(2, 1, 0);

	(void)state;
	assert_null(crowd_of(&handle));
	crowd_publish(&handle, first, 1);
	assert_ptr_equal(crowd_of(&handle), first);
	crowd_publish(&handle, second, 5);
	assert_ptr_equal(crowd_of(&handle), second);
	crowd_publish(&handle, NULL, 6);
	assert_null(crowd_of(&handle));
	crowd_reclaim(&handle, 5);
	assert_ptr_equal(handle.retired, second);
	crowd_reclaim(&handle, 6);
	assert_ptr_equal(handle.retired, second);
	crowd_reclaim(&handle, 7);
	assert_null(handle.retired);
}

/* --- threads ------------------------------------------------------------------------------ */

#define N_THREADS 4
#define N_CLIENTS 512
#define N_ROUNDS 40000

struct thread {
	pthread_t id;
	unsigned worker;
	struct world *world;
	_Atomic unsigned *n_ended;
	uint32_t random;
};

static uint32_t
draw(struct thread *thread)
{
	thread->random = thread->random * 1664525u + 1013904223u;
	return thread->random >> 8;
}

/* All workers meet the same few clients, and hurt each of them at last. */
static void *
work(void *arg)
{
	struct thread *thread = arg;
	struct world *world = thread->world;
	struct crowd_flights flights;

	crowd_flights_init(&flights);
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		uint32_t cell = draw(thread) % N_CLIENTS;
		struct crowd_facts facts = facts_of(world, cell, cell % 4 == 0);
		struct crowd_ticket ticket;

		facts.has_identity = draw(thread) % 8 != 0;
		crowd_begin(world->crowd, thread->worker, &facts, &ticket);
		crowd_start_sample(world->crowd, thread->worker, &flights,
			&ticket, i * MS);
		if (i % 3 == 0)
			crowd_sweep(world->crowd, thread->worker, &flights,
				i * MS + 30 * MS);
		crowd_first_byte(
			world->crowd, thread->worker, &ticket, i * MS + MS);
		crowd_end(world->crowd, thread->worker, &ticket,
			draw(thread) % 50 == 0 ? ERRORS : 0);
	}
	for (uint32_t cell = 0; cell < N_CLIENTS; cell++) {
		struct crowd_facts facts = facts_of(world, cell, cell % 4 == 0);
		struct crowd_ticket ticket;

		crowd_begin(world->crowd, thread->worker, &facts, &ticket);
		crowd_end(world->crowd, thread->worker, &ticket, ERRORS);
	}
	atomic_fetch_add(thread->n_ended, 1);
	return NULL;
}

static void
assert_never_more_hurt_than_seen(const struct evidence_tick *tick)
{
	for (unsigned k = 0; k < EVIDENCE_STRATA; k++) {
		const struct evidence_count *count =
			&tick->counts[EVIDENCE_ERRORS][k];

		assert_true(count->candidate.x <= count->candidate.n);
		assert_true(count->stable[0].x <= count->stable[0].n);
		assert_true(count->stable[1].x <= count->stable[1].n);
	}
}

static void
test_workers_count_each_client_once(void **state)
{
	struct world world;
	struct thread threads[N_THREADS];
	_Atomic unsigned n_ended = 0;
	unsigned hurt_c = 0, hurt_s = 0, anonymous = 0, samples = 0;
	struct crowd_totals totals;
	bool is_last = false;

	(void)state;
	open_world(&world, N_THREADS, 0);
	set_lines(&world);
	for (unsigned i = 0; i < N_THREADS; i++) {
		threads[i] = (struct thread){.worker = i,
			.world = &world,
			.n_ended = &n_ended,
			.random = i + 1};
		assert_int_equal(
			pthread_create(&threads[i].id, NULL, work, &threads[i]),
			0);
	}
	while (!is_last) {
		const struct evidence_count *counts =
			world.tick.counts[EVIDENCE_ERRORS];

		is_last = atomic_load(&n_ended) == N_THREADS;
		read_tick(&world);
		assert_never_more_hurt_than_seen(&world.tick);
		hurt_c += counts[EVIDENCE_OTHER].candidate.x;
		hurt_s += stable_of(&counts[EVIDENCE_OTHER]).x;
		anonymous += counts[EVIDENCE_ANONYMOUS].candidate.n +
			     stable_of(&counts[EVIDENCE_ANONYMOUS]).n;
		samples += world.tick.samples[0].candidate.n;
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i].id, NULL);
	assert_int_equal(hurt_c, N_CLIENTS / 4);
	assert_int_equal(hurt_s, N_CLIENTS * 3 / 4);
	crowd_totals(world.crowd, &totals);
	assert_int_equal(totals.cells, N_CLIENTS);
	assert_int_equal(totals.candidate_clients + totals.stable_clients,
		N_CLIENTS + anonymous);
	/* One of each client, and all without identity. */
	assert_in_range(samples, N_CLIENTS / 4 + anonymous / 5,
		N_CLIENTS / 4 + anonymous / 3);
	crowd_free(world.crowd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_is_exposed_once_a_tick),
		cmocka_unit_test(
			test_only_the_first_bad_outcome_counts_and_ends_the_risk),
		cmocka_unit_test(test_an_end_tells_whom_it_has_newly_hurt),
		cmocka_unit_test(test_strata_are_counted_apart),
		cmocka_unit_test(
			test_requests_without_identity_count_one_by_one),
		cmocka_unit_test(test_stable_is_halved_by_cell),
		cmocka_unit_test(
			test_visitor_whose_first_page_was_bad_is_hurt_already),
		cmocka_unit_test(
			test_pinned_requests_count_once_the_client_is_enrolled),
		cmocka_unit_test(test_each_step_enrols_anew),
		cmocka_unit_test(
			test_first_page_of_a_new_visitor_enrols_its_cookie),
		cmocka_unit_test(test_another_epoch_or_release_is_not_counted),
		cmocka_unit_test(test_ticket_ends_once),
		cmocka_unit_test(test_no_crowd_is_no_work),
		cmocka_unit_test(test_clients_are_counted_by_step_and_release),
		cmocka_unit_test(test_crowd_is_exhausted_when_most_are_hurt),
		cmocka_unit_test(test_neighbour_counts_enrolled_clients_only),
		cmocka_unit_test(test_neighbour_counts_nobody_without_identity),
		cmocka_unit_test(
			test_neighbour_that_is_not_watched_any_more_counts_nobody),
		cmocka_unit_test(test_crowd_is_kept_until_all_have_let_go),
		cmocka_unit_test(test_workers_count_each_client_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
