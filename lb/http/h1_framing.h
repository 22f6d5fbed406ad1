/*
 * h1_framing: what a head's Content-Length and Transfer-Encoding fields say
 * together (RFC 9112 6). Pure; for h1_parse.
 *
 * Start from zero, add each such field in order, then ask for the result.
 */
#ifndef PERCH_HTTP_H1_FRAMING_H
#define PERCH_HTTP_H1_FRAMING_H

#include "http/h1_parse.h"

struct h1_framing {
	bool has_length;
	bool has_coding;
	bool is_coding_malformed;
	bool is_last_chunked;
	uint8_t n_chunked; /* these two count up to 2 */
	uint8_t n_codings;
	uint64_t length;
};

/* A Content-Length's value. False if it is malformed, over 2^63 - 1 (many
 * servers count in signed numbers), or differs from what came before it. */
bool h1_framing_add_length(struct h1_framing *framing, struct slice value);

/* A Transfer-Encoding's value. */
void h1_framing_add_coding(struct h1_framing *framing, struct slice value);

/*
 * H1_OK: Transfer-Encoding is absent or exactly "chunked", has_coding says
 * which; else H1_BAD or H1_NOT_IMPLEMENTED, with *why.
 */
enum h1_result h1_framing_check(const struct h1_framing *framing,
	unsigned version_minor, const char **why);

#endif
