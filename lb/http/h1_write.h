/*
 * h1_write: small pieces of HTTP/1 text: chunk-size lines, reason phrases and
 * the bodies of perch's own error answers. Pure.
 *
 * The heads are written by proxy/forward, which knows what goes into them.
 */
#ifndef PERCH_HTTP_H1_WRITE_H
#define PERCH_HTTP_H1_WRITE_H

#include <stdint.h>

#include "base/slice.h"

/* Writes "1a\r\n"; returns its length. */
size_t h1_write_chunk_size(char out[20], uint64_t len);

/* "Not Found" for 404; empty if the status is in no registry of ours. */
struct slice h1_status_reason(unsigned status);

/*
 * Writes the body of an error answer: one line of text, or a JSON object if
 * the Accept field's value (may be empty) prefers application/json. Returns
 * its length; 0 if it takes more than cap. 512 bytes hold any with a
 * request_id of up to 64; what isn't printable ASCII in it becomes "?".
 */
size_t h1_error_page(unsigned status, struct slice accept,
	struct slice request_id, char *out, size_t cap);

/* The Content-Type of the page for that Accept. */
struct slice h1_error_content_type(struct slice accept);

#endif
