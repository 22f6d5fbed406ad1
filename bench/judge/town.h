/*
 * town: clients one by one, through the real crowd: requests that begin, wait
 * and end, tabs that stay open, a neighbour, bots. Slower than traffic, and
 * nearer to what perch will see.
 */
#ifndef PERCH_BENCH_JUDGE_TOWN_H
#define PERCH_BENCH_JUDGE_TOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"
#include "release/crowd.h"

struct town_case {
	double clients_per_s; /* who come for a page or a call */
	double anonymous; /* part of them, without any identity */
	double p_errors;
	double latency_ms, sigma;
	/* A tab stays open and asks again, pinned to its page's version. */
	double tab_s; /* how long, in the mean; 0: no tabs */
	double poll_s;
	double p_idle_errors; /* of a tab open for longer than a minute */
	bool is_enrolment_off; /* count pinned requests whatever they are, to see */
	/* Bots that always fail, 10 requests/s. */
	unsigned n_bots;
	/* Each request asks the neighbour too. */
	bool has_neighbour;
	double p_neighbour;
	/* The candidate's harm, from the start. */
	double p_candidate; /* error rate; 0: as stable's */
	double p_neighbour_candidate; /* likewise, at the neighbour */
	bool is_hanging; /* it never answers */
};

void town_case_init(struct town_case *what);

struct town;

/* To be freed by town_close(). */
struct town *town_open(const struct town_case *what, uint64_t seed);
void town_close(struct town *town);

void town_set_share(struct town *town, uint16_t share_bp);
void town_begin_window(struct town *town);
/* The quarter of a second that ends at now_ns. */
void town_tick(struct town *town, uint64_t now_ns, struct evidence_tick *out);

/* Candidate's clients hurt: those whose error was counted, and at the
 * neighbour. */
uint32_t town_hurt(const struct town *town);
/* When the first sample of the candidate crosses a line if it isn't answered;
 * 0: there was none. */
uint64_t town_first_over_ns(const struct town *town);

#endif
