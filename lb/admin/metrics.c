#include "perch_config.h"

#include "admin/metrics.h"

#include "admin/exposition.h"
#include "admin/view.h"
#include "base/clock.h"
#include "base/log.h"
#include "proxy/access_log.h"
#include "proxy/bad_answer.h"

/* In the order in which they are written. */
enum family {
	BUILD_INFO,
	START_TIME,
	RELOADS,
	LAST_RELOAD,
	WEBHOOK_DELIVERIES,
	LOG_DROPPED,
	ACCESS_LOG_DROPPED,
	WORKERS,
	CLIENT_CONNECTIONS,
	ACCEPTED,
	REFUSED,
	TUNNELS,
	BAD_REQUESTS,
	CUT_SHORT,
	UNROUTED,
	BAD_ANSWERS,
	CLIENT_REQUESTS,
	UPSTREAM_CONNECTIONS,
	REQUESTS,
	RESPONSES,
	ERRORS,
	IN_FLIGHT,
	BYTES_IN,
	BYTES_OUT,
	RETRIES,
	RESCUES,
	HELPED,
	SHIELDS,
	SHIELDED,
	CONNECTS,
	LEFT_OUT,
	UP,
	FIRST_BYTE,
	DURATION,
	SHARE,
	STABLE,
	RUNNING,
	RELEASE_STATE,
	RELEASE_SHARE,
	RELEASE_SCORE,
	RELEASE_EVIDENCE,
	RELEASE_CLIENTS,
	RELEASE_HURT,
	RELEASES,
	JOURNAL_FAILING,
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
	[WEBHOOK_DELIVERIES] = {"perch_webhook_deliveries_total", COUNTER,
		"Events delivered to webhooks, tries that failed, events "
		"dropped."},
	[LOG_DROPPED] = {"perch_log_lines_dropped_total", COUNTER,
		"Lines of the log that were lost, as nothing took them."},
	[ACCESS_LOG_DROPPED] = {"perch_access_log_lines_dropped_total", COUNTER,
		"Lines of the access log that were lost, as nothing took "
		"them."},
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
	[CUT_SHORT] = {"perch_client_connections_cut_short_total", COUNTER,
		"Clients closed at once that still sent behind their answer, "
		"as too many others did."},
	[UNROUTED] = {"perch_unrouted_requests_total", COUNTER,
		"Requests that no service matched."},
	[BAD_ANSWERS] = {"perch_malformed_answers_total", COUNTER,
		"Answers of endpoints that were refused, by what was wrong."},
	[CLIENT_REQUESTS] = {"perch_client_requests_total", COUNTER,
		"Requests by what their client was known by; of services "
		"that have, or had, several versions."},
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
	[HELPED] = {"perch_rescued_by_total", COUNTER,
		"Requests for what another version lacked, answered by this "
		"one."},
	[SHIELDS] = {"perch_shields_total", COUNTER,
		"Requests that a candidate failed, asked of the stable "
		"version."},
	[SHIELDED] = {"perch_shielded_total", COUNTER,
		"Of these, those that the stable version answered well."},
	[CONNECTS] = {"perch_upstream_connects_total", COUNTER,
		"Connections opened to endpoints."},
	[LEFT_OUT] = {"perch_endpoint_left_out", GAUGE,
		"1 while an endpoint is passed over after failed connects."},
	[UP] = {"perch_endpoint_up", GAUGE,
		"0 while an endpoint's health checks fail; where they are on."},
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
	[RELEASE_STATE] = {"perch_release_state", GAUGE,
		"1 for the state of the unit's release, 0 for the others."},
	[RELEASE_SHARE] = {"perch_release_share", GAUGE,
		"Share of the clients that the candidate has, from 0 to 1."},
	[RELEASE_SCORE] = {"perch_release_score", GAUGE,
		"100: no evidence of harm; 0: rolled back."},
	[RELEASE_EVIDENCE] = {"perch_release_evidence", GAUGE,
		"Evidence of harm by signal; 1/false_rollback rolls back."},
	[RELEASE_CLIENTS] = {"perch_release_clients", GAUGE,
		"Clients seen in the release's step, by side."},
	[RELEASE_HURT] = {"perch_release_hurt_clients", GAUGE,
		"Clients hurt in the release's step, by signal and side."},
	[RELEASES] = {"perch_releases_total", COUNTER,
		"Releases that ended, by outcome."},
	[JOURNAL_FAILING] = {"perch_journal_failing", GAUGE,
		"1 while the journal in state_dir can't be written."},
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
	uint64_t bad = 0, cut = 0, unrouted = 0, upstream = 0, idle = 0;

	for (unsigned i = 0; i < registry->n_workers; i++) {
		const struct worker_counts *counts = &registry->workers[i];

		accepted += load(&counts->accepted);
		refused += load(&counts->refused);
		connections += load(&counts->connections);
		tunnels += load(&counts->tunnels);
		bad += load(&counts->bad_requests);
		cut += load(&counts->cut_short);
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
	add_u64(writer, CUT_SHORT, cut);
	add_u64(writer, UNROUTED, unrouted);
	add_labelled(writer, UPSTREAM_CONNECTIONS, "state", "idle", idle);
	add_labelled(writer, UPSTREAM_CONNECTIONS, "state", "active",
		upstream > idle ? upstream - idle : 0);
}

static void
add_bad_answers(struct writer *writer)
{
	const struct registry *registry = writer->source->registry;

	for (unsigned reason = 0; reason < BAD_ANSWER_REASONS; reason++) {
		uint64_t n = 0;

		for (unsigned i = 0; i < registry->n_workers; i++)
			n += load(&registry->workers[i].bad_answers[reason]);
		add_labelled(writer, BAD_ANSWERS, "reason",
			bad_answer_reason(reason), n);
	}
}

static void
add_webhooks(struct writer *writer)
{
	static const char *const results[WEBHOOK_N_RESULTS] = {
		[WEBHOOK_DELIVERED] = "delivered",
		[WEBHOOK_FAILED] = "failed",
		[WEBHOOK_DROPPED] = "dropped",
	};
	const struct webhook_counts *counts = writer->source->webhooks;

	for (; counts != NULL; counts = counts->next) {
		text_clear(&writer->labels);
		exposition_label(&writer->labels, "url_host",
			slice_from_string(counts->host));
		for (unsigned i = 0; i < WEBHOOK_N_RESULTS; i++)
			add_labelled(writer, WEBHOOK_DELIVERIES, "result",
				results[i], counts->of[i]);
	}
	text_clear(&writer->labels);
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
	add_webhooks(writer);
	add_u64(writer, LOG_DROPPED, log_dropped());
	add_u64(writer, ACCESS_LOG_DROPPED, access_log_dropped());
	add_workers(writer);
	add_bad_answers(writer);
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
	add_u64(writer, HELPED, counters->helped);
	add_u64(writer, SHIELDS, counters->shields);
	add_u64(writer, SHIELDED, counters->shielded);
}

/* An endpoint that only ever refused connections ended no request: what it
 * did are the retries. What is known to be elsewhere comes to no endpoint. */
static bool
has_counted(const struct view_counters *counters)
{
	return counters->requests > 0 || counters->in_flight > 0 ||
	       counters->connects > 0 || counters->retries > 0 ||
	       counters->rescues > 0;
}

static void
add_endpoint(struct writer *writer, const struct config_health *health,
	const struct registry_endpoint *endpoint)
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
	if (health->is_on)
		add_u64(writer, UP, !registry_endpoint_is_down(endpoint));
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
add_version(struct writer *writer, const struct config_health *health,
	const struct snapshot_version *version,
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
		add_endpoint(writer, health, version->endpoints[i].registry);
	add_homeless(writer, registry->meters);
	add_histograms(writer, registry);
	forget(writer, mark);
}

static void
add_clients(struct writer *writer, const struct registry_service *service)
{
	uint64_t known[STICKY_N_KNOWN];

	if (!view_count_known(writer->source->registry, service, known))
		return;
	for (unsigned i = 0; i < STICKY_N_KNOWN; i++)
		add_labelled(writer, CLIENT_REQUESTS, "known_by",
			sticky_known_name((enum sticky_known)i), known[i]);
}

static void
add_service(struct writer *writer, const struct snapshot_service *service)
{
	struct view_release release = view_read_release(service->registry);
	size_t mark;

	text_clear(&writer->labels);
	exposition_label(&writer->labels, "service", service->name);
	add_u64(writer, RUNNING, view_is_running(&release));
	add_clients(writer, service->registry);
	for (size_t i = 0; i < service->n_versions; i++)
		add_version(writer, &service->config->health,
			&service->versions[i], &release);
	mark = remember(writer);
	exposition_label(&writer->labels, "version", SLICE(""));
	add_homeless(writer, service->registry->meters);
	forget(writer, mark);
}

/* --- releases -------------------------------------------------------------- */

static void
add_signal(struct writer *writer, const struct judge *judge, unsigned index)
{
	const struct evidence *evidence = &judge->evidence;
	const struct evidence_signal *signal = &evidence->signals[index];
	char name[EVIDENCE_NAME_MAX + 16];
	size_t mark = remember(writer);

	if (!signal->is_on)
		return;
	evidence_signal_name(evidence, index, name, sizeof(name));
	exposition_label(&writer->labels, "signal", slice_from_string(name));
	exposition_double(&writer->families[RELEASE_EVIDENCE],
		text_slice(&writer->labels),
		evidence_signal_e(evidence, index));
	add_labelled(writer, RELEASE_HURT, "side", "stable", signal->stable.x);
	add_labelled(
		writer, RELEASE_HURT, "side", "candidate", signal->candidate.x);
	forget(writer, mark);
}

static void
add_evidence(struct writer *writer, const struct judge *judge)
{
	struct evidence_summary summary;

	evidence_summarize(&judge->evidence, &summary);
	exposition_double(&writer->families[RELEASE_SCORE],
		text_slice(&writer->labels), summary.score);
	add_labelled(writer, RELEASE_CLIENTS, "side", "stable",
		judge->totals.stable_clients);
	add_labelled(writer, RELEASE_CLIENTS, "side", "candidate",
		judge->totals.candidate_clients);
	for (unsigned i = 0; i < EVIDENCE_SIGNALS; i++)
		add_signal(writer, judge, i);
}

static void
add_judge(struct writer *writer, const struct judge *judge)
{
	const struct plan *plan = &judge->plan;
	struct release_cell cell = release_unit_cell(&judge->unit->release);
	unsigned share_bp = cell.state == RELEASE_RUNNING ? cell.share_bp : 0;

	text_clear(&writer->labels);
	exposition_label(&writer->labels, "unit",
		slice_from_string(judge->unit->release.name));
	for (unsigned i = PLAN_IDLE; i <= PLAN_ROLLED_BACK; i++)
		add_labelled(writer, RELEASE_STATE, "state",
			plan_state_name((enum plan_state)i),
			plan->state == (enum plan_state)i);
	exposition_double(&writer->families[RELEASE_SHARE],
		text_slice(&writer->labels),
		(double)share_bp / RELEASE_SHARE_FULL);
	add_labelled(
		writer, RELEASES, "outcome", "promoted", judge->n_promoted);
	add_labelled(writer, RELEASES, "outcome", "rolled_back",
		judge->n_rolled_back);
	if (plan_is_active(plan))
		add_evidence(writer, judge);
}

static void
add_releases(struct writer *writer)
{
	const struct releases *releases = writer->source->releases;
	const struct judge *judge;

	for (judge = releases->judges; judge != NULL; judge = judge->next)
		add_judge(writer, judge);
	text_clear(&writer->labels);
	if (releases->journal != NULL)
		add_u64(writer, JOURNAL_FAILING, releases->is_journal_failing);
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
	add_releases(&writer);
	exposition_finish(writer.families, N_FAMILIES, out);
	text_free(&writer.labels);
}
