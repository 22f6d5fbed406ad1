#include "proxy/exchange_private.h"

#include <string.h>

#include "http/h1_frame.h"
#include "proxy/tunnel.h"
#include "proxy/upstream.h"
#include "proxy/witness.h"

/* The window has been handed on. */
static void
take_window(struct exchange *exchange)
{
	exchange->bytes_in += exchange->body.len;
	exchange->body = SLICE_NONE;
	exchange->is_body_sent = exchange->is_body_complete;
	exchange_spare_pipe(exchange);
}

/*
 * Whom a request that is out waits for: the endpoint, if it doesn't take what
 * it is sent, or has all of it, or must say 100 first; else the client, whose
 * own deadline runs. Behind the response head the upstream sees to itself.
 */
void
exchange_await_response(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;

	if (exchange->state != EXCHANGE_WAITING)
		return;
	if (exchange->is_body_sent || exchange->sends_continue ||
		exchange->is_upstream_deaf || conn_is_blocked(&upstream->conn))
		upstream_await(upstream, exchange->local->response);
	else
		upstream_await(upstream, NULL);
	if (exchange->stand_in != NULL && exchange->is_body_sent)
		exchange_watch_for_hang(exchange);
}

/* "service=version": for what the backend asks of other services in turn. While
 * a release runs it also says for which client, so that what happens there
 * counts once for each of them. */
static struct slice
write_caller(const struct exchange *exchange, struct forward_text *text)
{
	static const char hex[] = "0123456789abcdef";
	char *value = forward_text_take(text,
		exchange->service->name.len + 1 + exchange->version->name.len +
			sizeof(STICKY_CELL_PARAMETER) + COOKIE_SEED_DIGITS);
	char *out = slice_append(value, exchange->service->name);

	*out++ = '=';
	out = slice_append(out, exchange->version->name);
	if (exchange->is_release_running &&
		sticky_has_identity(&exchange->decision)) {
		out = slice_append(
			out, slice_from_string(STICKY_CELL_PARAMETER));
		for (int i = COOKIE_SEED_DIGITS - 1; i >= 0; i--)
			*out++ = hex[exchange->decision.cell >> 4 * i & 15];
	}
	return (struct slice){value, (size_t)(out - value)};
}

/* The rules for fields that strangers send. */
static struct forward_request_options
field_rules(const struct exchange *exchange)
{
	const struct config *config = exchange->view->snapshot->config;
	const struct settings *settings = exchange->service->settings;

	return (struct forward_request_options){
		.override_header = slice_from_string(settings->sticky.header),
		.claims = config->forwarded_fields,
		.n_claims = config->n_forwarded_fields,
		.passes_underscores =
			config->underscores == CONFIG_UNDERSCORES_PASS,
	};
}

struct slice
exchange_filter_trailers(const struct exchange *exchange, struct slice trailers)
{
	struct forward_request_options rules;

	/* A tunnel has given its service back, and has no trailers. */
	if (trailers.len == 0)
		return trailers;
	rules = field_rules(exchange);
	return forward_trailers(trailers, &rules);
}

bool
exchange_is_disguised(const struct exchange *exchange)
{
	struct forward_request_options rules;

	if (exchange->view->snapshot->config->underscores !=
		CONFIG_UNDERSCORES_REFUSE)
		return false;
	rules = field_rules(exchange);
	return forward_is_disguised(&exchange->request, &rules);
}

/* For a client of HTTP/1.0 that named none: what most would ask for. */
static struct slice
default_host(const struct exchange *exchange)
{
	if (exchange->service->plain_host.len > 0)
		return exchange->service->plain_host;
	return slice_from_string(exchange->endpoint->registry->name);
}

static size_t
write_request_head(struct exchange *exchange)
{
	struct shard *shard = exchange->shard;
	struct forward_text text = exchange_text_space(shard);
	const struct snapshot_service *service = exchange->service;
	struct forward_request_options options = field_rules(exchange);
	struct forward_head head;

	options.client = (struct forward_client){
		&exchange->peer, exchange->is_trusted, exchange->scheme};
	options.request_id =
		(struct slice){exchange->request_id, exchange->request_id_len};
	options.keeps_request_id = exchange->keeps_request_id;
	options.cookie_name = service->cookie_name;
	options.former_cookie_name = service->former_cookie_name;
	options.foreign_cookie =
		message_slice(&exchange->request, exchange->foreign_cookie);
	options.drops_conditions = exchange->drops_conditions;
	if (exchange->is_upgrade)
		options.upgrade =
			message_find(&exchange->request, FIELD_UPGRADE);
	if (exchange->request.host.len == 0)
		options.default_host = default_host(exchange);
	options.override_value = write_caller(exchange, &text);
	if (!forward_request(&exchange->request, &options, &text, &head))
		return 0;
	return forward_write_request(
		&head, shard->scratch, shard->scratch_size - H1_FRAME_ROOM);
}

static void
after_send(struct exchange *exchange, enum conn_result result)
{
	/* Its answer, or its end, is to be read yet: see on_failure. */
	if (result == CONN_FAILED)
		exchange->is_upstream_deaf = true;
	take_window(exchange);
	exchange_await_response(exchange);
}

void
exchange_send_request(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;
	size_t head_len = write_request_head(exchange);

	if (head_len == 0) {
		exchange_reject(exchange, 431, "head too large to forward");
		return;
	}
	upstream->is_chunked_out = exchange->request.body == BODY_CHUNKED;
	exchange->state = EXCHANGE_WAITING;
	exchange->sent_ns = exchange->shard->now_ns;
	witness_sent(exchange);
	after_send(exchange,
		upstream_send(upstream, head_len, exchange->body,
			exchange->body_trailers, exchange->is_body_complete));
}

/* Hands the window on if that can be done now. */
void
exchange_pump_request(struct exchange *exchange)
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
		tunnel_pump(exchange);
		return;
	}
	after_send(exchange,
		upstream_send(upstream, 0, exchange->body,
			exchange->body_trailers, exchange->is_body_complete));
}

void
exchange_on_connected(struct exchange *exchange)
{
	const struct stream_ops *ops = exchange->ops;
	void *stream = exchange->stream;
	bool is_complete = exchange->is_body_complete;

	exchange_send_request(exchange);
	/* If that ended it, the stream knows. */
	if (!is_complete)
		ops->resume(stream);
}

void
exchange_offer_body(struct exchange *exchange, struct slice data,
	struct slice trailers, bool is_complete)
{
	uint64_t limit = 0;

	exchange->body = data;
	exchange->body_trailers = exchange_filter_trailers(exchange, trailers);
	exchange->is_body_complete = is_complete;
	exchange->sends_continue = false;
	if (!exchange->is_tunnel)
		limit = exchange->service->settings->limits.body;
	if (limit > 0 && exchange->bytes_in + data.len > limit) {
		exchange_fail_body(exchange, 413, "body over limits.body");
		return;
	}
	exchange_pump_request(exchange);
	if (tunnel_is_over(exchange))
		exchange_finish(exchange, STREAM_DONE);
}

void
exchange_on_upstream_writable(struct exchange *exchange)
{
	const struct stream_ops *ops = exchange->ops;
	void *stream = exchange->stream;

	exchange_pump_request(exchange);
	exchange_await_response(exchange);
	exchange_spare_pipe(exchange);
	if (tunnel_is_over(exchange)) {
		exchange_finish(exchange, STREAM_DONE);
		return;
	}
	ops->resume(stream);
}

void
exchange_on_upstream_deaf(struct exchange *exchange)
{
	exchange->is_upstream_deaf = true;
	if (exchange_owes_pipe(exchange))
		exchange_give_pipe(exchange);
	exchange_on_upstream_writable(exchange);
}
