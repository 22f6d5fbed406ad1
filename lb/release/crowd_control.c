#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "release/crowd.h"
#include "release/crowd_marks.h"

/* --- life ----------------------------------------------------------------- */

/* Zeroed, and backed by memory only where it is touched; NULL if there is none. */
static void *
map(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static size_t
marks_size(void)
{
	return CROWD_CELLS * sizeof(struct crowd_mark);
}

static size_t
watches_size(const struct crowd *crowd)
{
	return crowd->n_watches * CROWD_CELLS * sizeof(struct crowd_watch_mark);
}

struct crowd *
crowd_new(uint32_t generation, unsigned n_workers, unsigned n_watches)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));

	assert(generation > 0 && n_workers > 0);
	assert(n_watches <= EVIDENCE_WATCHES_MAX);
	if (crowd == NULL)
		return NULL;
	crowd->generation = generation;
	crowd->n_workers = n_workers;
	crowd->n_watches = n_watches;
	crowd->marks = map(marks_size());
	if (n_watches > 0)
		crowd->watches = map(watches_size(crowd));
	crowd->tallies =
		aligned_alloc(64, n_workers * sizeof(struct crowd_tally));
	if (crowd->marks == NULL || crowd->tallies == NULL ||
		(n_watches > 0 && crowd->watches == NULL)) {
		crowd_free(crowd);
		return NULL;
	}
	memset(crowd->tallies, 0, n_workers * sizeof(struct crowd_tally));
	atomic_init(&crowd->shortest, HISTOGRAM_BUCKETS - 1);
	return crowd;
}

void
crowd_free(struct crowd *crowd)
{
	if (crowd == NULL)
		return;
	if (crowd->marks != NULL)
		munmap(crowd->marks, marks_size());
	if (crowd->watches != NULL)
		munmap(crowd->watches, watches_size(crowd));
	free(crowd->tallies);
	free(crowd);
}

void
crowd_publish(struct crowd_handle *handle, struct crowd *crowd, uint64_t stamp)
{
	struct crowd *before = atomic_exchange_explicit(
		&handle->current, crowd, memory_order_acq_rel);

	if (before == NULL)
		return;
	before->stamp = stamp;
	before->next = handle->retired;
	handle->retired = before;
}

void
crowd_reclaim(struct crowd_handle *handle, uint64_t passed)
{
	struct crowd **at = &handle->retired;

	while (*at != NULL) {
		struct crowd *crowd = *at;

		if (crowd->stamp < passed) {
			*at = crowd->next;
			crowd_free(crowd);
		} else {
			at = &crowd->next;
		}
	}
}

/* --- steps and windows ---------------------------------------------------- */

static void
count_clients(const struct crowd *crowd, uint32_t out[2], uint32_t *cells)
{
	out[0] = out[1] = *cells = 0;
	for (unsigned i = 0; i < crowd->n_workers; i++) {
		struct crowd_tally *tally = &crowd->tallies[i];

		for (unsigned k = 0; k < 2; k++)
			out[k] += atomic_load_explicit(
				&tally->clients[k], memory_order_relaxed);
		*cells += atomic_load_explicit(
			&tally->cells, memory_order_relaxed);
	}
}

static uint16_t
after(uint16_t number)
{
	/* 0 is of those never marked. */
	return number == UINT16_MAX ? 1 : (uint16_t)(number + 1);
}

void
crowd_begin_step(struct crowd *crowd, uint16_t epoch)
{
	struct crowd_now now = crowd_now_of(crowd);
	uint32_t cells;

	count_clients(crowd, crowd->clients_before, &cells);
	now.tick++;
	now.step = after(now.step);
	now.window = after(now.window);
	/* Who reads the new step reads the new epoch. */
	atomic_store_explicit(&crowd->epoch, epoch, memory_order_relaxed);
	crowd_set_now(crowd, now);
}

void
crowd_begin_window(struct crowd *crowd)
{
	struct crowd_now now = crowd_now_of(crowd);

	now.window = after(now.window);
	crowd_set_now(crowd, now);
}

static uint64_t
pack_lines(const struct evidence_lines *lines)
{
	uint64_t packed = lines->is_known ? CROWD_LINES_KNOWN : 0;

	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		packed |= (uint64_t)lines->stable[i] << (i * CROWD_LINE_BITS);
		packed |= (uint64_t)lines->candidate[i]
			  << ((EVIDENCE_QUANTILES + i) * CROWD_LINE_BITS);
	}
	return packed;
}

void
crowd_set_lines(struct crowd *crowd, const struct evidence_lines *lines)
{
	uint16_t shortest =
		atomic_load_explicit(&crowd->shortest, memory_order_relaxed);

	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++)
		if (lines->is_known && lines->candidate[i] < shortest)
			shortest = lines->candidate[i];
	atomic_store_explicit(&crowd->shortest, shortest, memory_order_relaxed);
	atomic_store_explicit(
		&crowd->lines, pack_lines(lines), memory_order_relaxed);
}

/* --- the tick ------------------------------------------------------------- */

static void
add_pair(struct evidence_part *sum, const _Atomic uint64_t *counter)
{
	uint64_t packed = atomic_load_explicit(counter, memory_order_relaxed);

	sum->n += (uint32_t)(packed >> 32);
	sum->x += (uint32_t)packed;
}

static void
add_tally(struct crowd_sums *sums, const struct crowd_tally *tally,
	unsigned n_signals)
{
	for (unsigned i = 0; i < n_signals; i++)
		for (unsigned k = 0; k < EVIDENCE_STRATA; k++)
			for (unsigned side = 0; side < CROWD_SIDES; side++)
				add_pair(&sums->counts[i][k][side],
					&tally->counts[i][k][side]);
	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++)
		for (unsigned k = 0; k < CROWD_N_OVER; k++)
			add_pair(&sums->samples[i][k], &tally->samples[i][k]);
}

/* What came since. Sums may wrap; their differences don't. */
static struct evidence_part
part_since(struct evidence_part now, struct evidence_part before)
{
	struct evidence_part part = {now.n - before.n, now.x - before.x};

	/* A client seen in the tick before, at its very end, whose bad outcome
	 * was booked after that tick was read. */
	if (part.n < part.x)
		part.n = part.x;
	return part;
}

static void
subtract(const struct crowd_sums *now, const struct crowd_sums *before,
	unsigned n_signals, struct evidence_tick *out)
{
	for (unsigned i = 0; i < n_signals; i++) {
		for (unsigned k = 0; k < EVIDENCE_STRATA; k++) {
			struct evidence_part parts[CROWD_SIDES];

			for (unsigned side = 0; side < CROWD_SIDES; side++)
				parts[side] =
					part_since(now->counts[i][k][side],
						before->counts[i][k][side]);
			out->counts[i][k] = (struct evidence_count){
				.candidate = parts[CROWD_CANDIDATE],
				.stable = {parts[CROWD_STABLE_0],
					parts[CROWD_STABLE_1]},
			};
		}
	}
	for (unsigned i = 0; i < EVIDENCE_QUANTILES; i++) {
		struct evidence_part parts[CROWD_N_OVER];

		for (unsigned k = 0; k < CROWD_N_OVER; k++)
			parts[k] = part_since(
				now->samples[i][k], before->samples[i][k]);
		out->samples[i] = (struct evidence_samples){
			.candidate = parts[CROWD_OVER_CANDIDATE],
			.stable = {parts[CROWD_OVER_STABLE],
				parts[CROWD_OVER_STABLE + 1]},
			.beyond = {parts[CROWD_OVER_BEYOND],
				parts[CROWD_OVER_BEYOND + 1]},
		};
	}
}

static void
keep_samples(struct crowd *crowd)
{
	struct histogram_counts *sum;

	crowd->newest = (crowd->newest + 1) % (CROWD_BEFORE_TICKS + 1);
	sum = &crowd->stable[crowd->newest];
	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < crowd->n_workers; i++)
		histogram_add(&crowd->tallies[i].stable, sum);
}

void
crowd_read(struct crowd *crowd, struct evidence_tick *out)
{
	struct crowd_now now = crowd_now_of(crowd);
	struct crowd_sums sums = {0};
	struct crowd_totals totals;
	unsigned n_signals = EVIDENCE_WATCH + crowd->n_watches;

	now.tick++;
	crowd_set_now(crowd, now);
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < crowd->n_workers; i++)
		add_tally(&sums, &crowd->tallies[i], n_signals);
	subtract(&sums, &crowd->sums, n_signals, out);
	crowd->sums = sums;
	keep_samples(crowd);
	crowd_totals(crowd, &totals);
	out->candidate_clients = totals.candidate_clients;
	out->stable_clients = totals.stable_clients;
}

void
crowd_totals(const struct crowd *crowd, struct crowd_totals *out)
{
	uint32_t clients[2], n_hurt = 0;

	count_clients(crowd, clients, &out->cells);
	out->candidate_clients = clients[0] - crowd->clients_before[0];
	out->stable_clients = clients[1] - crowd->clients_before[1];
	for (unsigned k = 0; k < EVIDENCE_ANONYMOUS; k++)
		for (unsigned side = 0; side < CROWD_SIDES; side++)
			n_hurt +=
				crowd->sums.counts[EVIDENCE_ERRORS][k][side].x;
	out->is_exhausted = n_hurt > out->cells / 2;
}

void
crowd_stable_samples(const struct crowd *crowd, struct histogram_counts *out)
{
	unsigned oldest = (crowd->newest + 1) % (CROWD_BEFORE_TICKS + 1);

	histogram_subtract(
		&crowd->stable[crowd->newest], &crowd->stable[oldest], out);
}
