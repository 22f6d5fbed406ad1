/*
 * view: what the admin server shows of a service, read from the registry:
 * roles and shares by its release, and counters without their histograms.
 *
 * Reads with relaxed loads what workers write; costs a few loads per meter.
 */
#ifndef PERCH_ADMIN_VIEW_H
#define PERCH_ADMIN_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/registry.h"

enum view_role {
	VIEW_NO_ROLE,
	VIEW_STABLE,
	VIEW_CANDIDATE,
};
/* "none", "stable", "candidate". */
const char *view_role_name(enum view_role role);

/* "unknown", "up", "down". */
const char *view_health_name(const struct registry_endpoint *endpoint);

/* One consistent reading of a service's release. */
struct view_release {
	const struct release_record *record;
	struct release_cell cell;
};

struct view_release view_read_release(const struct registry_service *service);
bool view_is_running(const struct view_release *release);
enum view_role view_role_of(const struct view_release *release,
	const struct release_version *version);
/* The share that a version is meant to have. */
uint16_t view_share_bp(const struct view_release *release,
	const struct release_version *version);

/* A meter's counters, see meter_counts. */
struct view_counters {
	uint64_t requests;
	uint64_t responses[6];
	uint64_t errors[METER_ERROR_COUNT];
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t retries;
	uint64_t connects;
	uint64_t rescues;
	uint64_t rescued;
	uint64_t helped;
	uint64_t shields;
	uint64_t shielded;
	int64_t in_flight;
};

/* Adds the meters of all workers to out. */
void view_add_counters(const struct registry *registry,
	const struct meter *meters, struct view_counters *out);

/* How many requests the version and its endpoints have ended. */
uint64_t view_count_requests(const struct registry *registry,
	const struct registry_version *version);

/* How many requests knew their client by what. False where nobody counts: the
 * service has never had several versions. */
bool view_count_known(const struct registry *registry,
	const struct registry_service *service, uint64_t known[STICKY_N_KNOWN]);

/* meter_counts_failures() for counters alone. */
uint64_t view_failures(const struct view_counters *counters);

#endif
