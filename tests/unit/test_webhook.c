/* Webhooks, and events as they reach them, against a server on the same event base, with a backoff that
 * passes in milliseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>

#include "admin/events.h"
#include "admin/webhook.h"
#include "base/clock.h"
#include "base/log.h"

#define PATIENCE_NS (20 * CLOCK_NS_PER_S)

static struct {
	struct event_base *base;
	struct evhttp *http;
	char url[64];
	/* The statuses to answer with, the last one for ever; 0: not at all. */
	const int *statuses;
	char received[4096]; /* bodies, each with a space behind it */
	unsigned n_requests;
} server;

static struct webhook_setup setup;
static struct webhook_counts counts;
static struct webhook *webhook;
static enum config_event wanted[] = {CONFIG_EVENT_HELD, CONFIG_EVENT_PROMOTED};

static void
on_request(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	size_t len = evbuffer_get_length(body);
	int status = server.statuses[0];

	assert_true(
		strlen(server.received) + len + 2 < sizeof(server.received));
	strncat(server.received, (const char *)evbuffer_pullup(body, -1), len);
	strcat(server.received, " ");
	server.n_requests++;
	if (server.statuses[1] != -1)
		server.statuses++;
	if (status != 0)
		evhttp_send_reply(request, status, "So", NULL);
}

static void
configure(void)
{
	struct config_webhook config = {.url = server.url,
		.events = wanted,
		.n_events = 2,
		.format = CONFIG_WEBHOOK_JSON};

	webhook_configure(webhook, &config, 0);
}

static int
set_up(void **state)
{
	struct evhttp_bound_socket *socket;
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	memset(&server, 0, sizeof(server));
	memset(&counts, 0, sizeof(counts));
	server.base = event_base_new();
	server.http = evhttp_new(server.base);
	evhttp_set_gencb(server.http, on_request, NULL);
	socket = evhttp_bind_socket_with_handle(server.http, "127.0.0.1", 0);
	if (socket == NULL)
		return -1;
	getsockname(evhttp_bound_socket_get_fd(socket),
		(struct sockaddr *)&address, &len);
	snprintf(server.url, sizeof(server.url), "http://127.0.0.1:%u/hook",
		ntohs(address.sin_port));
	setup = (struct webhook_setup){
		.base = server.base,
		.backoff = {.first_ns = CLOCK_NS_PER_MS,
			.max_ns = 4 * CLOCK_NS_PER_MS,
			.tries = 12,
			.limit_ns = 600 * CLOCK_NS_PER_S},
		.timeout_ns = 10 * CLOCK_NS_PER_S,
	};
	webhook = webhook_new(&setup, server.url, &counts);
	configure();
	return 0;
}

static int
tear_down(void **state)
{
	if (webhook != NULL)
		webhook_free(webhook, "the test is over");
	evhttp_free(server.http);
	event_base_free(server.base);
	return 0;
}

static void
run_until_idle(void)
{
	uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;

	while (!webhook_is_idle(webhook)) {
		assert_true(clock_monotonic_ns() < until_ns);
		event_base_loop(server.base, EVLOOP_ONCE);
	}
}

static void
assert_counts(uint64_t delivered, uint64_t failed, uint64_t dropped)
{
	assert_int_equal(counts.of[WEBHOOK_DELIVERED], delivered);
	assert_int_equal(counts.of[WEBHOOK_FAILED], failed);
	assert_int_equal(counts.of[WEBHOOK_DROPPED], dropped);
}

static void
test_filter_lets_pass_what_it_names(void **state)
{
	assert_true(webhook_wants(webhook, "held"));
	assert_true(webhook_wants(webhook, "promoted"));
	assert_false(webhook_wants(webhook, "started"));
	assert_false(webhook_wants(webhook, "unheard_of"));
	assert_true(webhook_wants(webhook, "test"));
}

static void
test_events_arrive_in_order(void **state)
{
	static const int statuses[] = {200, 204, 299, -1};

	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	webhook_push(webhook, "held", "2");
	webhook_push(webhook, "held", "3");
	run_until_idle();
	assert_string_equal(server.received, "1 2 3 ");
	assert_counts(3, 0, 0);
}

static void
test_failures_are_tried_again_before_the_next(void **state)
{
	static const int statuses[] = {500, 503, 408, 429, 200, -1};

	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	webhook_push(webhook, "held", "2");
	run_until_idle();
	assert_string_equal(server.received, "1 1 1 1 1 2 ");
	assert_counts(2, 4, 0);
}

static void
test_a_refusal_is_not_tried_again(void **state)
{
	static const int statuses[] = {404, 301, 400, 200, -1};

	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	webhook_push(webhook, "held", "2");
	webhook_push(webhook, "held", "3");
	webhook_push(webhook, "held", "4");
	run_until_idle();
	assert_string_equal(server.received, "1 2 3 4 ");
	assert_counts(1, 3, 3);
}

static void
test_tries_end(void **state)
{
	static const int statuses[] = {500, 500, 500, 500, 500, 500, 500, 500,
		500, 500, 500, 500, 200, -1};

	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	webhook_push(webhook, "held", "2");
	run_until_idle();
	assert_string_equal(server.received, "1 1 1 1 1 1 1 1 1 1 1 1 2 ");
	assert_counts(1, 12, 1);
}

static void
test_time_ends_too(void **state)
{
	static const int statuses[] = {500, -1};

	setup.backoff.limit_ns = 1;
	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	run_until_idle();
	assert_counts(0, 1, 1);
}

static void
test_silence_is_a_failure(void **state)
{
	static const int statuses[] = {0, 200, -1};

	setup.timeout_ns = 500 * CLOCK_NS_PER_MS;
	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	run_until_idle();
	assert_string_equal(server.received, "1 1 ");
	assert_counts(1, 1, 0);
}

static void
test_a_full_queue_loses_its_oldest(void **state)
{
	static const int statuses[] = {200, -1};
	unsigned n = WEBHOOK_QUEUE_MAX + 2;
	char body[16], *end = server.received;

	server.statuses = statuses;
	for (unsigned i = 0; i < n; i++) {
		snprintf(body, sizeof(body), "%u", i);
		webhook_push(webhook, "held", body);
	}
	assert_counts(0, 0, 2);
	run_until_idle();
	assert_counts(WEBHOOK_QUEUE_MAX, 0, 2);
	/* The one under way stays; those behind it go. */
	assert_true(strncmp(end, "0 3 4 ", 6) == 0);
	snprintf(body, sizeof(body), " %u ", n - 1);
	assert_non_null(strstr(server.received, body));
}

static void
test_hurry_ends_the_wait_and_the_queue(void **state)
{
	static const int statuses[] = {500, 500, -1};

	setup.backoff.first_ns = setup.backoff.max_ns = 600 * CLOCK_NS_PER_S;
	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	webhook_push(webhook, "held", "2");
	while (counts.of[WEBHOOK_FAILED] == 0)
		event_base_loop(server.base, EVLOOP_ONCE);
	webhook_hurry(webhook);
	run_until_idle();
	assert_string_equal(server.received, "1 1 ");
	assert_counts(0, 2, 2);
}

static void
test_hurry_delivers_what_can_be(void **state)
{
	static const int statuses[] = {500, 200, -1};

	setup.backoff.first_ns = setup.backoff.max_ns = 600 * CLOCK_NS_PER_S;
	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	webhook_push(webhook, "held", "2");
	while (counts.of[WEBHOOK_FAILED] == 0)
		event_base_loop(server.base, EVLOOP_ONCE);
	webhook_hurry(webhook);
	run_until_idle();
	assert_string_equal(server.received, "1 1 2 ");
	assert_counts(2, 1, 0);
}

static void
test_configuring_keeps_the_queue(void **state)
{
	static const int statuses[] = {200, -1};

	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	webhook_push(webhook, "held", "2");
	configure();
	run_until_idle();
	assert_string_equal(server.received, "1 2 ");
}

static void
test_freeing_in_the_middle_drops_the_rest(void **state)
{
	static const int statuses[] = {0, -1};

	server.statuses = statuses;
	webhook_push(webhook, "held", "1");
	webhook_push(webhook, "held", "2");
	while (server.n_requests == 0)
		event_base_loop(server.base, EVLOOP_ONCE);
	webhook_free(webhook, "it is enough");
	webhook = NULL;
	assert_counts(0, 0, 2);
	event_base_loop(server.base, EVLOOP_NONBLOCK);
}

/* A try ends though evdns still asks, and what that holds is freed with it. */
static void
test_a_name_server_may_be_silent(void **state)
{
	struct config_webhook config = {.url = strdup("http://a.invalid/"),
		.events = wanted,
		.n_events = 2};
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct webhook *lost;

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	setup.dns =
		evdns_base_new(server.base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	assert_int_equal(evdns_base_nameserver_sockaddr_add(setup.dns,
				 (struct sockaddr *)&address, len, 0),
		0);
	setup.timeout_ns = 20 * CLOCK_NS_PER_MS;
	setup.backoff.tries = 2;
	lost = webhook_new(&setup, config.url, &counts);
	webhook_configure(lost, &config, 1);
	webhook_push(lost, "held", "1");
	while (!webhook_is_idle(lost))
		event_base_loop(server.base, EVLOOP_ONCE);
	assert_counts(0, 2, 1);
	webhook_free(lost, "the test is over");
	evdns_base_free(setup.dns, 1);
	event_base_loop(server.base, EVLOOP_NONBLOCK);
	close(fd);
	free(config.url);
}

/* The events of perch, to a webhook of this format that wants "held" and
 * "promoted"; each is a JSON text. */
static void
emit_all(enum config_webhook_format format, const char *const *texts, size_t n)
{
	struct config_webhook notify = {.url = server.url,
		.events = wanted,
		.n_events = 2,
		.format = format};
	struct config config = {.notify = &notify, .n_notify = 1};
	struct events *events = events_new(server.base);

	events_configure(events, &config);
	for (size_t i = 0; i < n; i++) {
		json_t *event = json_loads(texts[i], 0, NULL);

		assert_non_null(event);
		events_emit(events, event);
		json_decref(event);
	}
	events_stop(events);
	assert_int_equal(events_counts(events)->of[WEBHOOK_DROPPED], 0);
	events_free(events);
}

static void
test_only_wanted_events_are_sent(void **state)
{
	static const int statuses[] = {200, -1};
	static const char *const texts[] = {
		"{\"event\":\"held\",\"share\":12.5}",
		"{\"event\":\"started\"}",
		"{\"event\":\"promoted\"}",
	};

	server.statuses = statuses;
	emit_all(CONFIG_WEBHOOK_JSON, texts, 3);
	assert_string_equal(server.received,
		"{\"event\":\"held\",\"share\":12.5} "
		"{\"event\":\"promoted\"} ");
}

/* A reason may quote what an operator wrote: no "<!channel>" from it. */
static void
test_slack_gets_no_markup(void **state)
{
	static const int statuses[] = {200, -1};
	static const char *const texts[] = {
		"{\"event\":\"held\",\"unit\":\"shop\",\"reason\":"
		"\"<!channel> a & b\"}",
	};

	server.statuses = statuses;
	emit_all(CONFIG_WEBHOOK_SLACK, texts, 1);
	assert_string_equal(server.received,
		"{\"text\":\"shop: held: &lt;!channel&gt; a &amp; b\"} ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_filter_lets_pass_what_it_names),
		TEST(test_events_arrive_in_order),
		TEST(test_failures_are_tried_again_before_the_next),
		TEST(test_a_refusal_is_not_tried_again),
		TEST(test_tries_end),
		TEST(test_time_ends_too),
		TEST(test_silence_is_a_failure),
		TEST(test_a_full_queue_loses_its_oldest),
		TEST(test_hurry_ends_the_wait_and_the_queue),
		TEST(test_hurry_delivers_what_can_be),
		TEST(test_configuring_keeps_the_queue),
		TEST(test_freeing_in_the_middle_drops_the_rest),
		TEST(test_a_name_server_may_be_silent),
		TEST(test_only_wanted_events_are_sent),
		TEST(test_slack_gets_no_markup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
