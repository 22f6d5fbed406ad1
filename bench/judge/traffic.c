#include "traffic.h"

#include <math.h>
#include <string.h>

#include "release/histogram.h"

#define ENDLESS 1000000000u /* clients, where always new ones come */
#define BOT_REQUESTS_PER_S 20
#define NAVIGATIONS 0.2 /* of the requests with identity */
#define SLOW_CLIENT_MS 10000

void
traffic_case_init(struct traffic_case *what)
{
	*what = (struct traffic_case){
		.clients_per_s = 1000,
		.kinds = {{.part = 1, .errors = 1}},
		.n_kinds = 1,
		.p_errors = 0.005,
		.p_not_found = 0.002,
		.latency_ms = 80,
		.sigma = 0.6,
		.harm_s = INFINITY,
		.errors_times = 1,
		.latency_times = 1,
	};
}

static bool
is_harmful(const struct traffic *traffic)
{
	return traffic->time_s >= traffic->what->harm_s;
}

/* --- clients and sides ------------------------------------------------------- */

static uint32_t
clients_of(const struct traffic_case *what, unsigned kind)
{
	double all = what->population > 0 ? what->population : ENDLESS;

	return (uint32_t)(all * what->kinds[kind].part);
}

void
traffic_begin(
	struct traffic *traffic, const struct traffic_case *what, uint64_t seed)
{
	memset(traffic, 0, sizeof(*traffic));
	traffic->what = what;
	random_seed(&traffic->random, seed);
	for (unsigned i = 0; i < what->n_kinds; i++) {
		uint32_t n = clients_of(what, i);

		for (unsigned k = 0; k < 2; k++) {
			traffic->kinds[i].at_risk[k][1] = n / 2;
			traffic->kinds[i].at_risk[k][2] = n - n / 2;
		}
	}
	for (unsigned i = 0; i < what->n_bots; i++)
		traffic->bots[i] = random_unit(&traffic->random);
	traffic->phase = random_unit(&traffic->random);
	traffic->burst_next_s = 60 * random_unit(&traffic->random);
	traffic->slowness = 1;
}

/* So many of those on the side go over. */
static void
move(struct random *random, uint32_t *from, uint32_t *to, double part)
{
	uint32_t n = random_binomial(random, *from, part);

	*from -= n;
	*to += n;
}

static void
move_kind(struct traffic *traffic, struct kind_state *kind, double share)
{
	double before = traffic->share;
	struct random *random = &traffic->random;

	for (unsigned k = 0; k < 2; k++) {
		uint32_t *at = kind->at_risk[k];

		for (unsigned half = 1; half < 3; half++) {
			if (share > before) {
				move(random, &at[half], &at[0],
					(share - before) / (1 - before));
			} else if (share < before) {
				/* To either half alike. */
				move(random, &at[0], &at[half],
					(1 - share / before) /
						(half == 1 ? 2
							   : 1 + share / before));
			}
		}
	}
}

/* Where always new ones come, nobody is used up. */
static void
spread_kind(struct kind_state *kind, uint32_t n, double share)
{
	for (unsigned k = 0; k < 2; k++) {
		kind->at_risk[k][0] = (uint32_t)(n * share);
		kind->at_risk[k][1] = (uint32_t)(n * (1 - share) / 2);
		kind->at_risk[k][2] = kind->at_risk[k][1];
	}
}

void
traffic_set_share(struct traffic *traffic, double share)
{
	const struct traffic_case *what = traffic->what;

	for (unsigned i = 0; i < what->n_kinds; i++) {
		if (what->population > 0)
			move_kind(traffic, &traffic->kinds[i], share);
		else
			spread_kind(
				&traffic->kinds[i], clients_of(what, i), share);
	}
	traffic->share = share;
	traffic->candidate_clients = 0;
	traffic_begin_window(traffic);
}

void
traffic_begin_window(struct traffic *traffic)
{
	double share = traffic->share;

	for (unsigned i = 0; i < traffic->what->n_kinds; i++) {
		uint32_t n = clients_of(traffic->what, i);
		uint32_t *at = traffic->kinds[i].unsampled;

		if (traffic->what->population > 0)
			at[0] = random_binomial(&traffic->random, n, share);
		else
			at[0] = (uint32_t)(n * share);
		at[1] = (n - at[0]) / 2;
		at[2] = n - at[0] - at[1];
	}
}

/* --- the course of things ------------------------------------------------------ */

static void
follow_bursts(struct traffic *traffic)
{
	if (traffic->time_s >= traffic->burst_next_s) {
		traffic->burst_until_s = traffic->time_s + 2 +
					 13 * random_unit(&traffic->random);
		traffic->burst_next_s =
			traffic->burst_until_s +
			-60 * log(1 - random_unit(&traffic->random));
	}
	if (traffic->time_s >= traffic->burst_until_s)
		return;
	traffic->p_errors *= 20;
	traffic->slowness = 2;
}

static void
follow_course(struct traffic *traffic)
{
	const struct traffic_case *what = traffic->what;
	double turn = 2 * M_PI * traffic->phase;

	traffic->p_errors = what->p_errors;
	traffic->clients_per_s = what->clients_per_s;
	traffic->slowness = 1;
	switch (what->course) {
	case COURSE_STEADY:
		break;
	case COURSE_DRIFT:
		traffic->p_errors *=
			2 + sin(turn + 2 * M_PI * traffic->time_s / 600);
		break;
	case COURSE_BURSTS:
		follow_bursts(traffic);
		break;
	case COURSE_DAILY: {
		double wave = sin(turn + 2 * M_PI * traffic->time_s / 1800);

		traffic->clients_per_s *= 1 + 0.9 * wave;
		traffic->p_errors *= 1.5 - 0.8 * wave;
		traffic->slowness = 1.5 + 0.5 * wave;
		break;
	}
	}
}

/* --- counts ------------------------------------------------------------------------ */

static struct evidence_part *
side(struct evidence_count *count, unsigned i)
{
	return i == 0 ? &count->candidate : &count->stable[i - 1];
}

/* x of n, each Poisson. */
static struct evidence_part
draw(struct random *random, double mean, double p)
{
	struct evidence_part part;

	part.x = random_poisson(random, mean * p);
	part.n = part.x + random_poisson(random, mean * (1 - p));
	return part;
}

static void
add(struct evidence_part *to, struct evidence_part part)
{
	to->n += part.n;
	to->x += part.x;
}

/* Clients of one kind on one side that are seen in this tick. */
static void
see(struct traffic *traffic, unsigned kind, unsigned i, double p_errors,
	struct evidence_tick *out)
{
	static const double strata[] = {NAVIGATIONS, 1 - NAVIGATIONS};
	const struct traffic_case *what = traffic->what;
	struct kind_state *at = &traffic->kinds[kind];
	double seen = traffic->clients_per_s * TICK_S * (1 - what->anonymous) *
		      what->kinds[kind].part / clients_of(what, kind);

	for (unsigned k = 0; k < 2; k++) {
		struct evidence_part errors = draw(&traffic->random,
			at->at_risk[0][i] * seen * strata[k], p_errors);
		struct evidence_part missed = {
			errors.n, random_poisson(&traffic->random,
					  at->at_risk[1][i] * seen * strata[k] *
						  what->p_not_found)};

		if (missed.n < missed.x)
			missed.n = missed.x;
		add(side(&out->counts[EVIDENCE_ERRORS][k], i), errors);
		add(side(&out->counts[EVIDENCE_NOT_FOUND][k], i), missed);
		if (what->population > 0) {
			at->at_risk[0][i] -= errors.x < at->at_risk[0][i]
						     ? errors.x
						     : at->at_risk[0][i];
			at->at_risk[1][i] -= missed.x < at->at_risk[1][i]
						     ? missed.x
						     : at->at_risk[1][i];
		}
		traffic->requests[i > 0] += errors.n;
		traffic->failures[i > 0] += errors.x;
	}
}

static double
part_of(const struct traffic *traffic, unsigned i)
{
	return i == 0 ? traffic->share : (1 - traffic->share) / 2;
}

static void
see_anonymous(struct traffic *traffic, unsigned i, double p_errors,
	struct evidence_tick *out)
{
	const struct traffic_case *what = traffic->what;
	double mean = traffic->clients_per_s * TICK_S * what->anonymous *
		      part_of(traffic, i);
	struct evidence_part errors, missed;

	if (what->anonymous == 0)
		return;
	errors = draw(&traffic->random, mean, p_errors);
	missed = draw(&traffic->random, mean, what->p_not_found);
	add(side(&out->counts[EVIDENCE_ERRORS][EVIDENCE_ANONYMOUS], i), errors);
	add(side(&out->counts[EVIDENCE_NOT_FOUND][EVIDENCE_ANONYMOUS], i),
		missed);
	traffic->requests[i > 0] += errors.n;
	traffic->failures[i > 0] += errors.x;
}

static void
see_bots(struct traffic *traffic, struct evidence_tick *out)
{
	for (unsigned i = 0; i < traffic->what->n_bots; i++) {
		double *bucket = &traffic->bots[i];
		double place = *bucket >= 1 ? *bucket - 1 : *bucket;
		unsigned at = place < traffic->share ? 0 : 1 + i % 2;
		struct evidence_part hurt = {1, 1};
		double requests = BOT_REQUESTS_PER_S * TICK_S;

		traffic->requests[at > 0] += requests;
		traffic->failures[at > 0] += requests;
		if (*bucket >= 1)
			continue;
		add(side(&out->counts[EVIDENCE_ERRORS][EVIDENCE_OTHER], at),
			hurt);
		*bucket += 1;
	}
}

/* --- samples ------------------------------------------------------------------------- */

static double
normal_beyond(double z)
{
	return 0.5 * erfc(z * M_SQRT1_2);
}

struct latency {
	double median_ms, sigma, slow_part, slow_ms;
};

static double
part_beyond(const struct latency *latency, uint16_t bucket)
{
	double ms = (double)histogram_high_ns(bucket) / 1e6;
	double part =
		(1 - latency->slow_part) *
		normal_beyond(log(ms / latency->median_ms) / latency->sigma);

	if (latency->slow_part == 0)
		return part;
	if (ms <= latency->slow_ms)
		return part + latency->slow_part;
	return part +
	       latency->slow_part * normal_beyond(log((ms - latency->slow_ms) /
							  latency->median_ms) /
						  latency->sigma);
}

static const double *
parts_beyond(struct beyond *beyond, const struct latency *latency,
	const uint16_t *lines, unsigned n)
{
	if (beyond->median_ms == latency->median_ms &&
		beyond->slow_part == latency->slow_part &&
		memcmp(beyond->lines, lines, n * sizeof(*lines)) == 0)
		return beyond->parts;
	beyond->median_ms = latency->median_ms;
	beyond->slow_part = latency->slow_part;
	memcpy(beyond->lines, lines, n * sizeof(*lines));
	for (unsigned i = 0; i < n; i++)
		beyond->parts[i] = part_beyond(latency, lines[i]);
	return beyond->parts;
}

/* Samples that fall between n lines, in rising order of them: parts[i] is beyond
 * line i, and out[i] is held to it. */
static uint32_t
draw_samples(struct random *random, double mean, const double *parts,
	struct evidence_part **out, unsigned n)
{
	uint32_t beyond[2 * EVIDENCE_QUANTILES] = {0};
	uint32_t all = 0;
	double left = 1;

	for (unsigned i = 0; i <= n; i++) {
		double past = i < n ? parts[i] : 0;
		uint32_t drawn = random_poisson(random, mean * (left - past));

		all += drawn;
		for (unsigned k = 0; k < i; k++)
			beyond[k] += drawn;
		left = past;
	}
	for (unsigned i = 0; i < n; i++) {
		out[i]->n += all;
		out[i]->x += beyond[i];
	}
	return all;
}

static void
sort_lines(uint16_t *lines, struct evidence_part **out, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		for (unsigned k = i; k > 0 && lines[k - 1] > lines[k]; k--) {
			uint16_t line = lines[k];
			struct evidence_part *part = out[k];

			lines[k] = lines[k - 1];
			out[k] = out[k - 1];
			lines[k - 1] = line;
			out[k - 1] = part;
		}
	}
}

static struct latency
latency_of(const struct traffic *traffic, unsigned i)
{
	const struct traffic_case *what = traffic->what;
	struct latency latency = {
		.median_ms = what->latency_ms * traffic->slowness,
		.sigma = what->sigma,
	};

	if (i == 0 && is_harmful(traffic)) {
		latency.median_ms *= what->latency_times;
		latency.slow_part = what->slow_part;
		latency.slow_ms = what->slow_ms;
	}
	return latency;
}

static void
sample_kind(struct traffic *traffic, unsigned kind, unsigned i,
	struct evidence_tick *out)
{
	const struct traffic_case *what = traffic->what;
	struct evidence_part *parts[2 * EVIDENCE_QUANTILES];
	uint16_t lines[2 * EVIDENCE_QUANTILES];
	struct latency latency = latency_of(traffic, i);
	uint32_t *unsampled = &traffic->kinds[kind].unsampled[i];
	double mean = traffic->clients_per_s * TICK_S * what->kinds[kind].part *
		      *unsampled / clients_of(what, kind);
	unsigned n = 0;
	uint32_t drawn;

	if (what->kinds[kind].is_slow)
		latency.median_ms = SLOW_CLIENT_MS;
	for (unsigned q = 0; q < EVIDENCE_QUANTILES; q++) {
		struct evidence_samples *at = &out->samples[q];

		lines[n] = traffic->lines.candidate[q];
		parts[n++] = i == 0 ? &at->candidate : &at->beyond[i - 1];
		if (i == 0)
			continue;
		lines[n] = traffic->lines.stable[q];
		parts[n++] = &at->stable[i - 1];
	}
	sort_lines(lines, parts, n);
	drawn = draw_samples(&traffic->random, mean,
		parts_beyond(&traffic->beyond[kind][i], &latency, lines, n),
		parts, n);
	if (what->population > 0)
		*unsampled -= drawn < *unsampled ? drawn : *unsampled;
	if (i == 0)
		traffic->candidate_clients += drawn;
}

/* Some of stable's samples, as good as all of them to draw lines from. */
static void
draw_lines(struct traffic *traffic)
{
	struct evidence_config config;
	struct latency latency = latency_of(traffic, 1);
	uint16_t *at = traffic->drawn_ring[traffic->n_ticks % DRAWN_TICKS];

	evidence_config_init(&config);
	for (unsigned i = 0; i < DRAWN_PER_TICK; i++) {
		double ms =
			latency.median_ms *
			exp(latency.sigma * random_normal(&traffic->random));

		if (traffic->n_ticks >= DRAWN_TICKS)
			traffic->drawn.counts[at[i]]--;
		for (unsigned k = 0; k < traffic->what->n_kinds; k++)
			if (traffic->what->kinds[k].is_slow &&
				random_unit(&traffic->random) <
					traffic->what->kinds[k].part)
				ms = SLOW_CLIENT_MS;
		at[i] = (uint16_t)histogram_bucket((uint64_t)(ms * 1e6));
		traffic->drawn.counts[at[i]]++;
	}
	if (traffic->n_ticks < DRAWN_TICKS)
		traffic->drawn.n += DRAWN_PER_TICK;
	traffic->n_ticks++;
	evidence_draw_lines(&config, &traffic->drawn, &traffic->lines);
}

/* --- a tick ------------------------------------------------------------------------------ */

static void
tell_latency(struct traffic *traffic)
{
	for (unsigned i = 0; i < 2; i++) {
		struct latency latency = latency_of(traffic, i);
		double s2 = latency.sigma * latency.sigma;
		double mean = latency.median_ms * exp(s2 / 2);
		double n = fmax(traffic->requests[i], 1);

		traffic->latency_ms[i] =
			mean + latency.slow_part * latency.slow_ms +
			mean * sqrt((exp(s2) - 1) / n) *
				random_normal(&traffic->random);
	}
}

void
traffic_tick(struct traffic *traffic, struct evidence_tick *out)
{
	const struct traffic_case *what = traffic->what;

	memset(out, 0, sizeof(*out));
	memset(traffic->requests, 0, sizeof(traffic->requests));
	memset(traffic->failures, 0, sizeof(traffic->failures));
	follow_course(traffic);
	for (unsigned i = 0; i < 3; i++) {
		double p = traffic->p_errors;

		if (i == 0 && is_harmful(traffic))
			p = fmax(p * what->errors_times, what->p_all);
		for (unsigned k = 0; k < what->n_kinds; k++) {
			see(traffic, k, i, fmin(p * what->kinds[k].errors, 1),
				out);
			if (traffic->lines.is_known)
				sample_kind(traffic, k, i, out);
		}
		see_anonymous(traffic, i, fmin(p, 1), out);
	}
	see_bots(traffic, out);
	tell_latency(traffic);
	/* For the next tick. */
	draw_lines(traffic);
	out->candidate_clients = traffic->candidate_clients;
	for (unsigned k = 0; is_harmful(traffic) && k < EVIDENCE_STRATA; k++)
		traffic->n_hurt += out->counts[EVIDENCE_ERRORS][k].candidate.x;
	traffic->time_s += TICK_S;
}
