#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "herd.h"

enum { CONNECTIONS_MAX = 4096, BATCH = 128 };

static int epoll_fd;
static struct sockaddr_in peer;
static herd_done_fn *on_done;
static struct herd_connection *idle; /* used in turn: taken from its front */
static struct herd_connection **idle_end = &idle;
static struct herd_connection *all[CONNECTIONS_MAX];
static unsigned n_made, n_open;

uint64_t
herd_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

static void
give_back(struct herd_connection *connection)
{
	connection->client = NULL;
	connection->next_idle = NULL;
	*idle_end = connection;
	idle_end = &connection->next_idle;
}

static struct herd_connection *
take_idle(void)
{
	struct herd_connection *connection = idle;

	if (connection == NULL)
		return NULL;
	idle = connection->next_idle;
	if (idle == NULL)
		idle_end = &idle;
	return connection;
}

static void
take_out(const struct herd_connection *connection)
{
	struct herd_connection **at = &idle;

	while (*at != NULL && *at != connection)
		at = &(*at)->next_idle;
	if (*at == NULL)
		return;
	*at = connection->next_idle;
	if (*at == NULL)
		idle_end = at;
}

static void
end_connection(struct herd_connection *connection)
{
	static const struct herd_answer broken = {.grpc = -1, .version = "-"};

	if (connection->client != NULL)
		on_done(connection, &broken);
	else
		take_out(connection);
	all[connection->number % CONNECTIONS_MAX] = NULL;
	n_open--;
	close(connection->fd);
	free(connection);
}

/* To a listener of this host: it is connected at once, or refused. */
static struct herd_connection *
open_connection(void)
{
	struct herd_connection *connection;
	struct epoll_event event = {.events = EPOLLIN};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	if (all[n_made % CONNECTIONS_MAX] != NULL ||
		connect(fd, (struct sockaddr *)&peer, sizeof(peer)) != 0) {
		close(fd);
		return NULL;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connection = calloc(1, sizeof(*connection));
	if (connection == NULL)
		err(1, "calloc");
	connection->fd = fd;
	connection->number = n_made++;
	n_open++;
	all[connection->number % CONNECTIONS_MAX] = connection;
	event.data.ptr = connection;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
	return connection;
}

bool
herd_wire_is_full(unsigned most)
{
	return idle == NULL && n_open >= most;
}

struct herd_connection *
herd_wire_send(const char *data, size_t len)
{
	struct herd_connection *connection;

	/* One that was closed while idle is no failed request: on to the next. */
	while ((connection = take_idle()) != NULL) {
		char byte;
		ssize_t n =
			recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN &&
			send(connection->fd, data, len, MSG_NOSIGNAL) ==
				(ssize_t)len)
			return connection;
		end_connection(connection);
	}
	connection = open_connection();
	if (connection == NULL)
		return NULL;
	if (send(connection->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len)
		return connection;
	end_connection(connection);
	return NULL;
}

static void
on_readable(struct herd_connection *connection)
{
	struct herd_answer answer;
	ssize_t n = recv(connection->fd, connection->buf + connection->used,
		sizeof(connection->buf) - connection->used, MSG_DONTWAIT);
	long len;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || connection->client == NULL) {
		end_connection(connection);
		return;
	}
	connection->used += (size_t)n;
	len = herd_answer_parse(connection->buf, connection->used, &answer,
		connection->client->jar);
	if (len == 0)
		return;
	if (len < 0) {
		end_connection(connection);
		return;
	}
	connection->used = 0;
	on_done(connection, &answer);
	if (answer.is_last) {
		connection->client = NULL;
		end_connection(connection);
	} else {
		give_back(connection);
	}
}

void
herd_wire_open(int port, unsigned n_connections, herd_done_fn *done)
{
	peer = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	on_done = done;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		err(1, "epoll_create1");
	for (unsigned i = 0; i < n_connections; i++) {
		struct herd_connection *connection = open_connection();

		if (connection == NULL)
			err(1, "port %d", port);
		give_back(connection);
	}
}

void
herd_wire_wait(uint64_t until_us)
{
	struct epoll_event events[BATCH];
	uint64_t now = herd_now_us();
	uint64_t left = until_us > now ? until_us - now : 0;
	struct timespec timeout = {
		.tv_sec = (time_t)(left / 1000000),
		.tv_nsec = (long)(left % 1000000) * 1000,
	};
	int n = epoll_pwait2(epoll_fd, events, BATCH, &timeout, NULL);

	for (int i = 0; i < n; i++)
		on_readable(events[i].data.ptr);
}

void
herd_wire_give_up(void)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		if (all[i] != NULL)
			end_connection(all[i]);
}
