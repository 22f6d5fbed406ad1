#include "release/histogram.h"

#include <assert.h>
#include <math.h>

/*
 * A duration v in [2^e, 2^(e+1)) is in cell e * 16 + (the four bits below its
 * highest): log-linear, without a logarithm. Buckets are the cells from the one
 * with 10 us to the one with 100 s, moved down to start at 1; all that is below
 * goes to bucket 0, all that is above to the last.
 */
#define SUB_BITS 4
#define SUB_COUNT (1u << SUB_BITS)

/* 2^13 + 3 * 2^9 = 9,728 ns: the cell with 10 us. */
#define FIRST_CELL (13 * SUB_COUNT + 3)
/* 2^36 + 7 * 2^32 = 98.8e9 ns: the cell with 100 s. */
#define LAST_CELL (36 * SUB_COUNT + 7)
#define LAST_BUCKET (LAST_CELL - FIRST_CELL + 2)

static_assert(LAST_BUCKET < HISTOGRAM_BUCKETS, "too few histogram buckets");

static uint64_t
cell_low_ns(unsigned cell)
{
	unsigned exponent = cell / SUB_COUNT;

	return (uint64_t)(SUB_COUNT + cell % SUB_COUNT)
	       << (exponent - SUB_BITS);
}

static unsigned
cell_of(uint64_t duration_ns)
{
	unsigned exponent = 63 - (unsigned)__builtin_clzll(duration_ns);
	unsigned sub = (unsigned)(duration_ns >> (exponent - SUB_BITS)) &
		       (SUB_COUNT - 1);

	return exponent * SUB_COUNT + sub;
}

unsigned
histogram_bucket(uint64_t duration_ns)
{
	unsigned cell;

	/* So small that there are not four bits below the highest. */
	if (duration_ns < SUB_COUNT)
		return 0;
	cell = cell_of(duration_ns);
	if (cell < FIRST_CELL)
		return 0;
	if (cell > LAST_CELL)
		return LAST_BUCKET;
	return cell - FIRST_CELL + 1;
}

uint64_t
histogram_low_ns(unsigned bucket)
{
	if (bucket == 0)
		return 0;
	if (bucket > LAST_BUCKET)
		bucket = LAST_BUCKET;
	return cell_low_ns(bucket - 1 + FIRST_CELL);
}

uint64_t
histogram_high_ns(unsigned bucket)
{
	if (bucket >= LAST_BUCKET)
		return UINT64_MAX;
	return cell_low_ns(bucket + FIRST_CELL);
}

void
histogram_record(struct histogram *histogram, uint64_t duration_ns)
{
	_Atomic uint64_t *count =
		&histogram->counts[histogram_bucket(duration_ns)];

	/* One writer: a plain add, but torn for no reader. */
	atomic_store_explicit(count,
		atomic_load_explicit(count, memory_order_relaxed) + 1,
		memory_order_relaxed);
	atomic_store_explicit(&histogram->sum_ns,
		atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed) +
			duration_ns,
		memory_order_relaxed);
}

void
histogram_add(const struct histogram *histogram, struct histogram_counts *out)
{
	for (unsigned i = 0; i <= LAST_BUCKET; i++) {
		uint64_t count = atomic_load_explicit(
			&histogram->counts[i], memory_order_relaxed);

		out->counts[i] += count;
		out->n += count;
	}
	out->sum_ns +=
		atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
}

void
histogram_subtract(const struct histogram_counts *later,
	const struct histogram_counts *earlier, struct histogram_counts *out)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		out->counts[i] = later->counts[i] - earlier->counts[i];
	out->sum_ns = later->sum_ns - earlier->sum_ns;
	out->n = later->n - earlier->n;
}

/* What to report for a duration in the bucket. The last has no middle. */
static uint64_t
middle_ns(unsigned bucket)
{
	uint64_t low = histogram_low_ns(bucket);

	if (bucket >= LAST_BUCKET)
		return low;
	return low + (histogram_high_ns(bucket) - low) / 2;
}

uint64_t
histogram_quantile_ns(const struct histogram_counts *counts, double q)
{
	uint64_t rank, seen = 0;

	if (counts->n == 0)
		return 0;
	rank = (uint64_t)ceil(q * (double)counts->n);
	if (rank < 1)
		rank = 1;
	for (unsigned i = 0; i < LAST_BUCKET; i++) {
		seen += counts->counts[i];
		if (seen >= rank)
			return middle_ns(i);
	}
	return middle_ns(LAST_BUCKET);
}

uint64_t
histogram_count_below(const struct histogram_counts *counts, uint64_t limit_ns)
{
	uint64_t n = 0;

	for (unsigned i = 0; i <= LAST_BUCKET; i++) {
		if (histogram_high_ns(i) > limit_ns)
			break;
		n += counts->counts[i];
	}
	return n;
}
