#include "proxy/measure.h"

#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static struct meter *
meter_of(const struct exchange *exchange)
{
	unsigned index = exchange->shard->index;

	if (exchange->target != NULL)
		return &exchange->target->meters[index];
	if (exchange->version != NULL)
		return &exchange->version->registry->meters[index];
	if (exchange->service != NULL)
		return &exchange->service->registry->meters[index];
	return NULL;
}

/* The target's version, which in a tunnel is all that is left; what came to no
 * endpoint counts too. */
static struct meter_times *
times_of(const struct exchange *exchange)
{
	unsigned index = exchange->shard->index;

	if (exchange->target != NULL)
		return &exchange->target->version->loads[index].times;
	if (exchange->version != NULL)
		return &exchange->version->registry->loads[index].times;
	return NULL;
}

static void
count_unmetered(const struct exchange *exchange)
{
	struct worker_counts *counts = exchange->shard->counts;

	if (exchange->status == 404)
		meter_add(&counts->unrouted, 1);
	else
		meter_add(&counts->bad_requests, 1);
}

/* It has waited for its endpoint to take connections. */
static void
count_wait(const struct exchange *exchange, struct meter *meter)
{
	meter_add(&meter->retries, 1);
	/* The client was only kept waiting, but the endpoint did fail. */
	if (exchange->error != METER_ERROR_CONNECT)
		meter_add(&meter->errors[METER_ERROR_CONNECT], 1);
}

static void
count(const struct exchange *exchange)
{
	struct meter *meter = meter_of(exchange);

	if (meter == NULL) {
		count_unmetered(exchange);
		return;
	}
	meter_add(&meter->responses[meter_class(exchange->status)], 1);
	if (exchange->error != METER_ERROR_NONE)
		meter_add(&meter->errors[exchange->error], 1);
	/* The client was spared it, but its version did fail. */
	if (exchange->first_error != METER_ERROR_NONE)
		meter_add(&meter->errors[exchange->first_error], 1);
	if (exchange->parked_ns != 0)
		count_wait(exchange, meter);
	if (exchange->bytes_in > 0)
		meter_add(&meter->bytes_in, exchange->bytes_in);
	meter_add(&meter->bytes_out, exchange->bytes_out);
}

/* How long it was kept waiting till its endpoint took connections: nobody's
 * latency, as it says nothing of the version. */
static uint64_t
parked_for_ns(const struct exchange *exchange, uint64_t now_ns)
{
	if (exchange->parked_ns == 0)
		return 0;
	return (exchange->sent_ns > exchange->parked_ns ? exchange->sent_ns
							: now_ns) -
	       exchange->parked_ns;
}

static void
record_times(const struct exchange *exchange, uint64_t now_ns)
{
	struct meter_times *times = times_of(exchange);

	if (times == NULL)
		return;
	/* A detour's time says nothing about the version's. */
	if (exchange->first_byte_ns != 0 && exchange->help == HELP_NONE)
		histogram_record(&times->first_byte,
			exchange->first_byte_ns - exchange->sent_ns);
	/* How long a tunnel stood says nothing about latency. */
	if (!exchange->is_tunnel)
		histogram_record(
			&times->total, now_ns - exchange->started_ns -
					       parked_for_ns(exchange, now_ns));
}

static struct slice
endpoint_name(const struct exchange *exchange)
{
	if (exchange->target == NULL)
		return (struct slice){NULL, 0};
	return slice_from_string(exchange->target->name);
}

static void
name_version(const struct exchange *exchange, struct access_record *record)
{
	if (exchange->target != NULL) {
		record->version =
			slice_from_string(exchange->target->version->name);
		record->service = slice_from_string(
			exchange->target->version->service->name);
	} else if (exchange->service != NULL) {
		record->service = exchange->service->name;
		if (exchange->version != NULL)
			record->version = exchange->version->name;
	}
	if (record->version.len > 0)
		record->reason = slice_from_string(
			sticky_reason_name(exchange->decision.reason));
}

static void
name_helper(const struct exchange *exchange, struct access_record *record)
{
	if (exchange->helper == NULL)
		return;
	if (exchange->help == HELP_SHIELD)
		record->shielded_by = exchange->helper->name;
	else
		record->rescued_by = exchange->helper->name;
}

static void
write_access(const struct exchange *exchange, uint64_t now_ns)
{
	struct shard *shard = exchange->shard;
	/* A tunnel has let go of its snapshot: the current one will do. */
	const struct snapshot *snapshot = exchange->view != NULL
						  ? exchange->view->snapshot
						  : shard->view->snapshot;
	const struct message *request = &exchange->request;
	const struct config *config = snapshot->config;
	struct address client;
	struct access_record record;
	char text[ADDRESS_TEXT_SIZE];

	if (snapshot->access_log == NULL)
		return;
	memset(&record, 0, sizeof(record));
	client = forward_client_address(request, &exchange->peer,
		config->trusted_proxies, config->n_trusted_proxies);
	record.wall_ns = clock_wall_ns();
	record.client = (struct slice){text, address_format_ip(&client, text)};
	/* Of a head that was refused there may be no more than the first two. */
	record.method = message_slice(request, request->method_name);
	record.target = message_slice(request, request->target);
	record.host = message_slice(request, request->host);
	record.referer = message_find(request, FIELD_REFERER);
	record.user_agent = message_find(request, FIELD_USER_AGENT);
	record.version_minor =
		request->head_len > 0 ? request->version_minor : UINT_MAX;
	record.status = exchange->status;
	record.bytes_in = exchange->bytes_in;
	record.bytes_out = exchange->bytes_out;
	name_version(exchange, &record);
	record.endpoint = endpoint_name(exchange);
	name_helper(exchange, &record);
	if (exchange->error != METER_ERROR_NONE)
		record.error =
			slice_from_string(meter_error_name(exchange->error));
	if (exchange->why != NULL)
		record.cause = slice_from_string(exchange->why);
	record.request_id =
		(struct slice){exchange->request_id, exchange->request_id_len};
	if (exchange->first_byte_ns != 0)
		record.upstream_ns =
			exchange->first_byte_ns - exchange->sent_ns;
	record.total_ns = now_ns - exchange->started_ns;
	access_buffer_add(&shard->access, snapshot->access_log, &record);
}

static void
report(const struct exchange *exchange)
{
	if (exchange->error == METER_ERROR_REQUEST && exchange->why != NULL)
		log_debug("request refused with %u: %s", exchange->status,
			exchange->why);
}

void
measure_exchange(const struct exchange *exchange)
{
	/* The callback's stamp: what it sent is out by now. */
	uint64_t now_ns = exchange->shard->now_ns;

	count(exchange);
	record_times(exchange, now_ns);
	write_access(exchange, now_ns);
	report(exchange);
}
