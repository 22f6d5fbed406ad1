#include "release/evidence.h"

#include <assert.h>
#include <math.h>
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
 * and the signal is not to be believed. To win it must show a hundred times as
 * much as a rollback takes: by mistake it would silence a signal that harm needs.
 */

#define WEIGHT_ERRORS 0.4
#define WEIGHT_NOT_FOUND 0.1
#define WEIGHT_LATENCY 0.1 /* each quantile */
#define WEIGHT_OTHERS 0.2 /* watches and limit share it */

#define SENTINEL_TIMES 100
#define SENTINEL_TICKS 4 /* it needn't look at each */

#define LIMIT_AT_LEAST 0.01
#define LIMIT_TIMES 3
#define LIMIT_AT_MOST 0.9

/* Counts are weighed in blocks of ticks with that many clients to be expected on
 * the lesser side, or of a minute. With little traffic a tick has clients of one
 * side alone, and says nothing. */
#define BLOCK_CLIENTS 2.0
#define BLOCK_TICKS 240

/* Stable's bad samples: forgotten with a half-life of some seventy blocks; at the
 * start as good as that many samples of what a quantile means. */
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
	signal->candidate = (struct evidence_sum){0};
	signal->stable = (struct evidence_sum){0};
}

static void
clear_block(struct evidence_signal *signal)
{
	memset(&signal->block, 0, sizeof(signal->block));
	signal->n_block = 0;
	signal->n_block_ticks = 0;
}

static void
clear_watched(struct evidence_signal *signal)
{
	memset(&signal->watched, 0, sizeof(signal->watched));
	signal->n_watched_ticks = 0;
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
		clear_block(&evidence->signals[i]);
		clear_watched(&evidence->signals[i]);
	}
}

static void
arm_limit(struct evidence *evidence, uint16_t share_bp)
{
	struct evidence_sum stable = evidence->signals[EVIDENCE_ERRORS].stable;
	double rate = stable.n > 0 ? (double)stable.x / (double)stable.n : 0;

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

/* --- lines ---------------------------------------------------------------- */

/* The buckets up to which such parts of the samples lie. */
static void
find_quantiles(
	const struct histogram_counts *counts, uint16_t out[EVIDENCE_QUANTILES])
{
	uint64_t seen = 0;
	unsigned bucket = 0;

	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		double rank = quantiles[i] * (double)counts->n;

		for (; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
			if ((double)(seen + counts->counts[bucket]) >= rank)
				break;
			seen += counts->counts[bucket];
		}
		out[i] = (uint16_t)bucket;
	}
}

void
evidence_draw_lines(const struct evidence_config *config,
	const struct histogram_counts *stable, struct evidence_lines *lines)
{
	if (stable->n < LINES_NEED)
		return;
	lines->is_known = true;
	find_quantiles(stable, lines->stable);
	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		double q = (double)histogram_high_ns(lines->stable[i]);
		double m = config->latency_tolerance * q +
			   (double)config->latency_slack_ns;

		/* The bucket that m falls into: its upper edge is m, rounded
		 * up. The last one has none. */
		lines->candidate[i] = lines->stable[i];
		if (m < 1e18)
			lines->candidate[i] =
				(uint16_t)histogram_bucket((uint64_t)m);
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
add_to_step(struct evidence_sum *sum, struct evidence_part part)
{
	sum->n += part.n;
	sum->x += part.x;
}

/* Latency's in the present window, of its weight. */
static double
part_of_window(const struct evidence *evidence)
{
	double window = fmax(evidence->window, 1);

	return 1 / (window * (window + 1));
}

static void
look_at_sentinel(
	struct evidence *evidence, struct evidence_signal *signal, double part)
{
	double e = (signal->sentinel[0].e + signal->sentinel[1].e) / 2;

	if (part * e >= SENTINEL_TIMES / evidence->config.false_rollback)
		signal->is_untrusted = true;
}

/* Has the block seen enough, on whichever side, for about BLOCK_CLIENTS on the
 * lesser? Sides mustn't be looked at here, nor outcomes. */
static bool
is_block_full(
	const struct evidence *evidence, const struct evidence_signal *signal)
{
	double lesser = fmin(evidence->share, 1 - evidence->share);

	return signal->n_block * lesser >= BLOCK_CLIENTS ||
	       signal->n_block_ticks >= BLOCK_TICKS;
}

/* ln F1 over all strata with the sides that are pointed out in a count. */
static void
add_strata(struct evidence *evidence, struct evidence_mixture *mixture,
	const struct evidence_part *candidate,
	const struct evidence_part *stable)
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
	evidence_mixture_add(mixture, has_any ? ln_f : NULL, evidence->now_ns);
}

static void
add_safe(struct evidence *evidence, const struct evidence_part *candidate,
	const struct evidence_part *stable)
{
	static const double same = 1;

	for (unsigned i = 0; i < EVIDENCE_STRATA; i++)
		evidence_add_counts(candidate[i], stable[i],
			evidence->config.worse, &same, 1, &evidence->ln_safe);
}

static void
add_count(struct evidence_count *sum, const struct evidence_count *count)
{
	add_part(&sum->candidate, count->candidate);
	add_part(&sum->stable[0], count->stable[0]);
	add_part(&sum->stable[1], count->stable[1]);
}

/* Stable's halves against each other. */
static void
watch_counts(struct evidence *evidence, struct evidence_signal *signal)
{
	struct evidence_part halves[2][EVIDENCE_STRATA];

	for (unsigned i = 0; i < EVIDENCE_STRATA; i++) {
		add_count(&signal->watched.counts[i], &signal->block.counts[i]);
		halves[0][i] = signal->watched.counts[i].stable[0];
		halves[1][i] = signal->watched.counts[i].stable[1];
	}
	signal->n_watched_ticks += signal->n_block_ticks;
	if (signal->n_watched_ticks < SENTINEL_TICKS)
		return;
	add_strata(evidence, &signal->sentinel[0], halves[0], halves[1]);
	add_strata(evidence, &signal->sentinel[1], halves[1], halves[0]);
	look_at_sentinel(evidence, signal, 1);
	clear_watched(signal);
}

static void
weigh_counts(struct evidence *evidence, unsigned index)
{
	struct evidence_signal *signal = &evidence->signals[index];
	struct evidence_part candidate[EVIDENCE_STRATA];
	struct evidence_part stable[EVIDENCE_STRATA];

	for (unsigned i = 0; i < EVIDENCE_STRATA; i++) {
		candidate[i] = signal->block.counts[i].candidate;
		stable[i] = both(signal->block.counts[i].stable);
	}
	add_strata(evidence, &signal->judge, candidate, stable);
	if (index == EVIDENCE_ERRORS)
		add_safe(evidence, candidate, stable);
	watch_counts(evidence, signal);
	clear_block(signal);
}

static void
add_counts(struct evidence *evidence, unsigned index,
	const struct evidence_count *counts)
{
	struct evidence_signal *signal = &evidence->signals[index];

	for (unsigned i = 0; i < EVIDENCE_STRATA; i++) {
		struct evidence_part stable = both(counts[i].stable);

		add_count(&signal->block.counts[i], &counts[i]);
		add_to_step(&signal->candidate, counts[i].candidate);
		add_to_step(&signal->stable, stable);
		signal->n_block += counts[i].candidate.n + stable.n;
	}
	signal->n_block_ticks++;
	if (is_block_full(evidence, signal))
		weigh_counts(evidence, index);
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
weigh_samples_of(struct evidence *evidence, struct evidence_mixture *mixture,
	struct evidence_part candidate, struct evidence_part stable, double bad)
{
	double ln_f[EVIDENCE_LATENCY_GRID] = {0};

	evidence_add_latency(candidate, stable, bad, ln_f);
	evidence_mixture_add(mixture, ln_f, evidence->now_ns);
}

static void
add_halves(struct evidence_samples *sum, const struct evidence_samples *samples)
{
	for (unsigned i = 0; i < 2; i++) {
		add_part(&sum->stable[i], samples->stable[i]);
		add_part(&sum->beyond[i], samples->beyond[i]);
	}
}

static void
watch_samples(
	struct evidence *evidence, struct evidence_signal *signal, double bad)
{
	const struct evidence_samples *samples = &signal->watched.samples;

	if (signal->n_watched_ticks == 0)
		signal->watched_bad = bad;
	add_halves(&signal->watched.samples, &signal->block.samples);
	signal->n_watched_ticks += signal->n_block_ticks;
	if (signal->n_watched_ticks < SENTINEL_TICKS)
		return;
	for (unsigned i = 0; i < 2; i++)
		weigh_samples_of(evidence, &signal->sentinel[i],
			samples->beyond[i], samples->stable[1 - i],
			signal->watched_bad);
	look_at_sentinel(evidence, signal, part_of_window(evidence));
	clear_watched(signal);
}

static void
weigh_samples(struct evidence *evidence, struct evidence_signal *signal)
{
	const struct evidence_samples *samples = &signal->block.samples;
	struct evidence_part stable = both(samples->stable);
	double bad = bad_fraction(&signal->bad);

	weigh_samples_of(
		evidence, &signal->judge, samples->candidate, stable, bad);
	watch_samples(evidence, signal, bad);
	/* What this block says of stable is for the next ones. */
	learn(&signal->bad, stable);
	clear_block(signal);
}

static void
add_samples(struct evidence *evidence, struct evidence_signal *signal,
	const struct evidence_samples *samples)
{
	struct evidence_part stable = both(samples->stable);

	add_part(&signal->block.samples.candidate, samples->candidate);
	add_halves(&signal->block.samples, samples);
	add_to_step(&signal->candidate, samples->candidate);
	add_to_step(&signal->stable, stable);
	signal->n_block += samples->candidate.n + stable.n;
	signal->n_block_ticks++;
	if (is_block_full(evidence, signal))
		weigh_samples(evidence, signal);
}

static void
add_limit(struct evidence *evidence, const struct evidence_count *errors)
{
	struct evidence_signal *signal = &evidence->signals[EVIDENCE_LIMIT];
	double ln_f[EVIDENCE_LATENCY_GRID] = {0};
	struct evidence_part sum = {0};

	if (evidence->limit_rate <= 0)
		return;
	for (unsigned i = 0; i < EVIDENCE_STRATA; i++)
		add_part(&sum, errors[i].candidate);
	evidence_add_limit(sum, evidence->limit_rate, ln_f);
	evidence_mixture_add(&signal->judge, ln_f, evidence->now_ns);
	add_to_step(&signal->candidate, sum);
}

static void
follow_window(struct evidence *evidence)
{
	if (evidence->has_window_begun &&
		evidence->now_ns - evidence->window_began_ns >=
			EVIDENCE_WINDOW_NS)
		begin_window(evidence);
	if (evidence->has_window_begun)
		return;
	evidence->has_window_begun = true;
	evidence->window_began_ns = evidence->now_ns;
}

void
evidence_add(struct evidence *evidence, const struct evidence_tick *tick,
	uint64_t now_ns)
{
	assert(evidence->window > 0); /* evidence_begin_step() comes first */
	evidence->now_ns = now_ns;
	follow_window(evidence);
	for (unsigned i = 0; i < EVIDENCE_COUNTS; i++)
		if (evidence->signals[i].is_on)
			add_counts(evidence, i, tick->counts[i]);
	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		struct evidence_signal *signal =
			&evidence->signals[EVIDENCE_LATENCY + i];

		if (signal->is_on)
			add_samples(evidence, signal, &tick->samples[i]);
	}
	add_limit(evidence, tick->counts[EVIDENCE_ERRORS]);
	evidence->candidate_clients = tick->candidate_clients;
	evidence->stable_clients = tick->stable_clients;
}

void
evidence_begin_step(struct evidence *evidence, uint16_t share_bp)
{
	/* A block has one share. Latency's is of the window that ends. */
	for (unsigned i = 0; i < EVIDENCE_COUNTS; i++)
		if (evidence->signals[i].n_block_ticks > 0)
			weigh_counts(evidence, i);
	arm_limit(evidence, share_bp);
	begin_window(evidence);
	evidence->share = (double)share_bp / EVIDENCE_SHARE_FULL;
	evidence->ln_safe = 0;
	for (unsigned i = 0; i < EVIDENCE_SIGNALS; i++)
		clear_sums(&evidence->signals[i]);
}

/* --- what it comes to ----------------------------------------------------- */

double
evidence_signal_e(const struct evidence *evidence, unsigned index)
{
	const struct evidence_signal *signal = &evidence->signals[index];
	double e = signal->weight * signal->judge.e;

	return is_latency(index) ? e * part_of_window(evidence) : e;
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
