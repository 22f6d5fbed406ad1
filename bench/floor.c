/*
 * floor: what forwarding costs at the least. Each client connection is tied
 * to one upstream connection, and bytes are copied unread: recv, send, and an
 * epoll_wait that many share. The bench gives every proxy's cost in multiples
 * of it. See bench/run.
 *
 *	floor LISTEN_PORT BACKEND_HOST:PORT
 *
 * One event per socket for its whole life, level-triggered. epoll_ctl is
 * called again only where a write came back short: then the other side is
 * not read until all has been written.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024, BATCH = 256, BACKLOG = 4096 };

struct pair;

/* One socket of the two, and what waits to be written to it. */
struct side {
	struct pair *pair;
	struct side *other;
	int fd;
	uint32_t interest; /* what epoll was told */
	bool is_read_ended;
	char *waiting; /* allocated; NULL if nothing waits */
	size_t waiting_from, waiting_to;
};

struct pair {
	struct side client, upstream;
	bool is_closed;
	struct pair *next_closed;
};

static int epoll_fd;
static struct sockaddr_in backend;
static char read_buf[READ_SIZE];
/* Freed after the batch: a later event of it may name the pair. */
static struct pair *closed_pairs;

static void
pair_close(struct pair *pair)
{
	if (pair->is_closed)
		return;
	pair->is_closed = true;
	close(pair->client.fd);
	close(pair->upstream.fd);
	free(pair->client.waiting);
	free(pair->upstream.waiting);
	pair->next_closed = closed_pairs;
	closed_pairs = pair;
}

static void
free_closed_pairs(void)
{
	while (closed_pairs != NULL) {
		struct pair *pair = closed_pairs;

		closed_pairs = pair->next_closed;
		free(pair);
	}
}

/* Tells epoll what the side waits for, if that changed. */
static void
side_wait(struct side *side)
{
	uint32_t interest = 0;

	if (!side->is_read_ended && side->other->waiting == NULL)
		interest |= EPOLLIN;
	if (side->waiting != NULL)
		interest |= EPOLLOUT;
	if (interest == side->interest)
		return;
	side->interest = interest;

	struct epoll_event event = {.events = interest, .data.ptr = side};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, side->fd, &event) != 0)
		err(1, "epoll_ctl");
}

static bool
side_keep(struct side *side, const char *data, size_t len)
{
	side->waiting = malloc(len);
	if (side->waiting == NULL)
		return false;
	memcpy(side->waiting, data, len);
	side->waiting_from = 0;
	side->waiting_to = len;
	return true;
}

/* The side can take more: what waits is written. False: close the pair. */
static bool
side_flush(struct side *side)
{
	ssize_t n = send(side->fd, side->waiting + side->waiting_from,
		side->waiting_to - side->waiting_from, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	side->waiting_from += (size_t)n;
	if (side->waiting_from < side->waiting_to)
		return true;
	free(side->waiting);
	side->waiting = NULL;
	if (side->other->is_read_ended)
		shutdown(side->fd, SHUT_WR);
	side_wait(side);
	side_wait(side->other);
	return true;
}

static bool
side_end_read(struct side *side)
{
	side->is_read_ended = true;
	if (side->other->is_read_ended && side->waiting == NULL)
		return false;
	shutdown(side->other->fd, SHUT_WR);
	side_wait(side);
	return true;
}

/* What came from a side goes to the other. False: close the pair. */
static bool
side_copy(struct side *side)
{
	struct side *to = side->other;
	ssize_t got = recv(side->fd, read_buf, sizeof(read_buf), 0);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0)
		return side_end_read(side);

	ssize_t sent = send(to->fd, read_buf, (size_t)got, MSG_NOSIGNAL);
	if (sent == got)
		return true;
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (sent < 0)
		sent = 0;
	if (!side_keep(to, read_buf + sent, (size_t)(got - sent)))
		return false;
	side_wait(side);
	side_wait(to);
	return true;
}

static void
on_side(struct side *side, uint32_t events)
{
	struct pair *pair = side->pair;
	bool is_fine = true;

	if (pair->is_closed)
		return;
	if ((events & EPOLLOUT) != 0 && side->waiting != NULL)
		is_fine = side_flush(side);
	if (is_fine && (side->interest & EPOLLIN) != 0 &&
		(events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
		is_fine = side_copy(side);
	else if ((events & EPOLLERR) != 0)
		is_fine = false;
	else if ((events & EPOLLHUP) != 0 && side->is_read_ended &&
		 side->waiting == NULL)
		is_fine = false;
	if (!is_fine)
		pair_close(pair);
}

static void
side_start(struct side *side, struct pair *pair, struct side *other, int fd)
{
	int on = 1;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = side};

	side->pair = pair;
	side->other = other;
	side->fd = fd;
	side->interest = EPOLLIN;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
}

static void
accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;

	int up = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pair *pair = calloc(1, sizeof(*pair));
	if (up < 0 || pair == NULL ||
		(connect(up, (struct sockaddr *)&backend, sizeof(backend)) !=
				0 &&
			errno != EINPROGRESS)) {
		warn("connect");
		free(pair);
		if (up >= 0)
			close(up);
		close(fd);
		return;
	}
	/* A send before the connection stands says EAGAIN: what it was to
	 * send then waits like that of any short write. */
	side_start(&pair->client, pair, &pair->upstream, fd);
	side_start(&pair->upstream, pair, &pair->client, up);
}

static int
listen_on(const char *port)
{
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
		listen(fd, BACKLOG) != 0)
		err(1, "port %s", port);
	return fd;
}

static void
parse_backend(char *text)
{
	char *colon = strrchr(text, ':');

	if (colon == NULL)
		errx(1, "%s: HOST:PORT expected", text);
	*colon = '\0';
	backend.sin_family = AF_INET;
	backend.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, text, &backend.sin_addr) != 1)
		errx(1, "%s: an IPv4 address expected", text);
}

int
main(int argc, char **argv)
{
	struct epoll_event events[BATCH];
	struct rlimit limit;

	if (argc != 3)
		errx(2, "usage: floor LISTEN_PORT BACKEND_HOST:PORT");
	parse_backend(argv[2]);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}

	int listener = listen_on(argv[1]);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	if (epoll_fd < 0 ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) != 0)
		err(1, "epoll");

	for (;;) {
		int n = epoll_wait(epoll_fd, events, BATCH, -1);

		if (n < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				accept_one(listener);
			else
				on_side(events[i].data.ptr, events[i].events);
		}
		free_closed_pairs();
	}
}
