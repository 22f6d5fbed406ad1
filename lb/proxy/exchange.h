/*
 * exchange: one request and its response (RFC 9110 3.4), from a parsed head to
 * the last byte, whatever protocol the client speaks.
 *
 * It owns the order of things: route, choose a version, balance, send, answer,
 * measure. The client's side calls exchange_*(); the exchange answers through
 * the stream's operations. Neither knows what is behind the other. An exchange
 * lives in its worker's free list from exchange_new() to its end, which is
 * always the stream's finish().
 */
#ifndef PERCH_PROXY_EXCHANGE_H
#define PERCH_PROXY_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "http/h1_body.h"
#include "http/message.h"
#include "net/conn.h"
#include "proxy/forward.h"
#include "proxy/shard.h"
#include "proxy/sticky.h"
#include "release/crowd.h"

struct exchange;
struct upstream;
struct witness_watch;

enum stream_end {
	STREAM_DONE,    /* the response is whole */
	STREAM_CUT,     /* it is not: the client must not take it for whole */
};

/* How an exchange speaks to whoever carries the client's protocol. */
struct stream_ops {
	/*
	 * The response head with the first bytes of its body. May be called
	 * several times with 1xx heads first. All bytes are taken; after
	 * CONN_BLOCKED, exchange_writable() is awaited before more is sent.
	 */
	enum conn_result (*send_head)(void *stream,
		const struct forward_head *head, struct slice body,
		bool is_end);
	/* trailers: field lines, or len 0; only at the end. */
	enum conn_result (*send_body)(void *stream, struct slice body,
		struct slice trailers, bool is_end);
	/* The same from a pipe, which holds a piece of a run, and stays until
	 * exchange_writable() where it comes back blocked. NULL where bytes
	 * can't go out unread. */
	enum conn_result (*send_pipe)(void *stream, struct pipe *pipe,
		const struct h1_run *run);
	/* The request's body window has been taken: offer more. */
	void (*resume)(void *stream);
	/* From here on both ways carry bytes of another protocol. */
	void (*tunnel)(void *stream);
	/* It has ended; the exchange is gone when this returns. */
	void (*finish)(void *stream, enum stream_end end);
};

/* Why another version is asked, once. */
enum exchange_help {
	HELP_NONE,    /* it isn't */
	HELP_RESCUE,  /* its own lacks what was asked for: see proxy/rescue */
	HELP_SHIELD,  /* its own, the candidate, has failed: see proxy/shield */
	HELP_IN_VAIN, /* it was, and was no better */
};

/* What to do with a response head. */
enum exchange_verdict {
	VERDICT_PASS_ON,
	VERDICT_HOLD,   /* another version is asked first */
	VERDICT_REFUSE, /* the held one is better */
};

enum exchange_state {
	EXCHANGE_NEW,
	EXCHANGE_QUEUED, /* for a connection of its endpoint, or parked */
	EXCHANGE_CONNECTING,
	EXCHANGE_WAITING, /* request sent or being sent; no response head yet */
	EXCHANGE_RESPONDING, /* response head passed on */
	EXCHANGE_TUNNEL,
	EXCHANGE_ENDED,
};

enum exchange_way { EXCHANGE_UP, EXCHANGE_DOWN };

#define EXCHANGE_ID_MAX 64

struct exchange {
	struct shard *shard;
	struct view *view;
	const struct stream_ops *ops;
	void *stream;
	enum exchange_state state;

	/* Filled by the stream before exchange_start(). */
	struct address peer;
	struct slice scheme;
	uint64_t started_ns;

	/* The request's body: what is at hand and not yet taken. */
	struct slice body;
	struct slice body_trailers;
	struct slice whole_body; /* all of it, where it came with the head */
	bool is_body_complete;   /* nothing comes after what is at hand */
	bool is_body_sent;       /* all of it has been handed on */
	bool is_replayable;      /* whole_body is that */
	bool is_upstream_deaf;   /* it takes no more; its answer may come */

	/* Where it goes. */
	const struct snapshot_service *service;
	struct view_service *local;
	const struct snapshot_version *version;
	const struct snapshot_endpoint *endpoint;
	const struct snapshot_endpoint *tried; /* failed before */
	struct registry_endpoint *target;      /* endpoint's, also in a tunnel */
	struct sticky_decision decision;
	/* The first answer, while another version is asked, and whose it is. */
	enum exchange_help help;
	struct upstream *held; /* NULL: there is none, for first_error */
	enum meter_error first_error;
	const struct snapshot_version *first_version; /* NULL: none is asked */
	const struct snapshot_endpoint *first_endpoint;
	struct registry_endpoint *first_target;
	const struct snapshot_version *other_version; /* picked to be asked */
	const struct snapshot_version *helper; /* whose answer is used; or NULL */
	const struct snapshot_version *stand_in; /* for a candidate; or NULL */
	bool is_hang_watched;
	bool has_hung; /* stable is asked as the candidate didn't answer */
	struct timeout hang_timeout; /* while is_hang_watched */
	uint64_t hung_for_ns;
	bool may_rescue;
	bool is_recalled; /* version is one that had the path lately */
	bool is_rescue_test; /* another had it: has its own got it by now? */
	bool wont_queue;     /* it asks for help: of a connection now, or not */
	bool is_help_timed;
	struct timeout help_timeout; /* while is_help_timed */
	uint64_t heads_before; /* what the helper had answered by then */
	uint64_t rescue_state; /* the release's, when another was picked */
	/* What of its cookie goes into the next one. */
	bool has_pin; /* it names the chosen version */
	bool has_affinity; /* it names an endpoint */
	bool may_set_endpoint; /* another one may be written down */
	uint32_t affinity_hash; /* the endpoint, by the hash of its name */
	uint32_t moved_min; /* when the version last changed; 0: now */
	struct span foreign_cookie; /* another perch's, by the same name */
	struct upstream *upstream;
	struct pipe *pipe; /* of one way's body, or NULL */
	enum exchange_way pipe_way;
	struct list queue_node; /* in the endpoint's queue */
	struct timeout queue_timeout;
	struct upstream_pool *queue; /* whose queue it waits in, or NULL */
	uint64_t connect_until_ns; /* tried again till then; 0: never tried */
	uint64_t parked_ns; /* since the first that failed; or 0 */

	/* What the judge is to hear: see proxy/witness. */
	struct registry_unit *unit; /* the ticket's */
	struct crowd_ticket ticket;
	struct witness_watch *watches;
	bool has_sent;
	bool has_answered;

	/* Facts about the request that are worked out once. */
	bool is_trusted;
	bool is_navigation;
	bool is_page; /* that, or a page within a page, or a posted form */
	bool is_release_running;
	bool drops_conditions;
	bool has_retried;
	bool is_stale_failure; /* a reused connection ended before it answered */
	bool sends_continue;   /* a 100 may still be passed on */
	bool keeps_request_id;
	bool is_upgrade; /* to a protocol that is let through */
	bool is_tunnel;
	uint32_t generation;
	uint8_t request_id_len;
	char request_id[EXCHANGE_ID_MAX];
	char *head_copy; /* a tunnel's, or NULL */

	/* What becomes of it. */
	bool has_ended_down; /* tunnels: no more from the upstream */
	bool is_pipe_last;   /* the response ends with what is in the pipe */
	uint16_t status;     /* sent to the client; 0: none */
	enum meter_error error;
	const char *why;        /* of a refusal, or what was wrong with an
				 * answer; a static string, or NULL */
	uint64_t sent_ns;       /* request handed to the upstream */
	uint64_t first_byte_ns; /* response head */
	uint64_t bytes_in;
	uint64_t bytes_out;

	struct message request; /* spans over the stream's buffer */
};

/* NULL if memory is out. */
struct exchange *exchange_new(
	struct shard *shard, const struct stream_ops *ops, void *stream);

/*
 * The request head is in exchange->request, the first of the body in ->body.
 * The head's bytes stay where they are until finish() or tunnel(). The
 * exchange may have ended when this returns, as after all the calls below.
 */
void exchange_start(struct exchange *exchange);

/* The head could not be parsed: answers status, with the reason in the log. */
void exchange_refuse(
	struct exchange *exchange, unsigned status, const char *why);

/* More of the body, after resume(). */
void exchange_offer_body(struct exchange *exchange, struct slice data,
	struct slice trailers, bool is_complete);

/* A pipe for n bytes of the body, a run's, that will pass unread: an empty one.
 * NULL if they had better be offered. */
struct pipe *exchange_request_pipe(struct exchange *exchange, uint64_t n);
/* The piece is in it. */
void exchange_on_request_pipe(
	struct exchange *exchange, const struct h1_run *run);
/* Doesn't the upstream take what is in it? resume() comes when it has. */
static inline bool
exchange_owes_pipe(const struct exchange *exchange)
{
	return exchange->pipe != NULL && exchange->pipe_way == EXCHANGE_UP &&
	       !pipe_is_empty(exchange->pipe);
}

/* The rest of the body is malformed, too long (413) or too late (408). */
void exchange_fail_body(
	struct exchange *exchange, unsigned status, const char *why);

/* The client has taken all that was owed. */
void exchange_writable(struct exchange *exchange);

/* Its version was rolled back: an answer that runs, or a tunnel, is cut. */
void exchange_evict(struct exchange *exchange);

/* The client is gone: the upstream is cancelled. */
void exchange_abort(struct exchange *exchange);

/* --- the upstream's side ---------------------------------------------------- */

/* It has waited in its endpoint's queue: now there is a connection for it. */
void exchange_on_turn(struct exchange *exchange);
/* It was parked as its endpoint took no connections: its turn to try again, or,
 * as another one does, to wait for longer. */
void exchange_on_retry(struct exchange *exchange);
void exchange_on_retry_later(struct exchange *exchange);
/* The connection stands: send the request. */
void exchange_on_connected(struct exchange *exchange);
/* No connection could be had, or it failed before the response's end. */
void exchange_on_failure(struct exchange *exchange, enum meter_error error);
/* Asked for each final response head, before it is passed on. */
enum exchange_verdict exchange_weigh(
	struct exchange *exchange, const struct message *response);
/* VERDICT_HOLD: the connection stays as it is for the time being. */
void exchange_ask_other(struct exchange *exchange);
/* VERDICT_REFUSE. */
void exchange_settle(struct exchange *exchange);
/* Help was late. For the lists that a view looks up. */
timeout_expired_fn exchange_help_expired;
/* A candidate hasn't answered. For the lists of a view. */
timeout_expired_fn exchange_hang_expired;
/* A response head (1xx too) with the first of its body. */
void exchange_on_response(struct exchange *exchange,
	const struct message *response, struct slice body,
	struct slice trailers, bool is_end);
void exchange_on_response_body(struct exchange *exchange, struct slice data,
	struct slice trailers, bool is_end);
/* A pipe for a run of the response's body; NULL if it had better be copied. */
struct pipe *exchange_response_pipe(struct exchange *exchange);
/* The piece is in it. */
void exchange_on_response_pipe(
	struct exchange *exchange, const struct h1_run *run);
/* It has taken what was owed. */
void exchange_on_upstream_writable(struct exchange *exchange);
/* It won't, nor anything more; its answer may come, or its end. */
void exchange_on_upstream_deaf(struct exchange *exchange);

#endif
