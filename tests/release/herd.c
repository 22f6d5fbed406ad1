/*
 * herd: many clients with cookies that ask at a fixed rate, whatever the
 * answers take.
 *
 *	herd PORT FILE [KEY=VALUE]...
 *
 *	visit=STEP,...	what a visit is: a letter and a path, n a navigation, s a
 *			script, f a fetch of the page's (it says the page's
 *			version in X-Page), g a gRPC call; @ in it
 *			is the page's version (n/,s/assets/@-app.js)
 *	clients=N	(2000)
 *	rate=N		requests a second, evenly spaced (1000)
 *	connections=N	are open from the beginning, and used in turn (16)
 *	most=N		connections, for want of idle ones (4096); then it waits
 *	new=PART	of the visits are by somebody without a cookie (0.05)
 *	cookies=NAME,...	what the others have of earlier visits (perch)
 *	bots=N		so many clients more that ask for botpath alone, with
 *	botrate=PART	that part of all requests
 *	botpath=PATH	(/status/500)
 *	seed=N		of who comes when; else by the clock
 *
 * Begins at once, ends asking with its standard input, waits a while for answers
 * that are still out. FILE gets a line for each request (times monotonic, in
 * microseconds):
 *
 *	due sent end client connection step status grpc version page rescued
 *
 * due: when it was to be sent, by the rate. status 0: the connection broke, or no
 * answer came; version "-": perch answered by itself. Clients behind clients=N
 * are bots. A connection that was closed while idle is no failure: browsers, too,
 * then ask by another one.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/secret.h"
#include "herd.h"
#include "http/cookie.h"

#define PATIENCE_US UINT64_C(5000000)
#define REQUEST_MAX 2048

static struct {
	char visit[512], cookies[128], botpath[64];
	unsigned clients, bots, connections, most;
	double rate, new, botrate;
	unsigned long seed;
} settings = {
	.visit = "n/,s/assets/@-app.js",
	.cookies = "perch",
	.botpath = "/status/500",
	.clients = 2000,
	.connections = 16,
	.most = 4096,
	.rate = 1000,
	.new = 0.05,
};

static char steps[HERD_STEPS_MAX][HERD_TEXT_MAX];
static unsigned n_steps;
static struct herd_client *clients;
static FILE *records;
static unsigned n_out;

/* Clients with a page, whose next request is due. */
static struct {
	unsigned *numbers;
	size_t first, n, size;
} queue;

static uint64_t random_state;

static uint32_t
draw(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 32) * n >> 32);
}

static bool
is_drawn(double part)
{
	return draw(1000000) < part * 1e6;
}

/* --- answers --------------------------------------------------------------- */

static bool
is_bot(const struct herd_client *client)
{
	return client - clients >= (long)settings.clients;
}

static void
on_done(struct herd_connection *connection, const struct herd_answer *answer)
{
	struct herd_client *client = connection->client;

	fprintf(records,
		"%" PRIu64 " %" PRIu64 " %" PRIu64
		" %ld %u %u %d %d %s %s %d\n",
		connection->due_us, connection->sent_us, herd_now_us(),
		client - clients, connection->number, connection->step,
		answer->status, answer->grpc, answer->version,
		client->page[0] != '\0' ? client->page : "-",
		answer->is_rescued);
	n_out--;
	client->is_busy = false;
	if (is_bot(client))
		return;
	if (steps[connection->step][0] == 'n') {
		memcpy(client->page, answer->version, sizeof(client->page));
		/* There is no page to load the rest of. */
		if (answer->status != 200) {
			client->step = 0;
			return;
		}
	}
	client->step = (connection->step + 1) % n_steps;
	if (client->step == 0)
		return;
	queue.numbers[(queue.first + queue.n) % queue.size] =
		(unsigned)(client - clients);
	queue.n++;
}

/* --- requests -------------------------------------------------------------- */

static const char *
fields_of(char kind)
{
	switch (kind) {
	case 'n':
		return "Sec-Fetch-Mode: navigate\r\n"
		       "Sec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\n"
		       "Accept: text/html,*/*;q=0.8\r\n";
	case 's':
		return "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n"
		       "Sec-Fetch-Site: same-origin\r\nAccept: */*\r\n";
	case 'f':
		return "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
		       "Sec-Fetch-Site: same-origin\r\nAccept: */*\r\n";
	default:
		return "Content-Type: application/grpc\r\nTE: trailers\r\n"
		       "Content-Length: 5\r\n";
	}
}

static size_t
write_request(const struct herd_client *client, const char *step, char *out)
{
	char kind = step[0];
	const char *before = "Cookie: ";
	const char *of_page = strchr(step, '@');
	int path_len = (int)strcspn(step + 1, "@");
	char *at = out;

	at += sprintf(at, "%s %.*s%s%s HTTP/1.1\r\nHost: shop.test\r\n%s",
		kind == 'g' ? "POST" : "GET", path_len, step + 1,
		of_page != NULL ? client->page : "",
		of_page != NULL ? of_page + 1 : "", fields_of(kind));
	/* Some keep no cookies: each has an address of its own. */
	at += sprintf(at, "X-Forwarded-For: 10.0.%u.%u\r\n",
		(unsigned)(client - clients) >> 8 & 255,
		(unsigned)(client - clients) & 255);
	if (kind == 'f')
		at += sprintf(at,
			"X-Page: %s\r\nReferer: http://shop.test/\r\n",
			client->page);
	for (unsigned i = 0; i < HERD_JAR_MAX; i++) {
		if (client->jar[i].name[0] == '\0')
			continue;
		at += sprintf(at, "%s%s=%s", before, client->jar[i].name,
			client->jar[i].value);
		before = "; ";
	}
	if (before[0] == ';')
		at += sprintf(at, "\r\n");
	at += sprintf(at, "\r\n%s", kind == 'g' ? "hello" : "");
	return (size_t)(at - out);
}

static void
ask(struct herd_client *client, const char *step, uint64_t due_us)
{
	char request[REQUEST_MAX];
	size_t len = write_request(client, step, request);
	uint64_t now = herd_now_us();
	struct herd_connection *connection = herd_wire_send(request, len);
	struct herd_connection none = {.number = 0};
	static const struct herd_answer broken = {.grpc = -1, .version = "-"};
	struct herd_connection *by = connection != NULL ? connection : &none;

	by->client = client;
	by->step = is_bot(client) ? 0 : client->step;
	by->due_us = due_us;
	by->sent_us = now;
	client->is_busy = true;
	n_out++;
	if (connection == NULL)
		on_done(by, &broken);
}

/* --- who is next ----------------------------------------------------------- */

/* As a perch with the secret of the tests signs it, for the service that the
 * cookie's name tells; alone on its host that is web. */
static void
sign(const char *name, uint32_t cell, char out[COOKIE_VALUE_SIZE])
{
	struct secret secret =
		secret_of(SLICE("the secret of the tests of perch"));
	struct cookie_keys keys = {
		.n = 1, .keys = {siphash_key_of(secret.bytes)}};
	struct cookie cookie = {.seed = cell};
	const char *service = strchr(name, '_');

	out[cookie_format(&cookie,
		slice_from_string(service != NULL ? service + 1 : "web"),
		&keys, out)] = '\0';
}

static void
give_old_cookies(struct herd_client *client)
{
	char names[sizeof(settings.cookies)];
	char value[COOKIE_VALUE_SIZE];
	uint32_t cell = draw(1u << 20);
	char *save = NULL;
	unsigned n = 0;

	memcpy(names, settings.cookies, sizeof(names));
	for (char *name = strtok_r(names, ",", &save);
		name != NULL && n < HERD_JAR_MAX;
		name = strtok_r(NULL, ",", &save), n++) {
		snprintf(client->jar[n].name, sizeof(client->jar[n].name), "%s",
			name);
		sign(name, cell, value);
		snprintf(client->jar[n].value, sizeof(client->jar[n].value),
			"%s", value);
	}
}

/* Somebody who waits for nothing; NULL if chance finds none. */
static struct herd_client *
draw_client(uint32_t first, uint32_t n)
{
	for (unsigned i = 0; i < 32; i++) {
		struct herd_client *client = &clients[first + draw(n)];

		if (!client->is_busy && client->step == 0)
			return client;
	}
	return NULL;
}

static void
ask_one(uint64_t due_us)
{
	struct herd_client *client;

	if (settings.bots > 0 && is_drawn(settings.botrate)) {
		char step[HERD_TEXT_MAX];

		client = draw_client(settings.clients, settings.bots);
		snprintf(step, sizeof(step), "f%s", settings.botpath);
		if (client != NULL)
			ask(client, step, due_us);
		return;
	}
	if (queue.n > 0) {
		client = &clients[queue.numbers[queue.first]];
		queue.first = (queue.first + 1) % queue.size;
		queue.n--;
	} else {
		client = draw_client(0, settings.clients);
		if (client == NULL)
			return;
		if (is_drawn(settings.new))
			memset(client->jar, 0, sizeof(client->jar));
	}
	ask(client, steps[client->step], due_us);
}

/* --- beginnings ------------------------------------------------------------ */

static void
set(char *argument)
{
	char *value = strchr(argument, '=');

	if (value == NULL)
		errx(2, "%s: KEY=VALUE expected", argument);
	*value++ = '\0';
	if (strcmp(argument, "visit") == 0)
		snprintf(settings.visit, sizeof(settings.visit), "%s", value);
	else if (strcmp(argument, "cookies") == 0)
		snprintf(settings.cookies, sizeof(settings.cookies), "%s",
			value);
	else if (strcmp(argument, "botpath") == 0)
		snprintf(settings.botpath, sizeof(settings.botpath), "%s",
			value);
	else if (strcmp(argument, "clients") == 0)
		settings.clients = (unsigned)atoi(value);
	else if (strcmp(argument, "connections") == 0)
		settings.connections = (unsigned)atoi(value);
	else if (strcmp(argument, "most") == 0)
		settings.most = (unsigned)atoi(value);
	else if (strcmp(argument, "bots") == 0)
		settings.bots = (unsigned)atoi(value);
	else if (strcmp(argument, "rate") == 0)
		settings.rate = atof(value);
	else if (strcmp(argument, "new") == 0)
		settings.new = atof(value);
	else if (strcmp(argument, "botrate") == 0)
		settings.botrate = atof(value);
	else if (strcmp(argument, "seed") == 0)
		settings.seed = strtoul(value, NULL, 10);
	else
		errx(2, "%s: unknown", argument);
}

static void
take_steps(void)
{
	char *save = NULL;

	for (char *step = strtok_r(settings.visit, ",", &save);
		step != NULL && n_steps < HERD_STEPS_MAX;
		step = strtok_r(NULL, ",", &save))
		snprintf(steps[n_steps++], HERD_TEXT_MAX, "%s", step);
	if (n_steps == 0)
		errx(2, "a visit has a step");
}

static void
make_clients(void)
{
	unsigned n = settings.clients + settings.bots;

	random_state = settings.seed != 0 ? settings.seed : herd_now_us();
	random_state = random_state * UINT64_C(0x9e3779b97f4a7c15) | 1;
	clients = calloc(n, sizeof(*clients));
	queue.size = n;
	queue.numbers = calloc(n, sizeof(*queue.numbers));
	if (clients == NULL || queue.numbers == NULL)
		err(1, "calloc");
	for (unsigned i = 0; i < n; i++)
		give_old_cookies(&clients[i]);
}

static bool
is_over(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, 0) > 0;
}

static void
run(void)
{
	uint64_t began = herd_now_us();
	uint64_t n = 0, due = began, until;

	while (n % 64 != 0 || !is_over()) {
		do
			herd_wire_wait(due);
		while (herd_now_us() < due);
		while (herd_wire_is_full(settings.most))
			herd_wire_wait(herd_now_us() + 1000);
		ask_one(due);
		due = began + (uint64_t)((double)++n * 1e6 / settings.rate);
	}
	until = herd_now_us() + PATIENCE_US;
	while (n_out > 0 && herd_now_us() < until)
		herd_wire_wait(herd_now_us() + 10000);
	herd_wire_give_up();
}

int
main(int argc, char **argv)
{
	struct rlimit limit;

	if (argc < 3)
		errx(2, "usage: herd PORT FILE [KEY=VALUE]...");
	for (int i = 3; i < argc; i++)
		set(argv[i]);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	records = fopen(argv[2], "we");
	if (records == NULL)
		err(1, "%s", argv[2]);
	take_steps();
	make_clients();
	herd_wire_open(atoi(argv[1]), settings.connections, on_done);
	run();
	if (fclose(records) != 0)
		err(1, "%s", argv[2]);
	return 0;
}
