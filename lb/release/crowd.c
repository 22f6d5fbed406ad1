#include "release/crowd.h"

#include <string.h>

#include "release/crowd_marks.h"

#define N_LINES (2u * EVIDENCE_QUANTILES)

/* --- counting ------------------------------------------------------------- */

static void
bump(_Atomic uint64_t *counter, uint32_t n, uint32_t x)
{
	uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
	struct evidence_part part = {
		.n = (uint32_t)(before >> 32) + n,
		.x = (uint32_t)before + x,
	};

	atomic_store_explicit(
		counter, (uint64_t)part.n << 32 | part.x, memory_order_relaxed);
}

static void
count_one(_Atomic uint32_t *counter)
{
	atomic_store_explicit(counter,
		atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

static void
count_client(struct crowd_tally *tally, const struct crowd_ticket *ticket)
{
	count_one(&tally->clients[ticket->side == CROWD_CANDIDATE ? 0 : 1]);
}

/* --- a request ------------------------------------------------------------ */

/* Which half of stable. Cells are as good as random, so one multiplication is
 * hash enough; another one in each release. */
static enum crowd_side
side_of(const struct crowd *crowd, const struct crowd_facts *facts)
{
	uint32_t mixed = (facts->cell ^ crowd->generation) * 0x9e3779b1u;

	if (facts->is_candidate)
		return CROWD_CANDIDATE;
	return mixed >> 31 ? CROWD_STABLE_1 : CROWD_STABLE_0;
}

static bool
is_enrolled(const struct crowd *crowd, uint32_t cell, uint16_t step)
{
	return atomic_load_explicit(&crowd->marks[cell].enrolled,
		       memory_order_relaxed) == step;
}

/* True for the one who enrols it in this step. */
static bool
enrol(struct crowd *crowd, struct crowd_tally *tally, uint32_t cell,
	uint16_t step)
{
	uint16_t before;

	if (is_enrolled(crowd, cell, step))
		return false;
	before = atomic_exchange_explicit(
		&crowd->marks[cell].enrolled, step, memory_order_relaxed);
	if (before == 0)
		count_one(&tally->cells);
	return before != step;
}

/* Whether the release that the request met is the one in the crowd's hands. */
static bool
fill(struct crowd *crowd, const struct crowd_facts *facts,
	struct crowd_ticket *ticket)
{
	struct crowd_now now;

	memset(ticket, 0, sizeof(*ticket));
	list_init(&ticket->in_flight);
	if (crowd == NULL || crowd->generation != facts->generation)
		return false;
	now = crowd_now_of(crowd);
	if (atomic_load_explicit(&crowd->epoch, memory_order_relaxed) !=
		facts->epoch)
		return false;
	assert(facts->cell < CROWD_CELLS);
	ticket->cell = facts->cell;
	ticket->has_cell = facts->has_identity || facts->is_navigation;
	ticket->step = now.step;
	ticket->side = (uint8_t)side_of(crowd, facts);
	ticket->stratum =
		facts->is_navigation ? EVIDENCE_NAVIGATION : EVIDENCE_OTHER;
	return true;
}

void
crowd_begin(struct crowd *crowd, unsigned worker,
	const struct crowd_facts *facts, struct crowd_ticket *ticket)
{
	struct crowd_tally *tally;

	if (!fill(crowd, facts, ticket))
		return;
	tally = &crowd->tallies[worker];
	if (facts->has_identity) {
		if (facts->is_by_bucket) {
			if (enrol(crowd, tally, facts->cell, ticket->step))
				count_client(tally, ticket);
		} else if (!is_enrolled(crowd, facts->cell, ticket->step)) {
			return;
		}
	} else {
		if (!facts->is_by_bucket)
			return;
		/* A client that will never be met again, or a browser's first
		 * page: its cookie will say this cell. */
		ticket->stratum = EVIDENCE_ANONYMOUS;
		count_client(tally, ticket);
		if (facts->is_navigation)
			enrol(crowd, tally, facts->cell, ticket->step);
	}
	ticket->crowd = crowd->generation;
}

void
crowd_begin_watch(struct crowd *crowd, unsigned worker, unsigned watch,
	const struct crowd_facts *facts, struct crowd_ticket *ticket)
{
	(void)worker;
	/* A worker may still go by the watches of a release before. */
	if (!fill(crowd, facts, ticket) || !facts->has_identity ||
		watch >= crowd->n_watches ||
		!is_enrolled(crowd, facts->cell, ticket->step))
		return;
	ticket->place = (uint8_t)(watch + 1);
	ticket->crowd = crowd->generation;
}

/* --- its end -------------------------------------------------------------- */

/* The client is seen in this tick for the first time there. */
static bool
is_first_seen(
	struct crowd *crowd, const struct crowd_ticket *ticket, uint32_t tick)
{
	_Atomic uint32_t *seen;

	if (ticket->place == 0)
		seen = &crowd->marks[ticket->cell].seen[ticket->stratum];
	else
		seen = &crowd->watches[(size_t)(ticket->place - 1) *
					       CROWD_CELLS +
				       ticket->cell]
				.seen[ticket->stratum];
	if (atomic_load_explicit(seen, memory_order_relaxed) == tick)
		return false;
	atomic_store_explicit(seen, tick, memory_order_relaxed);
	return true;
}

/* One signal of an exchange that has ended. Its bit if a client was newly hurt. */
static unsigned
book(struct crowd *crowd, struct crowd_tally *tally,
	const struct crowd_ticket *ticket, unsigned signal, bool is_first,
	bool is_bad)
{
	_Atomic uint64_t *counter =
		&tally->counts[signal][ticket->stratum][ticket->side];
	_Atomic uint32_t *hurt = &crowd->marks[ticket->cell].hurt;
	uint32_t bit = UINT32_C(1) << signal;

	if (ticket->stratum == EVIDENCE_ANONYMOUS) {
		bump(counter, 1, is_bad);
		/* A browser's first page: it will come back with this cell. */
		if (is_bad && ticket->has_cell)
			atomic_fetch_or_explicit(
				hurt, bit, memory_order_relaxed);
		return is_bad ? bit : 0;
	}
	/* Hurt before: no longer at risk. */
	if (atomic_load_explicit(hurt, memory_order_relaxed) & bit)
		return 0;
	if (is_bad &&
		atomic_fetch_or_explicit(hurt, bit, memory_order_relaxed) & bit)
		return 0;
	if (is_first || is_bad)
		bump(counter, is_first, is_bad);
	return is_bad ? bit : 0;
}

unsigned
crowd_end(struct crowd *crowd, unsigned worker, struct crowd_ticket *ticket,
	unsigned bad)
{
	struct crowd_tally *tally;
	struct crowd_now now;
	bool is_first;
	unsigned hurt;

	if (ticket->crowd == 0)
		return 0;
	if (crowd == NULL || ticket->crowd != crowd->generation) {
		crowd_drop(ticket);
		return 0;
	}
	crowd_drop(ticket);
	now = crowd_now_of(crowd);
	if (now.step != ticket->step)
		return 0;
	tally = &crowd->tallies[worker];
	is_first = ticket->stratum != EVIDENCE_ANONYMOUS &&
		   is_first_seen(crowd, ticket, now.tick);
	if (ticket->place > 0)
		hurt = book(crowd, tally, ticket,
			EVIDENCE_WATCH + ticket->place - 1u, is_first,
			bad != 0);
	else
		hurt = book(crowd, tally, ticket, EVIDENCE_ERRORS, is_first,
			       bad & 1u << EVIDENCE_ERRORS) |
		       book(crowd, tally, ticket, EVIDENCE_NOT_FOUND, is_first,
			       bad & 1u << EVIDENCE_NOT_FOUND);
	return ticket->side == CROWD_CANDIDATE ? hurt : 0;
}

void
crowd_drop(struct crowd_ticket *ticket)
{
	if (ticket->crowd == 0)
		return;
	list_remove(&ticket->in_flight);
	ticket->crowd = 0;
}

/* --- samples -------------------------------------------------------------- */

void
crowd_flights_init(struct crowd_flights *flights)
{
	list_init(&flights->by_start);
}

/* The caller's clock may be a callback old. */
static uint64_t
waited_ns(const struct crowd_ticket *ticket, uint64_t now_ns)
{
	return now_ns > ticket->start_ns ? now_ns - ticket->start_ns : 0;
}

/* A sample of the candidate is held to m(q), one of stable to both. */
static void
take_lines(struct crowd_ticket *ticket, uint64_t packed)
{
	for (unsigned i = 0; i < N_LINES; i++) {
		ticket->lines[i] = packed >> (i * CROWD_LINE_BITS) &
				   ((1u << CROWD_LINE_BITS) - 1);
		if (ticket->side != CROWD_CANDIDATE || i >= EVIDENCE_QUANTILES)
			ticket->open_lines |= (uint8_t)(1u << i);
	}
}

static void
decide(struct crowd_tally *tally, struct crowd_ticket *ticket, unsigned line,
	bool is_bad)
{
	unsigned over = CROWD_OVER_CANDIDATE;

	if (ticket->side != CROWD_CANDIDATE)
		over = (line < EVIDENCE_QUANTILES ? CROWD_OVER_STABLE
						  : CROWD_OVER_BEYOND) +
		       (ticket->side - CROWD_STABLE_0);
	bump(&tally->samples[line % EVIDENCE_QUANTILES][over], 1, is_bad);
	ticket->open_lines &= (uint8_t) ~(1u << line);
}

/* Its crowd and window are still the present ones. */
static bool
is_present(const struct crowd *crowd, const struct crowd_ticket *ticket)
{
	return crowd != NULL && ticket->crowd == crowd->generation &&
	       ticket->window == crowd_now_of(crowd).window;
}

/* True for the one who takes the client's sample of the window. */
static bool
take_sample(struct crowd *crowd, const struct crowd_ticket *ticket)
{
	_Atomic uint16_t *sampled = &crowd->marks[ticket->cell].sampled;
	uint16_t window = ticket->window;

	return !ticket->has_cell ||
	       (atomic_load_explicit(sampled, memory_order_relaxed) != window &&
		       atomic_exchange_explicit(sampled, window,
			       memory_order_relaxed) != window);
}

void
crowd_skip_sample(struct crowd *crowd, const struct crowd_ticket *ticket)
{
	struct crowd_ticket now = *ticket;

	if (crowd == NULL || ticket->crowd != crowd->generation ||
		ticket->place > 0)
		return;
	now.window = crowd_now_of(crowd).window;
	(void)take_sample(crowd, &now);
}

void
crowd_start_sample(struct crowd *crowd, unsigned worker,
	struct crowd_flights *flights, struct crowd_ticket *ticket,
	uint64_t now_ns)
{
	uint64_t lines;

	(void)worker;
	if (crowd == NULL || ticket->crowd != crowd->generation ||
		ticket->place > 0)
		return;
	ticket->window = crowd_now_of(crowd).window;
	lines = atomic_load_explicit(&crowd->lines, memory_order_relaxed);
	if (!(lines & CROWD_LINES_KNOWN)) {
		/* It helps to draw them. */
		ticket->start_ns = now_ns;
		return;
	}
	if (!take_sample(crowd, ticket))
		return;
	ticket->start_ns = now_ns;
	take_lines(ticket, lines);
	list_push_back(&flights->by_start, &ticket->in_flight);
}

void
crowd_first_byte(struct crowd *crowd, unsigned worker,
	struct crowd_ticket *ticket, uint64_t now_ns)
{
	uint64_t waited = waited_ns(ticket, now_ns);
	struct crowd_tally *tally;
	unsigned bucket = histogram_bucket(waited);

	if (ticket->crowd == 0 || ticket->start_ns == 0)
		return;
	list_remove(&ticket->in_flight);
	if (is_present(crowd, ticket)) {
		tally = &crowd->tallies[worker];
		if (ticket->side != CROWD_CANDIDATE)
			histogram_record(&tally->stable, waited);
		for (unsigned i = 0; i < N_LINES; i++)
			if (ticket->open_lines & 1u << i)
				decide(tally, ticket, i,
					bucket > ticket->lines[i]);
	}
	ticket->start_ns = 0;
}

/*
 * One that waits is bad once it has waited past m(q), on stable, too, though that
 * is held to q: who started with it must be decided with it, or the late ones of
 * one side would be compared with other clients of the other side.
 */
static void
hold_to_lines(
	struct crowd_tally *tally, struct crowd_ticket *ticket, uint64_t now_ns)
{
	uint64_t waited = waited_ns(ticket, now_ns);

	for (unsigned i = 0; i < N_LINES; i++) {
		unsigned of_m = EVIDENCE_QUANTILES + i % EVIDENCE_QUANTILES;

		if (ticket->open_lines & 1u << i &&
			waited >= histogram_high_ns(ticket->lines[of_m]))
			decide(tally, ticket, i, true);
	}
}

void
crowd_sweep(struct crowd *crowd, unsigned worker, struct crowd_flights *flights,
	uint64_t now_ns)
{
	struct list *node = flights->by_start.next;
	uint64_t shortest_ns = 0;

	if (crowd != NULL)
		shortest_ns = histogram_high_ns(atomic_load_explicit(
			&crowd->shortest, memory_order_relaxed));
	while (node != &flights->by_start) {
		struct crowd_ticket *ticket =
			list_entry(node, struct crowd_ticket, in_flight);

		node = node->next;
		if (!is_present(crowd, ticket)) {
			list_remove(&ticket->in_flight);
			ticket->start_ns = 0;
			continue;
		}
		/* All behind it started later. */
		if (waited_ns(ticket, now_ns) < shortest_ns)
			break;
		hold_to_lines(&crowd->tallies[worker], ticket, now_ns);
		if (ticket->open_lines == 0)
			list_remove(&ticket->in_flight);
	}
}
