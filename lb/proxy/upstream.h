/*
 * upstream: a connection to an endpoint, and the HTTP/1 that is spoken on it.
 *
 * It belongs to its endpoint's pool (proxy/upstream_pool), and to one exchange
 * while it is busy.
 */
#ifndef PERCH_PROXY_UPSTREAM_H
#define PERCH_PROXY_UPSTREAM_H

#include "http/h1_body.h"
#include "net/conn.h"
#include "proxy/exchange.h"
#include "proxy/shard.h"

enum upstream_state {
	UPSTREAM_CONNECTING,
	UPSTREAM_IDLE,
	UPSTREAM_RESTING, /* idle, but not to be used yet: see upstream_rest */
	UPSTREAM_HEAD, /* busy: no response head yet */
	UPSTREAM_BODY, /* busy: in the response's body */
	UPSTREAM_CLOSED,
};

struct upstream {
	struct worker_deferred deferred;
	struct list node; /* in the pool's idle, resting or busy list */
	struct conn conn;
	struct timeout timeout;
	struct upstream_pool *pool;
	struct address address; /* the pool's may have changed since */
	struct exchange *exchange;
	struct buffer *in;
	size_t scanned;
	enum upstream_state state;
	bool is_reused;       /* has carried an exchange before this one */
	bool is_keep_alive;   /* the response allows another exchange */
	bool is_chunked_out;  /* the request's body is sent in chunks */
	bool is_raw;          /* a tunnel */
	bool has_response_bytes; /* some came for this exchange */
	bool has_failed_send;    /* the one sign of a reset may be used up */
	bool has_ended_with_head; /* its answer was without a body */
	bool needs_look; /* before it is used again */
	uint64_t announced_idle_ns; /* by Keep-Alive: timeout; or UINT64_MAX */
	uint64_t idle_until_ns;     /* not to be used after */
	struct timeout_list *idle_list; /* what reading sets anew; may be NULL */
	struct h1_body body;
};

enum upstream_checkout {
	UPSTREAM_READY,  /* exchange->upstream can be sent to */
	UPSTREAM_WAIT,   /* exchange_on_connected or _on_failure will follow */
	UPSTREAM_FULL,   /* the queue is full, or descriptors or memory are out */
	UPSTREAM_FAILED, /* a connection can't even be begun */
};

/* Which connection will do. */
enum upstream_wish { UPSTREAM_ANY, UPSTREAM_FRESH };

/* A connection for exchange->endpoint. */
enum upstream_checkout upstream_checkout(
	struct exchange *exchange, enum upstream_wish wish);

/* Sends the head (head_len bytes at the front of the shard's scratch) and the
 * body at hand; is_end: that was all of it. */
enum conn_result upstream_send(struct upstream *upstream, size_t head_len,
	struct slice body, struct slice trailers, bool is_end);

/* Sends a piece of a run of the body, which is in the pipe; it stays until
 * exchange_on_upstream_writable() where it comes back blocked. */
enum conn_result upstream_send_pipe(struct upstream *upstream,
	struct pipe *pipe, const struct h1_run *run);

/* The endpoint owes something, within the list's length: set now, and anew when
 * it takes or sends something. NULL: it owes nothing. */
void upstream_await(struct upstream *upstream, struct timeout_list *list);
/* The client is blocked, or not any more. */
void upstream_set_reading(struct upstream *upstream, bool is_reading);
/* Says that nothing more will be sent (tunnels). */
void upstream_end_sending(struct upstream *upstream);
/* A tunnel from here on. */
void upstream_become_raw(struct upstream *upstream);

/* The exchange is done with it: back to the pool if it may be reused. */
void upstream_release(struct upstream *upstream);
/* The exchange gives it up in the middle: closed. */
void upstream_cancel(struct upstream *upstream);
/* Its response head was received but not passed on: let it wait. */
void upstream_hold(struct upstream *upstream);
/* Receives again, from the head on. */
void upstream_revive(struct upstream *upstream);
/* Its response isn't wanted: back to the pool if all of it is at hand. */
void upstream_discard(struct upstream *upstream);

/* Closes it without a word to its exchange. */
void upstream_close(struct upstream *upstream);

/* For the lists that a view looks up. */
timeout_expired_fn upstream_expired;

#endif
