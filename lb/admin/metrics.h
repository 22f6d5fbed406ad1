/*
 * metrics: everything that perch counts, for Prometheus.
 *
 * Written on the control thread from the snapshot in force: one walk over its
 * services, linear in what there is to say. What was never asked says little:
 * an endpoint without traffic has no samples by class or kind of error, a
 * version without one no histogram, a unit that was never released no state, so
 * that ten thousand idle services stay cheap to scrape. Scores and evidence are
 * there while a release runs: what stands of one that has ended would be alarmed
 * about for ever.
 */
#ifndef PERCH_ADMIN_METRICS_H
#define PERCH_ADMIN_METRICS_H

#include <stdint.h>

#include "admin/webhook.h"
#include "proxy/control.h"
#include "proxy/registry.h"
#include "proxy/snapshot.h"

struct evbuffer;

struct metrics_source {
	const struct snapshot *snapshot;
	const struct registry *registry;
	const struct releases *releases;
	struct control_reloads reloads;
	const struct webhook_counts *webhooks;
	uint64_t started_wall_ns;
	uint64_t now_ns; /* monotonic */
};

/* Of EXPOSITION_CONTENT_TYPE. */
void metrics_write(const struct metrics_source *source, struct evbuffer *out);

#endif
