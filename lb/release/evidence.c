#include "release/evidence.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/*
 * Each signal has a fixed part of the right to be wrong: its weight. E is the
 * largest of (weight x the signal's E), so that the chances of a false alarm
 * add up to at most false_rollback. Latency's window j has the part
 * 1 / (j (j + 1)) of its signal's weight, and begins with nothing from the
 * window before, as a slow client stands on the same side in each of them.
 *
 * The sentinel plays the same game between the halves of stable's own clients,
 * each half once in the candidate's place. Nobody can be hurt by a release
 * there, so if it wins, what the factors assume doesn't hold for this traffic,
 * and the signal is not to be believed.
 */

#define WEIGHT_ERRORS 0.4
#define WEIGHT_NOT_FOUND 0.1
#define WEIGHT_LATENCY 0.1 /* each quantile */
#define WEIGHT_OTHERS 0.2 /* watches and limit share it */

#define LIMIT_AT_LEAST 0.01
#define LIMIT_TIMES 3
#define LIMIT_AT_MOST 0.9

/* Stable's bad samples: forgotten with a half-life of some twenty seconds of
 * ticks; at the start as good as that many samples of what a quantile means. */
#define BAD_DECAY 0.99
#define BAD_PRIOR 20
#define BAD_LEAST 0.0005
#define BAD_MOST 0.95

#define LINES_NEED 20 /* samples */

static const double quantiles[EVIDENCE_QUANTILES] = {0.5, 0.95, 0.99};

/* --- beginnings ----------------------------------------------------------- */

void
evidence_config_init(struct evidence_config *config)
{
	*config = (struct evidence_config){
		.false_rollback = 0.001,
		.tolerance = 1,
		.latency_tolerance = 1.2,
		.latency_slack_ns = 5000000,
		.worse = 2,
		.has_not_found = true,
		.has_latency = true,
	};
}

static bool
is_latency(unsigned signal)
{
	return signal >= EVIDENCE_LATENCY &&
	       signal < EVIDENCE_LATENCY + EVIDENCE_QUANTILES;
}

static void
begin_mixtures(struct evidence_signal *signal, unsigned n_grid)
{
	evidence_mixture_begin(&signal->judge, n_grid);
	evidence_mixture_begin(&signal->sentinel[0], n_grid);
	evidence_mixture_begin(&signal->sentinel[1], n_grid);
}

static void
begin_signal(struct evidence *evidence, unsigned index, double weight)
{
	struct evidence_signal *signal = &evidence->signals[index];

	signal->is_on = true;
	signal->weight = weight;
	begin_mixtures(signal, index < EVIDENCE_COUNTS ? EVIDENCE_COUNT_GRID
						       : EVIDENCE_LATENCY_GRID);
	if (!is_latency(index))
		return;
	signal->bad.n = BAD_PRIOR;
	signal->bad.x = BAD_PRIOR * (1 - quantiles[index - EVIDENCE_LATENCY]);
}

void
evidence_begin(struct evidence *evidence, const struct evidence_config *config)
{
	double others = WEIGHT_OTHERS / (config->n_watches + 1);

	assert(config->n_watches <= EVIDENCE_WATCHES_MAX);
	assert(config->false_rollback > 0 && config->false_rollback < 1);
	memset(evidence, 0, sizeof(*evidence));
	evidence->config = *config;
	evidence_count_grid(config->tolerance, evidence->count_grid);
	begin_signal(evidence, EVIDENCE_ERRORS, WEIGHT_ERRORS);
	if (config->has_not_found)
		begin_signal(evidence, EVIDENCE_NOT_FOUND, WEIGHT_NOT_FOUND);
	for (unsigned i = 0; i < config->n_watches; i++)
		begin_signal(evidence, EVIDENCE_WATCH + i, others);
	for (unsigned i = 0; config->has_latency && i < EVIDENCE_QUANTILES; i++)
		begin_signal(evidence, EVIDENCE_LATENCY + i, WEIGHT_LATENCY);
	begin_signal(evidence, EVIDENCE_LIMIT, others);
	evidence->signals[EVIDENCE_LIMIT].is_on = config->max_error_rate > 0;
	evidence->limit_rate = config->max_error_rate;
}

static void
clear_sums(struct evidence_signal *signal)
{
	signal->candidate = (struct evidence_part){0};
	signal->stable = (struct evidence_part){0};
}

static void
begin_window(struct evidence *evidence)
{
	evidence->window++;
	evidence->has_window_begun = false;
	for (unsigned i = EVIDENCE_LATENCY;
		i < EVIDENCE_LATENCY + EVIDENCE_QUANTILES; i++) {
		begin_mixtures(&evidence->signals[i], EVIDENCE_LATENCY_GRID);
		clear_sums(&evidence->signals[i]);
	}
}

static void
arm_limit(struct evidence *evidence, uint16_t share_bp)
{
	struct evidence_part stable = evidence->signals[EVIDENCE_ERRORS].stable;
	double rate = stable.n > 0 ? (double)stable.x / stable.n : 0;

	if (evidence->config.max_error_rate > 0)
		return;
	evidence->limit_rate = 0;
	if (share_bp < EVIDENCE_SHARE_FULL)
		return;
	evidence->limit_rate =
		fmin(fmax(LIMIT_AT_LEAST, LIMIT_TIMES * rate), LIMIT_AT_MOST);
	begin_mixtures(
		&evidence->signals[EVIDENCE_LIMIT], EVIDENCE_LATENCY_GRID);
}

void
evidence_begin_step(struct evidence *evidence, uint16_t share_bp)
{
	arm_limit(evidence, share_bp);
	begin_window(evidence);
	evidence->ln_safe = 0;
	for (unsigned i = 0; i < EVIDENCE_SIGNALS; i++)
		clear_sums(&evidence->signals[i]);
}

/* --- lines ---------------------------------------------------------------- */

/* The first bucket up to which a part q of the samples lies. */
static unsigned
quantile_bucket(const struct histogram_counts *counts, double q)
{
	uint64_t rank = (uint64_t)ceil(q * (double)counts->n);
	uint64_t seen = 0;
	unsigned i;

	for (i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += counts->counts[i];
		if (seen >= rank)
			break;
	}
	return i;
}

void
evidence_draw_lines(const struct evidence_config *config,
	const struct histogram_counts *stable, struct evidence_lines *lines)
{
	if (stable->n < LINES_NEED)
		return;
	lines->is_known = true;
	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		unsigned bucket = quantile_bucket(stable, quantiles[i]);
		double q = (double)histogram_high_ns(bucket);
		double m = config->latency_tolerance * q +
			   (double)config->latency_slack_ns;

		lines->stable[i] = (uint16_t)bucket;
		/* The bucket that m falls into: its upper edge is m, rounded
		 * up. */
		lines->candidate[i] =
			(uint16_t)(m < 1e18 ? histogram_bucket((uint64_t)m)
					    : bucket);
	}
}

/* --- ticks ---------------------------------------------------------------- */

static struct evidence_part
both(const struct evidence_part halves[2])
{
	return (struct evidence_part){
		.n = halves[0].n + halves[1].n,
		.x = halves[0].x + halves[1].x,
	};
}

static void
add_part(struct evidence_part *sum, struct evidence_part part)
{
	sum->n += part.n;
	sum->x += part.x;
}

static void
look_at_sentinel(
	struct evidence *evidence, struct evidence_signal *signal, double part)
{
	double e = (signal->sentinel[0].e + signal->sentinel[1].e) / 2;

	if (part * e >= 1 / evidence->config.false_rollback)
		signal->is_untrusted = true;
}

/* ln F1 over all strata with the sides that are pointed out in a count. */
static void
add_strata(struct evidence *evidence, struct evidence_mixture *mixture,
	const struct evidence_part *candidate,
	const struct evidence_part *stable, uint64_t now_ns)
{
	double ln_f[EVIDENCE_COUNT_GRID] = {0};
	bool has_any = false;

	for (unsigned i = 0; i < EVIDENCE_STRATA; i++) {
		if (candidate[i].x == 0 && stable[i].x == 0)
			continue;
		has_any = true;
		evidence_add_counts(candidate[i], stable[i],
			evidence->config.tolerance, evidence->count_grid,
			EVIDENCE_COUNT_GRID, ln_f);
	}
	evidence_mixture_add(mixture, has_any ? ln_f : NULL, now_ns);
}

static void
add_count(struct evidence *evidence, struct evidence_signal *signal,
	const struct evidence_count *counts, uint64_t now_ns)
{
	struct evidence_part sides[4][EVIDENCE_STRATA];

	for (unsigned i = 0; i < EVIDENCE_STRATA; i++) {
		sides[0][i] = counts[i].candidate;
		sides[1][i] = both(counts[i].stable);
		sides[2][i] = counts[i].stable[0];
		sides[3][i] = counts[i].stable[1];
		add_part(&signal->candidate, sides[0][i]);
		add_part(&signal->stable, sides[1][i]);
	}
	add_strata(evidence, &signal->judge, sides[0], sides[1], now_ns);
	add_strata(evidence, &signal->sentinel[0], sides[2], sides[3], now_ns);
	add_strata(evidence, &signal->sentinel[1], sides[3], sides[2], now_ns);
	look_at_sentinel(evidence, signal, 1);
}

static double
bad_fraction(const struct evidence_fraction *fraction)
{
	return fmin(fmax(fraction->x / fraction->n, BAD_LEAST), BAD_MOST);
}

static void
learn(struct evidence_fraction *fraction, struct evidence_part part)
{
	/* At rest it keeps what it knew. */
	if (part.n == 0)
		return;
	fraction->n = fraction->n * BAD_DECAY + part.n;
	fraction->x = fraction->x * BAD_DECAY + part.x;
}

static void
add_samples_to(struct evidence_mixture *mixture, struct evidence_part candidate,
	struct evidence_part stable, double bad, uint64_t now_ns)
{
	double ln_f[EVIDENCE_LATENCY_GRID] = {0};

	evidence_add_latency(candidate, stable, bad, ln_f);
	evidence_mixture_add(mixture, ln_f, now_ns);
}

static void
add_samples(struct evidence *evidence, struct evidence_signal *signal,
	const struct evidence_samples *samples, uint64_t now_ns)
{
	struct evidence_part stable = both(samples->stable);
	double bad = bad_fraction(&signal->bad);
	double window = evidence->window;

	add_samples_to(&signal->judge, samples->candidate, stable, bad, now_ns);
	for (unsigned i = 0; i < 2; i++)
		add_samples_to(&signal->sentinel[i], samples->beyond[i],
			samples->stable[1 - i], bad, now_ns);
	/* What this tick says of stable is for the next ones. */
	learn(&signal->bad, stable);
	add_part(&signal->candidate, samples->candidate);
	add_part(&signal->stable, stable);
	look_at_sentinel(evidence, signal, 1 / (window * (window + 1)));
}

static void
add_limit(struct evidence *evidence, const struct evidence_count *errors,
	uint64_t now_ns)
{
	struct evidence_signal *signal = &evidence->signals[EVIDENCE_LIMIT];
	double ln_f[EVIDENCE_LATENCY_GRID] = {0};
	struct evidence_part sum = {0};

	if (evidence->limit_rate <= 0)
		return;
	for (unsigned i = 0; i < EVIDENCE_STRATA; i++)
		add_part(&sum, errors[i].candidate);
	evidence_add_limit(sum, evidence->limit_rate, ln_f);
	evidence_mixture_add(&signal->judge, ln_f, now_ns);
	add_part(&signal->candidate, sum);
}

static void
add_safe(struct evidence *evidence, const struct evidence_count *errors)
{
	static const double same = 1;

	for (unsigned i = 0; i < EVIDENCE_STRATA; i++)
		evidence_add_counts(errors[i].candidate, both(errors[i].stable),
			evidence->config.worse, &same, 1, &evidence->ln_safe);
}

static void
follow_window(struct evidence *evidence, uint64_t now_ns)
{
	if (evidence->has_window_begun &&
		now_ns - evidence->window_began_ns >= EVIDENCE_WINDOW_NS)
		begin_window(evidence);
	if (evidence->has_window_begun)
		return;
	evidence->has_window_begun = true;
	evidence->window_began_ns = now_ns;
}

void
evidence_add(struct evidence *evidence, const struct evidence_tick *tick,
	uint64_t now_ns)
{
	assert(evidence->window > 0); /* evidence_begin_step() comes first */
	follow_window(evidence, now_ns);
	for (unsigned i = 0; i < EVIDENCE_COUNTS; i++) {
		struct evidence_signal *signal = &evidence->signals[i];

		if (signal->is_on)
			add_count(evidence, signal, tick->counts[i], now_ns);
	}
	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		struct evidence_signal *signal =
			&evidence->signals[EVIDENCE_LATENCY + i];

		if (signal->is_on)
			add_samples(
				evidence, signal, &tick->samples[i], now_ns);
	}
	add_limit(evidence, tick->counts[EVIDENCE_ERRORS], now_ns);
	add_safe(evidence, tick->counts[EVIDENCE_ERRORS]);
	evidence->candidate_clients = tick->candidate_clients;
	evidence->stable_clients = tick->stable_clients;
}

/* --- what it comes to ----------------------------------------------------- */

double
evidence_signal_e(const struct evidence *evidence, unsigned index)
{
	const struct evidence_signal *signal = &evidence->signals[index];
	double window = evidence->window;
	double e = signal->weight * signal->judge.e;

	/* Before the first step no window has begun. */
	if (is_latency(index) && evidence->window == 0)
		return 0;
	return is_latency(index) ? e / (window * (window + 1)) : e;
}

void
evidence_summarize(
	const struct evidence *evidence, struct evidence_summary *out)
{
	double alarm = 1 / evidence->config.false_rollback;

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < EVIDENCE_SIGNALS; i++) {
		const struct evidence_signal *signal = &evidence->signals[i];

		if (signal->is_untrusted)
			out->untrusted |= 1u << i;
		else if (signal->is_on && evidence_signal_e(evidence, i) > out->e) {
			out->e = evidence_signal_e(evidence, i);
			out->reason = i;
		}
	}
	out->score = 100;
	if (out->e > 1)
		out->score = 100 * (1 - fmin(log(out->e) / log(alarm), 1));
	out->e_safe = exp(fmin(evidence->ln_safe, log(EVIDENCE_E_MAX)));
	out->is_over_limit = evidence->limit_rate > 0 &&
			     evidence->config.max_error_rate <= 0 &&
			     evidence_signal_e(evidence, EVIDENCE_LIMIT) >= alarm;
}

double
evidence_seconds_to_see(double clients_per_s, double share, double p,
	double ratio, double false_rollback)
{
	double need =
		log(EVIDENCE_COUNT_GRID / (WEIGHT_ERRORS / 2 * false_rollback));
	double rate =
		clients_per_s * share * p * (ratio * log(ratio) - ratio + 1);

	return rate > 0 ? need / rate : INFINITY;
}

/* --- words ---------------------------------------------------------------- */

const char *
evidence_signal_name(const struct evidence *evidence, unsigned signal,
	char *out, size_t size)
{
	static const char *const names[EVIDENCE_SIGNALS] = {
		[EVIDENCE_ERRORS] = "errors",
		[EVIDENCE_NOT_FOUND] = "not_found",
		[EVIDENCE_LATENCY] = "latency.p50",
		[EVIDENCE_LATENCY + 1] = "latency.p95",
		[EVIDENCE_LATENCY + 2] = "latency.p99",
		[EVIDENCE_LIMIT] = "limit.errors",
	};

	assert(signal < EVIDENCE_SIGNALS);
	if (signal >= EVIDENCE_WATCH && signal < EVIDENCE_COUNTS)
		snprintf(out, size, "watch.%s",
			evidence->config.watches[signal - EVIDENCE_WATCH]);
	else
		snprintf(out, size, "%s", names[signal]);
	return out;
}

const char *
evidence_number(uint64_t number, char out[EVIDENCE_NUMBER_SIZE])
{
	char digits[EVIDENCE_NUMBER_SIZE];
	size_t n = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, number);
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return out;
}

const char *
evidence_explain(const struct evidence *evidence, unsigned signal,
	const char *candidate, const char *stable, char *out, size_t size)
{
	const struct evidence_signal *at = &evidence->signals[signal];
	char name[EVIDENCE_NAME_MAX + 16];
	char x_c[EVIDENCE_NUMBER_SIZE], n_c[EVIDENCE_NUMBER_SIZE];
	char x_s[EVIDENCE_NUMBER_SIZE], n_s[EVIDENCE_NUMBER_SIZE];
	bool is_slow = is_latency(signal);

	evidence_signal_name(evidence, signal, name, sizeof(name));
	evidence_number(at->candidate.x, x_c);
	evidence_number(at->stable.x, x_s);
	evidence_number(
		is_slow ? at->candidate.n : evidence->candidate_clients, n_c);
	evidence_number(is_slow ? at->stable.n : evidence->stable_clients, n_s);
	if (signal == EVIDENCE_LIMIT)
		snprintf(out, size,
			"%s: %s of %s clients hurt on %s, over %.3g %%", name,
			x_c, n_c, candidate, 100 * evidence->limit_rate);
	else
		snprintf(out, size,
			"%s: %s of %s clients %s on %s, %s of %s on %s", name,
			x_c, n_c, is_slow ? "slow" : "hurt", candidate, x_s,
			n_s, stable);
	return out;
}
