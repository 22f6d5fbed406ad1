/*
 * rate: how long answers take while requests come at a fixed rate, whether
 * or not the answers keep up.
 *
 *	rate CONNECTIONS REQUESTS_PER_SECOND SECONDS HOST:PORT PATH [COOKIE]
 *
 * Request number i is due at start + i / rate. It is sent on a connection
 * that is free; if none is, it waits for one, and its latency counts from
 * when it was due all the same. A generator that sent the next request only
 * after the last answer would ask less just when the server stalls, and leave
 * out of its percentiles those whom the stall hurts ("coordinated omission").
 * What the generator itself is late by counts too; it is told apart as
 * "late", so that a figure that is the generator's own can be seen as such.
 *
 * Prints one line: rate=... answered=... errors=... p50_us=... p99_us=...
 * p999_us=... max_us=... late99_us=... What was due in the first WARM_NS is
 * sent but not counted. What is never answered counts as an error, and as an
 * answer that took until the end.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_SIZE = 8192, READ_SIZE = 256 * 1024, BATCH = 256 };
#define SECOND_NS ((uint64_t)1000000000)
#define WARM_NS (SECOND_NS / 2)
/* For what is still under way when the last request has been sent. */
#define GRACE_NS (5 * SECOND_NS)

struct connection {
	int fd;
	bool is_busy;
	uint64_t due_ns; /* of the request under way */
	uint64_t body_left; /* once the head is read */
	bool is_head_read;
	size_t head_len;
	char head[HEAD_SIZE + 1];
	struct connection *next_free;
};

/* Latencies as they come; sorted in the end, so percentiles are exact. */
struct samples {
	uint64_t *ns;
	size_t len;
};

static int epoll_fd;
static struct sockaddr_in server;
static char request[HEAD_SIZE];
static size_t request_len;
static char read_buf[READ_SIZE];
/* First in, first out: each connection has its turn. */
static struct connection *free_first, *free_last;
static struct samples latencies, lates;
static size_t samples_max;
static uint64_t n_answered, n_errors, counted_from_ns;

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void
sample_add(struct samples *samples, uint64_t due_ns, uint64_t at_ns)
{
	if (due_ns < counted_from_ns || samples->len == samples_max)
		return;
	samples->ns[samples->len++] = at_ns > due_ns ? at_ns - due_ns : 0;
}

static void
connection_release(struct connection *connection)
{
	connection->is_busy = false;
	connection->next_free = NULL;
	if (free_first == NULL)
		free_first = connection;
	else
		free_last->next_free = connection;
	free_last = connection;
}

/* Waits for the connection to stand: on loopback, where a SYN is answered
 * or refused at once. */
static void
connection_open(struct connection *connection)
{
	int on = 1;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
		connect(fd, (struct sockaddr *)&server, sizeof(server)) != 0)
		err(1, "connect");
	setsockopt(fd, SOL_TCP, TCP_NODELAY, &on, sizeof(on));
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
	connection->fd = fd;
	connection_release(connection);
}

/* Closed or answered wrongly: another takes its place. */
static void
connection_fail(struct connection *connection)
{
	if (connection->is_busy) {
		n_errors++;
		sample_add(&latencies, connection->due_ns, now_ns());
		close(connection->fd);
		connection_open(connection);
		return;
	}
	/* It is among the free ones already, and stays in its place. */
	struct connection *first = free_first, *last = free_last;
	struct connection *next = connection->next_free;

	close(connection->fd);
	free_first = free_last = NULL;
	connection_open(connection);
	connection->next_free = next;
	free_first = first;
	free_last = last;
}

static void
connection_send(struct connection *connection, uint64_t due_ns)
{
	connection->is_busy = true;
	connection->due_ns = due_ns;
	connection->is_head_read = false;
	connection->head_len = 0;
	sample_add(&lates, due_ns, now_ns());
	/* One request at a time: it finds the socket's buffer empty. */
	if (send(connection->fd, request, request_len, MSG_NOSIGNAL) !=
		(ssize_t)request_len)
		connection_fail(connection);
}

/* False: not an answer of 200 whose length is known. */
static bool
connection_parse_head(struct connection *connection)
{
	static const char name[] = "\r\ncontent-length:";

	connection->head[connection->head_len] = '\0';
	if (strncmp(connection->head, "HTTP/1.1 200", 12) != 0)
		return false;
	char *length = strcasestr(connection->head, name);
	if (length == NULL)
		return false;
	connection->body_left = strtoull(length + sizeof(name) - 1, NULL, 10);
	connection->is_head_read = true;
	return true;
}

/* Takes received bytes. False: they aren't the answer expected. */
static bool
connection_take(struct connection *connection, const char *data, size_t len)
{
	if (!connection->is_head_read) {
		size_t before = connection->head_len;
		size_t room = HEAD_SIZE - before;
		size_t n = len < room ? len : room;

		memcpy(connection->head + before, data, n);
		char *end = memmem(connection->head, before + n, "\r\n\r\n", 4);
		connection->head_len = before + n;
		if (end == NULL)
			return n == len;
		connection->head_len = (size_t)(end - connection->head) + 4;
		if (!connection_parse_head(connection))
			return false;
		len -= connection->head_len - before;
	}
	if (len > connection->body_left)
		return false;
	connection->body_left -= len;
	if (connection->body_left == 0) {
		n_answered += connection->due_ns >= counted_from_ns;
		sample_add(&latencies, connection->due_ns, now_ns());
		connection_release(connection);
	}
	return true;
}

static void
connection_read(struct connection *connection)
{
	ssize_t n = recv(connection->fd, read_buf, sizeof(read_buf), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !connection->is_busy ||
		!connection_take(connection, read_buf, (size_t)n))
		connection_fail(connection);
}

/* Sends what is due and finds a connection; says how many in all. */
static uint64_t
send_due(uint64_t n_sent, uint64_t n_total, uint64_t start_ns, uint64_t rate)
{
	while (n_sent < n_total && free_first != NULL) {
		uint64_t due_ns = start_ns + n_sent * SECOND_NS / rate;

		if (due_ns > now_ns())
			break;
		struct connection *connection = free_first;
		free_first = connection->next_free;
		connection_send(connection, due_ns);
		n_sent++;
	}
	return n_sent;
}

static void
wait_until(uint64_t until_ns)
{
	struct epoll_event events[BATCH];
	uint64_t now = now_ns();
	uint64_t left = until_ns > now ? until_ns - now : 0;
	struct timespec timeout = {
		.tv_sec = (time_t)(left / SECOND_NS),
		.tv_nsec = (long)(left % SECOND_NS),
	};
	int n = epoll_pwait2(epoll_fd, events, BATCH, &timeout, NULL);

	if (n < 0 && errno != EINTR)
		err(1, "epoll_pwait2");
	for (int i = 0; i < n; i++)
		connection_read(events[i].data.ptr);
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Of sorted samples, in microseconds. */
static double
percentile(const struct samples *samples, double part)
{
	if (samples->len == 0)
		return 0;
	size_t at = (size_t)(part * (double)samples->len);
	if (at >= samples->len)
		at = samples->len - 1;
	return (double)samples->ns[at] / 1000;
}

static void
report(uint64_t took_ns)
{
	qsort(latencies.ns, latencies.len, sizeof(uint64_t), compare);
	qsort(lates.ns, lates.len, sizeof(uint64_t), compare);
	printf("rate=%.1f answered=%llu errors=%llu p50_us=%.1f p99_us=%.1f "
	       "p999_us=%.1f max_us=%.1f late99_us=%.1f\n",
		(double)n_answered * 1e9 / (double)took_ns,
		(unsigned long long)n_answered, (unsigned long long)n_errors,
		percentile(&latencies, 0.50), percentile(&latencies, 0.99),
		percentile(&latencies, 0.999), percentile(&latencies, 1),
		percentile(&lates, 0.99));
}

static void
run(struct connection *connections, size_t n_connections, uint64_t rate,
	uint64_t seconds)
{
	uint64_t n_total = rate * seconds + rate * WARM_NS / SECOND_NS;
	uint64_t start_ns = now_ns(), n_sent = 0, now;
	uint64_t end_ns = start_ns + WARM_NS + seconds * SECOND_NS;
	bool is_busy = true;

	counted_from_ns = start_ns + WARM_NS;
	for (now = start_ns; is_busy && now < end_ns + GRACE_NS;
		now = now_ns()) {
		n_sent = send_due(n_sent, n_total, start_ns, rate);
		/* With none free, an answer is what is waited for. */
		uint64_t until_ns = end_ns + GRACE_NS;
		if (n_sent < n_total && free_first != NULL)
			until_ns = start_ns + n_sent * SECOND_NS / rate;
		is_busy = n_sent < n_total;
		for (size_t i = 0; !is_busy && i < n_connections; i++)
			is_busy = connections[i].is_busy;
		if (is_busy)
			wait_until(until_ns);
	}
	for (; n_sent < n_total; n_sent++, n_errors++)
		sample_add(
			&latencies, start_ns + n_sent * SECOND_NS / rate, now);
	for (size_t i = 0; i < n_connections; i++) {
		if (!connections[i].is_busy)
			continue;
		sample_add(&latencies, connections[i].due_ns, now);
		n_errors++;
	}
	report((now > end_ns ? now : end_ns) - counted_from_ns);
}

static void
parse_server(char *text)
{
	char *colon = strrchr(text, ':');

	if (colon == NULL)
		errx(2, "%s: HOST:PORT expected", text);
	*colon = '\0';
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, text, &server.sin_addr) != 1)
		errx(2, "%s: an IPv4 address expected", text);
}

int
main(int argc, char **argv)
{
	struct rlimit limit;

	if (argc != 6 && argc != 7)
		errx(2, "usage: rate CONNECTIONS REQUESTS_PER_SECOND SECONDS "
			"HOST:PORT PATH [COOKIE]");
	size_t n_connections = strtoul(argv[1], NULL, 10);
	uint64_t rate = strtoull(argv[2], NULL, 10);
	uint64_t seconds = strtoull(argv[3], NULL, 10);
	parse_server(argv[4]);
	if (n_connections == 0 || rate == 0 || seconds == 0 ||
		rate > 10000000 || seconds > 3600)
		errx(2, "a number is out of range");
	int n = snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", argv[5], argv[4],
		argc == 7 ? "Cookie: " : "", argc == 7 ? argv[6] : "",
		argc == 7 ? "\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof(request))
		errx(2, "the request is too long");
	request_len = (size_t)n;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	/* Else timers end up to 50 us late, to save power. */
	prctl(PR_SET_TIMERSLACK, 1UL);

	samples_max = (size_t)(rate * (seconds + 1));
	latencies.ns = calloc(samples_max, sizeof(uint64_t));
	lates.ns = calloc(samples_max, sizeof(uint64_t));
	struct connection *connections =
		calloc(n_connections, sizeof(*connections));
	if (latencies.ns == NULL || lates.ns == NULL || connections == NULL)
		err(1, "calloc");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		err(1, "epoll_create1");
	for (size_t i = 0; i < n_connections; i++)
		connection_open(&connections[i]);
	run(connections, n_connections, rate, seconds);
	return 0;
}
