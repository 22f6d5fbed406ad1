/*
 * h1_body: where an HTTP/1 body ends, and what of the bytes at hand is data.
 *
 * The decoder works in place: chunk framing is squeezed out of the buffer, so
 * that what follows sees only data. Chunk extensions are checked and dropped.
 * Pure, no allocation.
 */
#ifndef PERCH_HTTP_H1_BODY_H
#define PERCH_HTTP_H1_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "http/h1_parse.h"
#include "http/message.h"

/* The most bytes of a trailer section; a caller's buffer must hold as many. */
#define H1_TRAILERS_MAX 4096
/* The most bytes of a chunk-size line, extensions included. */
#define H1_CHUNK_LINE_MAX 256

struct h1_body {
	uint8_t kind;       /* enum body_kind */
	uint8_t state;      /* the decoder's own */
	uint16_t line_len;  /* bytes of the chunk-size line so far */
	uint32_t run_left;  /* of a run that has begun */
	uint64_t remaining; /* of BODY_LENGTH, or of the chunk */
};

void h1_body_start(struct h1_body *body, enum body_kind kind, uint64_t length);

/*
 * Decodes buf[0..len). Data ends up at buf[0..*produced); raw bytes up to
 * *consumed are used up, those behind (a beginning of a trailer section, or
 * what follows the body) stand where they stood. H1_OK: the body has ended
 * (at once for BODY_NONE); H1_PARTIAL: it goes on; H1_BAD: malformed. A
 * BODY_UNTIL_CLOSE never ends here. At the end of a chunked body *trailers is
 * the checked trailer section (field lines with their CRLFs, without the empty
 * line; len 0 if none), a slice of buf; fields that may not stand in a trailer
 * (framing, routing, authentication, cookies: RFC 9110 6.5.1) make it H1_BAD.
 */
enum h1_result h1_body_decode(struct h1_body *body, char *buf, size_t len,
	size_t *consumed, size_t *produced, struct slice *trailers);

/*
 * A run: what is left of a chunk, or of a body with a length, where it passes
 * without being looked at. With fewer bytes, more calls and a pipe cost more
 * than a copy; and no receiver shall see a size that it might not be up to.
 */
#define H1_RUN_MIN (64 * 1024)
#define H1_RUN_MAX (1024 * 1024 * 1024)

/* A piece of a run. */
struct h1_run {
	uint64_t n;      /* bytes of the piece */
	uint64_t length; /* of the run, if it begins here; else 0 */
	bool is_end;     /* of the run */
	bool is_body_end;
};

/* How many bytes may pass that come next: all that are left of a run, or that
 * would make one; else 0. */
uint64_t h1_body_passable(const struct h1_body *body);
/* n of them have passed: 1 to as many. */
struct h1_run h1_body_pass(struct h1_body *body, uint64_t n);

#endif
