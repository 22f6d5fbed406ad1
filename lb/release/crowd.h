/*
 * crowd: which clients a release has seen and hurt, marked and counted by
 * workers as exchanges end, read by control's tick as input for
 * release/evidence.
 *
 * The unit is a client, by its cell (20 bits), so that one broken bot counts
 * once. One crowd for each release of a service; memory is there only while it
 * runs: 16 MB of address space, and 8 MB for each watched service, of which only
 * touched pages count. A request without release costs one load.
 *
 * A worker keeps a ticket in its exchange:
 *
 *     crowd_begin()        the version is chosen: is this counted, on which side
 *     crowd_start_sample() the first try goes out; crowd_skip_sample() to an
 *                          endpoint that warms up
 *     crowd_first_byte()   its response head is here
 *     crowd_end()          the first try's outcome is known; once
 *     crowd_drop()         in place of crowd_end(): it isn't to be counted
 *
 * Never begun: override header, health checks, what was refused before a version
 * was chosen. Second tries of shield, retry or rescue: the ticket is ended at
 * the first try's outcome.
 *
 * Threads. Marks are atomics shared by all workers: hurt, enrolled and sampled
 * are set so that only one winner counts; seen-marks are relaxed. Counters are
 * each worker's own, n and x in one 64-bit word that one store updates, so that
 * a reader never sees one without the other. crowd_read() and the other
 * functions of the second part are control's.
 *
 * Lifetime. Control publishes a crowd in a handle before the release's cell, and
 * a worker takes it from there anew in each callback, never keeping the pointer:
 * tickets name a crowd by its release. So a crowd that was taken out can be freed
 * once each worker has run a message posted later.
 */
#ifndef PERCH_RELEASE_CROWD_H
#define PERCH_RELEASE_CROWD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "release/evidence.h"
#include "release/histogram.h"

#define CROWD_CELLS (1u << 20)

struct crowd; /* opaque */

/* Where workers find the crowd of a service's release. All zeroes: none. */
struct crowd_handle {
	_Atomic(struct crowd *) current;
	struct crowd *retired; /* control only */
};

/* Samples in flight of one worker and service, by their start. The worker owns
 * it; it outlives crowds. */
struct crowd_flights {
	struct list by_start;
};

/* What an exchange keeps. All zeroes: not counted. */
struct crowd_ticket {
	struct list in_flight; /* in crowd_flights, while its sample is open */
	uint64_t start_ns; /* of the sample */
	uint32_t crowd; /* its release's generation; 0: not counted */
	uint32_t cell;
	uint16_t step; /* the crowd's count of them */
	uint16_t window; /* of the sample, likewise */
	uint8_t side; /* enum crowd_side */
	uint8_t stratum; /* enum evidence_stratum */
	uint8_t place; /* 0: the service itself; i + 1: watch i */
	uint8_t open_lines; /* bits: lines its sample hasn't been held to */
	bool has_cell; /* the cell is, or will be, a client's */
	uint16_t lines[2 * EVIDENCE_QUANTILES]; /* q and m(q) at its start */
};

enum crowd_side {
	CROWD_CANDIDATE,
	CROWD_STABLE_0, /* stable's halves, by another hash of the cell */
	CROWD_STABLE_1,
	CROWD_SIDES,
};

/* A request for which release_read() and sticky have spoken. */
struct crowd_facts {
	uint32_t generation; /* of the release cell that was read */
	uint16_t epoch; /* of the same */
	uint32_t cell;
	bool has_identity; /* cookie or key: the cell will be the same again */
	bool is_navigation;
	bool is_candidate; /* the side: where pin and bucket agree */
	bool is_by_bucket; /* the bucket decided, not the pin */
};

/* --- a worker's thread ------------------------------------------------------
 * worker: its index, below n_workers of crowd_new(). */

/* The crowd in force, or NULL. Good until the callback returns. */
static inline struct crowd *
crowd_of(const struct crowd_handle *handle)
{
	return atomic_load_explicit(&handle->current, memory_order_acquire);
}

void crowd_flights_init(struct crowd_flights *flights);

/* Fills ticket, whatever was in it; it mustn't move until it is ended or dropped.
 * One that isn't counted (another release or epoch, a pinned request of a client
 * not enrolled in this step) makes all later calls no-ops. Enrols the client
 * where the bucket decided. crowd may be NULL. */
void crowd_begin(struct crowd *crowd, unsigned worker,
	const struct crowd_facts *facts, struct crowd_ticket *ticket);

/* The same for a request to watched service i, of a client whose side in this
 * release is known; enrols nobody, and counts nobody without identity. */
void crowd_begin_watch(struct crowd *crowd, unsigned worker, unsigned watch,
	const struct crowd_facts *facts, struct crowd_ticket *ticket);

/* The request goes out: if it is its client's first of the window, it is the
 * sample, and stands in flights until decided. Not for a watch's ticket. */
void crowd_start_sample(struct crowd *crowd, unsigned worker,
	struct crowd_flights *flights, struct crowd_ticket *ticket,
	uint64_t now_ns);

/* In its place where the endpoint is warming up: the client gives no sample in
 * this window. Would a later request be its sample, the version that warms up
 * would be compared by other requests than the other one. */
void crowd_skip_sample(struct crowd *crowd, const struct crowd_ticket *ticket);

/* The response head is here: decides the sample. */
void crowd_first_byte(struct crowd *crowd, unsigned worker,
	struct crowd_ticket *ticket, uint64_t now_ns);

/* Books exposure and outcome. bad: bits 1 << EVIDENCE_ERRORS and 1 <<
 * EVIDENCE_NOT_FOUND; for a watch's ticket any bit is bad. A sample without a
 * first byte is dropped. The ticket isn't counted any more. Those bits by which
 * it has newly hurt a client of the candidate. */
unsigned crowd_end(struct crowd *crowd, unsigned worker,
	struct crowd_ticket *ticket, unsigned bad);

/* The client went away, or the exchange is freed. */
void crowd_drop(struct crowd_ticket *ticket);

/* Each tick: samples that have waited past m(q) are bad, on either side. Those of
 * another crowd or window are let go. crowd may be NULL. */
void crowd_sweep(struct crowd *crowd, unsigned worker,
	struct crowd_flights *flights, uint64_t now_ns);

/* --- the control thread --------------------------------------------------- */

/* Clients seen, each once. */
struct crowd_totals {
	uint32_t candidate_clients; /* in this step */
	uint32_t stable_clients;
	uint32_t cells; /* of both sides, since the release began */
	/* Fewer than half of the cells seen are still at risk for errors. */
	bool is_exhausted;
};

/* NULL if there is no memory for it. generation: of the release. Not published
 * yet; crowd_begin_step() before that. */
struct crowd *
crowd_new(uint32_t generation, unsigned n_workers, unsigned n_watches);
/* Of one that no worker can have. */
void crowd_free(struct crowd *crowd);

/* A share is in force under this epoch of the release cell: who is enrolled, and
 * samples, start anew. What ended under another epoch isn't counted. Read the
 * counts first, so that no tick has two shares. */
void crowd_begin_step(struct crowd *crowd, uint16_t epoch);
/* A new window for latency within a step; its samples start anew. */
void crowd_begin_window(struct crowd *crowd);
/* For samples that start from now on. */
void crowd_set_lines(struct crowd *crowd, const struct evidence_lines *lines);

/*
 * Ends a tick: what was counted since the last call, into out (all of it
 * overwritten). x is never above n. A client that ended an exchange in the very
 * moment of the call may count for the next tick, or (seen by two workers at
 * once) twice in this one; neither depends on the side.
 */
void crowd_read(struct crowd *crowd, struct evidence_tick *out);
void crowd_totals(const struct crowd *crowd, struct crowd_totals *out);
/* Stable's samples of the forty ticks (ten seconds) before, for
 * evidence_draw_lines(). */
void
crowd_stable_samples(const struct crowd *crowd, struct histogram_counts *out);

/* Workers see it with their next request. crowd may be NULL. The one before is
 * kept as retired; stamp: a number that rises with each message to workers. */
void
crowd_publish(struct crowd_handle *handle, struct crowd *crowd, uint64_t stamp);
/* Frees the retired ones whose stamp is below passed: that of the latest message
 * that each worker has run. */
void crowd_reclaim(struct crowd_handle *handle, uint64_t passed);

#endif
