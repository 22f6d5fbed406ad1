#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "soak.h"
#include "wire.h"

/* One client: its connection, if there is one, and its cookie. */
struct client {
	struct wire wire;
	bool is_open;
	uint64_t random;
	char cookie[256];
	struct head head; /* of an answer that came before the body was sent */
	bool has_head;
};

/* --- connections -------------------------------------------------------------- */

static bool
open_connection(struct client *client, bool is_slow)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)soak_options.perch_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int small = 4096;
	int on = 1;
	int fd;

	if (client->is_open)
		return true;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (is_slow)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		soak_fail(NULL, "perch refuses connections");
		close(fd);
		return false;
	}
	wire_open(&client->wire, fd, random_next(&client->random));
	client->is_open = true;
	client->has_head = false;
	return true;
}

static void
close_connection(struct client *client)
{
	if (client->is_open)
		wire_close(&client->wire);
	client->is_open = false;
}

static void
leave(struct client *client, const struct plan *plan)
{
	/* Perch may be anywhere with it by then. */
	if (plan->cut % 3 > 0)
		usleep(random_below(&client->random, 4000));
	if (plan->is_reset)
		wire_reset(&client->wire);
	else
		wire_close(&client->wire);
	client->is_open = false;
	soak_count(SOAK_ABANDONED);
}

/* --- requests ----------------------------------------------------------------- */

static const char *
host_name(const struct plan *plan)
{
	static const char *const names[] = {
		"plain.test", "small.test", "flap.test", "nobody.test"};

	return names[plan->host];
}

static size_t
write_head(const struct client *client, const struct plan *plan, char *to,
	size_t size)
{
	/* What is missing is asked for again and again. */
	unsigned long long name = plan->status == 404 ? plan->n % 40 : plan->n;
	size_t used = (size_t)snprintf(to, size,
		"%s /soak/%llu?cut=%u HTTP/1.%u\r\n"
		"Host: %s\r\nX-Soak: %llu\r\n",
		plan->method, name, plan->cut, plan->is_http10 ? 0 : 1,
		host_name(plan), (unsigned long long)plan->n);

#define ADD(...) used += (size_t)snprintf(to + used, size - used, __VA_ARGS__)
	if (plan->is_navigation)
		ADD("Accept: text/html,*/*;q=0.8\r\n");
	if (client->cookie[0] != '\0' && plan->cut % 2 == 0)
		ADD("Cookie: a=b; %s; c=d\r\n", client->cookie);
	if (plan->pad > 0)
		ADD("X-Pad: %0*u\r\n", (int)plan->pad, 7);
	if (plan->request == FRAMING_LENGTH)
		ADD("Content-Length: %zu\r\n", plan->request_len);
	else if (plan->request == FRAMING_CHUNKED)
		ADD("Transfer-Encoding: chunked\r\n");
	if (plan->expects_continue)
		ADD("Expect: 100-continue\r\n");
	if (plan->client == CLIENT_UPGRADE)
		ADD("Connection: Upgrade\r\nUpgrade: websocket\r\n");
	else if (plan->client_closes)
		ADD("Connection: close\r\n");
	else if (plan->is_http10 && plan->cut % 2 == 0)
		ADD("Connection: keep-alive\r\n");
	ADD("\r\n");
#undef ADD
	return used;
}

/* False if there was a final answer instead. */
static bool
await_continue(struct client *client, const struct plan *plan)
{
	if (!plan->expects_continue)
		return true;
	do {
		if (wire_read_response(&client->wire, &client->head) !=
			WIRE_WHOLE)
			return true; /* whoever reads next will see */
	} while (client->head.status > 100 && client->head.status < 200);
	client->has_head = client->head.status != 100;
	return !client->has_head;
}

/* Sends it all. What can't be sent is no failure: an answer may be there. */
static void
send_request(struct client *client, const struct plan *plan)
{
	struct wire *wire = &client->wire;
	char head[8192];
	size_t len = write_head(client, plan, head, sizeof(head));

	if (!wire_send(wire, head, len) || plan->request == FRAMING_NONE)
		return;
	if (!await_continue(client, plan))
		return;
	if (!wire_send_body(wire, plan, CONTENT_UP, plan->request_len))
		return;
	if (plan->request == FRAMING_CHUNKED)
		(void)wire_send_end(wire, plan);
}

static void
cut_head(struct client *client, const struct plan *plan)
{
	char head[8192];
	size_t len = write_head(client, plan, head, sizeof(head));

	wire_send(&client->wire, head, len * plan->cut >> 16);
	leave(client, plan);
}

static void
cut_body(struct client *client, const struct plan *plan)
{
	char head[8192];
	size_t len = write_head(client, plan, head, sizeof(head));

	if (wire_send(&client->wire, head, len))
		wire_send_body(&client->wire, plan, CONTENT_UP,
			plan->request_len * plan->cut >> 16);
	leave(client, plan);
}

/* --- answers ------------------------------------------------------------------ */

/* Is there a reason for an error page of perch's own? */
static bool
may_fail(const struct plan *plan, unsigned status)
{
	if (plan->backend != BACKEND_GOOD || plan->host == HOST_FLAP)
		return true;
	if (plan->host == HOST_SMALL && (status == 503 || status == 404))
		return true;
	if (plan->host == HOST_NOBODY)
		return status == 404;
	/* It might have been a connection that the backend just closed; and
	 * what can't be sent again, or is no longer at hand, is not. */
	return status == 502 &&
	       (!plan_is_idempotent(plan) || plan->request != FRAMING_NONE);
}

static bool
may_be_cut(const struct plan *plan)
{
	switch (plan->backend) {
	case BACKEND_CUT_BODY:
	case BACKEND_GARBAGE:
	case BACKEND_ANSWER_EARLY:
	case BACKEND_EXTRA:
	case BACKEND_LATE:
		return true;
	default:
		return false;
	}
}

static void
judge_error_page(const struct plan *plan, unsigned status)
{
	if (may_fail(plan, status)) {
		soak_count(SOAK_ERROR_PAGES);
		return;
	}
	soak_wonder(plan, status);
}

static bool
judge_own_answer(const struct plan *plan, const struct head *head)
{
	/* Some garbage has a good head: enough to answer a HEAD. */
	bool is_page = head->status >= 400 ||
		       (plan->backend == BACKEND_GARBAGE &&
			       strcmp(plan->method, "HEAD") == 0);

	if (!is_page)
		soak_fail(plan, "perch itself answered %u", head->status);
	judge_error_page(plan, head->status);
	return !head->closes;
}

/* True if the connection is still good. */
static bool
judge_whole(const struct plan *plan, const struct head *head, size_t len)
{
	size_t expected = plan_is_bodiless(plan) ? 0 : plan->response_len;

	if (plan->host == HOST_NOBODY)
		soak_fail(plan, "nobody answered");
	if (head->status != plan->status &&
		!(head->status == 200 && plan->status == 404))
		soak_fail(
			plan, "status %u, not %u", head->status, plan->status);
	if (len != expected)
		soak_fail(plan, "%zu bytes seem whole, not %zu", len, expected);
	soak_count(SOAK_ANSWERED);
	return !head->closes && !plan->is_http10;
}

static bool
judge_cut(struct client *client, const struct plan *plan, size_t len,
	const char *where)
{
	soak_count(SOAK_CUT);
	if (client->wire.has_hung)
		soak_fail(plan, "nothing comes, %zu bytes into the %s", len,
			where);
	else if (!may_be_cut(plan))
		soak_fail(plan, "cut %zu bytes into the %s (%s)", len, where,
			client->wire.was_reset ? "reset" : "closed");
	return false;
}

static bool
read_head(struct client *client, const struct plan *plan)
{
	struct head *head = &client->head;
	enum wire_result result;

	if (client->has_head) {
		client->has_head = false;
		return true;
	}
	do {
		result = wire_read_response(&client->wire, head);
		if (result == WIRE_FORM) {
			soak_fail(plan, "bad answer: %s", head->wrong);
			return false;
		}
		if (result != WIRE_WHOLE)
			return judge_cut(client, plan, 0, "head");
	} while (head->status < 200 && head->status != 101);
	if (head->cookie[0] != '\0')
		memcpy(client->cookie, head->cookie, sizeof(client->cookie));
	return true;
}

/* True if the connection is still good. */
static bool
read_answer(struct client *client, const struct plan *plan, size_t enough)
{
	const struct head *head = &client->head;
	enum wire_result result = WIRE_WHOLE;
	size_t len = 0;

	if (!read_head(client, plan))
		return false;
	if (head->has_number && head->number != plan->n) {
		soak_fail(plan, "the answer is that of %llu",
			(unsigned long long)head->number);
		return false;
	}
	if (!head->has_number && strcmp(plan->method, "HEAD") != 0)
		result = wire_skip_body(&client->wire, head);
	else if (head->has_number && !plan_is_bodiless(plan))
		result = wire_read_body(&client->wire, head, plan->n,
			CONTENT_DOWN, enough, &len);
	switch (result) {
	case WIRE_WHOLE:
		return head->has_number ? judge_whole(plan, head, len)
					: judge_own_answer(plan, head);
	case WIRE_CUT:
		return judge_cut(client, plan, len, "body");
	case WIRE_FORM:
		soak_fail(plan, "malformed chunks");
		return false;
	case WIRE_WRONG:
		soak_fail(plan, "other bytes, after %zu", len);
		return false;
	case WIRE_ENOUGH:
		break;
	}
	return false;
}

/* --- what isn't a request ----------------------------------------------------- */

static size_t
write_malformed(const struct plan *plan, char *to, size_t size)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\nX-Soak: %llu\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: plain.test\r\nX-Soak: %llu\r\n"
		"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
		"0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: plain.test\r\nX-Soak: %llu\r\n"
		"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
		"GET / HTTP/1.1\nHost: plain.test\nX-Soak: %llu\n\n",
		"GET / HTTP/1.1\r\nHost: plain.test\r\nX-Soak : %llu\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: plain.test\r\nX-Soak: %llu\r\n"
		" folded\r\n\r\n",
		"GET / HTTP/2.5\r\nHost: plain.test\r\nX-Soak: %llu\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: plain.test\r\nX-Soak: %llu\r\n"
		"Transfer-Encoding: gzip\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: plain.test\r\nX-Soak: "
		"\x01%llu\r\n\r\n",
		"GET /#x HTTP/1.1\r\nHost: plain.test\r\nX-Soak: %llu\r\n\r\n",
		"GET /\r\nX-Soak: %llu\r\n\r\n",
		"\x16\x03\x01\x02 %llu\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: plain.test\r\nX-Soak: %llu\r\n"
		"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
	};
	static const char long_head[] = "GET /%0*u HTTP/1.1\r\nHost: "
					"plain.test\r\nX-Soak: %llu\r\n\r\n";
	unsigned n = sizeof(texts) / sizeof(texts[0]);
	unsigned which = plan->malformed % (n + 1);
	unsigned long long number = plan->n;

	if (which == n)
		return (size_t)snprintf(to, size, long_head, 70000, 0, number);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	return (size_t)snprintf(to, size, texts[which], number);
#pragma GCC diagnostic pop
}

static void
send_malformed(struct client *client, const struct plan *plan)
{
	static __thread char text[80000];
	size_t len = write_malformed(plan, text, sizeof(text));
	struct head head;

	wire_send(&client->wire, text, len);
	if (wire_read_response(&client->wire, &head) != WIRE_WHOLE)
		soak_fail(plan, "malformed %u: no answer", plan->malformed);
	else if (head.status < 400 || head.has_number || !head.closes)
		soak_fail(plan, "malformed %u: answered %u", plan->malformed,
			head.status);
	else if (wire_skip_body(&client->wire, &head) != WIRE_WHOLE)
		soak_fail(plan, "malformed %u: page cut", plan->malformed);
	else if (wire_fill(&client->wire) || client->wire.has_hung)
		soak_fail(plan, "malformed %u: not closed", plan->malformed);
	else
		soak_count(SOAK_REFUSED);
	close_connection(client);
}

static void
use_tunnel(struct client *client, const struct plan *plan)
{
	struct wire *wire = &client->wire;
	size_t enough = SIZE_MAX;
	size_t up = plan->request_len;
	enum wire_result result;
	size_t len;

	if (plan->tunnel_end == TUNNEL_RESET) {
		up = up * plan->cut >> 16;
		enough = plan->response_len * plan->cut >> 16;
	}
	if (plan->tunnel_end != TUNNEL_BACKEND)
		wire_send_body(wire, plan, CONTENT_UP, up);
	if (plan->tunnel_end == TUNNEL_CLIENT)
		wire_half_close(wire);
	result = wire_read_raw(wire, plan->n, CONTENT_DOWN, enough, &len);
	if (result == WIRE_WRONG)
		soak_fail(plan, "other bytes in a tunnel, after %zu", len);
	if (plan->tunnel_end == TUNNEL_RESET) {
		leave(client, plan);
		return;
	}
	if (result != WIRE_WHOLE || len != plan->response_len)
		soak_fail(plan, "a tunnel ended after %zu bytes, not %zu", len,
			plan->response_len);
	if (plan->tunnel_end == TUNNEL_BACKEND)
		wire_send_body(wire, plan, CONTENT_UP, up);
	soak_count(SOAK_TUNNELS);
	close_connection(client);
}

static void
upgrade(struct client *client, const struct plan *plan)
{
	const struct head *head = &client->head;

	send_request(client, plan);
	if (!read_head(client, plan))
		return;
	if (head->status == 101 && head->is_upgrade && head->number == plan->n)
		use_tunnel(client, plan);
	else if (head->has_number || head->status < 400)
		soak_fail(plan, "upgrade answered %u", head->status);
	else
		judge_error_page(plan, head->status);
}

/* --- sessions ----------------------------------------------------------------- */

/* A request, alone on its connection. */
static void
play(struct client *client, const struct plan *plan)
{
	size_t enough = SIZE_MAX;
	bool is_good = false;

	client->wire.reads_slow = plan->slow_client_read;
	client->wire.sends_slow = plan->slow_client_write;
	switch (plan->client) {
	case CLIENT_CUT_HEAD:
		cut_head(client, plan);
		return;
	case CLIENT_CUT_BODY:
		cut_body(client, plan);
		return;
	case CLIENT_MALFORMED:
		send_malformed(client, plan);
		return;
	case CLIENT_UPGRADE:
		upgrade(client, plan);
		close_connection(client);
		return;
	case CLIENT_LEAVE:
		send_request(client, plan);
		leave(client, plan);
		return;
	case CLIENT_CUT_ANSWER:
		enough = plan->response_len * plan->cut >> 16;
		break;
	case CLIENT_HALF_CLOSE:
	case CLIENT_GOOD:
		break;
	}
	send_request(client, plan);
	if (plan->client == CLIENT_HALF_CLOSE)
		wire_half_close(&client->wire);
	is_good = read_answer(client, plan, enough);
	if (plan->client == CLIENT_CUT_ANSWER)
		leave(client, plan);
	else if (!is_good || plan->client != CLIENT_GOOD || plan->client_closes)
		close_connection(client);
}

static bool
can_be_pipelined(const struct plan *plan)
{
	return plan->client == CLIENT_GOOD && !plan->expects_continue &&
	       !plan->is_http10 && !plan->client_closes &&
	       plan->request_len < 16 * 1024;
}

/* Sends them all, then reads. How many it took of them: 0 if they won't do. */
static unsigned
play_pipelined(struct client *client, const uint64_t first, unsigned n)
{
	struct plan plans[16];
	bool is_good = true;
	int on = 1;
	unsigned count;
	unsigned i;

	for (count = 0; count < n && count < 16; count++) {
		plans[count] = plan_make(soak_options.seed, first + count);
		if (!can_be_pipelined(&plans[count]))
			break;
	}
	if (count < 2)
		return 0;
	setsockopt(client->wire.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
	for (i = 0; i < count; i++)
		send_request(client, &plans[i]);
	on = 0;
	setsockopt(client->wire.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
	for (i = 0; i < count && is_good; i++) {
		soak_count(SOAK_PIPELINED);
		is_good = read_answer(client, &plans[i], SIZE_MAX);
	}
	for (; i < count; i++)
		soak_count(SOAK_LOST);
	if (!is_good)
		close_connection(client);
	return count;
}

static void
play_session(struct client *client, uint64_t first, unsigned n)
{
	bool is_pipelined = random_below(&client->random, 4) == 0;
	struct plan plan;
	unsigned played;
	unsigned i = 0;

	while (i < n) {
		plan = plan_make(soak_options.seed, first + i);
		if (!open_connection(client, plan.slow_client_read))
			return;
		client->wire.reads_slow = false;
		client->wire.sends_slow = false;
		played = 0;
		if (is_pipelined)
			played = play_pipelined(client, first + i, n - i);
		if (played == 0) {
			play(client, &plan);
			played = 1;
		}
		i += played;
	}
	if (random_below(&client->random, 2) == 0)
		close_connection(client);
}

void *
client_run(void *arg)
{
	struct client client = {.random = (uint64_t)(uintptr_t)arg};
	uint64_t first;
	uint64_t n;

	while ((n = soak_take(1 + random_below(&client.random, 12), &first)) >
		0) {
		client.random = soak_options.seed ^ first;
		play_session(&client, first, (unsigned)n);
	}
	close_connection(&client);
	return NULL;
}
