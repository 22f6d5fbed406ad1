#include "perch_config.h"

#include "admin/metrics.h"

#include "admin/exposition.h"
#include "admin/view.h"
#include "base/clock.h"

/* In the order in which they are written. */
enum family {
	BUILD_INFO,
	START_TIME,
	RELOADS,
	LAST_RELOAD,
	WORKERS,
	CLIENT_CONNECTIONS,
	ACCEPTED,
	REFUSED,
	TUNNELS,
	BAD_REQUESTS,
	UNROUTED,
	UPSTREAM_CONNECTIONS,
	REQUESTS,
	RESPONSES,
	ERRORS,
	IN_FLIGHT,
	BYTES_IN,
	BYTES_OUT,
	RETRIES,
	RESCUES,
	CONNECTS,
	LEFT_OUT,
	FIRST_BYTE,
	DURATION,
	SHARE,
	STABLE,
	RUNNING,
	N_FAMILIES,
};

#define COUNTER "counter"
#define GAUGE "gauge"
#define HISTOGRAM "histogram"

static const struct exposition_about about[N_FAMILIES] = {
	[BUILD_INFO] = {"perch_build_info", GAUGE,
		"Always 1; the version of perch is in the label."},
	[START_TIME] = {"perch_process_start_time_seconds", GAUGE,
		"When perch was started, in seconds since 1970."},
	[RELOADS] = {"perch_config_reloads_total", COUNTER,
		"Config files loaded since the start, by outcome."},
	[LAST_RELOAD] = {"perch_config_last_reload_timestamp_seconds", GAUGE,
		"When the config in force was loaded, in seconds since 1970."},
	[WORKERS] = {"perch_workers", GAUGE, "Worker threads."},
	[CLIENT_CONNECTIONS] = {"perch_client_connections", GAUGE,
		"Client connections that are open."},
	[ACCEPTED] = {"perch_client_connections_accepted_total", COUNTER,
		"Client connections accepted."},
	[REFUSED] = {"perch_client_connections_refused_total", COUNTER,
		"Client connections refused at a limit."},
	[TUNNELS] = {"perch_tunnels", GAUGE,
		"Upgraded connections that are open."},
	[BAD_REQUESTS] = {"perch_bad_requests_total", COUNTER,
		"Requests whose head was malformed."},
	[UNROUTED] = {"perch_unrouted_requests_total", COUNTER,
		"Requests that no service matched."},
	[UPSTREAM_CONNECTIONS] = {"perch_upstream_connections", GAUGE,
		"Connections to endpoints that are open, by state."},
	[REQUESTS] = {"perch_requests_total", COUNTER,
		"Requests that ended; without endpoint if none was found."},
	[RESPONSES] = {"perch_responses_total", COUNTER,
		"Requests by the class of their answer; none: not answered."},
	[ERRORS] = {"perch_errors_total", COUNTER,
		"What went wrong with requests, by kind."},
	[IN_FLIGHT] = {"perch_requests_in_flight", GAUGE,
		"Requests that are being served."},
	[BYTES_IN] = {"perch_request_body_bytes_total", COUNTER,
		"Bytes of request bodies, from clients."},
	[BYTES_OUT] = {"perch_response_body_bytes_total", COUNTER,
		"Bytes of response bodies, to clients."},
	[RETRIES] = {"perch_retries_total", COUNTER,
		"Requests asked again on another connection."},
	[RESCUES] = {"perch_rescues_total", COUNTER,
		"Requests for what the version lacked, asked of another one."},
	[CONNECTS] = {"perch_upstream_connects_total", COUNTER,
		"Connections opened to endpoints."},
	[LEFT_OUT] = {"perch_endpoint_left_out", GAUGE,
		"1 while an endpoint is passed over after failed connects."},
	[FIRST_BYTE] = {"perch_upstream_first_byte_seconds", HISTOGRAM,
		"From the request's sending to the response's head."},
	[DURATION] = {"perch_request_duration_seconds", HISTOGRAM,
		"From the request's head to the end of the response."},
	[SHARE] = {"perch_release_share_ratio", GAUGE,
		"Share of the clients that a version is meant to have."},
	[STABLE] = {"perch_service_stable_info", GAUGE,
		"Always 1; a service's stable version is in the label."},
	[RUNNING] = {"perch_release_running", GAUGE,
		"1 while a release of the service runs."},
};

struct writer {
	const struct metrics_source *source;
	struct exposition_family families[N_FAMILIES];
	struct text labels;
};

/* --- labels ---------------------------------------------------------------- */

static struct slice
no_labels(void)
{
	return (struct slice){NULL, 0};
}

/* The labels so far; what is added to them is taken back by forget(). */
static size_t
remember(const struct writer *writer)
{
	return writer->labels.len;
}

static void
forget(struct writer *writer, size_t mark)
{
	writer->labels.len = mark;
}

static void
add_u64(struct writer *writer, enum family family, uint64_t value)
{
	exposition_u64(
		&writer->families[family], text_slice(&writer->labels), value);
}

/* A sample with one label more than the labels so far. */
static void
add_labelled(struct writer *writer, enum family family, const char *label,
	const char *label_value, uint64_t value)
{
	size_t mark = remember(writer);

	exposition_label(
		&writer->labels, label, slice_from_string(label_value));
	add_u64(writer, family, value);
	forget(writer, mark);
}

/* In flight is added up from counters of several threads: a reader may see
 * the end of a request before its beginning. */
static uint64_t
not_negative(int64_t value)
{
	return value > 0 ? (uint64_t)value : 0;
}

/* --- the process ----------------------------------------------------------- */

static uint64_t
load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void
add_workers(struct writer *writer)
{
	const struct registry *registry = writer->source->registry;
	uint64_t accepted = 0, refused = 0, connections = 0, tunnels = 0;
	uint64_t bad = 0, unrouted = 0, upstream = 0, idle = 0;

	for (unsigned i = 0; i < registry->n_workers; i++) {
		const struct worker_counts *counts = &registry->workers[i];

		accepted += load(&counts->accepted);
		refused += load(&counts->refused);
		connections += load(&counts->connections);
		tunnels += load(&counts->tunnels);
		bad += load(&counts->bad_requests);
		unrouted += load(&counts->unrouted);
		upstream += load(&counts->upstream_connections);
		idle += load(&counts->upstream_idle);
	}
	add_u64(writer, WORKERS, registry->n_workers);
	add_u64(writer, ACCEPTED, accepted);
	add_u64(writer, REFUSED, refused);
	add_u64(writer, CLIENT_CONNECTIONS, connections);
	add_u64(writer, TUNNELS, tunnels);
	add_u64(writer, BAD_REQUESTS, bad);
	add_u64(writer, UNROUTED, unrouted);
	add_labelled(writer, UPSTREAM_CONNECTIONS, "state", "idle", idle);
	add_labelled(writer, UPSTREAM_CONNECTIONS, "state", "active",
		upstream > idle ? upstream - idle : 0);
}

static void
add_process(struct writer *writer)
{
	const struct metrics_source *source = writer->source;

	add_labelled(writer, BUILD_INFO, "version", PACKAGE_VERSION, 1);
	exposition_double(&writer->families[START_TIME], no_labels(),
		(double)source->started_wall_ns / (double)CLOCK_NS_PER_S);
	add_labelled(writer, RELOADS, "result", "done", source->reloads.done);
	add_labelled(
		writer, RELOADS, "result", "refused", source->reloads.refused);
	exposition_double(&writer->families[LAST_RELOAD], no_labels(),
		(double)source->reloads.last_wall_ns / (double)CLOCK_NS_PER_S);
	add_workers(writer);
}

/* --- services -------------------------------------------------------------- */

static void
add_details(struct writer *writer, const struct view_counters *counters)
{
	static const char *const classes[] = {
		"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

	for (unsigned i = 0; i < 6; i++)
		add_labelled(writer, RESPONSES, "class", classes[i],
			counters->responses[i]);
	for (unsigned i = METER_ERROR_NONE + 1; i < METER_ERROR_COUNT; i++)
		add_labelled(writer, ERRORS, "kind",
			meter_error_name((enum meter_error)i),
			counters->errors[i]);
	add_u64(writer, BYTES_IN, counters->bytes_in);
	add_u64(writer, BYTES_OUT, counters->bytes_out);
	add_u64(writer, RETRIES, counters->retries);
	add_labelled(writer, RESCUES, "result", "found", counters->rescued);
	add_labelled(writer, RESCUES, "result", "missing",
		counters->rescues - counters->rescued);
}

/* An endpoint that only ever refused connections ended no request: what it
 * did are the retries. */
static bool
has_counted(const struct view_counters *counters)
{
	return counters->requests > 0 || counters->in_flight > 0 ||
	       counters->connects > 0 || counters->retries > 0;
}

static void
add_endpoint(struct writer *writer, const struct registry_endpoint *endpoint)
{
	const struct metrics_source *source = writer->source;
	struct view_counters counters = {0};
	size_t mark = remember(writer);

	view_add_counters(source->registry, endpoint->meters, &counters);
	exposition_label(
		&writer->labels, "endpoint", slice_from_string(endpoint->name));
	add_u64(writer, REQUESTS, counters.requests);
	add_u64(writer, IN_FLIGHT, not_negative(counters.in_flight));
	add_u64(writer, CONNECTS, counters.connects);
	add_u64(writer, LEFT_OUT,
		registry_endpoint_is_left_out(endpoint, source->now_ns));
	if (has_counted(&counters))
		add_details(writer, &counters);
	forget(writer, mark);
}

/* What found no endpoint of the version, or no version of the service. */
static void
add_homeless(struct writer *writer, const struct meter *meters)
{
	struct view_counters counters = {0};
	size_t mark = remember(writer);

	view_add_counters(writer->source->registry, meters, &counters);
	if (!has_counted(&counters))
		return;
	exposition_label(&writer->labels, "endpoint", SLICE(""));
	add_u64(writer, REQUESTS, counters.requests);
	add_u64(writer, IN_FLIGHT, not_negative(counters.in_flight));
	add_details(writer, &counters);
	forget(writer, mark);
}

static void
add_histograms(struct writer *writer, const struct registry_version *version)
{
	const struct registry *registry = writer->source->registry;
	struct slice labels = text_slice(&writer->labels);
	struct meter_counts counts;

	if (view_count_requests(registry, version) == 0)
		return;
	registry_sum_version(registry, version, &counts);
	exposition_histogram(
		&writer->families[FIRST_BYTE], labels, &counts.first_byte);
	exposition_histogram(
		&writer->families[DURATION], labels, &counts.total);
}

static void
add_version(struct writer *writer, const struct snapshot_version *version,
	const struct view_release *release)
{
	const struct registry_version *registry = version->registry;
	size_t mark = remember(writer);

	exposition_label(&writer->labels, "version", version->name);
	exposition_double(&writer->families[SHARE], text_slice(&writer->labels),
		(double)view_share_bp(release, registry->release) /
			RELEASE_SHARE_FULL);
	if (view_role_of(release, registry->release) == VIEW_STABLE)
		add_u64(writer, STABLE, 1);
	for (size_t i = 0; i < version->n_endpoints; i++)
		add_endpoint(writer, version->endpoints[i].registry);
	add_homeless(writer, registry->meters);
	add_histograms(writer, registry);
	forget(writer, mark);
}

static void
add_service(struct writer *writer, const struct snapshot_service *service)
{
	struct view_release release = view_read_release(service->registry);
	size_t mark;

	text_clear(&writer->labels);
	exposition_label(&writer->labels, "service", service->name);
	add_u64(writer, RUNNING, view_is_running(&release));
	for (size_t i = 0; i < service->n_versions; i++)
		add_version(writer, &service->versions[i], &release);
	mark = remember(writer);
	exposition_label(&writer->labels, "version", SLICE(""));
	add_homeless(writer, service->registry->meters);
	forget(writer, mark);
}

void
metrics_write(const struct metrics_source *source, struct evbuffer *out)
{
	const struct snapshot *snapshot = source->snapshot;
	struct writer writer = {.source = source};

	for (unsigned i = 0; i < N_FAMILIES; i++)
		writer.families[i].about = &about[i];
	add_process(&writer);
	for (size_t i = 0; i < snapshot->n_services; i++)
		add_service(&writer, &snapshot->services[i]);
	exposition_finish(writer.families, N_FAMILIES, out);
	text_free(&writer.labels);
}
