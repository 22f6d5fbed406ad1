#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "admin/service_json.h"
#include "admin/stats.h"
#include "admin_world.h"
#include "base/clock.h"

#define S CLOCK_NS_PER_S

static struct world world;
static struct stats *stats;

static int
set_up(void **state)
{
	world_init(&world);
	stats = stats_new(100 * S);
	return 0;
}

static int
tear_down(void **state)
{
	stats_free(stats);
	world_free(&world);
	return 0;
}

static void
sample(uint64_t now_ns)
{
	stats_sample(stats, &world.snapshot, &world.registry, now_ns);
}

static void
requests(struct registry_endpoint *endpoint, unsigned n,
	unsigned response_class, uint64_t duration_ns)
{
	for (unsigned i = 0; i < n; i++)
		world_request(endpoint, i % WORLD_WORKERS, response_class,
			duration_ns);
}

static struct meter_counts
window_of(const struct registry_version *version)
{
	struct meter_counts counts, window;

	registry_sum_version(&world.registry, version, &counts);
	stats_version_window(stats, version, &counts, &window);
	return window;
}

static void
test_window_starts_with_perch(void **state)
{
	requests(world.a, 3, 2, S);
	assert_int_equal(window_of(world.v1).requests, 3);
	assert_true(stats_window_s(stats, 102 * S) == 2);
	sample(105 * S);
	assert_int_equal(window_of(world.v1).requests, 3);
	assert_true(stats_window_s(stats, 107 * S) == 7);
}

static void
test_what_is_older_than_two_samples_is_forgotten(void **state)
{
	requests(world.a, 3, 2, S);
	sample(105 * S);
	requests(world.a, 5, 2, S);
	sample(110 * S);
	assert_int_equal(window_of(world.v1).requests, 5);
	requests(world.b, 7, 5, S);
	assert_int_equal(window_of(world.v1).requests, 12);
	assert_int_equal(window_of(world.v1).responses[5], 7);
	assert_true(stats_window_s(stats, 112 * S) == 7);
	sample(115 * S);
	assert_int_equal(window_of(world.v1).requests, 7);
	sample(120 * S);
	assert_int_equal(window_of(world.v1).requests, 0);
}

static void
test_traffic_that_begins_late_is_seen_whole(void **state)
{
	sample(105 * S);
	sample(110 * S);
	requests(world.c, 4, 2, S);
	sample(115 * S);
	assert_int_equal(window_of(world.v2).requests, 4);
	assert_true(stats_window_s(stats, 115 * S) == 5);
	sample(120 * S);
	assert_int_equal(window_of(world.v2).requests, 0);
}

static void
test_window_is_right_after_a_rest(void **state)
{
	struct stats_endpoint now = {.requests = 7, .failures = 0};
	uint64_t s;

	requests(world.a, 3, 2, S);
	for (s = 105; s <= 130; s += 5)
		sample(s * S);
	assert_int_equal(window_of(world.v1).requests, 0);
	requests(world.a, 4, 2, S);
	assert_int_equal(window_of(world.v1).requests, 4);
	assert_int_equal(
		stats_endpoint_window(stats, world.a, now).requests, 4);
	sample(135 * S);
	assert_int_equal(window_of(world.v1).requests, 4);
	sample(140 * S);
	assert_int_equal(window_of(world.v1).requests, 0);
	assert_int_equal(
		stats_endpoint_window(stats, world.a, now).requests, 0);
}

static void
test_quantiles_are_those_of_the_window(void **state)
{
	struct meter_counts window;

	requests(world.a, 100, 2, 10 * S);
	sample(105 * S);
	sample(110 * S);
	requests(world.a, 100, 2, CLOCK_NS_PER_MS);
	window = window_of(world.v1);
	assert_int_equal(window.total.n, 100);
	assert_in_range(
		histogram_quantile_ns(&window.total, 0.99), 968000, 1032000);
}

static void
test_endpoints_have_windows_of_their_own(void **state)
{
	struct stats_endpoint now = {.requests = 4, .failures = 1};

	requests(world.a, 3, 2, S);
	requests(world.a, 1, 5, S);
	assert_int_equal(
		stats_endpoint_window(stats, world.a, now).requests, 4);
	sample(105 * S);
	sample(110 * S);
	now = (struct stats_endpoint){.requests = 10, .failures = 3};
	assert_int_equal(
		stats_endpoint_window(stats, world.a, now).requests, 6);
	assert_int_equal(
		stats_endpoint_window(stats, world.a, now).failures, 2);
	assert_int_equal(
		stats_endpoint_window(stats, world.b, now).requests, 10);
}

/* --- as the API shows it --------------------------------------------------- */

static json_t *
show(uint64_t now_ns)
{
	const struct service_source source = {.registry = &world.registry,
		.stats = stats,
		.releases = &world.releases,
		.now_ns = now_ns};
	json_t *service = service_json(&source, &world.service);

	assert_non_null(service);
	return service;
}

static const json_t *
version_at(const json_t *service, size_t i)
{
	return json_array_get(json_object_get(service, "versions"), i);
}

static double
number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_number(value));
	return json_number_value(value);
}

static void
test_shown_rates_and_shares_are_of_the_window(void **state)
{
	json_t *service;

	requests(world.a, 1000, 2, S);
	sample(105 * S);
	sample(110 * S);
	requests(world.a, 60, 2, 5 * CLOCK_NS_PER_MS);
	requests(world.c, 30, 2, 5 * CLOCK_NS_PER_MS);
	requests(world.c, 10, 5, 5 * CLOCK_NS_PER_MS);
	service = show(115 * S);
	assert_true(number(service, "requests") == 1100);
	assert_true(number(service, "rate") == 10);
	assert_true(number(service, "error_rate") == 0.1);
	assert_true(number(version_at(service, 0), "share_actual") == 60);
	assert_true(number(version_at(service, 0), "share") == 100);
	assert_true(number(version_at(service, 0), "requests") == 1060);
	assert_true(number(version_at(service, 1), "share_actual") == 40);
	assert_true(number(version_at(service, 1), "share") == 0);
	assert_true(number(version_at(service, 1), "rate") == 4);
	assert_true(number(version_at(service, 1), "error_rate") == 0.25);
	json_decref(service);
}

static void
test_shown_quantiles_of_nothing_are_null(void **state)
{
	json_t *service = show(100 * S);
	const json_t *version = version_at(service, 0);

	assert_true(json_is_null(json_object_get(version, "share_actual")));
	assert_true(json_is_null(json_object_get(version, "error_rate")));
	assert_true(json_is_null(
		json_object_get(json_object_get(version, "total"), "p99_ms")));
	assert_true(number(version, "rate") == 0);
	json_decref(service);
}

static void
test_shown_release_is_the_one_that_runs(void **state)
{
	const json_t *shown;
	char seed[17];
	json_t *service;

	world_release(&world, "v2", 725);
	snprintf(
		seed, sizeof(seed), "%016" PRIx64, world.releases.judges->seed);
	service = show(100 * S);
	shown = json_object_get(service, "release");
	assert_true(json_is_true(json_object_get(shown, "running")));
	assert_string_equal(
		json_string_value(json_object_get(shown, "candidate")), "v2");
	assert_string_equal(
		json_string_value(json_object_get(shown, "seed")), seed);
	assert_true(number(shown, "share") == 7.25);
	assert_true(number(version_at(service, 0), "share") == 92.75);
	assert_string_equal(json_string_value(json_object_get(
				    version_at(service, 1), "role")),
		"candidate");
	json_decref(service);
	world_say(&world, PLAN_ROLLBACK);
	service = show(100 * S);
	assert_true(json_is_null(json_object_get(
		json_object_get(service, "release"), "candidate")));
	assert_string_equal(json_string_value(json_object_get(
				    version_at(service, 1), "standing")),
		"assets_only");
	json_decref(service);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_window_starts_with_perch),
		TEST(test_what_is_older_than_two_samples_is_forgotten),
		TEST(test_traffic_that_begins_late_is_seen_whole),
		TEST(test_window_is_right_after_a_rest),
		TEST(test_quantiles_are_those_of_the_window),
		TEST(test_endpoints_have_windows_of_their_own),
		TEST(test_shown_rates_and_shares_are_of_the_window),
		TEST(test_shown_quantiles_of_nothing_are_null),
		TEST(test_shown_release_is_the_one_that_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
