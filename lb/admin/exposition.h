/*
 * exposition: Prometheus' text format 0.0.4. Knows how families, labels and
 * histograms are written, and nothing of what they mean.
 *
 * All the samples of a family must stand together, but one walk over the
 * services yields samples of every family: so each family has a text of its
 * own, and they are strung together at the end.
 */
#ifndef PERCH_ADMIN_EXPOSITION_H
#define PERCH_ADMIN_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#include "admin/text.h"
#include "base/slice.h"
#include "release/histogram.h"

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct evbuffer;

struct exposition_about {
	const char *name;
	const char *type; /* "counter", "gauge", "histogram" */
	const char *help;
};

struct exposition_family {
	const struct exposition_about *about;
	struct text text;
};

/* Adds name="value" to a list of labels, escaped, with a comma where needed. */
void exposition_label(
	struct text *labels, const char *name, struct slice value);

/* A sample. labels as exposition_label() made them, or empty. */
void exposition_u64(struct exposition_family *family, struct slice labels,
	uint64_t value);
void exposition_double(struct exposition_family *family, struct slice labels,
	double value);

/* _bucket, _sum and _count. The count is the sum of the buckets. */
void exposition_histogram(struct exposition_family *family,
	struct slice labels, const struct histogram_counts *counts);

/* Writes HELP, TYPE and samples of each family that has any, and empties
 * them. */
void exposition_finish(struct exposition_family *families, size_t n_families,
	struct evbuffer *out);

#endif
