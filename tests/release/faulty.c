/*
 * faulty: a version of a service that can be told to fail, for whole rollouts.
 *
 *	faulty NAME
 *
 * Prints its port on 127.0.0.1, then does what lines on its standard input say,
 * with a line in answer to each, and ends with it. RATE is the part of the
 * requests, 0 to 1; each fault has its own, and the first that is drawn in the
 * order below is the request's:
 *
 *	refuse RATE TEXT	500 where TEXT is anywhere in the head
 *	missing RATE	404 to what is below /assets/
 *	reset RATE	the connection is reset
 *	truncate RATE	the connection ends within the body
 *	hang RATE	no answer, ever
 *	fail RATE STATUS
 *	grpc RATE CODE	grpc-status in the trailers, of gRPC requests
 *	delay RATE MS	the answer comes so much later
 *	clear		none of these
 *	report		counts and times (monotonic ns) as JSON
 *
 * /status/NNN always gets that status, /healthz always 200, and neither counts
 * in the report. /assets/OTHER-... is there if OTHER is NAME: an asset of one
 * version, as bundlers name them. Everything else gets a small answer with
 * X-Version: NAME.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_SIZE = 16384, ANSWER_SIZE = 1024, BATCH = 128, BACKLOG = 4096 };

enum fault {
	REFUSE,
	MISSING,
	RESET,
	TRUNCATE,
	HANG,
	FAIL,
	GRPC,
	DELAY,
	N_FAULTS,
	NO_FAULT = N_FAULTS,
};

static const char *const names[N_FAULTS] = {"refuse", "missing", "reset",
	"truncate", "hang", "fail", "grpc", "delay"};

static struct {
	double rate;
	char word[64]; /* TEXT, STATUS, CODE or MS */
} faults[N_FAULTS];

static struct {
	uint64_t requests, faults;
	uint64_t first_ns, first_fault_ns, last_ns;
} seen;

struct connection {
	int fd;
	struct connection *next_delayed;
	uint64_t due_ns; /* of the answer; 0: none waits */
	bool is_last; /* it ends with the answer */
	bool is_hung;
	size_t used;
	size_t answer_len;
	char answer[ANSWER_SIZE];
	char buf[HEAD_SIZE + 1];
};

static const char *version;
static int epoll_fd, listener_fd;
static struct connection *delayed;
static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool
is_drawn(double rate)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (double)(random_state >> 11) / 9007199254740992.0 < rate;
}

/* --- connections ----------------------------------------------------------- */

static void
connection_free(struct connection *connection)
{
	struct connection **at = &delayed;

	while (*at != NULL && *at != connection)
		at = &(*at)->next_delayed;
	if (*at != NULL)
		*at = connection->next_delayed;
	close(connection->fd);
	free(connection);
}

static void
connection_reset(struct connection *connection)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(
		connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	connection_free(connection);
}

static void
accept_one(void)
{
	struct connection *connection;
	struct epoll_event event = {.events = EPOLLIN};
	int on = 1;
	int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connection = calloc(1, sizeof(*connection));
	if (connection == NULL)
		err(1, "calloc");
	connection->fd = fd;
	event.data.ptr = connection;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
}

/* --- answers --------------------------------------------------------------- */

static void
answer_plain(struct connection *connection, int status, const char *type)
{
	connection->answer_len = (size_t)snprintf(connection->answer,
		ANSWER_SIZE,
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nX-Version: %s\r\n"
		"Cache-Control: no-cache\r\nContent-Length: 64\r\n\r\n%-63s\n",
		status, status < 400 ? "OK" : "Bad", type, version, version);
}

static void
answer_grpc(struct connection *connection, const char *code)
{
	connection->answer_len =
		(size_t)snprintf(connection->answer, ANSWER_SIZE,
			"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
			"X-Version: %s\r\nTransfer-Encoding: chunked\r\n"
			"Trailer: grpc-status\r\n\r\n"
			"5\r\nhello\r\n0\r\ngrpc-status: %s\r\n\r\n",
			version, code);
}

/* Answers are far smaller than a socket's buffer. False: it is gone. */
static bool
send_answer(struct connection *connection)
{
	ssize_t n = send(connection->fd, connection->answer,
		connection->answer_len, MSG_NOSIGNAL);

	connection->answer_len = 0;
	if (n >= 0 && !connection->is_last)
		return true;
	connection_free(connection);
	return false;
}

static void
send_later(struct connection *connection)
{
	connection->due_ns =
		now_ns() + (uint64_t)(atof(faults[DELAY].word) * 1e6);
	connection->next_delayed = delayed;
	delayed = connection;
}

/* --- requests -------------------------------------------------------------- */

static enum fault
draw_fault(const char *head, const char *path, bool is_grpc)
{
	for (enum fault i = 0; i < N_FAULTS; i++) {
		if (faults[i].rate <= 0)
			continue;
		if (i == REFUSE && strstr(head, faults[i].word) == NULL)
			continue;
		if (i == MISSING && strncmp(path, "/assets/", 8) != 0)
			continue;
		if (i == GRPC && !is_grpc)
			continue;
		if (is_drawn(faults[i].rate))
			return i;
	}
	return NO_FAULT;
}

static void
note(enum fault fault)
{
	seen.last_ns = now_ns();
	if (seen.requests++ == 0)
		seen.first_ns = seen.last_ns;
	if (fault != NO_FAULT && seen.faults++ == 0)
		seen.first_fault_ns = seen.last_ns;
}

/* Where nothing fails. */
static void
answer_well(struct connection *connection, const char *path, bool is_grpc)
{
	static const char assets[] = "/assets/";
	const char *name = path + sizeof(assets) - 1;
	const char *end;

	if (is_grpc) {
		answer_grpc(connection, "0");
	} else if (strncmp(path, assets, sizeof(assets) - 1) != 0) {
		answer_plain(connection, 200, "text/html");
	} else {
		end = name + strcspn(name, "- ");
		if (*end == '-' &&
			((size_t)(end - name) != strlen(version) ||
				strncmp(name, version, strlen(version)) != 0))
			answer_plain(connection, 404, "text/plain");
		else
			answer_plain(connection, 200, "text/javascript");
	}
}

/* False: the connection is gone. */
static bool
carry_out(struct connection *connection, enum fault fault)
{
	switch (fault) {
	case RESET:
		connection_reset(connection);
		return false;
	case HANG:
		connection->is_hung = true;
		return true;
	case REFUSE:
		answer_plain(connection, 500, "text/plain");
		break;
	case MISSING:
		answer_plain(connection, 404, "text/plain");
		break;
	case FAIL:
		answer_plain(connection, atoi(faults[FAIL].word), "text/plain");
		break;
	case TRUNCATE:
		connection->answer_len -= 9;
		connection->is_last = true;
		break;
	case GRPC:
		answer_grpc(connection, faults[GRPC].word);
		break;
	case DELAY:
		send_later(connection);
		return true;
	default:
		break;
	}
	return send_answer(connection);
}

static bool
serve_one(struct connection *connection, const char *head)
{
	const char *path = strchr(head, ' ');
	bool is_grpc = strcasestr(head, "content-type: application/grpc");
	enum fault fault;

	path = path != NULL ? path + 1 : "/";
	connection->is_last = strcasestr(head, "\r\nconnection: close") != NULL;
	if (strncmp(path, "/healthz", 8) == 0 ||
		strncmp(path, "/status/", 8) == 0) {
		answer_plain(connection, path[1] == 's' ? atoi(path + 8) : 200,
			"text/plain");
		return send_answer(connection);
	}
	fault = draw_fault(head, path, is_grpc);
	note(fault);
	answer_well(connection, path, is_grpc);
	return carry_out(connection, fault);
}

/* Of the request at the buffer's start, with its body; 0 if it isn't whole. */
static size_t
request_len(const struct connection *connection)
{
	const char *end = strstr(connection->buf, "\r\n\r\n");
	const char *field;
	size_t len;

	if (end == NULL)
		return 0;
	len = (size_t)(end - connection->buf) + 4;
	field = strcasestr(connection->buf, "\r\ncontent-length:");
	if (field != NULL && field < end)
		len += strtoul(field + 17, NULL, 10);
	return len <= connection->used ? len : 0;
}

/* Whole requests in the buffer, one after the other's answer. */
static void
serve(struct connection *connection)
{
	char head[HEAD_SIZE + 1];
	size_t len;

	while (!connection->is_hung && connection->due_ns == 0 &&
		(len = request_len(connection)) > 0) {
		memcpy(head, connection->buf, len);
		head[len] = '\0';
		connection->used -= len;
		memmove(connection->buf, connection->buf + len,
			connection->used + 1);
		if (!serve_one(connection, head))
			return;
	}
}

static void
on_readable(struct connection *connection)
{
	ssize_t n = recv(connection->fd, connection->buf + connection->used,
		HEAD_SIZE - connection->used, 0);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			connection_free(connection);
		return;
	}
	connection->used += (size_t)n;
	connection->buf[connection->used] = '\0';
	serve(connection);
}

/* --- time ------------------------------------------------------------------ */

/* Milliseconds until the next answer is due; -1: none is. */
static int
send_due(void)
{
	struct connection *connection, **at = &delayed;
	uint64_t now = now_ns(), next = UINT64_MAX;

	while ((connection = *at) != NULL) {
		if (connection->due_ns > now) {
			if (connection->due_ns < next)
				next = connection->due_ns;
			at = &connection->next_delayed;
			continue;
		}
		*at = connection->next_delayed;
		connection->due_ns = 0;
		if (send_answer(connection))
			serve(connection);
	}
	return next == UINT64_MAX ? -1 : (int)((next - now) / 1000000) + 1;
}

/* --- orders ---------------------------------------------------------------- */

static void
obey(char *line)
{
	char word[16] = "", rest[64] = "";
	double rate = 0;

	sscanf(line, "%15s %lf %63[^\n]", word, &rate, rest);
	if (strcmp(word, "report") == 0) {
		printf("{\"requests\": %" PRIu64 ", \"faults\": %" PRIu64
		       ", \"first_ns\": %" PRIu64
		       ", \"first_fault_ns\": %" PRIu64
		       ", \"last_ns\": %" PRIu64 "}\n",
			seen.requests, seen.faults, seen.first_ns,
			seen.first_fault_ns, seen.last_ns);
		return;
	}
	if (strcmp(word, "clear") == 0)
		memset(faults, 0, sizeof(faults));
	for (enum fault i = 0; i < N_FAULTS; i++)
		if (strcmp(word, names[i]) == 0) {
			faults[i].rate = rate;
			snprintf(faults[i].word, sizeof(faults[i].word), "%s",
				rest);
		}
	puts("ok");
}

static void
read_orders(void)
{
	static char buf[4096];
	static size_t used;
	ssize_t n = read(STDIN_FILENO, buf + used, sizeof(buf) - 1 - used);
	char *end;

	if (n <= 0)
		exit(0);
	used += (size_t)n;
	buf[used] = '\0';
	while ((end = strchr(buf, '\n')) != NULL) {
		*end = '\0';
		obey(buf);
		used -= (size_t)(end + 1 - buf);
		memmove(buf, end + 1, used + 1);
	}
	fflush(stdout);
}

static void
listen_anywhere(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	listener_fd =
		socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener_fd < 0 ||
		bind(listener_fd, (struct sockaddr *)&addr, len) != 0 ||
		listen(listener_fd, BACKLOG) != 0 ||
		getsockname(listener_fd, (struct sockaddr *)&addr, &len) != 0)
		err(1, "listen");
	printf("%u\n", ntohs(addr.sin_port));
	fflush(stdout);
}

static void
watch_fd(int fd, void *key)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = key};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
}

static void
run(void)
{
	static char orders, listener; /* keys of epoll's */
	struct epoll_event events[BATCH];

	watch_fd(listener_fd, &listener);
	watch_fd(STDIN_FILENO, &orders);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, BATCH, send_due());
		bool is_asked = false;

		if (n < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &orders)
				is_asked = true;
			else if (events[i].data.ptr == &listener)
				accept_one();
			else
				on_readable(events[i].data.ptr);
		}
		/* All that had come before counts in a report. */
		if (is_asked && n == 1)
			read_orders();
	}
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: faulty NAME");
	version = argv[1];
	random_state ^= now_ns();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listen_anywhere();
	run();
}
