/*
 * client_private: a client's connection, as its parts know it.
 *
 * client.c has its states, deadlines and events; client_request.c takes
 * requests and their bodies out of its buffer; client_stream.c writes the
 * responses. Nobody else includes this.
 */
#ifndef PERCH_PROXY_CLIENT_PRIVATE_H
#define PERCH_PROXY_CLIENT_PRIVATE_H

#include "http/h1_body.h"
#include "net/conn.h"
#include "proxy/client.h"
#include "proxy/exchange.h"

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
	WAITING_TO_WATCH, /* see client.c */
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
	uint32_t scanned;    /* of a head, from in->start; see linger() */
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
	bool has_line : 1;    /* of a head in parts: its first line was good */
};

/* --- the connection ---------------------------------------------------------- */

/* Does what can be done with what is there. */
void client_advance(struct client *client);
void client_wait_for(struct client *client, enum client_waiting waiting);
/* Gives the buffer back. */
void client_give_in(struct client *client);
/* For what follows a head, or the rest of one: what is there goes to the
 * buffer's front, which may become another. */
void client_make_room(struct client *client);

enum client_close { CLIENT_CLOSE, CLIENT_RESET };
/* Now, without a word to an exchange. */
void client_close(struct client *client, enum client_close how);

/* --- requests ---------------------------------------------------------------- */

/* True if there was one: an exchange was begun, or the client closed. */
bool client_next_request(struct client *client);
/* True if a window was offered. */
bool client_feed_body(struct client *client);
/* Takes what has come of a long run of the body into a pipe: the bytes, 0 at
 * the end, or below 0 as transport_read(). False if it had better be read. */
bool client_splice_body(struct client *client, long *n);
/* Answers without having understood: nothing after it can be trusted. */
void client_refuse(struct client *client, unsigned status, const char *why);

/* --- the stream -------------------------------------------------------------- */

extern const struct stream_ops client_stream_ops;

#endif
