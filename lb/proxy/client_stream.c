#include "proxy/client_private.h"

#include <assert.h>

#include "http/h1_frame.h"
#include "proxy/forward.h"

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
		client_wait_for(client, WAITING_FOR_READER);
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
			client_wait_for(client, WAITING_FOR_NOTHING);
	}
	if (client->framing == FRAMING_CHUNKED)
		forward_add(
			&framed, SLICE("Transfer-Encoding"), SLICE("chunked"));
	len = forward_write_response(&framed, option, shard->scratch,
		shard->scratch_size - H1_FRAME_ROOM);
	if (len == 0)
		return CONN_FAILED;
	return send_framed(client, len, body, (struct slice){NULL, 0}, is_end);
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
client_send_pipe(void *stream, struct pipe *pipe, const struct h1_run *run)
{
	struct client *client = stream;
	enum conn_result result;
	char room[PIPE_EDGE_MAX];

	if (client->framing == FRAMING_CHUNKED)
		pipe_frame(pipe, h1_frame_run_head(run, room),
			h1_frame_run_tail(run));
	result = conn_send_pipe(&client->conn, pipe);
	if (result == CONN_BLOCKED)
		client_wait_for(client, WAITING_FOR_READER);
	return result;
}

static void
client_resume(void *stream)
{
	client_advance(stream);
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
	bool is_until_close =
		client->framing == FRAMING_PLAIN && client->is_http10;

	client->exchange = NULL;
	if (end == STREAM_CUT) {
		client_close(
			client, is_until_close ? CLIENT_RESET : CLIENT_CLOSE);
		return;
	}
	if (!client->keeps_alive)
		client->is_closing = true;
	client_advance(client);
}

const struct stream_ops client_stream_ops = {
	.send_head = client_send_head,
	.send_body = client_send_body,
	.send_pipe = client_send_pipe,
	.resume = client_resume,
	.tunnel = client_tunnel,
	.finish = client_finish,
};
