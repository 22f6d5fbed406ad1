/*
 * stats: what happened in the last seconds, from counters that only grow.
 *
 * stats_sample() is called every STATS_INTERVAL_S; two samples are kept, and
 * the difference to the older one is the window: it reaches back one to two
 * intervals. A version's sample (6 KiB) exists only once it had traffic. Reads
 * no clock. The admin server owns it; control thread only.
 */
#ifndef PERCH_ADMIN_STATS_H
#define PERCH_ADMIN_STATS_H

#include <stdint.h>

#include "proxy/registry.h"
#include "proxy/snapshot.h"

#define STATS_INTERVAL_S 5

struct stats;

struct stats *stats_new(uint64_t now_ns);
void stats_free(struct stats *stats);

/* Takes a sample of all that is in the snapshot. */
void stats_sample(struct stats *stats, const struct snapshot *snapshot,
	const struct registry *registry, uint64_t now_ns);

/* The window's length. */
double stats_window_s(const struct stats *stats, uint64_t now_ns);

/* What of counts (a version's sum, just made) is of this window; in_flight is
 * as it is now. */
void stats_version_window(const struct stats *stats,
	const struct registry_version *version,
	const struct meter_counts *counts, struct meter_counts *out);

struct stats_endpoint {
	uint64_t requests;
	uint64_t failures;
};

/* The same for an endpoint. */
struct stats_endpoint stats_endpoint_window(const struct stats *stats,
	const struct registry_endpoint *endpoint, struct stats_endpoint now);

#endif
