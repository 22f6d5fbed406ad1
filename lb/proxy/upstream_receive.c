#include "proxy/upstream_private.h"

#include <assert.h>

#include "base/clock.h"
#include "http/h1_parse.h"
#include "proxy/bad_answer.h"
#include "proxy/upstream_pool.h"
#include "proxy/upstream_rest.h"

/*
 * The exchange took all that was delivered. It may have released this
 * connection, which may even be busy with another exchange by now; a buffer
 * that is here and empty is this call's in any case.
 */
static void
after_delivery(struct upstream *upstream)
{
	struct buffer *in = upstream->in;

	if (in == NULL)
		return;
	if (buffer_len(in) == 0)
		upstream_give_in(upstream);
	else
		buffer_compact(in, 0);
}

bool
upstream_has_more(struct upstream *upstream)
{
	ssize_t n;
	char byte;

	n = transport_read(&upstream->conn.transport, &byte, 1);
	if (n > 0)
		upstream_rest_note_unasked(upstream);
	return n != TRANSPORT_AGAIN;
}

/* The body has ended in the buffer. A read that filled it may have ended there
 * by chance. */
static void
note_end(struct upstream *upstream)
{
	struct buffer *in = upstream->in;

	/* From one that won't be used again they are no danger. */
	if (buffer_len(in) > 0 && upstream->is_keep_alive)
		upstream_rest_note_unasked(upstream);
	if (buffer_len(in) > 0 ||
		(buffer_room(in) == 0 && upstream_has_more(upstream)))
		upstream->is_keep_alive = false;
}

/* How long the endpoint says that it keeps an idle connection, less a margin
 * for the way there; UINT64_MAX if it doesn't say. */
static uint64_t
announced_idle_ns(const struct message *response)
{
	struct slice rest = message_find(response, FIELD_KEEP_ALIVE);
	struct slice name = SLICE("timeout=");
	uint64_t seconds = 0;
	size_t i;

	while (rest.len > name.len && !slice_starts_with(rest, name)) {
		rest.ptr++;
		rest.len--;
	}
	if (rest.len <= name.len)
		return UINT64_MAX;
	for (i = name.len; i < rest.len && i < name.len + 6; i++) {
		if (rest.ptr[i] < '0' || rest.ptr[i] > '9')
			break;
		seconds = seconds * 10 + (uint64_t)(rest.ptr[i] - '0');
	}
	if (seconds <= 1)
		return CLOCK_NS_PER_S / 2;
	return (seconds - 1) * CLOCK_NS_PER_S;
}

/* Neither this answer nor what follows it can be trusted. */
static void
refuse(struct upstream *upstream, const char *why)
{
	bad_answer_note(upstream->exchange, why);
	upstream_fail(upstream, METER_ERROR_BAD_RESPONSE);
}

static void
deliver_response(struct upstream *upstream, const struct message *response)
{
	struct buffer *in = upstream->in;
	struct slice trailers = SLICE_NONE;
	struct slice data;
	enum h1_result result;
	size_t consumed;
	size_t produced;

	upstream->is_keep_alive = response->keep_alive;
	upstream->has_ended_with_head = response->body == BODY_NONE;
	if (message_has(response, FIELD_KEEP_ALIVE))
		upstream->announced_idle_ns = announced_idle_ns(response);
	h1_body_start(
		&upstream->body, response->body, response->content_length);
	data.ptr = in->data + in->start;
	result = h1_body_decode(&upstream->body, in->data + in->start,
		buffer_len(in), &consumed, &produced, &trailers);
	if (result != H1_OK && result != H1_PARTIAL) {
		refuse(upstream, "malformed chunk");
		return;
	}
	in->start += (uint32_t)consumed;
	data.len = produced;
	upstream->state = UPSTREAM_BODY;
	upstream->idle_list = upstream->exchange->local->response_idle;
	upstream_touch_timeout(upstream);
	if (result == H1_OK)
		note_end(upstream);
	exchange_on_response(
		upstream->exchange, response, data, trailers, result == H1_OK);
}

static void
weigh_response(struct upstream *upstream, const struct message *response)
{
	struct exchange *exchange = upstream->exchange;

	switch (exchange_weigh(exchange, response)) {
	case VERDICT_PASS_ON:
		upstream->in->start += response->head_len;
		deliver_response(upstream, response);
		break;
	case VERDICT_HOLD:
		exchange_ask_other(exchange);
		break;
	case VERDICT_REFUSE:
		exchange_settle(exchange);
		break;
	}
}

/* 1xx: the real one is still to come, but for 101. */
static void
deliver_interim(struct upstream *upstream, const struct message *response)
{
	struct buffer *in = upstream->in;
	struct slice rest = SLICE_NONE;

	if (response->status == 101) {
		rest = (struct slice){in->data + in->start, buffer_len(in)};
		in->start = in->end;
	}
	exchange_on_response(
		upstream->exchange, response, rest, SLICE_NONE, false);
}

/* What doesn't even begin as a head may be left over from the answer before:
 * more than its length, too late to be seen behind it. */
static void
note_left_over(struct upstream *upstream)
{
	struct buffer *in = upstream->in;
	struct slice bytes = {in->data + in->start, buffer_len(in)};

	if (upstream->is_reused && !slice_starts_with(bytes, SLICE("HTTP/")))
		upstream_rest_note_unasked(upstream);
}

/* True if another head may be in the buffer. */
static bool
receive_head(struct upstream *upstream)
{
	struct shard *shard = upstream->pool->shard;
	struct exchange *exchange = upstream->exchange;
	const struct config_limits *config =
		&exchange->service->settings->limits;
	struct h1_limits limits = {
		.head = (uint32_t)config->head,
		.target = 0,
		.fields = (uint32_t)config->fields,
	};
	struct buffer *in = upstream->in;
	const char *head = in->data + in->start;
	const char *why = "head over its limit";
	size_t head_len = 0;
	enum h1_result result;

	result = h1_find_end(head, buffer_len(in), limits.head,
		&upstream->scanned, &head_len);
	if (result == H1_PARTIAL)
		return false;
	if (result == H1_BAD)
		why = "bare LF in head";
	if (result == H1_OK)
		result = h1_parse_response(head, head_len, &limits,
			exchange->request.method, &shard->response, &why);
	if (result != H1_OK) {
		note_left_over(upstream);
		refuse(upstream, why);
		return false;
	}
	upstream->scanned = 0;
	if (shard->response.status >= 200) {
		weigh_response(upstream, &shard->response);
		return false;
	}
	in->start += (uint32_t)head_len;
	deliver_interim(upstream, &shard->response);
	return upstream->state == UPSTREAM_HEAD && buffer_len(in) > 0;
}

static void
receive_body(struct upstream *upstream)
{
	struct buffer *in = upstream->in;
	struct slice trailers = SLICE_NONE;
	struct slice data;
	enum h1_result result;
	size_t consumed;
	size_t produced;

	data.ptr = in->data + in->start;
	result = h1_body_decode(&upstream->body, in->data + in->start,
		buffer_len(in), &consumed, &produced, &trailers);
	if (result != H1_OK && result != H1_PARTIAL) {
		refuse(upstream, "malformed chunk");
		return;
	}
	in->start += (uint32_t)consumed;
	data.len = produced;
	upstream_touch_timeout(upstream);
	if (result == H1_OK)
		note_end(upstream);
	if (data.len > 0 || result == H1_OK)
		exchange_on_response_body(
			upstream->exchange, data, trailers, result == H1_OK);
}

void
upstream_receive(struct upstream *upstream)
{
	upstream->has_response_bytes = true;
	if (upstream->state == UPSTREAM_HEAD) {
		while (receive_head(upstream))
			continue;
	} else {
		receive_body(upstream);
	}
	after_delivery(upstream);
}

/* True if what came was taken by a pipe, or was nothing. */
static bool
splice_body(struct upstream *upstream)
{
	struct exchange *exchange = upstream->exchange;
	struct h1_run run;
	struct pipe *pipe;
	uint64_t max;
	long n;

	if (upstream->state != UPSTREAM_BODY || upstream->in != NULL)
		return false;
	max = h1_body_passable(&upstream->body);
	if (max == 0)
		return false;
	pipe = exchange_response_pipe(exchange);
	if (pipe == NULL)
		return false;
	n = pipe_fill(pipe, upstream->conn.transport.fd, max);
	if (n == TRANSPORT_AGAIN)
		return true;
	if (n <= 0) {
		upstream_fail(upstream, METER_ERROR_TRUNCATED);
		return true;
	}
	run = h1_body_pass(&upstream->body, (uint64_t)n);
	if (run.is_body_end && upstream_has_more(upstream))
		upstream->is_keep_alive = false;
	upstream_touch_timeout(upstream);
	exchange_on_response_pipe(exchange, &run);
	return true;
}

static void
on_eof(struct upstream *upstream)
{
	if (upstream->state == UPSTREAM_HEAD) {
		upstream_fail(upstream, METER_ERROR_RESET);
	} else if (upstream->is_raw) {
		conn_set_reading(&upstream->conn, false);
		exchange_on_response_body(
			upstream->exchange, SLICE_NONE, SLICE_NONE, true);
	} else if (upstream->body.kind == BODY_UNTIL_CLOSE &&
		   !upstream->has_failed_send) {
		upstream->is_keep_alive = false;
		exchange_on_response_body(
			upstream->exchange, SLICE_NONE, SLICE_NONE, true);
	} else {
		upstream_fail(upstream, METER_ERROR_TRUNCATED);
	}
}

void
upstream_on_readable(struct upstream *upstream)
{
	struct shard *shard = upstream->pool->shard;
	struct buffer *in;
	ssize_t n;

	if (upstream->state == UPSTREAM_IDLE ||
		upstream->state == UPSTREAM_RESTING) {
		/* Its end, or bytes that nobody asked for. */
		if (upstream_has_more(upstream))
			upstream_close(upstream);
		return;
	}
	if (splice_body(upstream))
		return;
	if (upstream->in == NULL)
		upstream->in = buffer_take(&shard->buffers);
	in = upstream->in;
	if (in == NULL) {
		upstream_fail(upstream, METER_ERROR_OVERLOAD);
		return;
	}
	n = transport_read(
		&upstream->conn.transport, in->data + in->end, buffer_room(in));
	if (n > 0) {
		in->end += (uint32_t)n;
		upstream_receive(upstream);
		return;
	}
	if (buffer_len(in) == 0)
		upstream_give_in(upstream);
	if (n == 0)
		on_eof(upstream);
	else if (n == TRANSPORT_FAILED)
		upstream_fail(upstream, upstream->state == UPSTREAM_HEAD
						? METER_ERROR_RESET
						: METER_ERROR_TRUNCATED);
}

bool
upstream_is_whole(struct upstream *upstream)
{
	struct message *response = &upstream->pool->shard->response;
	struct h1_limits limits = {UINT32_MAX, 0, MESSAGE_FIELDS_MAX};
	struct buffer *in = upstream->in;
	struct slice trailers;
	enum h1_result result;
	size_t scanned = 0;
	size_t head_len = 0;
	size_t consumed;
	size_t produced;

	/* Its head has been read before. */
	result = h1_find_end(in->data + in->start, buffer_len(in),
		buffer_len(in), &scanned, &head_len);
	assert(result == H1_OK);
	result = h1_parse_response(in->data + in->start, head_len, &limits,
		(enum http_method)upstream->exchange->request.method, response,
		NULL);
	assert(result == H1_OK);
	upstream->is_keep_alive = response->keep_alive;
	upstream->has_ended_with_head = response->body == BODY_NONE;
	h1_body_start(
		&upstream->body, response->body, response->content_length);
	return h1_body_decode(&upstream->body, in->data + in->start + head_len,
		       buffer_len(in) - head_len, &consumed, &produced,
		       &trailers) == H1_OK &&
	       head_len + consumed == buffer_len(in) &&
	       !upstream_has_more(upstream);
}
