/*
 * wire: one end of a connection, and a strict reader of HTTP/1 on it.
 *
 * For one thread, which blocks; but who sends takes in what comes meanwhile,
 * so that two ends that both send never wait for each other.
 */
#ifndef SOAK_WIRE_H
#define SOAK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"

struct wire {
	int fd;
	char *buf;
	size_t start;
	size_t end;
	size_t cap;
	bool has_eof;
	bool was_reset;
	bool has_hung; /* nothing came for WIRE_PATIENCE_MS */
	bool reads_slow; /* in small pieces, with pauses */
	bool sends_slow;
	uint64_t random;
};

#define WIRE_PATIENCE_MS 20000

void wire_open(struct wire *wire, int fd, uint64_t random);
void wire_close(struct wire *wire);
/* The same, with a reset. */
void wire_reset(struct wire *wire);
void wire_half_close(struct wire *wire);

/* False if the other end is gone. */
bool wire_send(struct wire *wire, const char *data, size_t len);
/* Part of a body, framed; the chunks' lengths are drawn. */
bool wire_send_body(struct wire *wire, const struct plan *plan,
	enum content_way way, size_t len);
/* What ends a chunked body. */
bool wire_send_end(struct wire *wire, const struct plan *plan);

/* Takes in more: false at the end, or if nothing comes. */
bool wire_fill(struct wire *wire);

struct head {
	char method[16]; /* requests */
	unsigned status; /* responses */
	unsigned minor;
	bool has_length;
	uint64_t length;
	bool is_chunked;
	bool closes;
	bool has_number; /* X-Soak */
	uint64_t number;
	bool is_upgrade;
	char cookie[256]; /* that Set-Cookie sets under the name perch */
	const char *wrong; /* with its form, or NULL */
};

enum wire_result {
	WIRE_WHOLE,
	WIRE_CUT, /* ended before its end */
	WIRE_FORM, /* no HTTP; see head.wrong */
	WIRE_WRONG, /* not the bytes that were expected */
	WIRE_ENOUGH, /* as many as were asked for */
};

enum wire_result wire_read_request(struct wire *wire, struct head *head);
enum wire_result wire_read_response(struct wire *wire, struct head *head);

/* A body that must be what `plan` says, up to `enough` bytes; *len: how many
 * came. A response without framing goes to the connection's end. */
enum wire_result wire_read_body(struct wire *wire, const struct head *head,
	uint64_t n, enum content_way way, size_t enough, size_t *len);
/* One of any content. */
enum wire_result wire_skip_body(struct wire *wire, const struct head *head);
/* Bytes of a tunnel, to its end. */
enum wire_result wire_read_raw(struct wire *wire, uint64_t n,
	enum content_way way, size_t enough, size_t *len);

#endif
