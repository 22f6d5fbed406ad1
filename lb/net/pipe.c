#include "net/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/transport.h"

/* More would eat what the system lends a user for pipes (pipe-user-pages-soft:
 * 64 MiB): beyond that they shrink to a page or two. */
#define PIPES_MAX 64

static struct pipe *
open_pipe(void)
{
	struct pipe *pipe = malloc(sizeof(*pipe));
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
	pipe->len = 0;
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

long
pipe_fill(struct pipe *pipe, int fd, size_t max)
{
	long n = result(splice(fd, NULL, pipe->write_fd, NULL, max,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK));

	if (n > 0)
		pipe->len += (size_t)n;
	return n;
}

long
pipe_drain(struct pipe *pipe, int fd)
{
	long n = result(splice(pipe->read_fd, NULL, fd, NULL, pipe->len,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK));

	if (n > 0)
		pipe->len -= (size_t)n;
	return n;
}
