/*
 * service_json: a service as the API shows it: its release, versions and
 * endpoints, with totals since the start and rates over the stats' window.
 *
 * Shares are percentages; an error rate is a ratio from 0 to 1. What the
 * window can't say (a quantile of nothing) is null.
 */
#ifndef PERCH_ADMIN_SERVICE_JSON_H
#define PERCH_ADMIN_SERVICE_JSON_H

#include <stdint.h>

#include <jansson.h>

#include "admin/stats.h"
#include "proxy/registry.h"
#include "proxy/releases.h"
#include "proxy/snapshot.h"

struct service_source {
	const struct registry *registry;
	const struct stats *stats;
	const struct releases *releases;
	uint64_t now_ns; /* monotonic */
};

/* A new reference; NULL if memory is out. */
json_t *service_json(const struct service_source *source,
	const struct snapshot_service *service);

#endif
