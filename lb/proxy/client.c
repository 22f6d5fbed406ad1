#include "proxy/client.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy/client_private.h"

/*
 * A client that sends its request along with its connection isn't watched at
 * once: if its answer is there in a moment and the connection ends with it, the
 * event loop never hears of it, which saves two system calls. That it goes away
 * meanwhile is seen when the moment is over.
 */

/* How long what still comes is thrown away, if it does come. */
#define LINGER_MAX_MS 30000
/* Of the connections that a worker may have, so many may be busy with that. */
#define LINGER_PART 10

/* --- the end --------------------------------------------------------------- */

static void
free_client(struct worker_deferred *deferred)
{
	free((struct client *)(void *)deferred);
}

void
client_give_in(struct client *client)
{
	if (client->in == NULL)
		return;
	buffer_give(&client->shard->buffers, client->in);
	client->in = NULL;
}

static void
count_connections(struct shard *shard, int64_t n)
{
	meter_add(&shard->counts->connections, (uint64_t)n);
}

void
client_close(struct client *client, enum client_close how)
{
	struct shard *shard = client->shard;

	assert(client->state != CLIENT_CLOSED);
	if (client->state == CLIENT_LINGER)
		shard->n_lingering--;
	client->state = CLIENT_CLOSED;
	if (how == CLIENT_RESET)
		conn_abort(&client->conn, &shard->buffers);
	else
		conn_close(&client->conn, &shard->buffers);
	client_give_in(client);
	timeout_stop(&client->timeout);
	list_remove(&client->node);
	count_connections(shard, -1);
	worker_defer(&shard->worker, &client->deferred, free_client);
}

/* --- waiting --------------------------------------------------------------- */

static struct timeout_list *
waiting_list(const struct client *client, enum client_waiting waiting)
{
	const struct view *view = client->shard->view;

	switch (waiting) {
	case WAITING_FOR_REQUEST:
		return client->is_served ? view->client_idle
					 : view->client_header;
	case WAITING_FOR_HEAD:
		return view->client_header;
	case WAITING_FOR_BODY:
	case WAITING_FOR_READER:
		return view->client_body;
	case WAITING_FOR_ANSWER:
		return view->client_half_closed;
	case WAITING_TO_LINGER:
		return view->client_linger;
	case WAITING_TO_WATCH:
		return view->client_unwatched;
	case WAITING_FOR_NOTHING:
		break;
	}
	return NULL;
}

void
client_wait_for(struct client *client, enum client_waiting waiting)
{
	struct timeout_list *list = waiting_list(client, waiting);

	if (client->waiting == waiting)
		return;
	client->waiting = (uint8_t)waiting;
	if (list == NULL)
		timeout_stop(&client->timeout);
	else
		timeouts_set(&client->shard->worker.timeouts, &client->timeout,
			list, client->shard->now_ns);
}

/* There was progress in what is waited for; perhaps nothing is any more. */
static void
note_progress(struct client *client, enum client_waiting waiting)
{
	if (client->waiting == waiting)
		client_wait_for(client, WAITING_FOR_NOTHING);
}

/* Wraps, as differences may. */
static uint32_t
now_ms(const struct client *client)
{
	return (uint32_t)(client->shard->now_ns / CLOCK_NS_PER_MS);
}

static bool
may_linger(const struct shard *shard)
{
	uint64_t limit = shard->view->snapshot->config->limits.connections /
			 shard->registry->n_workers / LINGER_PART;

	return shard->n_lingering < (limit > 0 ? limit : 1);
}

/*
 * A close with unread bytes would reset the connection and might destroy the
 * response on its way (RFC 9112 9.6), and many a client reads only when it has
 * sent all: so say that it's over, and listen for as long as it goes on.
 */
static void
linger(struct client *client)
{
	if (!may_linger(client->shard)) {
		meter_add(&client->shard->counts->cut_short, 1);
		client_close(client, CLIENT_CLOSE);
		return;
	}
	client->shard->n_lingering++;
	client->state = CLIENT_LINGER;
	client->scanned = now_ms(client);
	client_give_in(client);
	transport_shutdown(&client->conn.transport);
	conn_set_reading(&client->conn, true);
	client_wait_for(client, WAITING_TO_LINGER);
	if (!conn_watch(&client->conn))
		client_close(client, CLIENT_CLOSE);
}

/* Bytes that have come and aren't looked at. */
static bool
has_input(const struct client *client)
{
	return client->in != NULL && buffer_len(client->in) > 0;
}

static void
end_connection(struct client *client)
{
	bool has_unread = !client->is_body_done || has_input(client);

	if (has_unread && !client->has_eof)
		linger(client);
	else
		client_close(client, CLIENT_CLOSE);
}

/* What an exchange is held up by on this side, if it is. */
static enum client_waiting
exchange_waits_for(const struct client *client)
{
	const struct exchange *exchange = client->exchange;

	if (client->is_raw)
		return WAITING_FOR_NOTHING;
	if (client->has_eof)
		return exchange->state < EXCHANGE_RESPONDING
			       ? WAITING_FOR_ANSWER
			       : WAITING_FOR_NOTHING;
	/* A client that waits for a 100 owes nothing yet. */
	if (!client->is_body_done && exchange->body.len == 0 &&
		!exchange->sends_continue && !exchange_owes_pipe(exchange))
		return WAITING_FOR_BODY;
	if (!client->conn.is_watched && client->is_body_done)
		return WAITING_TO_WATCH;
	return WAITING_FOR_NOTHING;
}

static void
settle_timeout(struct client *client)
{
	if (conn_is_blocked(&client->conn)) {
		client_wait_for(client, WAITING_FOR_READER);
	} else if (client->exchange != NULL) {
		client_wait_for(client, exchange_waits_for(client));
	} else if (client->in != NULL) {
		client->state = CLIENT_HEAD;
		client_wait_for(client, WAITING_FOR_HEAD);
	} else {
		client->state = CLIENT_IDLE;
		client_wait_for(client, WAITING_FOR_REQUEST);
	}
}

/* A buffer of the size before a reload can be too small for what is allowed
 * now. */
void
client_make_room(struct client *client)
{
	struct pool *pool = &client->shard->buffers;
	struct buffer *old = client->in;
	struct buffer *grown;

	buffer_compact(old, 0);
	if (old->cap + sizeof(*old) >= pool->size)
		return;
	grown = buffer_take(pool);
	if (grown == NULL)
		return;
	memcpy(grown->data, old->data, buffer_len(old));
	grown->end = old->end;
	buffer_give(pool, old);
	client->in = grown;
}

static void
on_lost(struct client *client)
{
	if (client->exchange != NULL)
		exchange_abort(client->exchange);
	else
		client_close(client, CLIENT_CLOSE);
}

static bool
wants_bytes(const struct client *client)
{
	/* What comes after the last answer is not wanted. */
	if (client->is_closing)
		return false;
	if (client->exchange != NULL && exchange_owes_pipe(client->exchange))
		return false;
	return client->in == NULL || buffer_room(client->in) > 0;
}

/* Buffer, reading and deadline as the state wants them. */
static void
settle(struct client *client)
{
	struct buffer *in = client->in;
	bool is_empty = in != NULL && buffer_len(in) == 0;

	if (is_empty && client->exchange == NULL)
		client_give_in(client);
	else if (is_empty && client->is_raw && client->exchange->body.len == 0)
		client_give_in(client);
	else if (in != NULL && client->exchange == NULL)
		client_make_room(client);
	settle_timeout(client);
	if (!client->has_eof)
		conn_set_reading(&client->conn, wants_bytes(client));
	if (client->waiting != WAITING_TO_WATCH && !conn_watch(&client->conn))
		on_lost(client);
}

static bool
step(struct client *client)
{
	if (client->exchange != NULL)
		return client_feed_body(client);
	if (conn_is_blocked(&client->conn))
		return false;
	if (client->is_closing) {
		end_connection(client);
		return false;
	}
	if (client_next_request(client))
		return true;
	/* Of what came before its end, nothing makes a request any more. */
	if (client->has_eof || (client->shard->is_draining &&
				       client->is_served && !has_input(client)))
		client_close(client, CLIENT_CLOSE);
	return false;
}

/*
 * Does what can be done with what is there. Everything that changes a client's
 * fortune ends here; a loop, so that many pipelined requests that are answered
 * at once don't pile up on the stack.
 */
void
client_advance(struct client *client)
{
	if (client->is_advancing)
		return;
	client->is_advancing = true;
	while (client->state < CLIENT_LINGER && step(client))
		continue;
	client->is_advancing = false;
	if (client->state < CLIENT_LINGER)
		settle(client);
}

/* --- events ---------------------------------------------------------------- */

/* What it means is found out when all that came before has been handed on. */
static void
on_eof(struct client *client)
{
	client->has_eof = true;
	conn_set_reading(&client->conn, false);
	client_advance(client);
}

static void
discard_input(struct client *client)
{
	struct shard *shard = client->shard;
	ssize_t n;

	n = transport_read(
		&client->conn.transport, shard->scratch, shard->scratch_size);
	if (n == TRANSPORT_AGAIN)
		return;
	if (n <= 0 || now_ms(client) - client->scanned >= LINGER_MAX_MS) {
		client_close(client, CLIENT_CLOSE);
		return;
	}
	note_progress(client, WAITING_TO_LINGER);
	client_wait_for(client, WAITING_TO_LINGER);
}

static void
on_readable(struct client *client)
{
	struct shard *shard = client->shard;
	struct buffer *in;
	long n;

	if (client->state == CLIENT_LINGER) {
		discard_input(client);
		return;
	}
	if (client->in == NULL)
		client->in = buffer_take(&shard->buffers);
	in = client->in;
	if (in == NULL) {
		on_lost(client);
		return;
	}
	assert(buffer_room(in) > 0);
	if (!client_splice_body(client, &n)) {
		n = transport_read(&client->conn.transport, in->data + in->end,
			buffer_room(in));
		in->end += n > 0 ? (uint32_t)n : 0;
	}
	if (n == TRANSPORT_AGAIN) {
		settle(client);
	} else if (n == TRANSPORT_FAILED) {
		on_lost(client);
	} else if (n == 0) {
		on_eof(client);
	} else {
		note_progress(client, WAITING_FOR_BODY);
		client_advance(client);
	}
}

static void
on_writable(struct client *client)
{
	enum conn_result result =
		conn_flush(&client->conn, &client->shard->buffers);

	if (result == CONN_FAILED) {
		on_lost(client);
		return;
	}
	note_progress(client, WAITING_FOR_READER);
	if (result == CONN_SENT && client->exchange != NULL)
		exchange_writable(client->exchange);
	if (client->state < CLIENT_LINGER)
		client_advance(client);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	shard_touch_clock(client->shard);
	if (what & EV_WRITE)
		on_writable(client);
	/* Reading may have been put off by what was written. */
	if (what & EV_READ && client->conn.is_reading &&
		client->state != CLIENT_CLOSED)
		on_readable(client);
}

void
client_expired(struct timeout *timeout)
{
	struct client *client = list_entry(timeout, struct client, timeout);
	struct exchange *exchange = client->exchange;
	bool is_to_watch = client->waiting == WAITING_TO_WATCH;

	shard_touch_clock(client->shard);
	client->waiting = WAITING_FOR_NOTHING;
	if (is_to_watch) {
		if (!conn_watch(&client->conn))
			on_lost(client);
	} else if (client->state == CLIENT_HEAD) {
		client_refuse(client, 408, "head not received in time");
		client_advance(client);
	} else if (exchange == NULL) {
		client_close(client, CLIENT_CLOSE);
	} else if (conn_is_blocked(&client->conn) || client->has_eof) {
		exchange_abort(exchange);
	} else {
		client->keeps_alive = false;
		exchange_fail_body(exchange, 408, "body not received in time");
	}
}

void
client_accept(struct shard *shard, int fd, const struct address *peer)
{
	struct client *client = calloc(1, sizeof(*client));

	if (client == NULL) {
		close(fd);
		return;
	}
	client->shard = shard;
	client->peer = *peer;
	client->is_body_done = true;
	timeout_init(&client->timeout);
	conn_init(&client->conn, shard->worker.base, fd, CONN_ESTABLISHED,
		on_event, client);
	list_push_back(&shard->clients, &client->node);
	count_connections(shard, 1);
	meter_add(&shard->counts->accepted, 1);
	client_wait_for(client, WAITING_FOR_REQUEST);
	/* Usually the request is there already: saves a wait. */
	on_readable(client);
}

void
client_turn_away(int fd)
{
	static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
				     "Content-Type: text/plain\r\n"
				     "Content-Length: 24\r\n"
				     "Connection: close\r\n\r\n"
				     "503 Service Unavailable\n";
	char unread[4096];

	/* What has come is read, else the close would reset the answer. */
	(void)!recv(fd, unread, sizeof(unread), MSG_DONTWAIT);
	if (send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) > 0)
		shutdown(fd, SHUT_WR);
	close(fd);
}

void
client_drain_all(struct shard *shard)
{
	struct list *node = shard->clients.next;
	struct client *client;

	while (node != &shard->clients) {
		client = list_entry(node, struct client, node);
		node = node->next;
		if (client->state != CLIENT_IDLE)
			continue;
		/* A request that waits in the socket is still served. */
		on_readable(client);
		if (client->state == CLIENT_IDLE)
			client_close(client, CLIENT_CLOSE);
	}
}

void
client_close_all(struct shard *shard)
{
	struct client *client;

	while (!list_is_empty(&shard->clients)) {
		client = list_entry(shard->clients.next, struct client, node);
		if (client->exchange != NULL)
			exchange_abort(client->exchange);
		else
			client_close(client, CLIENT_CLOSE);
	}
}
