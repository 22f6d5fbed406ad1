#include "proxy/exchange_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/balance.h"
#include "proxy/choose.h"
#include "proxy/error_answer.h"
#include "proxy/measure.h"
#include "proxy/retry.h"
#include "proxy/upstream.h"
#include "proxy/upstream_pool.h"
#include "proxy/witness.h"

/*
 * The one state machine of a request. Its order:
 *
 *	start: route, choose a version, pick an endpoint
 *	dispatch -> CONNECTING or QUEUED -> send_request -> WAITING
 *	response head -> RESPONDING (or TUNNEL) -> ... -> finish
 *	failure before the response head -> retry once, another version, or
 *		an error page
 *
 * Whatever ends it goes through exchange_finish(). After a call that may have ended it
 * the exchange is not touched again.
 */

struct exchange *
exchange_new(struct shard *shard, const struct stream_ops *ops, void *stream)
{
	struct exchange *exchange = pool_take(&shard->exchanges);

	if (exchange == NULL)
		return NULL;
	memset(exchange, 0, offsetof(struct exchange, request.fields));
	exchange->shard = shard;
	exchange->ops = ops;
	exchange->stream = stream;
	exchange->view = view_take(shard->view);
	list_init(&exchange->queue_node);
	timeout_init(&exchange->queue_timeout);
	return exchange;
}

/* --- the end --------------------------------------------------------------- */

static void
count_load(struct exchange *exchange, int n)
{
	struct registry_version *version = exchange->target->version;

	meter_add_signed(&version->loads[exchange->shard->index].in_flight, n);
}

void
exchange_leave_endpoint(struct exchange *exchange)
{
	struct meter *meter;

	if (exchange->target == NULL)
		return;
	meter = &exchange->target->meters[exchange->shard->index];
	meter_add_signed(&meter->in_flight, -1);
	count_load(exchange, -1);
}

void
exchange_finish(struct exchange *exchange, enum stream_end end)
{
	struct shard *shard = exchange->shard;
	const struct stream_ops *ops = exchange->ops;
	void *stream = exchange->stream;

	exchange->state = EXCHANGE_ENDED;
	upstream_leave_queue(exchange);
	exchange_stop_help_timer(exchange);
	exchange_end_hang_watch(exchange);
	if (exchange->upstream != NULL)
		upstream_cancel(exchange->upstream);
	exchange_drop_held(exchange);
	exchange_leave_endpoint(exchange);
	/* Whatever was asked of another version, it was this one's request. */
	if (exchange->first_version != NULL) {
		exchange->version = exchange->first_version;
		exchange->target = exchange->first_target;
	}
	measure_exchange(exchange);
	witness_end(exchange);
	if (exchange->is_tunnel)
		meter_add(&shard->counts->tunnels, (uint64_t)-1);
	else
		shard_give_view(shard, exchange->view);
	free(exchange->head_copy);
	exchange_give_pipe(exchange);
	pool_give(&shard->exchanges, exchange);
	ops->finish(stream, end);
}

void
exchange_complete(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;

	if (exchange->is_body_sent && !exchange->is_upstream_deaf)
		upstream_release(upstream);
	exchange_finish(exchange, STREAM_DONE);
}

/* --- error pages ----------------------------------------------------------- */

/* perch's own answer; nothing of another one may have been sent. */
static void
respond_error(struct exchange *exchange, unsigned status)
{
	struct forward_text text = exchange_text_space(exchange->shard);
	struct slice id = {exchange->request_id, exchange->request_id_len};
	struct forward_head head;
	struct slice page;

	if (exchange->upstream != NULL)
		upstream_cancel(exchange->upstream);
	page = error_answer(status,
		message_find(&exchange->request, FIELD_ACCEPT), id, &text,
		&head);
	exchange->status = (uint16_t)status;
	exchange->state = EXCHANGE_RESPONDING;
	if (exchange->request.method != HTTP_HEAD)
		exchange->bytes_out = page.len;
	if (exchange->ops->send_head(exchange->stream, &head, page, true) ==
		CONN_FAILED) {
		exchange->error = METER_ERROR_CLIENT_ABORT;
		exchange_finish(exchange, STREAM_CUT);
		return;
	}
	exchange_finish(exchange, STREAM_DONE);
}

void
exchange_reject(struct exchange *exchange, unsigned status, const char *why)
{
	exchange->error = METER_ERROR_REQUEST;
	exchange->why = why;
	respond_error(exchange, status);
}

static unsigned
failure_status(enum meter_error error)
{
	switch (error) {
	case METER_ERROR_CONNECT_TIMEOUT:
	case METER_ERROR_RESPONSE_TIMEOUT:
		return 504;
	case METER_ERROR_NO_ENDPOINT:
	case METER_ERROR_OVERLOAD:
		return 503;
	default:
		return 502;
	}
}

void
exchange_answer_failure(struct exchange *exchange, enum meter_error error)
{
	exchange->error = error;
	respond_error(exchange, failure_status(error));
}

/* --- dispatch -------------------------------------------------------------- */

void
exchange_enter_endpoint(
	struct exchange *exchange, const struct snapshot_endpoint *endpoint)
{
	struct meter *meter =
		&endpoint->registry->meters[exchange->shard->index];

	exchange_leave_endpoint(exchange);
	exchange->endpoint = endpoint;
	exchange->target = endpoint->registry;
	meter_add_signed(&meter->in_flight, 1);
	count_load(exchange, 1);
}

static void
connect_endpoint(struct exchange *exchange, enum upstream_wish wish)
{
	exchange->is_stale_failure = false;
	exchange->state = EXCHANGE_CONNECTING;
	switch (upstream_checkout(exchange, wish)) {
	case UPSTREAM_READY:
		exchange_on_connected(exchange);
		break;
	case UPSTREAM_WAIT:
		if (exchange->queue != NULL)
			exchange->state = EXCHANGE_QUEUED;
		break;
	case UPSTREAM_FULL:
		exchange_on_failure(exchange, METER_ERROR_OVERLOAD);
		break;
	case UPSTREAM_FAILED:
		exchange_on_failure(exchange, METER_ERROR_CONNECT);
		break;
	}
}

void
exchange_dispatch(struct exchange *exchange)
{
	const struct snapshot_endpoint *endpoint = balance_pick(exchange);

	if (endpoint == NULL) {
		exchange_on_failure(exchange, METER_ERROR_NO_ENDPOINT);
		return;
	}
	exchange_enter_endpoint(exchange, endpoint);
	connect_endpoint(exchange, UPSTREAM_ANY);
}

void
exchange_on_turn(struct exchange *exchange)
{
	if (!exchange_leave_candidate(exchange))
		connect_endpoint(exchange, UPSTREAM_ANY);
}

void
exchange_on_retry(struct exchange *exchange)
{
	if (exchange_leave_candidate(exchange))
		return;
	exchange->tried = NULL;
	exchange_dispatch(exchange);
}

/* At another endpoint than the one that it has failed at, if one is up. */
static bool
dispatch_elsewhere(struct exchange *exchange)
{
	exchange->tried = exchange->endpoint;
	if (!balance_has_other(exchange))
		return false;
	exchange_dispatch(exchange);
	return true;
}

/* It isn't its turn to try one that is left out: those that are up aren't
 * rationed. */
void
exchange_on_retry_later(struct exchange *exchange)
{
	if (!exchange_leave_candidate(exchange) &&
		!dispatch_elsewhere(exchange))
		exchange_on_failure(exchange, METER_ERROR_CONNECT);
}

/*
 * What takes no connections may be restarting: nothing was sent, so any request
 * can wait for it, if there is nothing else. True if this one does. Where checks
 * say that all are down nobody waits.
 */
static bool
wait_to_connect(struct exchange *exchange, enum meter_error error)
{
	struct shard *shard = exchange->shard;
	struct upstream_pool *pool;
	bool is_first = exchange->parked_ns == 0;

	if (error != METER_ERROR_CONNECT ||
		!balance_may_come_back(shard, exchange->version) ||
		shard->now_ns + UPSTREAM_PARK_NS > exchange->connect_until_ns)
		return false;
	if (is_first)
		exchange->parked_ns = shard->now_ns;
	if (is_first && dispatch_elsewhere(exchange))
		return true;
	pool = upstream_pool_find(shard, exchange->target->id);
	if (pool == NULL ||
		pool->n_queued >= exchange->service->settings->limits.pending)
		return false;
	exchange->state = EXCHANGE_QUEUED;
	upstream_pool_park(pool, exchange);
	return true;
}

void
exchange_rewind(struct exchange *exchange)
{
	exchange->is_upstream_deaf = false;
	if (!exchange->is_replayable)
		return;
	exchange->body = exchange->whole_body;
	exchange->is_body_sent = false;
	exchange->bytes_in = 0;
}

static enum retry_choice
choose_retry(const struct exchange *exchange, enum meter_error error)
{
	struct retry_input input = {
		.error = error,
		.has_retried = exchange->has_retried,
		.has_other_endpoint = exchange->version != NULL &&
				      exchange->version->n_endpoints > 1,
		.is_stale = exchange->is_stale_failure,
		.is_replayable = exchange->is_replayable,
		.method = (enum http_method)exchange->request.method,
	};

	if (exchange->state >= EXCHANGE_RESPONDING)
		return RETRY_NO;
	return retry_decide(&input);
}

/* True if it is under way again. */
static bool
retry(struct exchange *exchange, enum retry_choice choice,
	enum meter_error error)
{
	const struct snapshot_endpoint *other = NULL;
	struct meter *meter;

	if (choice == RETRY_NO)
		return false;
	if (choice == RETRY_OTHER_ENDPOINT) {
		exchange->tried = exchange->endpoint;
		other = balance_pick(exchange);
		if (other == NULL)
			return false;
	}
	meter = &exchange->target->meters[exchange->shard->index];
	meter_add(&meter->retries, 1);
	/* The client won't notice, but the endpoint did fail. */
	meter_add(&meter->errors[error], 1);
	exchange->has_retried = true;
	exchange_rewind(exchange);
	if (other != NULL) {
		exchange_enter_endpoint(exchange, other);
		connect_endpoint(exchange, UPSTREAM_ANY);
	} else {
		connect_endpoint(exchange, UPSTREAM_FRESH);
	}
	return true;
}

void
exchange_on_failure(struct exchange *exchange, enum meter_error error)
{
	enum retry_choice choice = choose_retry(exchange, error);

	exchange_end_hang_watch(exchange);
	/* A connection that the endpoint had closed when the request came is no
	 * failure of the version: it is asked on another one. */
	if (choice != RETRY_FRESH_CONNECTION)
		witness_failure(exchange, error);
	if (exchange->state >= EXCHANGE_RESPONDING) {
		exchange->error = error;
		exchange_finish(exchange, STREAM_CUT);
		return;
	}
	if (!retry(exchange, choice, error) &&
		!exchange_find_help(exchange, error) &&
		!wait_to_connect(exchange, error))
		exchange_answer_failure(exchange, error);
}

/* --- the start ------------------------------------------------------------- */

static bool
is_request_id(struct slice id)
{
	size_t i;

	for (i = 0; i < id.len; i++)
		if ((unsigned char)(id.ptr[i] - '!') > '~' - '!' ||
			id.ptr[i] == '"' || id.ptr[i] == '\\')
			return false;
	return id.len > 0 && id.len <= EXCHANGE_ID_MAX;
}

static void
set_request_id(struct exchange *exchange)
{
	static const char hex[] = "0123456789abcdef";
	struct slice id = message_find(&exchange->request, FIELD_X_REQUEST_ID);
	uint64_t random[2];
	unsigned i;

	if (exchange->is_trusted && id.ptr != NULL && is_request_id(id)) {
		exchange->keeps_request_id = true;
		exchange->request_id_len = (uint8_t)id.len;
		memcpy(exchange->request_id, id.ptr, id.len);
		return;
	}
	random[0] = shard_random(exchange->shard);
	random[1] = shard_random(exchange->shard);
	for (i = 0; i < 32; i++)
		exchange->request_id[i] =
			hex[random[i / 16] >> (i % 16 * 4) & 15];
	exchange->request_id_len = 32;
}

/* Facts that need the config, before anything can fail. */
static void
begin(struct exchange *exchange)
{
	const struct config *config = exchange->view->snapshot->config;

	exchange->is_trusted = cidr_matches_any(config->trusted_proxies,
		config->n_trusted_proxies, &exchange->peer);
	set_request_id(exchange);
}

static bool
find_service(struct exchange *exchange)
{
	struct shard *shard = exchange->shard;
	const struct snapshot *snapshot = exchange->view->snapshot;
	const struct message *request = &exchange->request;
	struct slice host = message_slice(request, request->host);
	struct slice target = message_slice(request, request->path);
	const char *why;

	assert(target.len <= shard->text_size);
	why = snapshot_route(
		snapshot, host, target, shard->text, &exchange->service);
	if (why != NULL) {
		exchange->service = NULL;
		exchange_reject(exchange, 400, why);
		return false;
	}
	if (exchange->service == NULL) {
		exchange_reject(
			exchange, 404, "no service for this host and path");
		return false;
	}
	exchange->local = &exchange->view->services[exchange->service->index];
	return true;
}

void
exchange_start(struct exchange *exchange)
{
	const struct message *request = &exchange->request;
	uint64_t limit;

	begin(exchange);
	if (request->method == HTTP_CONNECT) {
		exchange_reject(exchange, 405, "CONNECT");
		return;
	}
	if (!find_service(exchange))
		return;
	limit = exchange->service->settings->limits.body;
	if (limit > 0 && (exchange->body.len > limit ||
				 (request->body == BODY_LENGTH &&
					 request->content_length > limit))) {
		exchange_reject(exchange, 413, "body over limits.body");
		return;
	}
	if (exchange_is_disguised(exchange)) {
		exchange_reject(exchange, 400,
			"field that passes for another by its underscores");
		return;
	}
	exchange->body_trailers =
		exchange_filter_trailers(exchange, exchange->body_trailers);
	exchange->is_replayable = exchange->is_body_complete;
	exchange->whole_body = exchange->body;
	exchange->sends_continue =
		request->expects_continue && !exchange->is_body_complete;
	exchange->is_upgrade =
		request->has_upgrade &&
		forward_is_upgrade(message_find(request, FIELD_UPGRADE),
			exchange->service->settings->upgrades,
			exchange->service->settings->n_upgrades);
	choose_version(exchange);
	exchange_arm_help(exchange);
	exchange_dispatch(exchange);
}

void
exchange_refuse(struct exchange *exchange, unsigned status, const char *why)
{
	begin(exchange);
	exchange_reject(exchange, status, why);
}

void
exchange_fail_body(struct exchange *exchange, unsigned status, const char *why)
{
	if (exchange->state < EXCHANGE_RESPONDING) {
		upstream_leave_queue(exchange);
		exchange_reject(exchange, status, why);
		return;
	}
	exchange->error = METER_ERROR_REQUEST;
	exchange->why = why;
	exchange_finish(exchange, STREAM_CUT);
}

void
exchange_evict(struct exchange *exchange)
{
	exchange->error = METER_ERROR_ROLLED_BACK;
	exchange_finish(exchange, STREAM_CUT);
}

void
exchange_abort(struct exchange *exchange)
{
	exchange->error = METER_ERROR_CLIENT_ABORT;
	exchange_finish(exchange, STREAM_CUT);
}
