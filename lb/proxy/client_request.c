#include "proxy/client_private.h"

#include <assert.h>
#include <string.h>

#include "http/h1_parse.h"

/* What a TLS record with a hello begins with (RFC 8446 5.1). */
#define TLS_HANDSHAKE 0x16

/*
 * One buffer holds, from its front: the head of the request in hand, kept
 * until the exchange ends; the body bytes that are at hand, decoded in place
 * and offered to the exchange as a window; then raw bytes not looked at yet,
 * the rest of the body or the requests behind it. When the window has been
 * taken and more body is to come, reading goes on right behind the head, so
 * that a body of any size needs no second buffer.
 */

static const struct config_limits *
limits(const struct client *client)
{
	return &client->shard->view->snapshot->config->limits;
}

static struct exchange *
begin_exchange(struct client *client)
{
	struct exchange *exchange =
		exchange_new(client->shard, &client_stream_ops, client);

	if (exchange == NULL)
		return NULL;
	exchange->peer = client->peer;
	exchange->scheme = SLICE("http");
	exchange->started_ns = client->shard->now_ns;
	client->exchange = exchange;
	client->state = CLIENT_BUSY;
	client->is_served = true;
	client->has_skipped = false;
	client->has_line = false;
	client->scanned = 0;
	return exchange;
}

static unsigned
refusal_status(enum h1_result result)
{
	switch (result) {
	case H1_TARGET_LONG:
		return 414;
	case H1_HEAD_LONG:
		return 431;
	case H1_BAD_VERSION:
		return 505;
	case H1_NOT_IMPLEMENTED:
		return 501;
	default:
		return 400;
	}
}

/* Nothing after it can be trusted. */
static void
refuse(struct client *client, unsigned status, const char *why)
{
	client->keeps_alive = false;
	client->is_body_done = false;
	exchange_refuse(client->exchange, status, why);
}

/* Answers without having understood. */
void
client_refuse(struct client *client, unsigned status, const char *why)
{
	struct exchange *exchange = client->exchange;
	struct buffer *in = client->in;

	if (exchange == NULL)
		exchange = begin_exchange(client);
	if (exchange == NULL) {
		client_close(client, CLIENT_CLOSE);
		return;
	}
	h1_glimpse_request(
		in->data + in->start, buffer_len(in), &exchange->request);
	client->is_http10 = false;
	client->is_head_request = false;
	refuse(client, status, why);
}

/* Decodes what has come of the body into a window. */
static enum h1_result
decode_window(
	struct client *client, struct slice *window, struct slice *trailers)
{
	struct buffer *in = client->in;
	char *raw = in->data + in->start;
	enum h1_result result;
	size_t consumed;
	size_t produced;

	result = h1_body_decode(&client->body, raw, buffer_len(in), &consumed,
		&produced, trailers);
	in->start += (uint32_t)consumed;
	*window = (struct slice){raw, produced};
	if (result == H1_OK)
		client->is_body_done = true;
	return result;
}

/* The request's head to the front of its buffer: its body needs the room. */
static void
move_to_front(struct client *client, struct message *request, size_t head_len)
{
	client_make_room(client);
	request->base = client->in->data;
	assert(head_len <= buffer_len(client->in));
}

static void
start_request(struct client *client, struct exchange *exchange, size_t head_len)
{
	struct message *request = &exchange->request;
	enum h1_result result;

	if (request->body != BODY_NONE)
		move_to_front(client, request, head_len);
	client->in->start += (uint32_t)head_len;
	client->body_start = client->in->start;
	client->is_http10 = request->version_minor == 0;
	client->is_head_request = request->method == HTTP_HEAD;
	client->keeps_alive = request->keep_alive;
	client->is_body_done = false;
	h1_body_start(&client->body, request->body, request->content_length);
	result = decode_window(
		client, &exchange->body, &exchange->body_trailers);
	if (result == H1_BAD) {
		refuse(client, 400, "malformed chunk");
		return;
	}
	exchange->is_body_complete = client->is_body_done;
	exchange_start(exchange);
}

/*
 * Of a head that isn't whole: is what is there of it wrong already? Its rest
 * may never come, or be of no protocol that has lines. `from` is how far was
 * looked before, so that each byte is looked at once.
 */
static enum h1_result
judge_part(struct client *client, const struct h1_limits *h1_limits,
	size_t from, const char **why)
{
	struct buffer *in = client->in;
	const char *head = in->data + in->start;
	size_t len = buffer_len(in);
	const char *newline;
	enum h1_result result;

	if (client->has_line)
		return H1_PARTIAL;
	newline = memchr(head + from, '\n', len - from);
	if (newline == NULL)
		return H1_PARTIAL;
	client->has_line = true;
	result = h1_check_request_line(head, (size_t)(newline + 1 - head),
		h1_limits, &client->shard->response, why);
	return result == H1_OK ? H1_PARTIAL : result;
}

static void
skip_empty_line(struct client *client)
{
	struct buffer *in = client->in;
	size_t skipped;

	if (client->scanned > 0 || client->has_skipped)
		return;
	skipped = h1_skip_empty_lines(in->data + in->start, buffer_len(in));
	in->start += (uint32_t)skipped;
	client->has_skipped = skipped > 0;
}

/* Looks for the head's end; H1_PARTIAL means that nothing is wrong so far. */
static enum h1_result
find_head(struct client *client, const struct h1_limits *h1_limits,
	size_t *head_len, const char **why)
{
	struct buffer *in = client->in;
	const char *head = in->data + in->start;
	size_t from = client->scanned, scanned = from;
	enum h1_result result;

	if (from == 0 && buffer_len(in) > 0 && !h1_may_begin(head[0])) {
		*why = head[0] == TLS_HANDSHAKE ? "TLS on a plain port"
						: "malformed method";
		return H1_BAD;
	}
	result = h1_find_end(
		head, buffer_len(in), h1_limits->head, &scanned, head_len);
	client->scanned = (uint32_t)scanned;
	if (result == H1_BAD)
		*why = "bare LF in head";
	if (result == H1_PARTIAL)
		result = judge_part(client, h1_limits, from, why);
	return result;
}

bool
client_next_request(struct client *client)
{
	struct h1_limits h1_limits;
	struct exchange *exchange;
	enum h1_result result;
	const char *why = "head too large";
	size_t head_len = 0;

	if (client->in == NULL || buffer_len(client->in) == 0)
		return false;
	skip_empty_line(client);
	h1_limits.head = (uint32_t)limits(client)->head;
	h1_limits.target = (uint32_t)limits(client)->target;
	h1_limits.fields = (uint32_t)limits(client)->fields;
	result = find_head(client, &h1_limits, &head_len, &why);
	if (result == H1_PARTIAL)
		return false;
	exchange = begin_exchange(client);
	if (exchange == NULL) {
		client_close(client, CLIENT_CLOSE);
		return true;
	}
	if (result == H1_OK)
		result = h1_parse_request(client->in->data + client->in->start,
			head_len, &h1_limits, &exchange->request, &why);
	if (result == H1_OK)
		start_request(client, exchange, head_len);
	else
		client_refuse(client, refusal_status(result), why);
	return true;
}

/* The client's side has ended, and all that came of it was handed on. True if
 * that was to be expected. */
static bool
end_body(struct client *client)
{
	struct slice nothing = {NULL, 0};

	if (!client->is_raw) {
		exchange_abort(client->exchange);
		return false;
	}
	client->is_body_done = true;
	exchange_offer_body(client->exchange, nothing, nothing, true);
	return true;
}

/* True if a window was offered. */
bool
client_feed_body(struct client *client)
{
	struct exchange *exchange = client->exchange;
	struct buffer *in = client->in;
	struct slice trailers = {NULL, 0};
	struct slice window;
	enum h1_result result;

	if (client->is_body_done || exchange->body.len > 0)
		return false;
	if (in == NULL || buffer_len(in) == 0) {
		if (in != NULL)
			in->start = in->end = client->body_start;
		return client->has_eof && end_body(client);
	}
	buffer_compact(in, client->body_start);
	result = decode_window(client, &window, &trailers);
	if (result == H1_BAD) {
		client->keeps_alive = false;
		exchange_fail_body(exchange, 400, "malformed chunk");
		return client->exchange == NULL;
	}
	if (window.len == 0 && !client->is_body_done)
		return false;
	exchange_offer_body(exchange, window, trailers, client->is_body_done);
	return true;
}

bool
client_splice_body(struct client *client, long *n)
{
	struct exchange *exchange = client->exchange;
	struct h1_run run;
	struct pipe *pipe;
	uint64_t max;

	if (client->is_body_done || buffer_len(client->in) > 0)
		return false;
	assert(exchange != NULL);
	max = h1_body_passable(&client->body);
	if (max == 0)
		return false;
	pipe = exchange_request_pipe(exchange, max);
	if (pipe == NULL)
		return false;
	*n = pipe_fill(pipe, client->conn.transport.fd, max);
	if (*n <= 0)
		return true;
	run = h1_body_pass(&client->body, (uint64_t)*n);
	client->is_body_done = run.is_body_end;
	exchange_on_request_pipe(exchange, &run);
	return true;
}
