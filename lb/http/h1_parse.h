/*
 * h1_parse: HTTP/1 heads from bytes to spans, as strict as RFC 9112 lets a
 * proxy be: two parsers that differ are a smuggling hole.
 *
 * Pure functions of their input, callable on any prefix of it, no allocation.
 * The caller first asks h1_find_end(), which looks at each byte once however
 * the head trickles in, and parses when the head is whole.
 */
#ifndef PERCH_HTTP_H1_PARSE_H
#define PERCH_HTTP_H1_PARSE_H

#include "http/message.h"

enum h1_result {
	H1_OK,
	H1_PARTIAL,       /* more bytes are needed */
	H1_BAD,           /* malformed: 400 (request), 502 (response) */
	H1_TARGET_LONG,   /* 414 */
	H1_HEAD_LONG,     /* 431: over limits.head or limits.fields */
	H1_BAD_VERSION,   /* 505: not HTTP/1.x */
	H1_NOT_IMPLEMENTED, /* 501: a transfer coding other than chunked */
};

struct h1_limits {
	uint32_t head;   /* bytes */
	uint32_t target; /* bytes */
	uint32_t fields;
};

/*
 * Is the head whole? *scanned (0 at first) remembers how far was looked.
 * H1_OK: *head_len is set. H1_BAD: a bare LF, at once. H1_HEAD_LONG: no end
 * within limit bytes; H1_TARGET_LONG: not even of the first line (a response's
 * reader needn't tell them apart). An empty line before a request is not
 * skipped here, see h1_skip_empty_lines; *scanned stays 0 until there is more
 * than its CR.
 */
enum h1_result h1_find_end(const char *buf, size_t len, size_t limit,
	size_t *scanned, size_t *head_len);

/* Can a request begin with this byte? CR and LF are for h1_find_end. */
bool h1_may_begin(char first);

/*
 * A head that isn't whole yet: what its request line, of len bytes with its
 * CRLF, would make of it. Sets nothing of message but what the line says.
 */
enum h1_result h1_check_request_line(const char *buf, size_t len,
	const struct h1_limits *limits, struct message *message,
	const char **why);

/* How many bytes of CRLFs a client sent before its request line (RFC 9112
 * 2.2); at most one CRLF is forgiven: 0 or 2. */
size_t h1_skip_empty_lines(const char *buf, size_t len);

/*
 * Parses a whole head (head_len from h1_find_end). message->base is buf. On
 * H1_OK framing, host and flags are set and consistent. What went wrong, for
 * the log, is *why (a static string), set on any other result; may be NULL.
 * An absolute-form target with a query but no path is H1_BAD, as no span of
 * the head could be its path; CONNECT has host and no path.
 */
enum h1_result h1_parse_request(const char *buf, size_t head_len,
	const struct h1_limits *limits, struct message *message,
	const char **why);

/*
 * What can be told of a request whose head is not whole or not good: of its first
 * line the method and the target, as they came, if there is a blank behind what
 * can be a method. For words only: nothing of it has been checked. message gets
 * base and these two, and is empty otherwise.
 */
void
h1_glimpse_request(const char *buf, size_t len, struct message *message);

/* request_method decides about the body: none after HEAD; after CONNECT a 2xx
 * has one until the connection closes, and so is never kept alive. */
enum h1_result h1_parse_response(const char *buf, size_t head_len,
	const struct h1_limits *limits, enum http_method request_method,
	struct message *message, const char **why);

#endif
