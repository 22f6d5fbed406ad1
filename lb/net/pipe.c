#include "net/pipe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/transport.h"

/* More would eat what the system lends a user for pipes (pipe-user-pages-soft:
 * 64 MiB): beyond that they shrink to a page or two. */
#define PIPES_MAX 64

static struct pipe *
open_pipe(void)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));
	int fds[2];

	if (pipe == NULL)
		return NULL;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) {
		free(pipe);
		return NULL;
	}
	/* If it is refused, the default of 64 KiB serves too. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	return pipe;
}

static void
close_pipe(struct pipe_pool *pool, struct pipe *pipe)
{
	close(pipe->read_fd);
	close(pipe->write_fd);
	free(pipe);
	pool->n_open--;
}

struct pipe *
pipe_take(struct pipe_pool *pool)
{
	struct pipe *pipe = pool->free;

	if (pipe != NULL) {
		pool->free = pipe->next;
		return pipe;
	}
	if (pool->n_open >= PIPES_MAX)
		return NULL;
	pipe = open_pipe();
	if (pipe != NULL)
		pool->n_open++;
	return pipe;
}

void
pipe_give(struct pipe_pool *pool, struct pipe *pipe)
{
	if (pipe->len > 0) {
		close_pipe(pool, pipe);
		return;
	}
	pipe->before.start = pipe->before.end;
	pipe->behind.start = pipe->behind.end;
	pipe->next = pool->free;
	pool->free = pipe;
}

void
pipe_pool_close(struct pipe_pool *pool)
{
	struct pipe *pipe;

	while ((pipe = pool->free) != NULL) {
		pool->free = pipe->next;
		close_pipe(pool, pipe);
	}
}

static long
result(ssize_t n)
{
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return TRANSPORT_AGAIN;
	return TRANSPORT_FAILED;
}

/* What an empty pipe takes in one piece. */
static long
fill_by_copy(struct pipe *pipe, int fd, uint64_t max)
{
	char bytes[PIPE_BUF];
	long n = result(recv(fd, bytes,
		max < sizeof(bytes) ? (size_t)max : sizeof(bytes), 0));

	return n > 0 ? result(write(pipe->write_fd, bytes, (size_t)n)) : n;
}

long
pipe_fill(struct pipe *pipe, int fd, uint64_t max)
{
	size_t len = max < PIPE_SIZE ? (size_t)max : PIPE_SIZE;
	long n;

	assert(pipe->len == 0);
	n = result(splice(fd, NULL, pipe->write_fd, NULL, len,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
	/* At urgent data splice() says that nothing has come, for ever;
	 * recv() goes past it. */
	if (n == TRANSPORT_AGAIN)
		n = fill_by_copy(pipe, fd, max);
	if (n > 0)
		pipe->len = (size_t)n;
	return n;
}

static void
set_edge(struct pipe_edge *edge, struct slice bytes)
{
	assert(bytes.len <= sizeof(edge->bytes) && pipe_edge_is_empty(edge));
	slice_append(edge->bytes, bytes);
	edge->start = 0;
	edge->end = (uint8_t)bytes.len;
}

void
pipe_frame(struct pipe *pipe, struct slice before, struct slice behind)
{
	set_edge(&pipe->before, before);
	set_edge(&pipe->behind, behind);
}

/* What the socket doesn't take stays: no failure. */
static bool
send_edge(struct pipe_edge *edge, int fd, int flags)
{
	long n;

	if (pipe_edge_is_empty(edge))
		return true;
	n = result(send(fd, edge->bytes + edge->start,
		(size_t)(edge->end - edge->start), MSG_NOSIGNAL | flags));
	if (n > 0)
		edge->start += (uint8_t)n;
	return n != TRANSPORT_FAILED;
}

static bool
send_content(struct pipe *pipe, int fd)
{
	/* So that the edge goes in one packet with what is beside it. */
	unsigned more = pipe_edge_is_empty(&pipe->behind) ? 0 : SPLICE_F_MORE;
	long n;

	if (pipe->len == 0)
		return true;
	n = result(splice(pipe->read_fd, NULL, fd, NULL, pipe->len,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK | more));
	if (n > 0)
		pipe->len -= (size_t)n;
	return n != TRANSPORT_FAILED;
}

bool
pipe_drain(struct pipe *pipe, int fd)
{
	if (!send_edge(&pipe->before, fd, MSG_MORE))
		return false;
	if (!pipe_edge_is_empty(&pipe->before))
		return true;
	if (!send_content(pipe, fd))
		return false;
	if (pipe->len > 0)
		return true;
	return send_edge(&pipe->behind, fd, 0);
}
