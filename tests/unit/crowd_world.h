/*
 * crowd_world: a crowd of one release, for the tests of release/crowd.
 */
#ifndef PERCH_TESTS_CROWD_WORLD_H
#define PERCH_TESTS_CROWD_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "release/crowd.h"

#define GENERATION 7
#define MS UINT64_C(1000000)
#define ERRORS (1u << EVIDENCE_ERRORS)
#define NOT_FOUND (1u << EVIDENCE_NOT_FOUND)

struct world {
	struct crowd *crowd;
	struct crowd_flights flights;
	uint16_t epoch;
	struct evidence_tick tick;
};

static inline void
open_world(struct world *world, unsigned n_workers, unsigned n_watches)
{
	memset(world, 0, sizeof(*world));
	world->crowd = crowd_new(GENERATION, n_workers, n_watches);
	assert_non_null(world->crowd);
	crowd_flights_init(&world->flights);
	world->epoch = 100;
	crowd_begin_step(world->crowd, world->epoch);
}

static inline void
begin_step(struct world *world)
{
	crowd_begin_step(world->crowd, ++world->epoch);
}

static inline void
read_tick(struct world *world)
{
	crowd_read(world->crowd, &world->tick);
}

/* A request of a client with identity, that the bucket decided. */
static inline struct crowd_facts
facts_of(const struct world *world, uint32_t cell, bool is_candidate)
{
	return (struct crowd_facts){
		.generation = GENERATION,
		.epoch = world->epoch,
		.cell = cell,
		.has_identity = true,
		.is_candidate = is_candidate,
		.is_by_bucket = true,
	};
}

/* What it has newly hurt. */
static inline unsigned
run(struct world *world, const struct crowd_facts *facts, unsigned bad)
{
	struct crowd_ticket ticket;

	crowd_begin(world->crowd, 0, facts, &ticket);
	return crowd_end(world->crowd, 0, &ticket, bad);
}

static inline void
visit(struct world *world, uint32_t cell, bool is_candidate, unsigned bad)
{
	struct crowd_facts facts = facts_of(world, cell, is_candidate);

	run(world, &facts, bad);
}

static inline struct evidence_part
stable_of(const struct evidence_count *count)
{
	return (struct evidence_part){
		.n = count->stable[0].n + count->stable[1].n,
		.x = count->stable[0].x + count->stable[1].x,
	};
}

/* What the last tick says of a signal in a stratum. */
static inline void
assert_count(const struct world *world, unsigned signal, unsigned stratum,
	unsigned n_c, unsigned x_c, unsigned n_s, unsigned x_s)
{
	const struct evidence_count *count =
		&world->tick.counts[signal][stratum];

	assert_int_equal(count->candidate.n, n_c);
	assert_int_equal(count->candidate.x, x_c);
	assert_int_equal(stable_of(count).n, n_s);
	assert_int_equal(stable_of(count).x, x_s);
}

static inline void
assert_errors(const struct world *world, unsigned n_c, unsigned x_c,
	unsigned n_s, unsigned x_s)
{
	assert_count(
		world, EVIDENCE_ERRORS, EVIDENCE_OTHER, n_c, x_c, n_s, x_s);
}

/* q is 10, 20, 40 ms, m(q) 20, 40, 80 ms, all at the upper edges of buckets. */
static inline void
set_lines(struct world *world)
{
	struct evidence_lines lines = {.is_known = true};

	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		lines.stable[i] = (uint16_t)histogram_bucket((10u << i) * MS);
		lines.candidate[i] =
			(uint16_t)histogram_bucket((20u << i) * MS);
	}
	crowd_set_lines(world->crowd, &lines);
}

#endif
