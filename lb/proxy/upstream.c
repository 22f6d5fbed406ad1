#include "proxy/upstream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "http/h1_frame.h"
#include "proxy/tunnel.h"
#include "proxy/upstream_pool.h"
#include "proxy/upstream_private.h"
#include "proxy/upstream_rest.h"

/* --- life and death -------------------------------------------------------- */

static void
free_upstream(struct worker_deferred *deferred)
{
	free((struct upstream *)(void *)deferred);
}

void
upstream_give_in(struct upstream *upstream)
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
	if (upstream->state == UPSTREAM_RESTING)
		upstream_pool_count_resting(pool, -1);
	upstream->state = UPSTREAM_CLOSED;
	conn_close(&upstream->conn, &shard->buffers);
	upstream_give_in(upstream);
	timeout_stop(&upstream->timeout);
	list_remove(&upstream->node);
	upstream_pool_count_open(pool, -1);
	worker_defer(&shard->worker, &upstream->deferred, free_upstream);
	upstream_pool_serve_later(pool);
}

/* It has failed: its exchange hears so when it is gone. */
void
upstream_fail(struct upstream *upstream, enum meter_error error)
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

void
upstream_touch_timeout(struct upstream *upstream)
{
	struct shard *shard = upstream->pool->shard;

	if (upstream->idle_list == NULL)
		return;
	/* Held back by the client, it can't be late, whatever it takes. */
	if (upstream->conn.is_reading || upstream->is_raw)
		timeouts_set(&shard->worker.timeouts, &upstream->timeout,
			upstream->idle_list, shard->now_ns);
}

/* --- events ---------------------------------------------------------------- */

static void
on_writable(struct upstream *upstream)
{
	struct pool *buffers = &upstream->pool->shard->buffers;

	switch (conn_flush(&upstream->conn, buffers)) {
	case CONN_SENT:
		exchange_on_upstream_writable(upstream->exchange);
		break;
	case CONN_BLOCKED:
		upstream_touch_timeout(upstream);
		break;
	case CONN_FAILED:
		/* An answer may have come before the failure. */
		upstream->has_failed_send = true;
		conn_forget_owed(&upstream->conn, buffers);
		exchange_on_upstream_deaf(upstream->exchange);
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
		upstream_fail(upstream, METER_ERROR_CONNECT);
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
		upstream_on_readable(upstream);
}

/* It waits for its next exchange from here on. */
static void
become_idle(struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;
	struct shard *shard = pool->shard;

	upstream->state = UPSTREAM_IDLE;
	list_remove(&upstream->node);
	list_push_front(&pool->idle, &upstream->node);
	upstream_pool_count_idle(pool, 1);
	timeouts_set(&shard->worker.timeouts, &upstream->timeout,
		shard->view->upstream_idle, shard->now_ns);
	upstream_pool_serve_later(pool);
}

static void
end_rest(struct upstream *upstream)
{
	upstream_pool_count_resting(upstream->pool, -1);
	become_idle(upstream);
}

void
upstream_expired(struct timeout *timeout)
{
	struct upstream *upstream =
		list_entry(timeout, struct upstream, timeout);

	shard_touch_clock(upstream->pool->shard);
	switch (upstream->state) {
	case UPSTREAM_CONNECTING:
		upstream_fail(upstream, METER_ERROR_CONNECT_TIMEOUT);
		break;
	case UPSTREAM_IDLE:
		upstream_close(upstream);
		break;
	case UPSTREAM_RESTING:
		end_rest(upstream);
		break;
	case UPSTREAM_HEAD:
		upstream_fail(upstream, METER_ERROR_RESPONSE_TIMEOUT);
		break;
	case UPSTREAM_BODY:
		if (upstream->is_raw)
			tunnel_on_idle(upstream->exchange);
		else
			upstream_fail(upstream, METER_ERROR_TRUNCATED);
		break;
	case UPSTREAM_CLOSED:
		break;
	}
}

/* --- checkout -------------------------------------------------------------- */

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
	*is_connected = connect(fd, &address->any, address_len(address)) == 0;
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
	if (exchange->connect_until_ns == 0)
		exchange->connect_until_ns =
			shard->now_ns + exchange->local->connect->length_ns;
	fd = begin_connect(&pool->address, &is_connected);
	if (fd < 0)
		goto fail;
	conn_init(&upstream->conn, shard->worker.base, fd,
		is_connected ? CONN_ESTABLISHED : CONN_CONNECTING, on_event,
		upstream);
	if (!conn_watch(&upstream->conn))
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
	/* So is want of ports, but they come free again, and other addresses may
	 * have some. */
	if (errno != EADDRNOTAVAIL)
		upstream_pool_leave_out(pool);
	return UPSTREAM_FAILED;
}

static struct upstream *
pick_kept(const struct upstream_pool *pool)
{
	if (list_is_empty(&pool->idle))
		return upstream_rest_pick(pool);
	return list_entry(pool->idle.next, struct upstream, node);
}

static struct upstream *
take_kept(struct upstream_pool *pool)
{
	struct upstream *upstream;

	while ((upstream = pick_kept(pool)) != NULL) {
		if (upstream->idle_until_ns > pool->shard->now_ns &&
			!(upstream->needs_look && upstream_has_more(upstream)))
			break;
		upstream_close(upstream);
	}
	if (upstream == NULL)
		return NULL;
	if (upstream->state == UPSTREAM_RESTING)
		upstream_pool_count_resting(pool, -1);
	else
		upstream_pool_count_idle(pool, -1);
	list_remove(&upstream->node);
	return upstream;
}

/* For another connection than those that rest. */
static void
make_room(struct upstream_pool *pool)
{
	if (pool->n_open >= pool->max_open && pool->n_resting > 0)
		upstream_close(
			list_entry(pool->resting.next, struct upstream, node));
}

enum upstream_checkout
upstream_checkout(struct exchange *exchange, enum upstream_wish wish)
{
	const struct config_limits *limits =
		&exchange->service->settings->limits;
	struct upstream_pool *pool = upstream_pool(exchange->shard,
		exchange->target, &exchange->endpoint->address);
	struct upstream *upstream = NULL;

	if (pool == NULL)
		return UPSTREAM_FULL;
	pool->max_idle = (uint32_t)limits->endpoint_idle;
	pool->max_open = exchange->local->endpoint_connections;
	if (wish == UPSTREAM_ANY)
		upstream = take_kept(pool);
	if (upstream != NULL) {
		list_push_back(&pool->busy, &upstream->node);
		timeout_stop(&upstream->timeout);
		upstream->state = UPSTREAM_HEAD;
		upstream->is_reused = true;
		attach(upstream, exchange);
		return UPSTREAM_READY;
	}
	make_room(pool);
	if (pool->n_open < pool->max_open)
		return connect_new(pool, exchange);
	if (exchange->wont_queue || pool->n_queued >= limits->pending)
		return UPSTREAM_FULL;
	upstream_pool_enqueue(pool, exchange);
	return UPSTREAM_WAIT;
}

/* --- in use ---------------------------------------------------------------- */

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
		upstream_touch_timeout(upstream);
	if (n == 0)
		return CONN_SENT;
	result = conn_send(&upstream->conn, &shard->buffers, iov, n);
	/* A socket reports a reset once: an end of file behind it is none. */
	if (result == CONN_FAILED)
		upstream->has_failed_send = true;
	return result;
}

enum conn_result
upstream_send_pipe(
	struct upstream *upstream, struct pipe *pipe, const struct h1_run *run)
{
	enum conn_result result;
	char room[PIPE_EDGE_MAX];

	if (upstream->is_chunked_out)
		pipe_frame(pipe, h1_frame_run_head(run, room),
			h1_frame_run_tail(run));
	if (upstream->state == UPSTREAM_BODY)
		upstream_touch_timeout(upstream);
	result = conn_send_pipe(&upstream->conn, pipe);
	if (result == CONN_FAILED)
		upstream->has_failed_send = true;
	return result;
}

void
upstream_await(struct upstream *upstream, struct timeout_list *list)
{
	upstream->idle_list = list;
	if (list != NULL)
		upstream_touch_timeout(upstream);
	else
		timeout_stop(&upstream->timeout);
}

void
upstream_set_reading(struct upstream *upstream, bool is_reading)
{
	conn_set_reading(&upstream->conn, is_reading);
	if (is_reading)
		upstream_touch_timeout(upstream);
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
	upstream_touch_timeout(upstream);
}

/* --- release --------------------------------------------------------------- */

static void
rest(struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;
	struct shard *shard = pool->shard;

	upstream->state = UPSTREAM_RESTING;
	list_remove(&upstream->node);
	list_push_back(&pool->resting, &upstream->node);
	upstream_pool_count_resting(pool, 1);
	timeouts_set(&shard->worker.timeouts, &upstream->timeout,
		shard->view->upstream_rest, shard->now_ns);
	upstream_pool_serve_later(pool);
}

static void
be_kept(struct upstream *upstream)
{
	upstream->idle_until_ns = UINT64_MAX;
	if (upstream->announced_idle_ns != UINT64_MAX)
		upstream->idle_until_ns = upstream->pool->shard->now_ns +
					  upstream->announced_idle_ns;
	upstream->needs_look = upstream_rest_needs_look(upstream);
	if (upstream_rest_is_due(upstream))
		rest(upstream);
	else
		become_idle(upstream);
}

void
upstream_release(struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;

	upstream->exchange->upstream = NULL;
	upstream->exchange = NULL;
	upstream_give_in(upstream);
	/* What came while it was held back. */
	if (!upstream->conn.is_reading && upstream_has_more(upstream))
		upstream->is_keep_alive = false;
	if (!upstream->is_keep_alive || conn_is_blocked(&upstream->conn) ||
		pool->shard->is_draining ||
		pool->n_idle + pool->n_resting >= pool->max_idle ||
		!address_equal(&upstream->address, &pool->address)) {
		upstream_close(upstream);
		return;
	}
	conn_set_reading(&upstream->conn, true);
	be_kept(upstream);
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
	upstream_receive(upstream);
}

void
upstream_discard(struct upstream *upstream)
{
	/* One that takes no more is of no use to the next. */
	if (!upstream->has_failed_send && upstream_is_whole(upstream))
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
