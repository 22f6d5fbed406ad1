/*
 * traffic: what a release meets, as numbers of clients for each tick.
 *
 * Clients of one kind are drawn together (Poisson; exact for many independent
 * ones), clients that differ in kinds of their own, bots one by one. What the
 * crowd would do is kept here by numbers: who is at risk on which side, who has
 * given a sample in this window, who moves as the share does.
 */
#ifndef PERCH_BENCH_JUDGE_TRAFFIC_H
#define PERCH_BENCH_JUDGE_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"
#include "release/evidence.h"

#define TICK_S 0.25
#define KINDS_MAX 3
#define BOTS_MAX 16
#define DRAWN_PER_TICK 6 /* samples of stable from which lines are drawn */
#define DRAWN_TICKS 40

enum course {
	COURSE_STEADY,
	COURSE_DRIFT, /* errors go from 0.5 to 1.5 % and back, in ten minutes */
	COURSE_BURSTS, /* 20 times as many errors, twice as slow, for 2 to 15 s */
	COURSE_DAILY, /* a day's wave of clients and errors, in half an hour */
};

struct kind {
	double part; /* of the clients */
	double errors; /* times as error-prone */
	bool is_slow; /* always over every line */
};

struct traffic_case {
	double clients_per_s;
	double population; /* who come again and again; 0: always new ones */
	enum course course;
	struct kind kinds[KINDS_MAX];
	unsigned n_kinds;
	unsigned n_bots; /* always fail, 20 requests/s */
	double anonymous; /* part of the requests */
	double p_errors; /* of clients seen in a tick, stable */
	double p_not_found;
	double latency_ms; /* median */
	double sigma; /* of its logarithm */
	/* The candidate's harm, from harm_s on. */
	double harm_s;
	double errors_times; /* 1: none */
	double p_all; /* at least this error rate */
	double latency_times;
	double slow_part; /* of its requests take slow_ms longer */
	double slow_ms;
};

/* The first case of the table; others are made from it. */
void traffic_case_init(struct traffic_case *what);

/* At risk for each count signal that is simulated, by side: [0] candidate,
 * [1], [2] stable's halves. */
struct kind_state {
	uint32_t at_risk[2][3];
	uint32_t unsampled[3];
};

/* Parts of the samples of a kind and side that are over each line; drawn from
 * time and again with the same lines. */
struct beyond {
	uint16_t lines[2 * EVIDENCE_QUANTILES];
	double median_ms, slow_part;
	double parts[2 * EVIDENCE_QUANTILES];
};

struct traffic {
	const struct traffic_case *what;
	struct random random;
	struct kind_state kinds[KINDS_MAX];
	struct beyond beyond[KINDS_MAX][3];
	double bots[BOTS_MAX]; /* bucket, 0 to 1; above 1: hurt */
	double share;
	double time_s;
	double phase; /* of the course, 0 to 1 */
	double p_errors, clients_per_s, slowness; /* now, by the course */
	double burst_until_s, burst_next_s;
	struct evidence_lines lines;
	struct histogram_counts drawn;
	uint16_t drawn_ring[DRAWN_TICKS][DRAWN_PER_TICK];
	unsigned n_ticks;
	uint32_t candidate_clients; /* in this step */
	/* What rules that count requests would see in this tick. */
	double requests[2], failures[2]; /* candidate, stable */
	double latency_ms[2]; /* mean */
	uint32_t n_hurt; /* candidate's clients, errors, since harm_s */
};

void traffic_begin(struct traffic *traffic, const struct traffic_case *what,
	uint64_t seed);
void traffic_set_share(struct traffic *traffic, double share);
void traffic_begin_window(struct traffic *traffic);
void traffic_tick(struct traffic *traffic, struct evidence_tick *out);

#endif
