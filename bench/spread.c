/*
 * spread: what the kernel asks for many upstream connections at the least.
 * Each request goes to another one, in turn, so that its socket is in no cache
 * when its turn comes; bytes are copied unread. The bench holds perch against
 * it where all of many endpoints or services are asked: see bench/run.
 *
 *	spread LISTEN_PORT BACKEND_HOST:PORT CONNECTIONS
 *
 * It relies on what the bench sends: a request comes in one read, and so does
 * its answer, and either goes out in one write. Whatever else happens ends it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024, BATCH = 256, BACKLOG = 4096 };

/* A connection from a client, or to the backend. */
struct side {
	int fd;
	bool is_upstream;
	struct side *other; /* while a request is under way, else NULL */
	struct side *next; /* of the free upstream ones, or of the closed */
};

static int epoll_fd;
static char read_buf[READ_SIZE];
/* Upstream connections that nothing is under way on: the longest idle first. */
static struct side *free_first;
static struct side **free_last = &free_first;
/* Freed after the batch: a later event of it may name the side. */
static struct side *closed;

static struct side *
side_add(int fd, bool is_upstream)
{
	int on = 1;
	struct side *side = calloc(1, sizeof(*side));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = side};

	if (side == NULL)
		err(1, "calloc");
	side->fd = fd;
	side->is_upstream = is_upstream;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
	return side;
}

static void
free_push(struct side *upstream)
{
	upstream->next = NULL;
	*free_last = upstream;
	free_last = &upstream->next;
}

static struct side *
free_pop(void)
{
	struct side *upstream = free_first;

	if (upstream == NULL)
		errx(1, "more requests than connections");
	free_first = upstream->next;
	if (free_first == NULL)
		free_last = &free_first;
	return upstream;
}

static void
send_whole(struct side *to, size_t len)
{
	ssize_t sent = send(to->fd, read_buf, len, MSG_NOSIGNAL);

	if (sent < 0 && !to->is_upstream)
		return; /* its end is still to be read */
	if (sent != (ssize_t)len)
		err(1, "send");
}

static void
client_close(struct side *client)
{
	if (client->other != NULL)
		client->other->other = NULL;
	close(client->fd);
	client->fd = -1;
	client->next = closed;
	closed = client;
}

static void
on_client(struct side *client)
{
	ssize_t got = recv(client->fd, read_buf, sizeof(read_buf), 0);

	if (got <= 0) {
		client_close(client);
		return;
	}
	if (client->other != NULL)
		errx(1, "a request before the last one was answered");
	client->other = free_pop();
	client->other->other = client;
	send_whole(client->other, (size_t)got);
}

static void
on_upstream(struct side *upstream)
{
	struct side *client = upstream->other;
	ssize_t got = recv(upstream->fd, read_buf, sizeof(read_buf), 0);

	if (got <= 0)
		err(1, "recv");
	upstream->other = NULL;
	free_push(upstream);
	if (client == NULL)
		return;
	client->other = NULL;
	send_whole(client, (size_t)got);
}

static struct sockaddr_in
parse_address(char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char *colon = strrchr(text, ':');

	if (colon == NULL)
		errx(1, "%s: HOST:PORT expected", text);
	*colon = '\0';
	address.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
		errx(1, "%s: an IPv4 address expected", text);
	return address;
}

static void
connect_all(const struct sockaddr_in *backend, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || connect(fd, (const struct sockaddr *)backend,
				      sizeof(*backend)) != 0)
			err(1, "connect");
		free_push(side_add(fd, true));
	}
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
on_event(int listener, struct side *side)
{
	int fd;

	if (side == NULL) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			side_add(fd, false);
	} else if (side->is_upstream) {
		on_upstream(side);
	} else if (side->fd >= 0) {
		on_client(side);
	}
}

int
main(int argc, char **argv)
{
	struct epoll_event events[BATCH];
	struct rlimit limit;

	if (argc != 4)
		errx(2, "usage: spread LISTEN_PORT BACKEND_HOST:PORT "
			"CONNECTIONS");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		err(1, "epoll_create1");

	struct sockaddr_in backend = parse_address(argv[2]);
	connect_all(&backend, strtoul(argv[3], NULL, 10));
	int listener = listen_on(argv[1]);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) != 0)
		err(1, "epoll_ctl");

	for (;;) {
		int n = epoll_wait(epoll_fd, events, BATCH, -1);

		if (n < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++)
			on_event(listener, events[i].data.ptr);
		while (closed != NULL) {
			struct side *side = closed;

			closed = side->next;
			free(side);
		}
	}
}
