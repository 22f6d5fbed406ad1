#include "admin/service_json.h"

#include <math.h>
#include <stdlib.h>

#include "admin/unit_json.h"
#include "admin/view.h"
#include "base/clock.h"

/* Shorter windows say nothing about a rate. */
#define WINDOW_MIN_S 0.1

/* What a service's versions add up to. */
struct totals {
	uint64_t requests;
	uint64_t window_requests;
	uint64_t window_failures;
	int64_t in_flight;
};

/* --- numbers --------------------------------------------------------------- */

static json_t *
count(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *
in_flight(int64_t value)
{
	return json_integer(value > 0 ? value : 0);
}

static json_t *
percent(double ratio)
{
	return json_real(round(ratio * 10000) / 100);
}

/* Null where there was nothing to take a part of. */
static json_t *
ratio(uint64_t part, uint64_t whole)
{
	if (whole == 0)
		return json_null();
	return json_real(round((double)part / (double)whole * 1e6) / 1e6);
}

static json_t *
rate(const struct service_source *source, uint64_t requests)
{
	double seconds = stats_window_s(source->stats, source->now_ns);

	if (seconds < WINDOW_MIN_S)
		return json_real(0);
	return json_real(round((double)requests / seconds * 100) / 100);
}

static json_t *
quantile(const struct histogram_counts *counts, double q)
{
	double ns = (double)histogram_quantile_ns(counts, q);

	if (counts->n == 0)
		return json_null();
	return json_real(round(ns / (double)CLOCK_NS_PER_US) / 1000);
}

static json_t *
quantiles(const struct histogram_counts *counts)
{
	return json_pack("{s:o, s:o, s:o}", "p50_ms", quantile(counts, 0.5),
		"p95_ms", quantile(counts, 0.95), "p99_ms",
		quantile(counts, 0.99));
}

/* --- the parts ------------------------------------------------------------- */

static json_t *
strings(char *const *items, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_string(items[i]));
	return array;
}

static json_t *
responses(const struct meter_counts *counts)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "none",
		count(counts->responses[0]), "1xx", count(counts->responses[1]),
		"2xx", count(counts->responses[2]), "3xx",
		count(counts->responses[3]), "4xx", count(counts->responses[4]),
		"5xx", count(counts->responses[5]));
}

static json_t *
errors(const struct meter_counts *counts)
{
	json_t *object = json_object();

	for (unsigned i = METER_ERROR_NONE + 1; i < METER_ERROR_COUNT; i++)
		json_object_set_new(object,
			meter_error_name((enum meter_error)i),
			count(counts->errors[i]));
	return object;
}

static json_t *
resolved(const struct registry_endpoint *endpoint)
{
	char text[ADDRESS_TEXT_SIZE];

	if (endpoint->address.any.sa_family == AF_UNSPEC)
		return json_null();
	address_format(&endpoint->address, text);
	return json_string(text);
}

static json_t *
endpoint_json(const struct service_source *source,
	const struct snapshot_endpoint *endpoint)
{
	const struct registry_endpoint *registry = endpoint->registry;
	struct view_counters counters = {0};
	struct stats_endpoint now, window;

	view_add_counters(source->registry, registry->meters, &counters);
	now.requests = counters.requests;
	now.failures = view_failures(&counters);
	window = stats_endpoint_window(source->stats, registry, now);
	return json_pack("{s:s, s:o, s:i, s:s, s:b, s:o, s:o, s:o, s:o, s:o}",
		"name", registry->name, "address", resolved(registry), "weight",
		(int)endpoint->weight, "health", view_health_name(registry),
		"left_out",
		registry_endpoint_is_left_out(registry, source->now_ns),
		"requests", count(now.requests), "in_flight",
		in_flight(counters.in_flight), "errors", count(now.failures),
		"rate", rate(source, window.requests), "error_rate",
		ratio(window.failures, window.requests));
}

static json_t *
endpoints_json(const struct service_source *source,
	const struct snapshot_version *version)
{
	json_t *array = json_array();

	for (size_t i = 0; i < version->n_endpoints; i++)
		json_array_append_new(
			array, endpoint_json(source, &version->endpoints[i]));
	return array;
}

/* Without share_actual, which needs all versions' counts. */
static json_t *
version_json(const struct service_source *source,
	const struct snapshot_version *version,
	const struct view_release *release, uint64_t *window_requests,
	struct totals *totals)
{
	const struct release_version *standing = version->registry->release;
	struct meter_counts counts, window;
	uint64_t failures;

	registry_sum_version(source->registry, version->registry, &counts);
	stats_version_window(
		source->stats, version->registry, &counts, &window);
	failures = meter_counts_failures(&window);
	*window_requests = window.requests;
	totals->requests += counts.requests;
	totals->in_flight += counts.in_flight;
	totals->window_requests += window.requests;
	totals->window_failures += failures;
	return json_pack("{s:s%, s:s, s:s, s:o, s:n, s:o, s:o, s:o, s:o, s:o, "
			 "s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"name", version->name.ptr, version->name.len, "standing",
		release_standing_name(release_standing_of(
			standing, release->record, &release->cell)),
		"role", view_role_name(view_role_of(release, standing)),
		"share",
		percent((double)view_share_bp(release, standing) /
			RELEASE_SHARE_FULL),
		"share_actual", "requests", count(counts.requests), "rate",
		rate(source, window.requests), "in_flight",
		in_flight(counts.in_flight), "error_rate",
		ratio(failures, window.requests), "errors", errors(&counts),
		"responses", responses(&counts), "rescues",
		count(counts.rescues), "rescued", count(counts.rescued),
		"helped", count(counts.helped), "helped_rate",
		rate(source, window.helped), "shields",
		count(counts.shields), "shielded", count(counts.shielded),
		"first_byte", quantiles(&window.first_byte), "total",
		quantiles(&window.total), "endpoints",
		endpoints_json(source, version));
}

/* The part of the window's requests that each version had. Not of clients:
 * some ask more often. */
static void
set_actual_shares(
	json_t *versions, const uint64_t *requests, uint64_t all_requests)
{
	for (size_t i = 0; all_requests > 0 && i < json_array_size(versions);
		i++)
		json_object_set_new(json_array_get(versions, i), "share_actual",
			percent((double)requests[i] / (double)all_requests));
}

static json_t *
versions_json(const struct service_source *source,
	const struct snapshot_service *service,
	const struct view_release *release, struct totals *totals)
{
	json_t *array = json_array();
	uint64_t *requests;

	requests = calloc(service->n_versions, sizeof(*requests));
	if (requests == NULL)
		return array;
	for (size_t i = 0; i < service->n_versions; i++)
		json_array_append_new(
			array, version_json(source, &service->versions[i],
				       release, &requests[i], totals));
	set_actual_shares(array, requests, totals->window_requests);
	free(requests);
	return array;
}

static const char *
policy_name(enum config_policy policy)
{
	switch (policy) {
	case CONFIG_LEAST_REQUEST:
		return "least_request";
	case CONFIG_ROUND_ROBIN:
		return "round_robin";
	case CONFIG_MAGLEV:
		return "maglev";
	}
	return "unknown";
}

/* Null where nobody counts. */
static json_t *
known_json(
	const struct registry *registry, const struct registry_service *service)
{
	uint64_t known[STICKY_N_KNOWN];
	json_t *object;

	if (!view_count_known(registry, service, known))
		return json_null();
	object = json_object();
	for (unsigned i = 0; i < STICKY_N_KNOWN; i++)
		json_object_set_new(object,
			sticky_known_name((enum sticky_known)i),
			count(known[i]));
	return object;
}

json_t *
service_json(const struct service_source *source,
	const struct snapshot_service *service)
{
	const struct config_service *config = service->config;
	struct view_release release = view_read_release(service->registry);
	struct view_counters unassigned = {0};
	struct totals totals = {0};
	json_t *versions;

	view_add_counters(
		source->registry, service->registry->meters, &unassigned);
	totals.requests = unassigned.requests;
	totals.in_flight = unassigned.in_flight;
	versions = versions_json(source, service, &release, &totals);
	return json_pack("{s:s%, s:o, s:o, s:s, s:s, s:o, s:f, s:o, s:o, s:o, "
			 "s:o, s:o, s:o}",
		"name", service->name.ptr, service->name.len, "hosts",
		strings(config->match.hosts, config->match.n_hosts), "paths",
		strings(config->match.paths, config->match.n_paths), "policy",
		policy_name(config->balance.policy), "stable",
		release.record->stable->name, "release",
		unit_json_release(source->releases,
			registry_unit_of(service->registry), service,
			source->now_ns),
		"window_s",
		round(stats_window_s(source->stats, source->now_ns) * 10) / 10,
		"requests", count(totals.requests), "rate",
		rate(source, totals.window_requests), "in_flight",
		in_flight(totals.in_flight), "error_rate",
		ratio(totals.window_failures, totals.window_requests),
		"known_by", known_json(source->registry, service->registry),
		"versions", versions);
}
