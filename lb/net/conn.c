#include "net/conn.h"

#include <assert.h>

/*
 * The event is one struct for both directions: adding a second one for writes
 * would double what an idle connection costs, and writes rarely block.
 */
static bool
watch(struct conn *conn, short what)
{
	struct event *event = &conn->event;

	conn->is_watched = true;
	event_del(event);
	event_assign(event, event_get_base(event), conn->transport.fd, what,
		event_get_callback(event), event_get_callback_arg(event));
	if ((what & (EV_READ | EV_WRITE)) == 0)
		return true;
	return event_add(event, NULL) == 0;
}

static bool
update(struct conn *conn)
{
	short what = EV_PERSIST;

	if (conn->is_reading)
		what |= EV_READ;
	if (conn_is_blocked(conn))
		what |= EV_WRITE;
	return watch(conn, what);
}

void
conn_init(struct conn *conn, struct event_base *base, int fd,
	enum conn_start start, conn_event_fn *on_event, void *arg)
{
	short what = EV_READ | EV_PERSIST;

	conn->transport.ops = &transport_plain;
	conn->transport.fd = fd;
	conn->out = NULL;
	conn->pipe = NULL;
	conn->is_reading = true;
	conn->is_watched = false;
	if (start == CONN_CONNECTING)
		what |= EV_WRITE;
	event_assign(&conn->event, base, fd, what, on_event, arg);
}

bool
conn_watch(struct conn *conn)
{
	if (conn->is_watched)
		return true;
	conn->is_watched = true;
	return event_add(&conn->event, NULL) == 0;
}

static void
drop_owed(struct conn *conn, struct pool *buffers)
{
	if (conn->out != NULL)
		buffer_give(buffers, conn->out);
	conn->out = NULL;
	conn->pipe = NULL;
}

static void
release(struct conn *conn, struct pool *buffers)
{
	event_del(&conn->event);
	drop_owed(conn, buffers);
}

void
conn_close(struct conn *conn, struct pool *buffers)
{
	release(conn, buffers);
	transport_close(&conn->transport);
}

void
conn_abort(struct conn *conn, struct pool *buffers)
{
	release(conn, buffers);
	transport_abort(&conn->transport);
}

void
conn_set_reading(struct conn *conn, bool is_reading)
{
	if (conn->is_reading == is_reading)
		return;
	conn->is_reading = is_reading;
	update(conn);
}

/* A buffer for len bytes: from the pool if they fit. */
static struct buffer *
take_for(struct pool *buffers, size_t len)
{
	struct buffer *buffer;

	if (len + sizeof(*buffer) <= buffers->size)
		return buffer_take(buffers);
	buffer = malloc(sizeof(*buffer) + len);
	if (buffer == NULL)
		return NULL;
	buffer->cap = (uint32_t)len;
	buffer->start = 0;
	buffer->end = 0;
	return buffer;
}

static enum conn_result
keep_rest(struct conn *conn, struct pool *buffers, const struct iovec *iov,
	int n, size_t sent, size_t total)
{
	struct buffer *out = take_for(buffers, total - sent);
	size_t skip = sent;
	size_t part;
	int i;

	if (out == NULL)
		return CONN_FAILED;
	for (i = 0; i < n; i++) {
		part = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		memcpy(out->data + out->end,
			(const char *)iov[i].iov_base + part,
			iov[i].iov_len - part);
		out->end += (uint32_t)(iov[i].iov_len - part);
		skip -= part;
	}
	conn->out = out;
	return update(conn) ? CONN_BLOCKED : CONN_FAILED;
}

/* More while something is owed already: rare, a 1xx and what follows it. */
static enum conn_result
keep_more(struct conn *conn, struct pool *buffers, const struct iovec *iov,
	int n, size_t total)
{
	struct buffer *old = conn->out;
	struct buffer *out = take_for(buffers, buffer_len(old) + total);
	int i;

	if (out == NULL)
		return CONN_FAILED;
	memcpy(out->data, old->data + old->start, buffer_len(old));
	out->end = (uint32_t)buffer_len(old);
	for (i = 0; i < n; i++) {
		memcpy(out->data + out->end, iov[i].iov_base, iov[i].iov_len);
		out->end += (uint32_t)iov[i].iov_len;
	}
	buffer_give(buffers, old);
	conn->out = out;
	return CONN_BLOCKED;
}

enum conn_result
conn_send(
	struct conn *conn, struct pool *buffers, const struct iovec *iov, int n)
{
	size_t total = 0;
	ssize_t sent;
	int i;

	assert(conn->pipe == NULL);
	for (i = 0; i < n; i++)
		total += iov[i].iov_len;
	if (conn->out != NULL)
		return keep_more(conn, buffers, iov, n, total);
	sent = transport_write(&conn->transport, iov, n);
	if (sent == (ssize_t)total)
		return CONN_SENT;
	if (sent == TRANSPORT_FAILED)
		return CONN_FAILED;
	return keep_rest(
		conn, buffers, iov, n, sent > 0 ? (size_t)sent : 0, total);
}

enum conn_result
conn_send_pipe(struct conn *conn, struct pipe *pipe)
{
	assert(!conn_is_blocked(conn));
	if (!pipe_drain(pipe, conn->transport.fd))
		return CONN_FAILED;
	if (pipe_is_empty(pipe))
		return CONN_SENT;
	conn->pipe = pipe;
	if (update(conn))
		return CONN_BLOCKED;
	conn->pipe = NULL;
	return CONN_FAILED;
}

static enum conn_result
flush_pipe(struct conn *conn)
{
	struct pipe *pipe = conn->pipe;

	if (!pipe_drain(pipe, conn->transport.fd))
		return CONN_FAILED;
	if (!pipe_is_empty(pipe))
		return CONN_BLOCKED;
	conn->pipe = NULL;
	return update(conn) ? CONN_SENT : CONN_FAILED;
}

enum conn_result
conn_flush(struct conn *conn, struct pool *buffers)
{
	struct buffer *out = conn->out;
	struct iovec iov;
	ssize_t sent;

	if (out == NULL)
		return conn->pipe != NULL ? flush_pipe(conn) : CONN_SENT;
	iov.iov_base = out->data + out->start;
	iov.iov_len = buffer_len(out);
	sent = transport_write(&conn->transport, &iov, 1);
	if (sent == TRANSPORT_FAILED)
		return CONN_FAILED;
	if (sent > 0)
		out->start += (uint32_t)sent;
	if (buffer_len(out) > 0)
		return CONN_BLOCKED;
	conn->out = NULL;
	buffer_give(buffers, out);
	return update(conn) ? CONN_SENT : CONN_FAILED;
}

void
conn_forget_owed(struct conn *conn, struct pool *buffers)
{
	drop_owed(conn, buffers);
	update(conn);
}

void
conn_established(struct conn *conn)
{
	update(conn);
}
