#include "proxy/upstream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/h1_frame.h"
#include "http/h1_parse.h"
#include "proxy/upstream_pool.h"

/* What is left of a body from which on it is spliced: below, two more calls and
 * a pipe cost more than the copy. */
#define SPLICE_MIN (64 * 1024)

static const struct slice NOTHING = {NULL, 0};

static void on_event(evutil_socket_t fd, short what, void *arg);

/* --- life and death ----------------------------------------------------------- */

static void
free_upstream(struct worker_deferred *deferred)
{
	free((struct upstream *)(void *)deferred);
}

static void
give_in(struct upstream *upstream)
{
	if (upstream->in == NULL)
		return;
	buffer_give(&upstream->pool->shard->buffers, upstream->in);
	upstream->in = NULL;
}

void
upstream_close(struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;
	struct shard *shard = pool->shard;

	assert(upstream->state != UPSTREAM_CLOSED);
	if (upstream->state == UPSTREAM_IDLE)
		upstream_pool_count_idle(pool, -1);
	upstream->state = UPSTREAM_CLOSED;
	conn_close(&upstream->conn, &shard->buffers);
	give_in(upstream);
	timeout_stop(&upstream->timeout);
	list_remove(&upstream->node);
	upstream_pool_count_open(pool, -1);
	worker_defer(&shard->worker, &upstream->deferred, free_upstream);
	upstream_pool_serve_later(pool);
}

/* It has failed: its exchange hears so when it is gone. */
static void
fail(struct upstream *upstream, enum meter_error error)
{
	struct exchange *exchange = upstream->exchange;
	bool is_stale = upstream->is_reused && !upstream->has_response_bytes;

	if (upstream->state == UPSTREAM_CONNECTING)
		upstream_pool_leave_out(upstream->pool);
	assert(exchange != NULL);
	upstream->exchange = NULL;
	upstream_close(upstream);
	exchange->upstream = NULL;
	exchange->is_stale_failure = is_stale;
	exchange_on_failure(exchange, error);
}

/* --- receiving ------------------------------------------------------------------ */

static void
touch_timeout(struct upstream *upstream)
{
	struct shard *shard = upstream->pool->shard;

	if (upstream->idle_list != NULL)
		timeouts_set(&shard->worker.timeouts, &upstream->timeout,
			upstream->idle_list, shard->now_ns);
}

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
		give_in(upstream);
	else
		buffer_compact(in, 0);
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

static void
deliver_response(struct upstream *upstream, const struct message *response)
{
	struct buffer *in = upstream->in;
	struct slice trailers = NOTHING;
	struct slice data;
	enum h1_result result;
	size_t consumed;
	size_t produced;

	upstream->is_keep_alive = response->keep_alive;
	if (message_has(response, FIELD_KEEP_ALIVE))
		upstream->announced_idle_ns = announced_idle_ns(response);
	h1_body_start(&upstream->body, response->body,
		response->content_length);
	data.ptr = in->data + in->start;
	result = h1_body_decode(&upstream->body, in->data + in->start,
		buffer_len(in), &consumed, &produced, &trailers);
	if (result != H1_OK && result != H1_PARTIAL) {
		fail(upstream, METER_ERROR_BAD_RESPONSE);
		return;
	}
	in->start += (uint32_t)consumed;
	data.len = produced;
	upstream->state = UPSTREAM_BODY;
	upstream->idle_list = upstream->exchange->local->response_idle;
	touch_timeout(upstream);
	if (result == H1_OK && buffer_len(in) > 0)
		upstream->is_keep_alive = false;
	exchange_on_response(upstream->exchange, response, data, trailers,
		result == H1_OK);
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
	struct slice rest = NOTHING;

	if (response->status == 101) {
		rest = (struct slice){in->data + in->start, buffer_len(in)};
		in->start = in->end;
	}
	exchange_on_response(
		upstream->exchange, response, rest, NOTHING, false);
}

/* True if another head may be in the buffer. */
static bool
receive_head(struct upstream *upstream)
{
	struct shard *shard = upstream->pool->shard;
	struct exchange *exchange = upstream->exchange;
	const struct config_limits *config = &exchange->service->config->limits;
	struct h1_limits limits = {
		.head = (uint32_t)config->head,
		.target = 0,
		.fields = (uint32_t)config->fields,
	};
	struct buffer *in = upstream->in;
	const char *head = in->data + in->start;
	size_t head_len = 0;
	enum h1_result result;

	result = h1_find_end(head, buffer_len(in), limits.head,
		&upstream->scanned, &head_len);
	if (result == H1_PARTIAL)
		return false;
	if (result == H1_OK)
		result = h1_parse_response(head, head_len, &limits,
			exchange->request.method, &shard->response, NULL);
	if (result != H1_OK) {
		fail(upstream, METER_ERROR_BAD_RESPONSE);
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
	struct slice trailers = NOTHING;
	struct slice data;
	enum h1_result result;
	size_t consumed;
	size_t produced;

	data.ptr = in->data + in->start;
	result = h1_body_decode(&upstream->body, in->data + in->start,
		buffer_len(in), &consumed, &produced, &trailers);
	if (result != H1_OK && result != H1_PARTIAL) {
		fail(upstream, METER_ERROR_BAD_RESPONSE);
		return;
	}
	in->start += (uint32_t)consumed;
	data.len = produced;
	touch_timeout(upstream);
	if (result == H1_OK && buffer_len(in) > 0)
		upstream->is_keep_alive = false;
	if (data.len > 0 || result == H1_OK)
		exchange_on_response_body(upstream->exchange, data, trailers,
			result == H1_OK);
}

static void
receive(struct upstream *upstream)
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

/* Is so much of the body to come that it should pass unread? Only where it has
 * a length is the framing the same on both sides. */
static bool
may_splice(const struct upstream *upstream)
{
	return upstream->state == UPSTREAM_BODY && upstream->in == NULL &&
	       upstream->body.kind == BODY_LENGTH &&
	       upstream->body.remaining >= SPLICE_MIN;
}

/* False if there is no pipe. */
static bool
splice_body(struct upstream *upstream)
{
	struct pipe *pipe = exchange_response_pipe(upstream->exchange);
	struct h1_body *body = &upstream->body;
	size_t max = PIPE_SIZE;
	long n;

	if (pipe == NULL)
		return false;
	if (body->remaining < max)
		max = (size_t)body->remaining;
	n = pipe_fill(pipe, upstream->conn.transport.fd, max);
	if (n == TRANSPORT_AGAIN)
		return true;
	if (n <= 0) {
		fail(upstream, METER_ERROR_TRUNCATED);
		return true;
	}
	body->remaining -= (uint64_t)n;
	touch_timeout(upstream);
	exchange_on_response_pipe(
		upstream->exchange, (size_t)n, body->remaining == 0);
	return true;
}

static void
on_eof(struct upstream *upstream)
{
	if (upstream->state == UPSTREAM_HEAD) {
		fail(upstream, METER_ERROR_RESET);
	} else if (upstream->is_raw) {
		conn_set_reading(&upstream->conn, false);
		exchange_on_response_body(
			upstream->exchange, NOTHING, NOTHING, true);
	} else if (upstream->body.kind == BODY_UNTIL_CLOSE &&
		   !upstream->has_failed_send) {
		upstream->is_keep_alive = false;
		exchange_on_response_body(
			upstream->exchange, NOTHING, NOTHING, true);
	} else {
		fail(upstream, METER_ERROR_TRUNCATED);
	}
}

static void
on_readable(struct upstream *upstream)
{
	struct shard *shard = upstream->pool->shard;
	struct buffer *in;
	ssize_t n;

	if (upstream->state == UPSTREAM_IDLE) {
		/* Its end, or bytes that nobody asked for. */
		upstream_close(upstream);
		return;
	}
	if (may_splice(upstream) && splice_body(upstream))
		return;
	if (upstream->in == NULL)
		upstream->in = buffer_take(&shard->buffers);
	in = upstream->in;
	if (in == NULL) {
		fail(upstream, METER_ERROR_OVERLOAD);
		return;
	}
	n = transport_read(&upstream->conn.transport, in->data + in->end,
		buffer_room(in));
	if (n > 0) {
		in->end += (uint32_t)n;
		receive(upstream);
		return;
	}
	if (buffer_len(in) == 0)
		give_in(upstream);
	if (n == 0)
		on_eof(upstream);
	else if (n == TRANSPORT_FAILED)
		fail(upstream, upstream->state == UPSTREAM_HEAD
				       ? METER_ERROR_RESET
				       : METER_ERROR_TRUNCATED);
}

/* --- sending --------------------------------------------------------------------- */

static void
on_writable(struct upstream *upstream)
{
	switch (conn_flush(
		&upstream->conn, &upstream->pool->shard->buffers)) {
	case CONN_SENT:
		exchange_on_upstream_writable(upstream->exchange);
		break;
	case CONN_BLOCKED:
		touch_timeout(upstream);
		break;
	case CONN_FAILED:
		upstream->has_failed_send = true;
		/* An answer may have come before the failure: reading tells,
		 * when that is on again. */
		if (!upstream->conn.is_reading)
			fail(upstream, METER_ERROR_TRUNCATED);
		else
			on_readable(upstream);
		break;
	}
}

static void
on_connected(struct upstream *upstream)
{
	int failure = 0;
	socklen_t len = sizeof(failure);

	getsockopt(upstream->conn.transport.fd, SOL_SOCKET, SO_ERROR, &failure,
		&len);
	if (failure != 0) {
		fail(upstream, METER_ERROR_CONNECT);
		return;
	}
	timeout_stop(&upstream->timeout);
	upstream->state = UPSTREAM_HEAD;
	conn_established(&upstream->conn);
	upstream_pool_welcome_back(upstream->pool);
	exchange_on_connected(upstream->exchange);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *upstream = arg;

	shard_touch_clock(upstream->pool->shard);
	if (upstream->state == UPSTREAM_CONNECTING) {
		on_connected(upstream);
		return;
	}
	if (what & EV_WRITE)
		on_writable(upstream);
	if (what & EV_READ && upstream->state != UPSTREAM_CLOSED)
		on_readable(upstream);
}

void
upstream_expired(struct timeout *timeout)
{
	struct upstream *upstream =
		list_entry(timeout, struct upstream, timeout);

	shard_touch_clock(upstream->pool->shard);
	switch (upstream->state) {
	case UPSTREAM_CONNECTING:
		fail(upstream, METER_ERROR_CONNECT_TIMEOUT);
		break;
	case UPSTREAM_IDLE:
		upstream_close(upstream);
		break;
	case UPSTREAM_HEAD:
		fail(upstream, METER_ERROR_RESPONSE_TIMEOUT);
		break;
	case UPSTREAM_BODY:
		if (upstream->is_raw)
			exchange_on_tunnel_idle(upstream->exchange);
		else
			fail(upstream, METER_ERROR_TRUNCATED);
		break;
	case UPSTREAM_CLOSED:
		break;
	}
}

/* --- checkout and release ---------------------------------------------------------- */

static int
begin_connect(const struct address *address, bool *is_connected)
{
	int on = 1;
	int fd;

	fd = socket(address->any.sa_family,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*is_connected =
		connect(fd, &address->any, address_len(address)) == 0;
	if (*is_connected || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

static void
attach(struct upstream *upstream, struct exchange *exchange)
{
	upstream->exchange = exchange;
	upstream->has_response_bytes = false;
	upstream->has_failed_send = false;
	upstream->scanned = 0;
	upstream->idle_list = NULL;
	exchange->upstream = upstream;
}

static enum upstream_checkout
connect_new(struct upstream_pool *pool, struct exchange *exchange)
{
	struct shard *shard = pool->shard;
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	bool is_connected = false;
	int fd = -1;

	if (upstream == NULL)
		return UPSTREAM_FULL;
	fd = begin_connect(&pool->address, &is_connected);
	if (fd < 0)
		goto fail;
	if (!conn_open(&upstream->conn, shard->worker.base, fd, !is_connected,
		    on_event, upstream))
		goto fail;
	upstream->pool = pool;
	upstream->address = pool->address;
	upstream->announced_idle_ns = UINT64_MAX;
	timeout_init(&upstream->timeout);
	list_push_back(&pool->busy, &upstream->node);
	upstream_pool_count_open(pool, 1);
	meter_add(&upstream_pool_meter(pool)->connects, 1);
	attach(upstream, exchange);
	if (is_connected) {
		upstream->state = UPSTREAM_HEAD;
		upstream_pool_welcome_back(pool);
		return UPSTREAM_READY;
	}
	upstream->state = UPSTREAM_CONNECTING;
	timeouts_set(&shard->worker.timeouts, &upstream->timeout,
		exchange->local->connect, shard->now_ns);
	return UPSTREAM_WAIT;
fail:
	free(upstream);
	/* Want of descriptors or memory is this side's fault. */
	if (fd >= 0 || errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
		if (fd >= 0)
			close(fd);
		return UPSTREAM_FULL;
	}
	upstream_pool_leave_out(pool);
	return UPSTREAM_FAILED;
}

static struct upstream *
take_idle(struct upstream_pool *pool)
{
	struct upstream *upstream;

	while (!list_is_empty(&pool->idle)) {
		upstream = list_entry(pool->idle.next, struct upstream, node);
		if (upstream->idle_until_ns > pool->shard->now_ns)
			return upstream;
		upstream_close(upstream);
	}
	return NULL;
}

enum upstream_checkout
upstream_checkout(struct exchange *exchange, enum upstream_wish wish)
{
	const struct config_limits *limits = &exchange->service->config->limits;
	struct upstream_pool *pool =
		upstream_pool(exchange->shard, exchange->target,
			&exchange->endpoint->address);
	struct upstream *upstream = NULL;

	if (pool == NULL)
		return UPSTREAM_FULL;
	pool->max_idle = (uint32_t)limits->endpoint_idle;
	pool->max_open = exchange->local->endpoint_connections;
	if (wish == UPSTREAM_ANY)
		upstream = take_idle(pool);
	if (upstream != NULL) {
		upstream_pool_count_idle(pool, -1);
		list_remove(&upstream->node);
		list_push_back(&pool->busy, &upstream->node);
		timeout_stop(&upstream->timeout);
		upstream->state = UPSTREAM_HEAD;
		upstream->is_reused = true;
		attach(upstream, exchange);
		return UPSTREAM_READY;
	}
	if (pool->n_open < pool->max_open)
		return connect_new(pool, exchange);
	if (pool->n_queued >= limits->pending)
		return UPSTREAM_FULL;
	upstream_pool_enqueue(pool, exchange);
	return UPSTREAM_WAIT;
}

enum conn_result
upstream_send(struct upstream *upstream, size_t head_len, struct slice body,
	struct slice trailers, bool is_end)
{
	struct shard *shard = upstream->pool->shard;
	struct h1_frame frame = {
		.body = body,
		.trailers = trailers,
		.is_chunked = upstream->is_chunked_out && !upstream->is_raw,
		.is_end = is_end,
	};
	enum conn_result result;
	struct iovec iov[3];
	int n;

	n = h1_frame(&frame, shard->scratch, head_len, iov);
	if (upstream->state == UPSTREAM_BODY)
		touch_timeout(upstream);
	if (n == 0)
		return CONN_SENT;
	result = conn_send(&upstream->conn, &shard->buffers, iov, n);
	/* A socket reports a reset once: an end of file behind it is none. */
	if (result == CONN_FAILED)
		upstream->has_failed_send = true;
	return result;
}

void
upstream_await(struct upstream *upstream, struct timeout_list *list)
{
	upstream->idle_list = list;
	if (list != NULL)
		touch_timeout(upstream);
	else
		timeout_stop(&upstream->timeout);
}

void
upstream_set_reading(struct upstream *upstream, bool is_reading)
{
	conn_set_reading(&upstream->conn, is_reading);
	if (is_reading)
		touch_timeout(upstream);
	else
		timeout_stop(&upstream->timeout);
}

void
upstream_end_sending(struct upstream *upstream)
{
	transport_shutdown(&upstream->conn.transport);
}

void
upstream_become_raw(struct upstream *upstream)
{
	upstream->is_raw = true;
	upstream->is_keep_alive = false;
	upstream->state = UPSTREAM_BODY;
	upstream->idle_list = upstream->exchange->local->tunnel;
	h1_body_start(&upstream->body, BODY_UNTIL_CLOSE, 0);
	touch_timeout(upstream);
}

static void
become_idle(struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;
	struct shard *shard = pool->shard;

	upstream->state = UPSTREAM_IDLE;
	upstream->idle_until_ns = UINT64_MAX;
	if (upstream->announced_idle_ns != UINT64_MAX)
		upstream->idle_until_ns =
			shard->now_ns + upstream->announced_idle_ns;
	list_remove(&upstream->node);
	list_push_front(&pool->idle, &upstream->node);
	upstream_pool_count_idle(pool, 1);
	timeouts_set(&shard->worker.timeouts, &upstream->timeout,
		shard->view->upstream_idle, shard->now_ns);
	upstream_pool_serve_later(pool);
}

void
upstream_release(struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;

	upstream->exchange->upstream = NULL;
	upstream->exchange = NULL;
	give_in(upstream);
	if (!upstream->is_keep_alive || conn_is_blocked(&upstream->conn) ||
		pool->shard->is_draining || pool->n_idle >= pool->max_idle ||
		!address_equal(&upstream->address, &pool->address)) {
		upstream_close(upstream);
		return;
	}
	conn_set_reading(&upstream->conn, true);
	become_idle(upstream);
}

void
upstream_hold(struct upstream *upstream)
{
	upstream->idle_list = NULL;
	timeout_stop(&upstream->timeout);
	conn_set_reading(&upstream->conn, false);
}

void
upstream_revive(struct upstream *upstream)
{
	conn_set_reading(&upstream->conn, true);
	receive(upstream);
}

/* Has the response at the buffer's front come to its end there? */
static bool
is_whole(struct upstream *upstream)
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
	h1_body_start(&upstream->body, response->body,
		response->content_length);
	return h1_body_decode(&upstream->body,
		       in->data + in->start + head_len,
		       buffer_len(in) - head_len, &consumed, &produced,
		       &trailers) == H1_OK &&
	       head_len + consumed == buffer_len(in);
}

void
upstream_discard(struct upstream *upstream)
{
	if (is_whole(upstream))
		upstream_release(upstream);
	else
		upstream_cancel(upstream);
}

void
upstream_cancel(struct upstream *upstream)
{
	upstream->exchange->upstream = NULL;
	upstream->exchange = NULL;
	upstream_close(upstream);
}
