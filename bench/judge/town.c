#include "town.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"

#define GENERATION 1
#define N_WORKERS 2
#define TICK_NS (CLOCK_NS_PER_S / 4)
#define RING 512 /* ticks ahead that something may happen */
#define TIMEOUT_NS (30 * CLOCK_NS_PER_S)
#define BOT_REQUESTS_PER_TICK 3
#define IDLE_AFTER_S 60
#define REFUSED_MS 5

/* A request on its way, and the one that it makes the neighbour see. */
struct request {
	struct request *next; /* that ends in the same tick, or is free */
	struct crowd_ticket ticket;
	struct crowd_ticket watch;
	uint64_t end_ns;
	unsigned worker;
	bool is_bad, is_bad_there, is_answered;
};

struct tab {
	struct tab *next;
	uint32_t cell;
	bool is_candidate; /* of its page */
	uint64_t opened_ns, closed_ns;
};

struct town {
	struct town_case what;
	struct random random;
	struct crowd *crowd;
	struct crowd_flights flights[N_WORKERS];
	struct evidence_config config;
	struct evidence_lines lines;
	uint16_t share_bp;
	uint16_t epoch;
	uint32_t bots[16];
	struct request *ending[RING];
	struct tab *polling[RING];
	struct request *free_requests;
	struct tab *free_tabs;
	uint32_t n_hurt;
	uint64_t first_over_ns;
};

void
town_case_init(struct town_case *what)
{
	*what = (struct town_case){
		.clients_per_s = 1000,
		.p_errors = 0.005,
		.latency_ms = 80,
		.sigma = 0.6,
	};
}

static uint32_t
draw_cell(struct town *town)
{
	return (uint32_t)random_u64(&town->random) % CROWD_CELLS;
}

struct town *
town_open(const struct town_case *what, uint64_t seed)
{
	struct town *town = memory_zalloc(sizeof(*town));

	town->what = *what;
	random_seed(&town->random, seed);
	evidence_config_init(&town->config);
	town->crowd =
		crowd_new(GENERATION, N_WORKERS, what->has_neighbour ? 1 : 0);
	for (unsigned i = 0; i < N_WORKERS; i++)
		crowd_flights_init(&town->flights[i]);
	for (unsigned i = 0; i < what->n_bots; i++)
		town->bots[i] = draw_cell(town);
	return town;
}

void
town_close(struct town *town)
{
	for (unsigned i = 0; i < RING; i++) {
		while (town->ending[i] != NULL) {
			struct request *next = town->ending[i]->next;

			free(town->ending[i]);
			town->ending[i] = next;
		}
		while (town->polling[i] != NULL) {
			struct tab *next = town->polling[i]->next;

			free(town->polling[i]);
			town->polling[i] = next;
		}
	}
	while (town->free_requests != NULL) {
		struct request *next = town->free_requests->next;

		free(town->free_requests);
		town->free_requests = next;
	}
	while (town->free_tabs != NULL) {
		struct tab *next = town->free_tabs->next;

		free(town->free_tabs);
		town->free_tabs = next;
	}
	crowd_free(town->crowd);
	free(town);
}

void
town_set_share(struct town *town, uint16_t share_bp)
{
	town->share_bp = share_bp;
	crowd_begin_step(town->crowd, ++town->epoch);
}

void
town_begin_window(struct town *town)
{
	crowd_begin_window(town->crowd);
}

uint32_t
town_hurt(const struct town *town)
{
	return town->n_hurt;
}

uint64_t
town_first_over_ns(const struct town *town)
{
	return town->first_over_ns;
}

/* --- requests ------------------------------------------------------------------ */

static bool
is_candidates(const struct town *town, uint32_t cell)
{
	return hash_u64(cell, 42) % 10000 < town->share_bp;
}

static bool
happens(struct town *town, double p)
{
	return random_unit(&town->random) < p;
}

static uint64_t
slot_of(uint64_t ns)
{
	return ns / TICK_NS % RING;
}

static struct request *
take_request(struct town *town)
{
	struct request *request = town->free_requests;

	if (request == NULL)
		return memory_zalloc(sizeof(*request));
	town->free_requests = request->next;
	return request;
}

/* When the first sample of the candidate would cross its first line. */
static void
note_line(struct town *town, const struct crowd_ticket *ticket)
{
	uint64_t line_ns = histogram_high_ns(ticket->lines[EVIDENCE_QUANTILES]);

	if (town->first_over_ns == 0)
		town->first_over_ns = ticket->start_ns + line_ns;
}

/* When it ends, and how; counted by the crowd if the facts say so. */
static void
send(struct town *town, const struct crowd_facts *facts, double p_errors,
	bool is_candidate, uint64_t now_ns)
{
	const struct town_case *what = &town->what;
	struct request *request = take_request(town);
	double ms = what->latency_ms *
		    exp(what->sigma * random_normal(&town->random));
	bool is_harmed = is_candidate && what->p_candidate > 0;

	request->worker = random_u64(&town->random) % N_WORKERS;
	request->is_bad =
		happens(town, is_harmed ? what->p_candidate : p_errors);
	if (request->is_bad && is_harmed)
		ms = REFUSED_MS;
	request->is_answered = !(is_candidate && what->is_hanging);
	request->end_ns = now_ns + (request->is_answered ? (uint64_t)(ms * 1e6)
							 : TIMEOUT_NS);
	if (request->end_ns > now_ns + TIMEOUT_NS)
		request->end_ns = now_ns + TIMEOUT_NS;
	request->is_bad |= !request->is_answered;
	crowd_begin(town->crowd, request->worker, facts, &request->ticket);
	crowd_start_sample(town->crowd, request->worker,
		&town->flights[request->worker], &request->ticket, now_ns);
	if (is_candidate && request->ticket.open_lines != 0)
		note_line(town, &request->ticket);
	memset(&request->watch, 0, sizeof(request->watch));
	if (what->has_neighbour) {
		request->is_bad_there =
			happens(town, is_candidate ? what->p_neighbour_candidate
						   : what->p_neighbour);
		crowd_begin_watch(town->crowd, request->worker, 0, facts,
			&request->watch);
	}
	request->next = town->ending[slot_of(request->end_ns)];
	town->ending[slot_of(request->end_ns)] = request;
}

static void
end_requests(struct town *town, uint64_t tick_ns)
{
	struct request **at = &town->ending[slot_of(tick_ns)];

	while (*at != NULL) {
		struct request *request = *at;

		*at = request->next;
		if (request->is_answered)
			crowd_first_byte(town->crowd, request->worker,
				&request->ticket, request->end_ns);
		crowd_end(town->crowd, request->worker, &request->ticket,
			request->is_bad ? 1u << EVIDENCE_ERRORS : 0);
		crowd_end(town->crowd, request->worker, &request->watch,
			request->is_bad_there);
		request->next = town->free_requests;
		town->free_requests = request;
	}
}

/* --- who sends them -------------------------------------------------------------- */

static void
open_tab(struct town *town, uint32_t cell, uint64_t now_ns)
{
	const struct town_case *what = &town->what;
	struct tab *tab = town->free_tabs;
	uint64_t poll_ns = now_ns + (uint64_t)(what->poll_s * 1e9);

	if (tab != NULL)
		town->free_tabs = tab->next;
	else
		tab = memory_zalloc(sizeof(*tab));
	tab->cell = cell;
	tab->is_candidate = is_candidates(town, cell);
	tab->opened_ns = now_ns;
	tab->closed_ns =
		now_ns + (uint64_t)(-what->tab_s * 1e9 *
				    log(1 - random_unit(&town->random)));
	tab->next = town->polling[slot_of(poll_ns)];
	town->polling[slot_of(poll_ns)] = tab;
}

static void
arrive(struct town *town, uint64_t now_ns)
{
	const struct town_case *what = &town->what;
	struct crowd_facts facts = {
		.generation = GENERATION,
		.epoch = town->epoch,
		.cell = draw_cell(town),
		.has_identity = !happens(town, what->anonymous),
		.is_navigation = what->tab_s > 0,
		.is_by_bucket = true,
	};

	facts.is_candidate = is_candidates(town, facts.cell);
	send(town, &facts, what->p_errors, facts.is_candidate, now_ns);
	if (what->tab_s > 0)
		open_tab(town, facts.cell, now_ns);
}

/* A pinned request. Whether it is counted is what enrolment is about. */
static void
poll(struct town *town, const struct tab *tab, uint64_t now_ns)
{
	const struct town_case *what = &town->what;
	bool is_idle = now_ns - tab->opened_ns > IDLE_AFTER_S * CLOCK_NS_PER_S;
	struct crowd_facts facts = {
		.generation = GENERATION,
		.epoch = town->epoch,
		.cell = tab->cell,
		.has_identity = true,
		.is_candidate = tab->is_candidate,
		.is_by_bucket = what->is_enrolment_off,
	};

	/* Pin and bucket don't agree: the caller doesn't count it. */
	if (!what->is_enrolment_off &&
		is_candidates(town, tab->cell) != tab->is_candidate)
		facts.generation = 0;
	send(town, &facts, is_idle ? what->p_idle_errors : what->p_errors,
		tab->is_candidate, now_ns);
}

static void
poll_tabs(struct town *town, uint64_t tick_ns)
{
	struct tab *tab = town->polling[slot_of(tick_ns)];

	town->polling[slot_of(tick_ns)] = NULL;
	while (tab != NULL) {
		struct tab *next = tab->next;
		struct tab **to = &town->free_tabs;

		if (tab->closed_ns > tick_ns) {
			poll(town, tab, tick_ns);
			to = &town->polling[slot_of(
				tick_ns + (uint64_t)(town->what.poll_s * 1e9))];
		}
		tab->next = *to;
		*to = tab;
		tab = next;
	}
}

static void
send_bots(struct town *town, uint64_t now_ns)
{
	for (unsigned i = 0; i < town->what.n_bots * BOT_REQUESTS_PER_TICK;
		i++) {
		uint32_t cell = town->bots[i % town->what.n_bots];
		struct crowd_facts facts = {
			.generation = GENERATION,
			.epoch = town->epoch,
			.cell = cell,
			.has_identity = true,
			.is_candidate = is_candidates(town, cell),
			.is_by_bucket = true,
		};

		send(town, &facts, 1, facts.is_candidate, now_ns);
	}
}

/* --- a tick ------------------------------------------------------------------------ */

void
town_tick(struct town *town, uint64_t now_ns, struct evidence_tick *out)
{
	uint64_t begin_ns = now_ns - TICK_NS;
	struct histogram_counts samples;
	uint32_t n =
		random_poisson(&town->random, town->what.clients_per_s / 4);

	poll_tabs(town, begin_ns);
	send_bots(town, begin_ns);
	for (uint32_t i = 0; i < n; i++)
		arrive(town, begin_ns + TICK_NS * i / n);
	end_requests(town, begin_ns);
	for (unsigned i = 0; i < N_WORKERS; i++)
		crowd_sweep(town->crowd, i, &town->flights[i], now_ns);
	crowd_read(town->crowd, out);
	crowd_stable_samples(town->crowd, &samples);
	evidence_draw_lines(&town->config, &samples, &town->lines);
	crowd_set_lines(town->crowd, &town->lines);
	for (unsigned k = 0; k < EVIDENCE_STRATA; k++)
		town->n_hurt += out->counts[EVIDENCE_ERRORS][k].candidate.x +
				out->counts[EVIDENCE_WATCH][k].candidate.x;
}
