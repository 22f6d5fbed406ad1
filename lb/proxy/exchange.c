#include "proxy/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/h1_frame.h"
#include "proxy/balance.h"
#include "proxy/choose.h"
#include "proxy/error_answer.h"
#include "proxy/measure.h"
#include "proxy/rescue.h"
#include "proxy/retry.h"
#include "proxy/route_path.h"
#include "proxy/upstream.h"
#include "proxy/upstream_pool.h"

/*
 * The one state machine of a request. Its order:
 *
 *	start: route, choose a version, pick an endpoint
 *	dispatch -> CONNECTING or QUEUED -> send_request -> WAITING
 *	response head -> RESPONDING (or TUNNEL) -> ... -> finish
 *	failure before the response head -> retry once, or an error page
 *
 * Whatever ends it goes through finish(). After a call that may have ended it
 * the exchange is not touched again.
 */

static const struct slice NOTHING = {NULL, 0};

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

/* --- the end ------------------------------------------------------------------ */

static void
count_load(struct exchange *exchange, int n)
{
	struct registry_version *version = exchange->target->version;

	meter_add_signed(
		&version->loads[exchange->shard->index].in_flight, n);
}

static void
leave_endpoint(struct exchange *exchange)
{
	struct meter *meter;

	if (exchange->target == NULL)
		return;
	meter = &exchange->target->meters[exchange->shard->index];
	meter_add_signed(&meter->in_flight, -1);
	count_load(exchange, -1);
}

static void
drop_held(struct exchange *exchange)
{
	struct upstream *held = exchange->held;

	if (held == NULL)
		return;
	exchange->held = NULL;
	upstream_discard(held);
}

static void
finish(struct exchange *exchange, enum stream_end end)
{
	struct shard *shard = exchange->shard;
	const struct stream_ops *ops = exchange->ops;
	void *stream = exchange->stream;

	exchange->state = EXCHANGE_ENDED;
	upstream_leave_queue(exchange);
	if (exchange->upstream != NULL)
		upstream_cancel(exchange->upstream);
	drop_held(exchange);
	leave_endpoint(exchange);
	/* Whatever was asked of another version, it was this one's request. */
	if (exchange->first_target != NULL)
		exchange->target = exchange->first_target;
	measure_exchange(exchange);
	if (exchange->is_tunnel)
		meter_add(&shard->counts->tunnels, (uint64_t)-1);
	else
		shard_give_view(shard, exchange->view);
	free(exchange->head_copy);
	if (exchange->pipe != NULL)
		pipe_give(&shard->pipes, exchange->pipe);
	pool_give(&shard->exchanges, exchange);
	ops->finish(stream, end);
}

static void
complete(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;

	if (exchange->is_body_sent && !exchange->is_upstream_deaf)
		upstream_release(upstream);
	finish(exchange, STREAM_DONE);
}

static struct forward_text
text_space(struct shard *shard)
{
	return (struct forward_text){shard->text, 0, shard->text_size};
}

/* --- error pages ---------------------------------------------------------------- */

/* perch's own answer; nothing of another one may have been sent. */
static void
respond_error(struct exchange *exchange, unsigned status)
{
	struct forward_text text = text_space(exchange->shard);
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
		finish(exchange, STREAM_CUT);
		return;
	}
	finish(exchange, STREAM_DONE);
}

static void
refuse(struct exchange *exchange, unsigned status, const char *why)
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

/* --- sending the request ---------------------------------------------------------- */

/* The window has been handed on. */
static void
take_window(struct exchange *exchange)
{
	exchange->bytes_in += exchange->body.len;
	exchange->body = NOTHING;
	exchange->is_body_sent = exchange->is_body_complete;
}

/*
 * Whom a request that is out waits for: the endpoint, if it doesn't take what
 * it is sent, or has all of it, or must say 100 first; else the client, whose
 * own deadline runs. Behind the response head the upstream sees to itself.
 */
static void
await_response(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;

	if (exchange->state != EXCHANGE_WAITING)
		return;
	if (exchange->is_body_sent || exchange->sends_continue ||
		exchange->is_upstream_deaf || conn_is_blocked(&upstream->conn))
		upstream_await(upstream, exchange->local->response);
	else
		upstream_await(upstream, NULL);
}

static size_t
write_request_head(struct exchange *exchange)
{
	struct shard *shard = exchange->shard;
	struct forward_text text = text_space(shard);
	const struct snapshot_service *service = exchange->service;
	struct slice version = exchange->version->name;
	struct forward_request_options options = {
		.client = {&exchange->peer, exchange->is_trusted,
			exchange->scheme},
		.request_id = {exchange->request_id, exchange->request_id_len},
		.keeps_request_id = exchange->keeps_request_id,
		.override_header =
			slice_from_string(service->config->sticky.header),
		.cookie_name = service->cookie_name,
		.former_cookie_name = service->former_cookie_name,
		.drops_conditions = exchange->drops_conditions,
		.is_upgrade = exchange->is_upgrade,
	};
	char *value = forward_text_take(&text, service->name.len + 1 + version.len);
	struct forward_head head;

	memcpy(value, service->name.ptr, service->name.len);
	value[service->name.len] = '=';
	memcpy(value + service->name.len + 1, version.ptr, version.len);
	options.override_value = (struct slice){
		value, service->name.len + 1 + version.len};
	if (!forward_request(&exchange->request, &options, &text, &head))
		return 0;
	return forward_write_request(&head, shard->scratch,
		shard->scratch_size - H1_FRAME_ROOM);
}

static void
after_send(struct exchange *exchange, enum conn_result result)
{
	/* Its answer, or its end, is to be read yet: see on_failure. */
	if (result == CONN_FAILED)
		exchange->is_upstream_deaf = true;
	take_window(exchange);
	await_response(exchange);
}

static void
send_request(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;
	size_t head_len = write_request_head(exchange);

	if (head_len == 0) {
		refuse(exchange, 431, "head too large to forward");
		return;
	}
	upstream->is_chunked_out = exchange->request.body == BODY_CHUNKED;
	exchange->state = EXCHANGE_WAITING;
	exchange->sent_ns = exchange->shard->now_ns;
	after_send(exchange,
		upstream_send(upstream, head_len, exchange->body,
			exchange->body_trailers, exchange->is_body_complete));
}

static void
pump_tunnel(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;

	if (exchange->body.len > 0 &&
		upstream_send(upstream, 0, exchange->body, NOTHING, false) ==
			CONN_FAILED)
		exchange->is_upstream_deaf = true;
	exchange->bytes_in += exchange->body.len;
	exchange->body = NOTHING;
	if (exchange->is_body_complete) {
		exchange->is_body_sent = true;
		upstream_end_sending(upstream);
	}
}

/* Hands the window on if that can be done now. */
static void
pump_request(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;

	if (exchange->state < EXCHANGE_WAITING || exchange->is_body_sent)
		return;
	if (exchange->is_upstream_deaf) {
		take_window(exchange);
		return;
	}
	if (conn_is_blocked(&upstream->conn))
		return;
	if (exchange->is_tunnel) {
		pump_tunnel(exchange);
		return;
	}
	after_send(exchange,
		upstream_send(upstream, 0, exchange->body,
			exchange->body_trailers, exchange->is_body_complete));
}

/* --- dispatch ------------------------------------------------------------------------ */

static void
enter_endpoint(
	struct exchange *exchange, const struct snapshot_endpoint *endpoint)
{
	struct meter *meter =
		&endpoint->registry->meters[exchange->shard->index];

	leave_endpoint(exchange);
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

static void
dispatch(struct exchange *exchange)
{
	const struct snapshot_endpoint *endpoint = balance_pick(exchange);

	if (endpoint == NULL) {
		exchange_on_failure(exchange, METER_ERROR_NO_ENDPOINT);
		return;
	}
	enter_endpoint(exchange, endpoint);
	connect_endpoint(exchange, UPSTREAM_ANY);
}

/* True if it is under way again. */
static bool
retry(struct exchange *exchange, enum meter_error error)
{
	struct retry_input input = {
		.error = error,
		.has_retried = exchange->has_retried,
		.has_other_endpoint = exchange->version->n_endpoints > 1,
		.is_stale = exchange->is_stale_failure,
		.is_replayable = exchange->is_replayable,
		.method = (enum http_method)exchange->request.method,
	};
	enum retry_choice choice = retry_decide(&input);
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
	exchange->is_upstream_deaf = false;
	if (exchange->is_replayable) {
		exchange->body = exchange->whole_body;
		exchange->is_body_sent = false;
		exchange->bytes_in = 0;
	}
	if (other != NULL) {
		enter_endpoint(exchange, other);
		connect_endpoint(exchange, UPSTREAM_ANY);
	} else {
		connect_endpoint(exchange, UPSTREAM_FRESH);
	}
	return true;
}

/*
 * The one protocol that is let through. Behind "h2c" a client could send
 * requests that no rule here sees.
 */
static bool
is_websocket(const struct message *message)
{
	return slice_equal_nocase(
		message_find(message, FIELD_UPGRADE), SLICE("websocket"));
}

/* --- the start ----------------------------------------------------------------------- */

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
	const struct message *request = &exchange->request;
	struct slice target = message_slice(request, request->path);
	struct slice path;

	assert(target.len <= shard->text_size);
	if (!route_path_normalize(target, shard->text, &path)) {
		refuse(exchange, 400, "malformed path");
		return false;
	}
	exchange->service = route_find(&exchange->view->snapshot->routes,
		message_slice(request, request->host), path);
	if (exchange->service == NULL) {
		refuse(exchange, 404, "no service for this host and path");
		return false;
	}
	exchange->local =
		&exchange->view->services[exchange->service->index];
	return true;
}

static void
arm_rescue(struct exchange *exchange)
{
	const struct snapshot_version *other;

	if (!rescue_is_eligible(exchange))
		return;
	exchange->rescue = RESCUE_ARMED;
	other = rescue_recall(exchange);
	if (other == NULL)
		return;
	/* It had it the last time: ask it at once. */
	exchange->version = other;
	exchange->is_recalled = true;
}

/* It can't be asked now: back to the version that was chosen. */
static void
ask_chosen(struct exchange *exchange)
{
	exchange->is_recalled = false;
	exchange->version =
		&exchange->service->versions[exchange->decision.version];
	exchange->tried = NULL;
	dispatch(exchange);
}

void
exchange_start(struct exchange *exchange)
{
	const struct message *request = &exchange->request;
	uint64_t limit;

	begin(exchange);
	if (request->method == HTTP_CONNECT) {
		refuse(exchange, 405, "CONNECT");
		return;
	}
	if (!find_service(exchange))
		return;
	limit = exchange->service->config->limits.body;
	if (limit > 0 && (exchange->body.len > limit ||
				 (request->body == BODY_LENGTH &&
					 request->content_length > limit))) {
		refuse(exchange, 413, "body over limits.body");
		return;
	}
	exchange->body_trailers = forward_trailers(exchange->body_trailers,
		slice_from_string(exchange->service->config->sticky.header));
	exchange->is_replayable = exchange->is_body_complete;
	exchange->whole_body = exchange->body;
	exchange->sends_continue =
		request->expects_continue && !exchange->is_body_complete;
	exchange->is_upgrade = request->has_upgrade && is_websocket(request);
	choose_version(exchange);
	arm_rescue(exchange);
	dispatch(exchange);
}

void
exchange_refuse(struct exchange *exchange, unsigned status, const char *why)
{
	begin(exchange);
	refuse(exchange, status, why);
}

void
exchange_offer_body(struct exchange *exchange, struct slice data,
	struct slice trailers, bool is_complete)
{
	uint64_t limit = 0;

	exchange->body = data;
	exchange->body_trailers = trailers;
	if (trailers.len > 0)
		exchange->body_trailers = forward_trailers(trailers,
			slice_from_string(
				exchange->service->config->sticky.header));
	exchange->is_body_complete = is_complete;
	exchange->sends_continue = false;
	if (!exchange->is_tunnel)
		limit = exchange->service->config->limits.body;
	if (limit > 0 && exchange->bytes_in + data.len > limit) {
		exchange_fail_body(exchange, 413, "body over limits.body");
		return;
	}
	pump_request(exchange);
	if (exchange->is_tunnel && exchange->is_body_sent &&
		exchange->has_ended_down)
		finish(exchange, STREAM_DONE);
}

void
exchange_fail_body(struct exchange *exchange, unsigned status, const char *why)
{
	if (exchange->state < EXCHANGE_RESPONDING) {
		upstream_leave_queue(exchange);
		refuse(exchange, status, why);
		return;
	}
	exchange->error = METER_ERROR_REQUEST;
	exchange->why = why;
	finish(exchange, STREAM_CUT);
}

void
exchange_writable(struct exchange *exchange)
{
	if (exchange->is_pipe_last)
		complete(exchange);
	else if (exchange->upstream != NULL)
		upstream_set_reading(exchange->upstream, true);
}

void
exchange_abort(struct exchange *exchange)
{
	exchange->error = METER_ERROR_CLIENT_ABORT;
	finish(exchange, STREAM_CUT);
}

/* --- the upstream's side ---------------------------------------------------------------- */

void
exchange_on_connected(struct exchange *exchange)
{
	const struct stream_ops *ops = exchange->ops;
	void *stream = exchange->stream;
	bool is_complete = exchange->is_body_complete;

	send_request(exchange);
	/* If that ended it, the stream knows. */
	if (!is_complete)
		ops->resume(stream);
}

void
exchange_on_failure(struct exchange *exchange, enum meter_error error)
{
	if (exchange->state < EXCHANGE_RESPONDING && retry(exchange, error))
		return;
	if (exchange->rescue == RESCUE_ASKING) {
		exchange_settle(exchange);
		return;
	}
	if (exchange->is_recalled && exchange->state < EXCHANGE_RESPONDING) {
		ask_chosen(exchange);
		return;
	}
	exchange->error = error;
	if (exchange->state < EXCHANGE_RESPONDING)
		respond_error(exchange, failure_status(error));
	else
		finish(exchange, STREAM_CUT);
}

/* An answer that makes no sense: its connection can't be trusted. */
static void
reject_response(struct exchange *exchange)
{
	upstream_cancel(exchange->upstream);
	exchange_on_failure(exchange, METER_ERROR_BAD_RESPONSE);
}

/* False if it has ended with that. */
static bool
pass_on(struct exchange *exchange, enum conn_result result)
{
	if (result == CONN_FAILED) {
		exchange_abort(exchange);
		return false;
	}
	if (result == CONN_BLOCKED)
		upstream_set_reading(exchange->upstream, false);
	return true;
}

/* The head's bytes move out of the client's buffer; nothing of the snapshot is
 * needed any more. */
static bool
begin_tunnel(struct exchange *exchange)
{
	struct message *request = &exchange->request;
	struct shard *shard = exchange->shard;

	exchange->head_copy = malloc(request->head_len);
	if (exchange->head_copy == NULL)
		return false;
	memcpy(exchange->head_copy, request->base, request->head_len);
	request->base = exchange->head_copy;
	exchange->is_tunnel = true;
	exchange->state = EXCHANGE_TUNNEL;
	exchange->is_body_complete = false;
	exchange->is_body_sent = false;
	meter_add(&shard->counts->tunnels, 1);
	upstream_become_raw(exchange->upstream);
	shard_give_view(shard, exchange->view);
	exchange->view = NULL;
	exchange->service = NULL;
	exchange->version = NULL;
	exchange->endpoint = NULL;
	exchange->local = NULL;
	return true;
}

static void
switch_protocols(struct exchange *exchange, const struct message *response,
	struct slice rest)
{
	struct forward_response_options options = {.is_upgrade = true};
	struct forward_text text = text_space(exchange->shard);
	struct forward_head head;
	enum conn_result result;

	if (!exchange->is_upgrade || !exchange->is_body_sent ||
		!is_websocket(response) ||
		!forward_response(response, &options, &text, &head)) {
		reject_response(exchange);
		return;
	}
	exchange->first_byte_ns = exchange->shard->now_ns;
	exchange->status = 101;
	if (!begin_tunnel(exchange)) {
		exchange_abort(exchange);
		return;
	}
	result = exchange->ops->send_head(
		exchange->stream, &head, NOTHING, false);
	exchange->ops->tunnel(exchange->stream);
	if (result != CONN_FAILED && rest.len > 0)
		result = exchange->ops->send_body(
			exchange->stream, rest, NOTHING, false);
	exchange->bytes_out += rest.len;
	if (pass_on(exchange, result))
		exchange->ops->resume(exchange->stream);
}

static void
pass_interim(struct exchange *exchange, const struct message *response)
{
	struct forward_response_options options = {.is_upgrade = false};
	struct forward_text text = text_space(exchange->shard);
	struct forward_head head;

	if (response->status == 100) {
		if (!exchange->sends_continue)
			return;
		exchange->sends_continue = false;
		await_response(exchange);
	}
	if (!forward_response(response, &options, &text, &head)) {
		reject_response(exchange);
		return;
	}
	/* From here on it is the client that owes something. */
	if (pass_on(exchange, exchange->ops->send_head(exchange->stream, &head,
				      NOTHING, false)) &&
		response->status == 100)
		exchange->ops->resume(exchange->stream);
}

enum exchange_verdict
exchange_weigh(struct exchange *exchange, const struct message *response)
{
	if (exchange->rescue == RESCUE_ASKING)
		return rescue_is_good(exchange, response) ? VERDICT_PASS_ON
							  : VERDICT_REFUSE;
	/* One that hasn't taken the request can't be left alone with it. */
	if (exchange->rescue != RESCUE_ARMED ||
		conn_is_blocked(&exchange->upstream->conn) ||
		!rescue_is_missing(exchange, response))
		return VERDICT_PASS_ON;
	exchange->other_version = rescue_pick(exchange);
	return exchange->other_version != NULL ? VERDICT_HOLD
					       : VERDICT_PASS_ON;
}

void
exchange_ask_other(struct exchange *exchange)
{
	struct meter *meter =
		&exchange->target->meters[exchange->shard->index];

	meter_add(&meter->rescues, 1);
	exchange->held = exchange->upstream;
	exchange->upstream = NULL;
	exchange->first_version = exchange->version;
	exchange->first_endpoint = exchange->endpoint;
	exchange->first_target = exchange->target;
	upstream_hold(exchange->held);
	exchange->rescue = RESCUE_ASKING;
	exchange->version = exchange->other_version;
	exchange->tried = NULL;
	exchange->is_recalled = false;
	dispatch(exchange);
}

void
exchange_settle(struct exchange *exchange)
{
	struct upstream *held = exchange->held;

	upstream_leave_queue(exchange);
	if (exchange->upstream != NULL)
		upstream_discard(exchange->upstream);
	leave_endpoint(exchange);
	exchange->version = exchange->first_version;
	exchange->endpoint = exchange->first_endpoint;
	exchange->target = NULL;
	enter_endpoint(exchange, exchange->endpoint);
	exchange->rescue = RESCUE_OFF;
	exchange->held = NULL;
	exchange->upstream = held;
	exchange->state = EXCHANGE_WAITING;
	upstream_revive(held);
}

/* Is it another version's answer that is used? The held one is let go at the
 * end. */
static void
conclude_rescue(struct exchange *exchange)
{
	struct registry_endpoint *first = exchange->first_target;
	unsigned index = exchange->shard->index;

	if (exchange->rescue == RESCUE_ASKING) {
		exchange->rescue = RESCUE_DONE;
		rescue_remember(exchange);
		meter_add(&first->meters[index].rescued, 1);
	} else if (exchange->is_recalled) {
		exchange->rescue = RESCUE_DONE;
		meter_add(&exchange->target->meters[index].rescues, 1);
		meter_add(&exchange->target->meters[index].rescued, 1);
	}
}

/* A 404 that goes out must not outlive the release in somebody's cache. */
static bool
is_missing_in_release(
	const struct exchange *exchange, const struct message *response)
{
	return exchange->is_release_running && !exchange->is_navigation &&
	       (response->status == 404 || response->status == 410);
}

void
exchange_on_response(struct exchange *exchange, const struct message *response,
	struct slice body, struct slice trailers, bool is_end)
{
	struct forward_text text = text_space(exchange->shard);
	struct forward_response_options options;
	struct forward_head head;
	enum conn_result result;

	if (response->status == 101) {
		switch_protocols(exchange, response, body);
		return;
	}
	if (response->status < 200) {
		pass_interim(exchange, response);
		return;
	}
	conclude_rescue(exchange);
	memset(&options, 0, sizeof(options));
	options.makes_uncacheable = is_missing_in_release(exchange, response);
	if (exchange->rescue == RESCUE_DONE) {
		options.rescued_by = exchange->version->name;
	} else {
		options.makes_private =
			choose_makes_private(exchange, response);
		options.set_cookie = choose_set_cookie(exchange, response,
			options.makes_private, &text);
	}
	if (!forward_response(response, &options, &text, &head)) {
		reject_response(exchange);
		return;
	}
	exchange->first_byte_ns = exchange->shard->now_ns;
	exchange->state = EXCHANGE_RESPONDING;
	exchange->status = response->status;
	exchange->bytes_out = body.len;
	/* Trailers that came at once go behind the head, in their place. */
	result = exchange->ops->send_head(exchange->stream, &head, body,
		is_end && trailers.len == 0);
	if (is_end && trailers.len > 0 && result != CONN_FAILED)
		result = exchange->ops->send_body(
			exchange->stream, NOTHING, trailers, true);
	if (result == CONN_FAILED)
		exchange_abort(exchange);
	else if (is_end)
		complete(exchange);
	else
		pass_on(exchange, result);
}

struct pipe *
exchange_response_pipe(struct exchange *exchange)
{
	if (exchange->pipe == NULL && exchange->ops->send_pipe != NULL)
		exchange->pipe = pipe_take(&exchange->shard->pipes);
	return exchange->pipe;
}

void
exchange_on_response_pipe(struct exchange *exchange, size_t n, bool is_end)
{
	enum conn_result result;

	exchange->bytes_out += n;
	exchange->is_pipe_last = is_end;
	result = exchange->ops->send_pipe(exchange->stream, exchange->pipe);
	if (result == CONN_FAILED)
		exchange_abort(exchange);
	else if (result == CONN_SENT && is_end)
		complete(exchange);
	else
		pass_on(exchange, result);
}

static void
end_tunnel_down(struct exchange *exchange)
{
	exchange->has_ended_down = true;
	if (exchange->is_body_sent)
		finish(exchange, STREAM_DONE);
}

void
exchange_on_response_body(struct exchange *exchange, struct slice data,
	struct slice trailers, bool is_end)
{
	enum conn_result result;

	exchange->bytes_out += data.len;
	result = exchange->ops->send_body(
		exchange->stream, data, trailers, is_end);
	if (result == CONN_FAILED)
		exchange_abort(exchange);
	else if (is_end && exchange->is_tunnel)
		end_tunnel_down(exchange);
	else if (is_end)
		complete(exchange);
	else
		pass_on(exchange, result);
}

void
exchange_on_upstream_writable(struct exchange *exchange)
{
	const struct stream_ops *ops = exchange->ops;
	void *stream = exchange->stream;

	pump_request(exchange);
	await_response(exchange);
	if (exchange->is_tunnel && exchange->is_body_sent &&
		exchange->has_ended_down) {
		finish(exchange, STREAM_DONE);
		return;
	}
	ops->resume(stream);
}

void
exchange_on_tunnel_idle(struct exchange *exchange)
{
	finish(exchange, STREAM_CUT);
}
