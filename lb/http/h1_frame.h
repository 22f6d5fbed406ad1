/*
 * h1_frame: body bytes as they go out: as they are, or as a chunk.
 *
 * Works out the pieces of one write: what the caller has put at the front of
 * its scratch space (a head, or nothing), the framing, the body. Pure.
 */
#ifndef PERCH_HTTP_H1_FRAME_H
#define PERCH_HTTP_H1_FRAME_H

#include <stdbool.h>
#include <sys/uio.h>

#include "base/slice.h"
#include "http/h1_body.h"

/* A body of up to so many bytes is copied behind the head: one piece is a
 * cheaper call than three. */
#define H1_FRAME_GATHER_MAX 4096
/* What scratch must hold beyond what is used already. */
#define H1_FRAME_ROOM (H1_FRAME_GATHER_MAX + H1_TRAILERS_MAX + 64)

struct h1_frame {
	struct slice body;
	struct slice trailers; /* of the last chunk */
	bool is_chunked;
	bool is_end;
};

/* Returns how many of iov are set: 0 if there is nothing to send. */
int h1_frame(const struct h1_frame *frame, char *scratch, size_t used,
	struct iovec iov[3]);

/* What goes before and behind a piece of a run that is sent as a chunk; one or
 * both may be empty. */
struct slice h1_frame_run_head(const struct h1_run *run, char room[20]);
struct slice h1_frame_run_tail(const struct h1_run *run);

#endif
