/*
 * histogram: counts of durations in log-linear buckets. Pure.
 *
 * Each power of two is cut into 16, so that a bucket's middle is within 3.2 %
 * of anything in it; from 10 us to 100 s, with one bucket below and one above.
 * One writer, any number of readers: counts are relaxed atomics.
 */
#ifndef PERCH_RELEASE_HISTOGRAM_H
#define PERCH_RELEASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 384 /* histogram.c asserts that it is enough */

struct histogram {
	_Atomic uint64_t sum_ns;
	_Atomic uint64_t counts[HISTOGRAM_BUCKETS];
};

/* A reader's copy or sum. */
struct histogram_counts {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t sum_ns;
	uint64_t n;
};

void histogram_record(struct histogram *histogram, uint64_t duration_ns);

/* Adds what was counted to out. */
void histogram_add(
	const struct histogram *histogram, struct histogram_counts *out);
/* out = later - earlier, bucket by bucket. */
void histogram_subtract(const struct histogram_counts *later,
	const struct histogram_counts *earlier, struct histogram_counts *out);

unsigned histogram_bucket(uint64_t duration_ns);
/* Bounds of a bucket: [low, high). The last one's high is UINT64_MAX. */
uint64_t histogram_low_ns(unsigned bucket);
uint64_t histogram_high_ns(unsigned bucket);

/* The middle of the bucket with the q-quantile (0 < q <= 1); 0 if n is 0. */
uint64_t histogram_quantile_ns(const struct histogram_counts *counts, double q);
/* How many are in buckets that end at or below limit_ns. */
uint64_t histogram_count_below(
	const struct histogram_counts *counts, uint64_t limit_ns);

#endif
