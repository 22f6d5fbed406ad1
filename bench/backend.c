/*
 * backend: the fastest plain HTTP/1.1 server that the bench can stand behind
 * a proxy, so that it isn't the backend that is measured.
 *
 *	backend [lo:]PORT...
 *
 * PORT is 127.0.0.1's; lo:PORT is that of each address of 127.0.0.0/8, so that
 * there can be endpoints by the thousand with one listener.
 *
 * Answers GET /N with N bytes ("k" and "m" for KiB and MiB: /128, /16k, /1m),
 * always 200, and closes after a request that says "Connection: close".
 * Answers are made once. It reads of a request only the target and the end of
 * the head, and takes no bodies: it is for the bench alone.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_SIZE = 8192, BATCH = 256, BACKLOG = 4096, ANSWERS_MAX = 16 };
#define BODY_MAX ((size_t)64 * 1024 * 1024)

/* An answer of one size, whole with its head. */
struct answer {
	size_t body_len;
	bool is_last; /* says "Connection: close" */
	char *data;
	size_t len;
};

struct connection {
	int fd;
	bool is_listener;
	bool is_blocked; /* epoll waits for room to write */
	const struct answer *answer; /* being sent */
	size_t sent;
	size_t used; /* of buf */
	char buf[HEAD_SIZE];
};

static int epoll_fd;
static struct answer answers[ANSWERS_MAX];
static size_t n_answers;

static const struct answer *
answer_of(size_t body_len, bool is_last)
{
	for (size_t i = 0; i < n_answers; i++)
		if (answers[i].body_len == body_len &&
			answers[i].is_last == is_last)
			return &answers[i];
	if (n_answers == ANSWERS_MAX)
		return &answers[0];

	struct answer *answer = &answers[n_answers];
	answer->data = malloc(256 + body_len);
	if (answer->data == NULL)
		err(1, "malloc");
	int head_len = snprintf(answer->data, 256,
		"HTTP/1.1 200 OK\r\n"
		"Server: backend\r\n"
		"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
		"Content-Type: application/octet-stream\r\n"
		"%sContent-Length: %zu\r\n\r\n",
		is_last ? "Connection: close\r\n" : "", body_len);
	memset(answer->data + head_len, 'x', body_len);
	answer->body_len = body_len;
	answer->is_last = is_last;
	answer->len = (size_t)head_len + body_len;
	n_answers++;
	return answer;
}

/* "GET /16k HTTP/1.1..." to 16384. */
static size_t
parse_size(const char *head, size_t len)
{
	const char *slash = memchr(head, '/', len);
	size_t size = 0;

	if (slash == NULL)
		return 0;
	for (slash++; *slash >= '0' && *slash <= '9'; slash++) {
		size = size * 10 + (size_t)(*slash - '0');
		if (size > BODY_MAX)
			return BODY_MAX;
	}
	if (*slash == 'k')
		size *= 1024;
	else if (*slash == 'm')
		size *= 1024 * 1024;
	return size > BODY_MAX ? BODY_MAX : size;
}

static bool
says_close(char *head, size_t len)
{
	char saved = head[len];

	head[len] = '\0';
	bool is_close = strcasestr(head, "\r\nconnection: close") != NULL;
	head[len] = saved;
	return is_close;
}

static void
connection_free(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

static void
connection_wait(struct connection *connection, bool is_blocked)
{
	struct epoll_event event = {
		.events = is_blocked ? EPOLLOUT : EPOLLIN,
		.data.ptr = connection,
	};

	if (connection->is_blocked == is_blocked)
		return;
	connection->is_blocked = is_blocked;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) != 0)
		err(1, "epoll_ctl");
}

/* False: the connection is to be closed. */
static bool
connection_send(struct connection *connection)
{
	const struct answer *answer = connection->answer;

	while (connection->sent < answer->len) {
		ssize_t n =
			send(connection->fd, answer->data + connection->sent,
				answer->len - connection->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			connection_wait(connection, true);
			return true;
		}
		if (n < 0)
			return false;
		connection->sent += (size_t)n;
	}
	connection->answer = NULL;
	connection_wait(connection, false);
	return !answer->is_last;
}

/* Answers the whole heads in the buffer. False: close. */
static bool
connection_serve(struct connection *connection)
{
	size_t start = 0;

	while (connection->answer == NULL && start < connection->used) {
		char *head = connection->buf + start;
		size_t left = connection->used - start;
		char *end = memmem(head, left, "\r\n\r\n", 4);

		if (end == NULL)
			break;
		size_t len = (size_t)(end - head) + 4;
		connection->answer =
			answer_of(parse_size(head, len), says_close(head, len));
		connection->sent = 0;
		start += len;
		if (!connection_send(connection))
			return false;
	}
	connection->used -= start;
	if (start > 0)
		memmove(connection->buf, connection->buf + start,
			connection->used);
	return true;
}

static bool
connection_read(struct connection *connection)
{
	/* One byte stays free for says_close()'s NUL. */
	size_t room = sizeof(connection->buf) - 1 - connection->used;

	if (room == 0)
		return false;
	ssize_t n = recv(
		connection->fd, connection->buf + connection->used, room, 0);
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	connection->used += (size_t)n;
	return connection_serve(connection);
}

static void
connection_add(int fd, bool is_listener)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (connection == NULL)
		err(1, "calloc");
	connection->fd = fd;
	connection->is_listener = is_listener;

	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
}

static void
on_event(struct connection *connection)
{
	bool is_open;

	if (connection->is_listener) {
		int on = 1;
		int fd = accept4(connection->fd, NULL, NULL,
			SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		connection_add(fd, false);
		return;
	}
	if (!connection->is_blocked)
		is_open = connection_read(connection);
	else
		is_open = connection_send(connection) &&
			  connection_serve(connection);
	if (!is_open)
		connection_free(connection);
}

static int
listen_on(const char *port)
{
	static const char device[] = "lo";
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool is_all = strncmp(port, "lo:", 3) == 0;
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(is_all ? port + 3 : port)),
		.sin_addr.s_addr = htonl(is_all ? INADDR_ANY : INADDR_LOOPBACK),
	};

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Any address, but never one that others can reach. */
	if (is_all && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
			      sizeof(device)) != 0)
		err(1, "SO_BINDTODEVICE %s", device);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
		listen(fd, BACKLOG) != 0)
		err(1, "port %s", port);
	return fd;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[BATCH];
	struct rlimit limit;

	if (argc < 2)
		errx(2, "usage: backend PORT...");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		err(1, "epoll_create1");
	for (int i = 1; i < argc; i++)
		connection_add(listen_on(argv[i]), true);

	for (;;) {
		int n = epoll_wait(epoll_fd, events, BATCH, -1);

		if (n < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++)
			on_event(events[i].data.ptr);
	}
}
