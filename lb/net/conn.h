/*
 * conn: a connection's socket, its one event, and what it still owes.
 *
 * Part of a client or upstream connection, which owns it. Writes go out at
 * once; what the socket does not take is kept in `out`, and the event waits
 * for the socket to be writable only then. Whoever sends must stop sending
 * body bytes while conn_is_blocked(): so `out` holds what one send left over,
 * and a head or two.
 */
#ifndef PERCH_NET_CONN_H
#define PERCH_NET_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "net/buffer.h"
#include "net/pipe.h"
#include "net/transport.h"

struct conn {
	struct event event;
	struct transport transport;
	struct buffer *out; /* NULL: nothing owed */
	struct pipe *pipe; /* owed instead; its sender's. Or NULL */
	bool is_reading;
	bool is_watched; /* the event is where the loop sees it */
};

enum conn_start {
	CONN_ESTABLISHED,
	CONN_CONNECTING, /* waits for writability as well */
};

enum conn_result {
	CONN_SENT, /* all of it */
	CONN_BLOCKED, /* the rest is kept; wait for the flush */
	CONN_FAILED, /* close it */
};

typedef void conn_event_fn(evutil_socket_t fd, short what, void *arg);

/* It is to be read, but that costs no system call yet: no events come. The socket
 * is its own, for conn_close() to close. */
void conn_init(struct conn *conn, struct event_base *base, int fd,
	enum conn_start start, conn_event_fn *on_event, void *arg);
/* From here on its events come, if they didn't before. False if memory is
 * out. */
bool conn_watch(struct conn *conn) __attribute__((warn_unused_result));
/* Closes the socket; owed bytes are lost. */
void conn_close(struct conn *conn, struct pool *buffers);
/* The same with a reset. */
void conn_abort(struct conn *conn, struct pool *buffers);

static inline bool
conn_is_blocked(const struct conn *conn)
{
	return conn->out != NULL || conn->pipe != NULL;
}

/* Reading off or on; costs a system call where it changes. */
void conn_set_reading(struct conn *conn, bool is_reading);

/* Sends 1 to 3 pieces; behind what is owed, if anything is, but no pipe. */
enum conn_result conn_send(struct conn *conn, struct pool *buffers,
	const struct iovec *iov, int n) __attribute__((warn_unused_result));

/* Sends what is in the pipe, with its frame; it must stay until it is empty.
 * Plain sockets only, and not while the connection is blocked. */
enum conn_result conn_send_pipe(struct conn *conn, struct pipe *pipe)
	__attribute__((warn_unused_result));

/* The socket is writable: sends what is owed. */
enum conn_result conn_flush(struct conn *conn, struct pool *buffers)
	__attribute__((warn_unused_result));

/* It takes nothing more: what is owed is lost, and not waited for. */
void conn_forget_owed(struct conn *conn, struct pool *buffers);

/* Connecting is over: stop waiting for writability. */
void conn_established(struct conn *conn);

#endif
