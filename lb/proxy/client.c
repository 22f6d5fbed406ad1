#include "proxy/client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/h1_body.h"
#include "http/h1_frame.h"
#include "http/h1_parse.h"
#include "proxy/exchange.h"
#include "proxy/forward.h"

/*
 * One buffer holds, from its front: the head of the request in hand, kept
 * until the exchange ends; the body bytes that are at hand, decoded in place
 * and offered to the exchange as a window; then raw bytes not looked at yet,
 * the rest of the body or the requests behind it. When the window has been
 * taken and more body is to come, reading goes on right behind the head, so
 * that a body of any size needs no second buffer.
 */

enum client_state {
	CLIENT_IDLE,   /* nothing of a request has come */
	CLIENT_HEAD,   /* a part of a head has */
	CLIENT_BUSY,   /* an exchange runs, or its response is owed */
	CLIENT_LINGER, /* all sent; what still comes is thrown away */
	CLIENT_CLOSED,
};

/* What the deadline is for: it is set when that changes, and when there is
 * progress; never because of something else. */
enum client_waiting {
	WAITING_FOR_NOTHING,
	WAITING_FOR_REQUEST, /* its first byte */
	WAITING_FOR_HEAD,    /* its rest, from the first byte on */
	WAITING_FOR_BODY,    /* more of it */
	WAITING_FOR_READER,  /* owed bytes are not taken */
	WAITING_FOR_ANSWER,  /* on behalf of a client that closed its side */
	WAITING_TO_LINGER,
};

enum client_framing { FRAMING_NONE, FRAMING_PLAIN, FRAMING_CHUNKED };

struct client {
	struct worker_deferred deferred;
	struct list node;
	struct conn conn;
	struct timeout timeout;
	struct shard *shard;
	struct buffer *in;
	struct exchange *exchange;
	struct h1_body body;
	struct address peer;
	uint32_t scanned;    /* of a head, from in->start */
	uint32_t body_start; /* where the body's bytes are read to */
	uint8_t state;       /* enum client_state */
	uint8_t waiting;     /* enum client_waiting */
	uint8_t framing;     /* enum client_framing, of the response */
	bool is_served : 1;  /* had a request before */
	bool is_http10 : 1;
	bool is_head_request : 1;
	bool keeps_alive : 1;
	bool is_body_done : 1; /* all of the request has been read */
	bool has_eof : 1;
	bool is_closing : 1; /* when what is owed has been sent */
	bool is_raw : 1;     /* a tunnel */
	bool is_advancing : 1;
	bool has_skipped : 1; /* the one empty line that is forgiven */
};

/* What is thrown away of a refused request, at most, before the close. */
#define LINGER_READS_MAX 64

static const struct stream_ops client_stream_ops;

static void
free_client(struct worker_deferred *deferred)
{
	free((struct client *)(void *)deferred);
}

static void
give_in(struct client *client)
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

static void
close_client(struct client *client, bool is_abort)
{
	struct shard *shard = client->shard;

	assert(client->state != CLIENT_CLOSED);
	client->state = CLIENT_CLOSED;
	if (is_abort)
		conn_abort(&client->conn, &shard->buffers);
	else
		conn_close(&client->conn, &shard->buffers);
	give_in(client);
	timeout_stop(&client->timeout);
	list_remove(&client->node);
	count_connections(shard, -1);
	worker_defer(&shard->worker, &client->deferred, free_client);
}

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
	case WAITING_FOR_NOTHING:
		break;
	}
	return NULL;
}

static void
wait_for(struct client *client, enum client_waiting waiting)
{
	struct timeout_list *list = waiting_list(client, waiting);

	if (client->waiting == waiting)
		return;
	client->waiting = (uint8_t)waiting;
	if (list == NULL)
		timeout_stop(&client->timeout);
	else
		timeouts_set(&client->shard->worker.timeouts,
			&client->timeout, list, client->shard->now_ns);
}

/* There was progress in what is waited for. */
static void
note_progress(struct client *client, enum client_waiting waiting)
{
	if (client->waiting == waiting)
		client->waiting = WAITING_FOR_NOTHING;
}

/*
 * A close with unread bytes would reset the connection and might destroy the
 * response on its way (RFC 9112 9.6): so say that it's over, and listen for a
 * moment.
 */
static void
linger(struct client *client)
{
	client->state = CLIENT_LINGER;
	client->scanned = 0;
	give_in(client);
	transport_shutdown(&client->conn.transport);
	conn_set_reading(&client->conn, true);
	wait_for(client, WAITING_TO_LINGER);
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
		close_client(client, false);
}

/* --- requests --------------------------------------------------------------- */

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

/* Answers without having understood: nothing after it can be trusted. */
static void
refuse(struct client *client, unsigned status, const char *why)
{
	struct exchange *exchange = client->exchange;

	if (exchange == NULL)
		exchange = begin_exchange(client);
	if (exchange == NULL) {
		close_client(client, false);
		return;
	}
	exchange->request.base = client->in->data + client->in->start;
	exchange->request.head_len = 0;
	exchange->request.n_fields = 0;
	exchange->request.seen = 0;
	client->keeps_alive = false;
	client->is_body_done = false;
	client->is_http10 = false;
	client->is_head_request = false;
	exchange_refuse(exchange, status, why);
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
	struct buffer *in = client->in;

	buffer_compact(in, 0);
	request->base = in->data;
	assert(head_len <= buffer_len(in));
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

/* True if an exchange was begun. */
static bool
next_request(struct client *client)
{
	struct buffer *in = client->in;
	struct h1_limits h1_limits;
	struct exchange *exchange;
	enum h1_result result;
	const char *why = "head too large";
	size_t scanned = client->scanned;
	size_t head_len = 0;
	size_t skipped;
	const char *head;

	if (in == NULL || buffer_len(in) == 0)
		return false;
	if (scanned == 0 && !client->has_skipped) {
		skipped = h1_skip_empty_lines(
			in->data + in->start, buffer_len(in));
		in->start += (uint32_t)skipped;
		client->has_skipped = skipped > 0;
	}
	head = in->data + in->start;
	h1_limits.head = (uint32_t)limits(client)->head;
	h1_limits.target = (uint32_t)limits(client)->target;
	h1_limits.fields = (uint32_t)limits(client)->fields;
	result = h1_find_end(head, buffer_len(in), h1_limits.head, &scanned,
		&head_len);
	client->scanned = (uint32_t)scanned;
	if (result == H1_PARTIAL)
		return false;
	if (result == H1_BAD)
		why = "bare LF in head";
	exchange = begin_exchange(client);
	if (exchange == NULL) {
		close_client(client, false);
		return false;
	}
	if (result == H1_OK)
		result = h1_parse_request(head, head_len, &h1_limits,
			&exchange->request, &why);
	if (result == H1_OK)
		start_request(client, exchange, head_len);
	else
		refuse(client, refusal_status(result), why);
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
static bool
feed_body(struct client *client)
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
		!exchange->sends_continue)
		return WAITING_FOR_BODY;
	return WAITING_FOR_NOTHING;
}

static void
settle_timeout(struct client *client)
{
	if (conn_is_blocked(&client->conn)) {
		wait_for(client, WAITING_FOR_READER);
	} else if (client->exchange != NULL) {
		wait_for(client, exchange_waits_for(client));
	} else if (client->in != NULL) {
		client->state = CLIENT_HEAD;
		wait_for(client, WAITING_FOR_HEAD);
	} else {
		client->state = CLIENT_IDLE;
		wait_for(client, WAITING_FOR_REQUEST);
	}
}

/* For the rest of a head: a buffer of the size before a reload can be too small
 * for what is allowed now. */
static void
make_room(struct client *client)
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

/* Buffer, reading and deadline as the state wants them. */
static void
settle(struct client *client)
{
	struct buffer *in = client->in;
	bool is_empty = in != NULL && buffer_len(in) == 0;

	if (is_empty && client->exchange == NULL)
		give_in(client);
	else if (is_empty && client->is_raw && client->exchange->body.len == 0)
		give_in(client);
	else if (in != NULL && client->exchange == NULL)
		make_room(client);
	settle_timeout(client);
	/* What comes after the last answer is not wanted. */
	if (!client->has_eof)
		conn_set_reading(&client->conn,
			!client->is_closing &&
				(client->in == NULL ||
					buffer_room(client->in) > 0));
}

static bool
step(struct client *client)
{
	if (client->exchange != NULL)
		return feed_body(client);
	if (conn_is_blocked(&client->conn))
		return false;
	if (client->is_closing) {
		end_connection(client);
		return false;
	}
	if (next_request(client))
		return true;
	/* Of what came before its end, nothing makes a request any more. */
	if (client->has_eof ||
		(client->shard->is_draining && client->is_served &&
			!has_input(client)))
		close_client(client, false);
	return false;
}

/*
 * Does what can be done with what is there. Everything that changes a client's
 * fortune ends here; a loop, so that many pipelined requests that are answered
 * at once don't pile up on the stack.
 */
static void
advance(struct client *client)
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

/* --- the stream -------------------------------------------------------------- */

static enum client_framing
choose_framing(struct client *client, const struct forward_head *head)
{
	if (head->is_bodiless || client->is_head_request)
		return FRAMING_NONE;
	if (head->body == BODY_LENGTH)
		return FRAMING_PLAIN;
	if (!client->is_http10)
		return FRAMING_CHUNKED;
	client->keeps_alive = false;
	return FRAMING_PLAIN;
}

static struct slice
connection_option(const struct client *client)
{
	if (!client->keeps_alive)
		return SLICE("close");
	if (client->is_http10)
		return SLICE("keep-alive");
	return (struct slice){NULL, 0};
}

/* Puts framing around body bytes, behind `used` bytes of scratch (a head). */
static enum conn_result
send_framed(struct client *client, size_t used, struct slice body,
	struct slice trailers, bool is_end)
{
	struct shard *shard = client->shard;
	struct h1_frame frame = {
		.body = body,
		.trailers = trailers,
		.is_chunked = client->framing == FRAMING_CHUNKED,
		.is_end = is_end,
	};
	struct iovec iov[3];
	enum conn_result result;
	int n;

	if (client->framing == FRAMING_NONE)
		frame.body.len = 0;
	n = h1_frame(&frame, shard->scratch, used, iov);
	if (n == 0)
		return CONN_SENT;
	result = conn_send(&client->conn, &shard->buffers, iov, n);
	/* How long it may take to read what it asked for. */
	if (result == CONN_BLOCKED)
		wait_for(client, WAITING_FOR_READER);
	return result;
}

static enum conn_result
client_send_head(void *stream, const struct forward_head *head,
	struct slice body, bool is_end)
{
	struct client *client = stream;
	struct shard *shard = client->shard;
	bool is_interim = head->status < 200 && head->status != 101;
	struct slice option = {NULL, 0};
	struct forward_head framed;
	size_t len;

	if (is_interim && client->is_http10)
		return CONN_SENT;
	framed = *head;
	if (is_interim || head->status == 101) {
		client->framing = FRAMING_NONE;
	} else {
		/* Bytes of an unfinished request can't be told from the
		 * next one's. */
		if (!client->is_body_done || shard->is_draining)
			client->keeps_alive = false;
		client->framing = choose_framing(client, head);
		option = connection_option(client);
		if (client->waiting == WAITING_FOR_ANSWER)
			wait_for(client, WAITING_FOR_NOTHING);
	}
	if (client->framing == FRAMING_CHUNKED)
		forward_add(&framed, SLICE("Transfer-Encoding"),
			SLICE("chunked"));
	len = forward_write_response(
		&framed, option, shard->scratch,
		shard->scratch_size - H1_FRAME_ROOM);
	if (len == 0)
		return CONN_FAILED;
	return send_framed(
		client, len, body, (struct slice){NULL, 0}, is_end);
}

static enum conn_result
client_send_body(
	void *stream, struct slice body, struct slice trailers, bool is_end)
{
	struct client *client = stream;

	if (client->is_raw && is_end) {
		assert(body.len == 0);
		transport_shutdown(&client->conn.transport);
		return CONN_SENT;
	}
	return send_framed(client, 0, body, trailers, is_end);
}

static enum conn_result
client_send_pipe(void *stream, struct pipe *pipe)
{
	struct client *client = stream;
	enum conn_result result = conn_send_pipe(&client->conn, pipe);

	if (result == CONN_BLOCKED)
		wait_for(client, WAITING_FOR_READER);
	return result;
}

static void
client_resume(void *stream)
{
	advance(stream);
}

static void
client_tunnel(void *stream)
{
	struct client *client = stream;

	client->is_raw = true;
	client->keeps_alive = false;
	client->framing = FRAMING_PLAIN;
	client->body_start = 0;
	client->is_body_done = false;
	h1_body_start(&client->body, BODY_UNTIL_CLOSE, 0);
}

static void
client_finish(void *stream, enum stream_end end)
{
	struct client *client = stream;
	/* A body that ends with the connection must not seem to have ended. */
	bool is_until_close = client->framing == FRAMING_PLAIN &&
			      client->is_http10;

	client->exchange = NULL;
	if (end == STREAM_CUT) {
		close_client(client, is_until_close);
		return;
	}
	if (!client->keeps_alive)
		client->is_closing = true;
	advance(client);
}

static const struct stream_ops client_stream_ops = {
	.send_head = client_send_head,
	.send_body = client_send_body,
	.send_pipe = client_send_pipe,
	.resume = client_resume,
	.tunnel = client_tunnel,
	.finish = client_finish,
};

/* --- events ------------------------------------------------------------------ */

static void
on_lost(struct client *client)
{
	if (client->exchange != NULL)
		exchange_abort(client->exchange);
	else
		close_client(client, false);
}

/* What it means is found out when all that came before has been handed on. */
static void
on_eof(struct client *client)
{
	client->has_eof = true;
	conn_set_reading(&client->conn, false);
	advance(client);
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
	if (n <= 0 || ++client->scanned > LINGER_READS_MAX)
		close_client(client, false);
}

static void
on_readable(struct client *client)
{
	struct shard *shard = client->shard;
	struct buffer *in;
	ssize_t n;

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
	n = transport_read(&client->conn.transport, in->data + in->end,
		buffer_room(in));
	if (n == TRANSPORT_AGAIN) {
		settle(client);
	} else if (n == TRANSPORT_FAILED) {
		on_lost(client);
	} else if (n == 0) {
		on_eof(client);
	} else {
		in->end += (uint32_t)n;
		note_progress(client, WAITING_FOR_BODY);
		advance(client);
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
		advance(client);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	shard_touch_clock(client->shard);
	if (what & EV_WRITE)
		on_writable(client);
	if (what & EV_READ && client->state != CLIENT_CLOSED)
		on_readable(client);
}

void
client_expired(struct timeout *timeout)
{
	struct client *client = list_entry(timeout, struct client, timeout);
	struct exchange *exchange = client->exchange;

	shard_touch_clock(client->shard);
	client->waiting = WAITING_FOR_NOTHING;
	if (client->state == CLIENT_HEAD) {
		refuse(client, 408, "head not received in time");
		advance(client);
	} else if (exchange == NULL) {
		close_client(client, false);
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
	if (!conn_open(&client->conn, shard->worker.base, fd, false, on_event,
		    client)) {
		close(fd);
		free(client);
		return;
	}
	list_push_back(&shard->clients, &client->node);
	count_connections(shard, 1);
	meter_add(&shard->counts->accepted, 1);
	wait_for(client, WAITING_FOR_REQUEST);
	/* Usually the request is there already: saves a wait. */
	on_readable(client);
}

void
client_turn_away(int fd)
{
	static const char answer[] =
		"HTTP/1.1 503 Service Unavailable\r\n"
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
			close_client(client, false);
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
			close_client(client, false);
	}
}
