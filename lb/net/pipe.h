/*
 * pipe: a kernel buffer through which bytes pass from socket to socket unread
 * (splice(2)). Taken from a worker's pool while a large body needs one.
 */
#ifndef PERCH_NET_PIPE_H
#define PERCH_NET_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* What a pipe holds, if the system allows. */
#define PIPE_SIZE (256 * 1024)

#define PIPE_EDGE_MAX 20

/* A few bytes that didn't come through the pipe. */
struct pipe_edge {
	char bytes[PIPE_EDGE_MAX];
	uint8_t start;
	uint8_t end;
};

struct pipe {
	int read_fd;
	int write_fd;
	size_t len; /* bytes in it */
	struct pipe_edge before; /* goes out before them */
	struct pipe_edge behind;
	struct pipe *next;
};

/* A free list, for one thread; all zero at first. */
struct pipe_pool {
	struct pipe *free;
	unsigned n_open; /* free and taken ones */
};

/* NULL if there are too many, or no descriptors or memory: copy then. */
struct pipe *pipe_take(struct pipe_pool *pool);
/* One that still holds bytes is closed. */
void pipe_give(struct pipe_pool *pool, struct pipe *pipe);
/* Closes the free ones. */
void pipe_pool_close(struct pipe_pool *pool);

/* Up to max from a socket, into an empty pipe: bytes taken, 0 at its end, or below
 * 0 as transport_read(). */
long pipe_fill(struct pipe *pipe, int fd, uint64_t max);
/* What else goes out with the bytes in it: a frame, each side of which has up
 * to PIPE_EDGE_MAX bytes. */
void pipe_frame(struct pipe *pipe, struct slice before, struct slice behind);
/* To a socket, as much as it takes. False if that failed: close the socket. */
bool pipe_drain(struct pipe *pipe, int fd)
	__attribute__((warn_unused_result));

static inline bool
pipe_edge_is_empty(const struct pipe_edge *edge)
{
	return edge->start == edge->end;
}

/* Has all gone out? */
static inline bool
pipe_is_empty(const struct pipe *pipe)
{
	return pipe->len == 0 && pipe_edge_is_empty(&pipe->before) &&
	       pipe_edge_is_empty(&pipe->behind);
}

#endif
