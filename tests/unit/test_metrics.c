#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <event2/buffer.h>

#include "admin/exposition.h"
#include "admin/metrics.h"
#include "admin/view.h"
#include "admin_world.h"
#include "base/clock.h"

static struct world world;
static char *text;

static int
set_up(void **state)
{
	world_init(&world);
	return 0;
}

static int
tear_down(void **state)
{
	world_free(&world);
	free(text);
	text = NULL;
	return 0;
}

static char *
take(struct evbuffer *buffer)
{
	size_t len = evbuffer_get_length(buffer);
	char *copy = calloc(1, len + 1);

	assert_non_null(copy);
	evbuffer_remove(buffer, copy, len);
	evbuffer_free(buffer);
	return copy;
}

static struct webhook_counts *webhooks;

static void
scrape(void)
{
	const struct metrics_source source = {
		.snapshot = &world.snapshot,
		.registry = &world.registry,
		.releases = &world.releases,
		.started_wall_ns = 1700000000 * CLOCK_NS_PER_S,
		.now_ns = 1000,
		.webhooks = webhooks,
	};
	struct evbuffer *buffer = evbuffer_new();

	metrics_write(&source, buffer);
	free(text);
	text = take(buffer);
}

/* The value of the sample whose line begins with this; -1 if none does. */
static double
value_of(const char *sample)
{
	size_t len = strlen(sample);
	const char *line = text;

	while (line != NULL) {
		if (strncmp(line, sample, len) == 0 && line[len] == ' ')
			return strtod(line + len + 1, NULL);
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return -1;
}

#define A "{service=\"shop\",version=\"v1\",endpoint=\"a:1\""

static void
test_workers_are_added_up(void **state)
{
	world_request(world.a, 0, 2, CLOCK_NS_PER_MS);
	world_request(world.a, 1, 5, CLOCK_NS_PER_MS);
	scrape();
	assert_true(value_of("perch_requests_total" A "}") == 2);
	assert_true(value_of("perch_responses_total" A ",class=\"2xx\"}") == 1);
	assert_true(value_of("perch_responses_total" A ",class=\"5xx\"}") == 1);
	assert_true(value_of("perch_responses_total" A ",class=\"4xx\"}") == 0);
	assert_true(value_of("perch_errors_total" A ",kind=\"reset\"}") == 0);
	assert_true(value_of("perch_process_start_time_seconds") == 1700000000);
}

static void
test_what_was_never_asked_says_little(void **state)
{
	scrape();
	assert_true(value_of("perch_requests_total" A "}") == 0);
	assert_null(strstr(text, "perch_responses_total"));
	assert_null(strstr(text, "_bucket"));
	assert_null(strstr(text, "endpoint=\"\""));
}

static void
test_an_endpoint_that_only_refuses_shows_its_retries(void **state)
{
	meter_add(&world.a->meters[0].connects, 4);
	meter_add(&world.a->meters[0].retries, 4);
	scrape();
	assert_true(value_of("perch_requests_total" A "}") == 0);
	assert_true(value_of("perch_retries_total" A "}") == 4);
}

static void
test_who_rescues_is_shown(void **state)
{
	scrape();
	assert_null(strstr(text, "perch_rescued_by_total" A "}"));
	meter_add(&world.a->meters[0].connects, 1);
	meter_add(&world.a->meters[0].helped, 3);
	meter_add(&world.a->meters[1].helped, 2);
	scrape();
	assert_true(value_of("perch_rescued_by_total" A "}") == 5);
}

static void
test_shields_of_a_candidate_are_shown(void **state)
{
	meter_add(&world.a->meters[0].responses[2], 1);
	meter_add(&world.a->meters[0].shields, 3);
	meter_add(&world.a->meters[1].shields, 2);
	meter_add(&world.a->meters[1].shielded, 4);
	scrape();
	assert_true(value_of("perch_shields_total" A "}") == 5);
	assert_true(value_of("perch_shielded_total" A "}") == 4);
}

static void
test_a_request_without_endpoint_is_shown(void **state)
{
	meter_add(&world.v2->meters[1].responses[5], 1);
	meter_add(&world.v2->meters[1].errors[METER_ERROR_NO_ENDPOINT], 1);
	scrape();
	assert_true(value_of("perch_requests_total{service=\"shop\","
			     "version=\"v2\",endpoint=\"\"}") == 1);
	assert_true(value_of("perch_errors_total{service=\"shop\","
			     "version=\"v2\",endpoint=\"\","
			     "kind=\"no_endpoint\"}") == 1);
}

#define BUCKET                                                                 \
	"perch_request_duration_seconds_bucket{service=\"shop\",version="      \
	"\"v1\",le="

static void
test_histograms_are_cumulative_and_agree_with_their_count(void **state)
{
	const char *at;
	double last = 0;
	unsigned n_buckets = 0;

	world_request(world.a, 0, 2, 300 * CLOCK_NS_PER_US);
	world_request(world.b, 1, 2, 7 * CLOCK_NS_PER_MS);
	world_request(world.b, 1, 2, 200 * CLOCK_NS_PER_S);
	scrape();
	assert_true(value_of(BUCKET "\"0.00025\"}") == 0);
	assert_true(value_of(BUCKET "\"0.0005\"}") == 1);
	assert_true(value_of(BUCKET "\"0.01\"}") == 2);
	assert_true(value_of(BUCKET "\"60\"}") == 2);
	assert_true(value_of(BUCKET "\"+Inf\"}") == 3);
	assert_true(value_of("perch_request_duration_seconds_count"
			     "{service=\"shop\",version=\"v1\"}") == 3);
	assert_true(value_of("perch_request_duration_seconds_sum"
			     "{service=\"shop\",version=\"v1\"}") == 200.0073);
	for (at = strstr(text, BUCKET); at != NULL;
		at = strstr(at + 1, BUCKET)) {
		double value = strtod(strchr(at, '}') + 1, NULL);

		assert_true(value >= last);
		last = value;
		n_buckets++;
	}
	assert_int_equal(n_buckets, 19);
}

static void
test_shares_follow_the_release(void **state)
{
	scrape();
	assert_true(value_of("perch_release_running{service=\"shop\"}") == 0);
	assert_true(value_of("perch_release_share_ratio{service=\"shop\","
			     "version=\"v1\"}") == 1);
	world_release(&world, "v2", 1234);
	scrape();
	assert_true(value_of("perch_release_running{service=\"shop\"}") == 1);
	assert_true(value_of("perch_release_share_ratio{service=\"shop\","
			     "version=\"v2\"}") == 0.1234);
	assert_true(value_of("perch_release_share_ratio{service=\"shop\","
			     "version=\"v1\"}") == 0.8766);
	world_say(&world, PLAN_PROMOTE);
	scrape();
	assert_true(value_of("perch_service_stable_info{service=\"shop\","
			     "version=\"v2\"}") == 1);
	assert_true(value_of("perch_service_stable_info{service=\"shop\","
			     "version=\"v1\"}") == -1);
}

#define UNIT "{unit=\"shop\""

static void
test_what_was_never_released_says_nothing(void **state)
{
	scrape();
	assert_null(strstr(text, "unit="));
	assert_null(strstr(text, "perch_journal_failing"));
}

static void
test_a_release_shows_its_state_and_evidence(void **state)
{
	struct evidence_signal *errors;

	world_release(&world, "v2", 500);
	errors = &world.releases.judges->evidence.signals[EVIDENCE_ERRORS];
	errors->stable = (struct evidence_sum){.n = 100, .x = 2};
	errors->candidate = (struct evidence_sum){.n = 10, .x = 3};
	errors->judge.e = 100;
	world.releases.judges->totals.stable_clients = 90;
	world.releases.judges->totals.candidate_clients = 9;
	scrape();
	assert_true(value_of("perch_release_state" UNIT
			     ",state=\"running\"}") == 1);
	assert_true(
		value_of("perch_release_state" UNIT ",state=\"paused\"}") == 0);
	assert_true(value_of("perch_release_share" UNIT "}") == 0.05);
	assert_true(value_of("perch_release_clients" UNIT
			     ",side=\"candidate\"}") == 9);
	assert_true(value_of("perch_release_evidence" UNIT
			     ",signal=\"errors\"}") == 40);
	assert_true(value_of("perch_release_hurt_clients" UNIT
			     ",signal=\"errors\",side=\"stable\"}") == 2);
	assert_true(value_of("perch_release_hurt_clients" UNIT
			     ",signal=\"errors\",side=\"candidate\"}") == 3);
	assert_true(value_of("perch_release_score" UNIT "}") < 50);
}

static void
test_ended_releases_are_counted_and_say_no_score(void **state)
{
	world_release(&world, "v2", 500);
	world_say(&world, PLAN_ROLLBACK);
	world_release(&world, "v2", 500);
	world_say(&world, PLAN_ROLLBACK);
	world_release(&world, "v2", 500);
	world_say(&world, PLAN_PROMOTE);
	scrape();
	assert_true(value_of("perch_releases_total" UNIT
			     ",outcome=\"rolled_back\"}") == 2);
	assert_true(value_of("perch_releases_total" UNIT
			     ",outcome=\"promoted\"}") == 1);
	assert_true(
		value_of("perch_release_state" UNIT ",state=\"done\"}") == 1);
	assert_true(value_of("perch_release_share" UNIT "}") == 0);
	assert_null(strstr(text, "perch_release_score"));
	assert_null(strstr(text, "perch_release_evidence"));
}

static void
test_left_out_ends_with_its_time(void **state)
{
	atomic_store(&world.a->left_out_until_ns, 1001);
	atomic_store(&world.b->left_out_until_ns, 1000);
	scrape();
	assert_true(value_of("perch_endpoint_left_out" A "}") == 1);
	assert_true(value_of("perch_endpoint_left_out{service=\"shop\","
			     "version=\"v1\",endpoint=\"b:1\"}") == 0);
}

static void
test_health_is_shown_where_it_is_checked(void **state)
{
	atomic_store(&world.a->health, HEALTH_DOWN);
	scrape();
	assert_null(strstr(text, "perch_endpoint_up{"));
	world.config.health.is_on = true;
	scrape();
	assert_true(value_of("perch_endpoint_up" A "}") == 0);
	/* One that hasn't been checked yet counts as up. */
	assert_true(value_of("perch_endpoint_up{service=\"shop\","
			     "version=\"v1\",endpoint=\"b:1\"}") == 1);
}

static void
test_each_family_is_announced_once_and_stands_together(void **state)
{
	const char *line;
	char family[64] = "";

	world_request(world.a, 0, 2, CLOCK_NS_PER_MS);
	world_request(world.c, 1, 5, CLOCK_NS_PER_MS);
	scrape();
	for (line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		char type[80];

		if (sscanf(line, "# TYPE %63s", family) == 1) {
			snprintf(type, sizeof(type), "# TYPE %s ", family);
			assert_null(strstr(line + 1, type));
		} else if (line[0] != '#') {
			assert_int_equal(
				strncmp(line, family, strlen(family)), 0);
		}
	}
}

static void
test_label_values_are_escaped(void **state)
{
	const struct exposition_about about = {"x", "gauge", "X."};
	struct exposition_family family = {.about = &about};
	struct evbuffer *buffer = evbuffer_new();
	struct text labels = {0};

	exposition_label(&labels, "one", SLICE("a\"b\\c\nd"));
	exposition_label(&labels, "two", SLICE(""));
	exposition_u64(&family, text_slice(&labels), UINT64_MAX);
	exposition_finish(&family, 1, buffer);
	text_free(&labels);
	text = take(buffer);
	assert_string_equal(text,
		"# HELP x X.\n# TYPE x gauge\n"
		"x{one=\"a\\\"b\\\\c\\nd\",two=\"\"} 18446744073709551615\n");
}

static void
test_failures_are_those_of_the_meter(void **state)
{
	struct view_counters counters = {.requests = 1000};
	struct meter_counts counts = {.requests = 1000};

	for (unsigned i = 0; i < 6; i++)
		counters.responses[i] = counts.responses[i] = 1 << i;
	for (unsigned i = 0; i < METER_ERROR_COUNT; i++)
		counters.errors[i] = counts.errors[i] = 64 << i;
	counters.shields = counts.shields = 1 << 20;
	counters.shielded = counts.shielded = 1 << 21;
	assert_int_equal(
		view_failures(&counters), meter_counts_failures(&counts));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void
test_webhooks_are_counted_by_host(void **state)
{
	static char a[] = "a.example", b[] = "[::1]:81";
	struct webhook_counts second = {.host = b, .of = {7, 8, 9}};
	struct webhook_counts first = {
		.host = a, .of = {1, 2, 3}, .next = &second};

	scrape();
	assert_null(strstr(text, "perch_webhook_deliveries_total"));
	webhooks = &first;
	scrape();
	webhooks = NULL;
#define DELIVERIES "perch_webhook_deliveries_total{url_host="
	assert_int_equal(
		value_of(DELIVERIES "\"a.example\",result=\"delivered\"}"), 1);
	assert_int_equal(
		value_of(DELIVERIES "\"a.example\",result=\"failed\"}"), 2);
	assert_int_equal(
		value_of(DELIVERIES "\"[::1]:81\",result=\"dropped\"}"), 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_workers_are_added_up),
		TEST(test_who_rescues_is_shown),
		TEST(test_shields_of_a_candidate_are_shown),
		TEST(test_what_was_never_asked_says_little),
		TEST(test_an_endpoint_that_only_refuses_shows_its_retries),
		TEST(test_a_request_without_endpoint_is_shown),
		TEST(test_histograms_are_cumulative_and_agree_with_their_count),
		TEST(test_shares_follow_the_release),
		TEST(test_what_was_never_released_says_nothing),
		TEST(test_a_release_shows_its_state_and_evidence),
		TEST(test_ended_releases_are_counted_and_say_no_score),
		TEST(test_left_out_ends_with_its_time),
		TEST(test_health_is_shown_where_it_is_checked),
		TEST(test_each_family_is_announced_once_and_stands_together),
		TEST(test_label_values_are_escaped),
		TEST(test_failures_are_those_of_the_meter),
		TEST(test_webhooks_are_counted_by_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
