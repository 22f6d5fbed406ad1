#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "soak.h"
#include "wire.h"

/* Whether the connection can carry another request. */
enum outcome { KEEP, CLOSE, RESET };

static enum outcome
leave(const struct plan *plan)
{
	return plan->is_reset ? RESET : CLOSE;
}

/* --- answers ------------------------------------------------------------------ */

static size_t
write_head(const struct plan *plan, char *to, size_t size)
{
	int len = snprintf(to, size,
		"HTTP/1.1 %u Soak\r\n"
		"Content-Type: %s\r\n"
		"X-Soak: %llu\r\n",
		plan->status, plan->is_navigation ? "text/html" : "text/plain",
		(unsigned long long)plan->n);
	size_t used = (size_t)len;

	if (plan->pad > 0)
		used += (size_t)snprintf(to + used, size - used,
			"X-Pad: %0*u\r\n", (int)plan->pad, 7);
	if (plan->response == FRAMING_LENGTH)
		used += (size_t)snprintf(to + used, size - used,
			"Content-Length: %zu\r\n", plan->response_len);
	else if (plan->response == FRAMING_CHUNKED)
		used += (size_t)snprintf(to + used, size - used,
			"Transfer-Encoding: chunked\r\n");
	if (plan->backend_closes)
		used += (size_t)snprintf(
			to + used, size - used, "Connection: close\r\n");
	else if (plan->cut % 16 == 0)
		used += (size_t)snprintf(to + used, size - used,
			"Keep-Alive: timeout=%u\r\n", plan->cut % 5);
	return used + (size_t)snprintf(to + used, size - used, "\r\n");
}

static enum outcome
answer(struct wire *wire, const struct plan *plan)
{
	char head[8192];
	size_t len = write_head(plan, head, sizeof(head));

	if (!wire_send(wire, head, len))
		return CLOSE;
	if (plan_is_bodiless(plan))
		return plan->backend_closes ? CLOSE : KEEP;
	if (!wire_send_body(wire, plan, CONTENT_DOWN, plan->response_len))
		return CLOSE;
	if (plan->response == FRAMING_CHUNKED && !wire_send_end(wire, plan))
		return CLOSE;
	if (plan->backend_closes || plan->response == FRAMING_CLOSE)
		return CLOSE;
	return KEEP;
}

static enum outcome
cut_head(struct wire *wire, const struct plan *plan)
{
	char head[8192];
	size_t len = write_head(plan, head, sizeof(head));

	wire_send(wire, head, len * plan->cut >> 16);
	return leave(plan);
}

static enum outcome
cut_body(struct wire *wire, const struct plan *plan)
{
	size_t part = plan->response_len * plan->cut >> 16;
	char head[8192];
	size_t len;

	if (plan_is_bodiless(plan) ||
		(plan->response_len == 0 && plan->response != FRAMING_CHUNKED))
		return answer(wire, plan);
	len = write_head(plan, head, sizeof(head));
	if (wire_send(wire, head, len))
		wire_send_body(wire, plan, CONTENT_DOWN, part);
	/* Else the cut would be the end. */
	if (plan->response == FRAMING_CLOSE)
		return RESET;
	return leave(plan);
}

static enum outcome
send_garbage(struct wire *wire, const struct plan *plan)
{
	static const char *const garbage[] = {
		"SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
		"Transfer-Encoding: chunked\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
		"Content-Length: 6\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 2OO OK\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"HTTP/1.1 200 OK\r\n folded: yes\r\n\r\n",
		"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n"
		"Connection: Upgrade\r\n\r\n",
		"\r\n\r\n\r\n",
	};
	const char *text =
		garbage[plan->cut % (sizeof(garbage) / sizeof(garbage[0]))];

	wire_send(wire, text, strlen(text));
	return leave(plan);
}

/*
 * Perch closes a connection on which something comes that it didn't ask for;
 * but a request may have been given to it just before, and takes that for the
 * begin of its answer. Such a request is told of: so this end leaves last.
 */
static enum outcome
answer_with_extra(struct wire *wire, const struct plan *plan)
{
	static const char extra[] = "and a word more\r\n";
	struct head next;

	if (answer(wire, plan) != KEEP)
		return leave(plan);
	wire_send(wire, extra, sizeof(extra) - 1);
	wire_half_close(wire);
	if (wire_read_request(wire, &next) == WIRE_WHOLE && next.has_number)
		soak_excuse(next.number);
	return CLOSE;
}

static enum outcome
misbehave(struct wire *wire, const struct plan *plan, enum backend_fault fault)
{
	switch (fault) {
	case BACKEND_LEAVE:
		return leave(plan);
	case BACKEND_CUT_HEAD:
		return cut_head(wire, plan);
	case BACKEND_CUT_BODY:
		return cut_body(wire, plan);
	case BACKEND_GARBAGE:
		return send_garbage(wire, plan);
	case BACKEND_EXTRA:
		return answer_with_extra(wire, plan);
	case BACKEND_QUIET_CLOSE:
		(void)answer(wire, plan);
		return CLOSE;
	case BACKEND_LATE:
		sleep(4);
		break;
	case BACKEND_ANSWER_EARLY:
	case BACKEND_GOOD:
		break;
	}
	return answer(wire, plan);
}

/* --- requests ----------------------------------------------------------------- */

static bool
read_body(struct wire *wire, const struct head *head, const struct plan *plan)
{
	enum wire_result result;
	size_t len;

	result =
		wire_read_body(wire, head, plan->n, CONTENT_UP, SIZE_MAX, &len);
	if (result == WIRE_WRONG)
		soak_fail(plan, "the backend got other bytes");
	if (result == WIRE_FORM)
		soak_fail(plan, "the backend got malformed chunks");
	if (result != WIRE_WHOLE)
		return false;
	if (len != plan->request_len)
		soak_fail(plan, "the backend took %zu bytes for whole", len);
	/* Who has had the answer may send the next one. */
	if (wire->end > wire->start && plan->backend != BACKEND_ANSWER_EARLY)
		soak_fail(plan, "the backend got bytes behind a request");
	return true;
}

/* Early: not having waited for the request. */
static enum outcome
answer_early(
	struct wire *wire, const struct head *head, const struct plan *plan)
{
	enum outcome outcome = answer(wire, plan);

	if (outcome != KEEP || plan->is_reset)
		return leave(plan);
	return read_body(wire, head, plan) ? KEEP : CLOSE;
}

static enum outcome
serve_tunnel(struct wire *wire, const struct plan *plan)
{
	struct plan raw = *plan;
	enum wire_result result;
	char head[256];
	size_t len;

	raw.response = FRAMING_NONE;
	len = (size_t)snprintf(head, sizeof(head),
		"HTTP/1.1 101 Switching Protocols\r\n"
		"Upgrade: websocket\r\nConnection: Upgrade\r\n"
		"X-Soak: %llu\r\n\r\n",
		(unsigned long long)plan->n);
	if (!wire_send(wire, head, len) ||
		!wire_send_body(wire, &raw, CONTENT_DOWN, plan->response_len))
		return CLOSE;
	if (plan->tunnel_end == TUNNEL_BACKEND)
		wire_half_close(wire);
	result = wire_read_raw(wire, plan->n, CONTENT_UP, SIZE_MAX, &len);
	if (result == WIRE_WRONG)
		soak_fail(plan, "the backend got other bytes in a tunnel");
	if (result == WIRE_WHOLE && len != plan->request_len &&
		plan->tunnel_end != TUNNEL_RESET)
		soak_fail(plan, "the backend got %zu bytes of a tunnel", len);
	return CLOSE;
}

static bool
is_acceptable(const struct head *head, const struct plan *plan)
{
	/* Where only the body is malformed, the head may have gone out. */
	if (plan->client == CLIENT_MALFORMED && !head->is_chunked) {
		soak_fail(plan, "a malformed request was forwarded");
		return false;
	}
	if (plan->client != CLIENT_MALFORMED &&
		strcmp(head->method, plan->method) != 0) {
		soak_fail(plan, "the method became %s", head->method);
		return false;
	}
	return true;
}

/* May another version be asked, for rescue or by the shield? */
static bool
may_be_helped(const struct plan *plan)
{
	static const char *const shielded[] = {
		"GET", "HEAD", "OPTIONS", "TRACE"};

	for (size_t i = 0; i < sizeof(shielded) / sizeof(shielded[0]); i++)
		if (strcmp(plan->method, shielded[i]) == 0)
			return true;
	return false;
}

/* The first answer counts; but a retry may go better than the first try. */
static enum backend_fault
fault_now(const struct plan *plan)
{
	unsigned before = soak_seen_before(plan->n);

	if (before == 0)
		return plan->backend;
	soak_count(SOAK_RETRIED);
	if (!plan_is_idempotent(plan))
		soak_fail(plan, "%s was asked twice", plan->method);
	/* A retry of its own for each of two versions. */
	if (before > (may_be_helped(plan) ? 3 : 1))
		soak_fail(plan, "asked %u times", before + 1);
	return plan->is_fault_once ? BACKEND_GOOD : plan->backend;
}

static enum outcome
serve_plan(struct wire *wire, const struct head *head, const struct plan *plan)
{
	static const char hints[] = "HTTP/1.1 103 Early Hints\r\n"
				    "Link: </a.css>; rel=preload\r\n\r\n";
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	enum backend_fault fault = fault_now(plan);
	struct plan found = *plan;

	/* Perhaps the other version has it. */
	if (plan->status == 404 && plan->cut % 2 == 0 &&
		soak_was_seen(plan->n) > 1)
		found.status = 200;
	wire->reads_slow = plan->slow_backend_read;
	wire->sends_slow = plan->slow_backend_write;
	if (plan->client == CLIENT_UPGRADE)
		return fault == BACKEND_GOOD ? serve_tunnel(wire, plan)
					     : leave(plan);
	if (fault == BACKEND_LEAVE && plan->cut % 2 == 0)
		return leave(plan);
	if (fault == BACKEND_ANSWER_EARLY)
		return answer_early(wire, head, &found);
	if (plan->expects_continue &&
		!wire_send(wire, go_on, sizeof(go_on) - 1))
		return CLOSE;
	if (!read_body(wire, head, plan))
		return CLOSE;
	if (plan->delay_us > 0)
		usleep(plan->delay_us);
	if (plan->sends_hints && !wire_send(wire, hints, sizeof(hints) - 1))
		return CLOSE;
	return misbehave(wire, &found, fault);
}

static enum outcome
serve_request(struct wire *wire)
{
	enum wire_result result;
	enum outcome outcome;
	struct head head;
	struct plan plan;

	result = wire_read_request(wire, &head);
	if (result == WIRE_FORM)
		soak_fail(
			NULL, "the backend got a bad request: %s", head.wrong);
	if (result != WIRE_WHOLE)
		return CLOSE;
	if (!head.has_number) {
		soak_fail(NULL, "the backend got a request of nobody's");
		return CLOSE;
	}
	plan = plan_make(soak_options.seed, head.number);
	if (!is_acceptable(&head, &plan))
		return CLOSE;
	outcome = serve_plan(wire, &head, &plan);
	return outcome == KEEP && head.closes ? CLOSE : outcome;
}

static void *
serve(void *arg)
{
	enum outcome outcome = KEEP;
	struct wire wire;
	int fd = (int)(intptr_t)arg;

	wire_open(&wire, fd, (uint64_t)fd);
	while (outcome == KEEP) {
		wire.reads_slow = false;
		wire.sends_slow = false;
		if (wire.start == wire.end && !wire_fill(&wire))
			break;
		outcome = serve_request(&wire);
	}
	if (outcome == RESET)
		wire_reset(&wire);
	else
		wire_close(&wire);
	return NULL;
}

/* --- listening ---------------------------------------------------------------- */

static int
listen_on(unsigned port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(fd, 1024) != 0)
		err(2, "port %u", port);
	return fd;
}

static void
start_serving(int fd)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 * 1024);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd) !=
		0)
		err(2, "a thread");
	pthread_attr_destroy(&attributes);
}

void *
backend_run(void *arg)
{
	unsigned index = (unsigned)(uintptr_t)arg;
	unsigned port = soak_options.backend_port + index;
	struct timeval patience = {.tv_usec = 50000};
	uint64_t random = soak_options.seed + index;
	int listener = listen_on(port);
	int fd;

	if (index == SOAK_FLAPPING)
		setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience,
			sizeof(patience));
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd >= 0)
			start_serving(fd);
		if (index != SOAK_FLAPPING || random_below(&random, 30) > 0)
			continue;
		close(listener);
		usleep(random_below(&random, 200000));
		listener = listen_on(port);
		setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience,
			sizeof(patience));
	}
	return NULL;
}
