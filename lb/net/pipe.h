/*
 * pipe: a kernel buffer through which bytes pass from socket to socket unread
 * (splice(2)). Taken from a worker's pool while a large body needs one.
 */
#ifndef PERCH_NET_PIPE_H
#define PERCH_NET_PIPE_H

#include <stddef.h>

/* What a pipe holds, if the system allows. */
#define PIPE_SIZE (256 * 1024)

struct pipe {
	int read_fd;
	int write_fd;
	size_t len; /* bytes in it */
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

/* From a socket: bytes taken, 0 at its end, or below 0 as transport_read().
 * TRANSPORT_AGAIN too if the pipe is full. */
long pipe_fill(struct pipe *pipe, int fd, size_t max);
/* To a socket, as much as it takes: bytes sent, or below 0. */
long pipe_drain(struct pipe *pipe, int fd);

#endif
