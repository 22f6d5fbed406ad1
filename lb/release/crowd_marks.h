/*
 * crowd_marks: what release/crowd is made of, for its two files: crowd.c, the
 * workers' part, and crowd_control.c.
 *
 * Time is counted, not measured: "now" is one word, tick:32 step:16 window:16,
 * that control moves on. A mark in a cell says in which step the client was
 * enrolled, in which window it gave its sample, in which tick it was last seen;
 * so nothing has to be wiped when one of them ends. All begin at 1, and a fresh
 * page of zeroes is a client of whom nothing is known.
 *
 * The step of a ticket settles its side: within one the share, and with it each
 * client's side, doesn't change.
 */
#ifndef PERCH_RELEASE_CROWD_MARKS_H
#define PERCH_RELEASE_CROWD_MARKS_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#include "release/crowd.h"

#define CROWD_BEFORE_TICKS 40 /* that stable's samples are kept for */
#define CROWD_LINE_BITS 9 /* a bucket of a histogram */
#define CROWD_LINES_KNOWN (UINT64_C(1) << 63)

static_assert(HISTOGRAM_BUCKETS <= 1 << CROWD_LINE_BITS, "a line's bits");
static_assert(EVIDENCE_COUNTS <= 32, "a bit of hurt for each");

/* Per cell, 16 bytes: one cache line's worth of misses for a request. */
struct crowd_mark {
	_Atomic uint32_t hurt; /* bit i: by signal i */
	_Atomic uint16_t enrolled;
	_Atomic uint16_t sampled;
	_Atomic uint32_t seen[EVIDENCE_ANONYMOUS]; /* strata that have cells */
};

struct crowd_watch_mark {
	_Atomic uint32_t seen[EVIDENCE_ANONYMOUS];
};

/* Who was held to which line: the candidate to m(q); stable's halves to q, and
 * beyond it to m(q). */
enum {
	CROWD_OVER_CANDIDATE,
	CROWD_OVER_STABLE,
	CROWD_OVER_BEYOND = CROWD_OVER_STABLE + 2,
	CROWD_N_OVER = 5
};

/* Written by one worker. counts and samples are n:32 x:32, so that one store
 * updates both. */
struct crowd_tally {
	_Alignas(64) _Atomic uint64_t
		counts[EVIDENCE_COUNTS][EVIDENCE_STRATA][CROWD_SIDES];
	_Atomic uint64_t samples[EVIDENCE_QUANTILES][CROWD_N_OVER];
	_Atomic uint32_t clients[2]; /* enrolled: candidate, stable */
	_Atomic uint32_t cells; /* enrolled for the first time */
	struct histogram stable;
};

struct crowd_sums {
	struct evidence_part counts[EVIDENCE_COUNTS][EVIDENCE_STRATA]
				   [CROWD_SIDES];
	struct evidence_part samples[EVIDENCE_QUANTILES][CROWD_N_OVER];
};

struct crowd {
	uint32_t generation;
	unsigned n_workers;
	unsigned n_watches;
	_Atomic uint64_t now;
	_Atomic uint16_t epoch; /* stored before the step that it belongs to */
	_Atomic uint64_t lines;
	_Atomic uint16_t shortest; /* of all m(q) so far */
	struct crowd_mark *marks;
	struct crowd_watch_mark *watches; /* n_watches times all cells */
	struct crowd_tally *tallies;

	/* Control only. */
	struct crowd_sums sums; /* at the last crowd_read() */
	uint32_t clients_before[2]; /* this step */
	struct histogram_counts
		stable[CROWD_BEFORE_TICKS + 1]; /* ring of sums */
	unsigned newest;
	uint64_t stamp;
	struct crowd *next; /* retired before it */
};

/* --- now ------------------------------------------------------------------ */

struct crowd_now {
	uint32_t tick;
	uint16_t step;
	uint16_t window;
};

static inline struct crowd_now
crowd_now_of(const struct crowd *crowd)
{
	uint64_t packed =
		atomic_load_explicit(&crowd->now, memory_order_acquire);

	return (struct crowd_now){
		.tick = (uint32_t)(packed >> 32),
		.step = (uint16_t)(packed >> 16),
		.window = (uint16_t)packed,
	};
}

static inline void
crowd_set_now(struct crowd *crowd, struct crowd_now now)
{
	uint64_t packed = now.tick;

	packed = packed << 16 | now.step;
	packed = packed << 16 | now.window;
	atomic_store_explicit(&crowd->now, packed, memory_order_release);
}

#endif
