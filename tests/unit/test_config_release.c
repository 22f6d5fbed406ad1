/* The keys of releases: plans, groups, health and warmup. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "config_parse.h"
#include "proxy/snapshot.h"

#define PLANS(keys) "plans: {p: {" keys "}}\n" REST

static void
assert_is_default(const struct config_plan *plan)
{
	static const unsigned steps[] = {
		100, 500, 1000, 2000, 5000, 8000, 10000};
	size_t i;

	assert_int_equal(plan->n_steps, N_OF(steps));
	for (i = 0; i < N_OF(steps); i++)
		assert_int_equal(plan->steps_bp[i], steps[i]);
	assert_int_equal(plan->hold_ns, 60 * CLOCK_NS_PER_S);
	assert_int_equal(plan->min_clients, 50);
	assert_int_equal(plan->is_auto, CONFIG_TRUE);
	assert_int_equal(plan->advance, CONFIG_ADVANCE_TIMED);
	assert_int_equal(plan->on_harm, CONFIG_ON_HARM_ROLLBACK);
	assert_true(plan->false_rollback == 0.001);
	assert_true(plan->tolerance == 1);
	assert_true(plan->worse == 2);
	assert_int_equal(plan->n_error_statuses, 1);
	assert_int_equal(plan->error_statuses[0].first, 500);
	assert_int_equal(plan->error_statuses[0].last, 599);
	assert_true(plan->latency.tolerance == 1.2);
	assert_int_equal(plan->latency.margin_ns, 5 * CLOCK_NS_PER_MS);
	assert_int_equal(plan->n_watch, 0);
	assert_int_equal(plan->watch_client_errors, CONFIG_FALSE);
	assert_int_equal(plan->max_error_rate_bp, 0);
}

static void
test_default_plan_is_an_empty_plan(void **state)
{
	struct config *config = parse_good("plans: {p: {}, q: }\n" REST);

	assert_int_equal(config->n_plans, 2);
	assert_is_default(&config->plans[0]);
	assert_is_default(&config->plans[1]);
	assert_is_default(config_default_plan());
	assert_string_equal(config_default_plan()->name, "default");
	config_free(config);

	config = parse_good("plans:\n" REST);
	assert_int_equal(config->n_plans, 0);
	config_free(config);
}

static void
test_plan_is_read(void **state)
{
	struct config *config = parse_good(
		PLANS("steps: [0.01, 0.5, 33.33, 100], hold: 0, min_clients: "
		      "0, auto: false, advance: proven, on_harm: freeze, "
		      "false_rollback: 0.0001, tolerance: 10.0, worse: 1.1, "
		      "error_statuses: [429, 500-599], latency: {tolerance: "
		      "1.000001, margin: 0}, watch: web, watch_client_errors: "
		      "true, max_error_rate: 2.5"));
	const struct config_plan *plan = &config->plans[0];
	static const unsigned steps[] = {1, 50, 3333, 10000};
	size_t i;

	assert_string_equal(plan->name, "p");
	assert_int_equal(plan->n_steps, N_OF(steps));
	for (i = 0; i < N_OF(steps); i++)
		assert_int_equal(plan->steps_bp[i], steps[i]);
	assert_int_equal(plan->hold_ns, 0);
	assert_int_equal(plan->min_clients, 0);
	assert_int_equal(plan->is_auto, CONFIG_FALSE);
	assert_int_equal(plan->advance, CONFIG_ADVANCE_PROVEN);
	assert_int_equal(plan->on_harm, CONFIG_ON_HARM_FREEZE);
	assert_true(plan->false_rollback == 0.0001);
	assert_true(plan->tolerance == 10);
	assert_true(plan->worse == 1.1);
	assert_int_equal(plan->n_error_statuses, 2);
	assert_int_equal(plan->error_statuses[0].first, 429);
	assert_int_equal(plan->error_statuses[0].last, 429);
	assert_true(plan->latency.tolerance == 1.000001);
	assert_int_equal(plan->latency.margin_ns, 0);
	assert_int_equal(plan->n_watch, 1);
	assert_string_equal(plan->watch[0], "web");
	assert_int_equal(plan->watch_client_errors, CONFIG_TRUE);
	assert_int_equal(plan->max_error_rate_bp, 250);
	config_free(config);
}

static void
test_bad_values_of_plans_are_named(void **state)
{
	static const char *const rows[][2] = {
		{PLANS("steps: [1.234, 100]"),
			"t.yaml:1:21: plans.p.steps[0]: expected a percentage "
			"(5, 0.25; at most two decimals), not \"1.234\""},
		{PLANS("steps: [5%, 100]"),
			"t.yaml:1:21: plans.p.steps[0]: expected a percentage "
			"(5, 0.25; at most two decimals), not \"5%\""},
		{PLANS("steps: [0, 100]"),
			"t.yaml:1:21: plans.p.steps[0]: 0 is less than the "
			"least value, 0.01"},
		{PLANS("steps: [5, 100.01]"),
			"t.yaml:1:24: plans.p.steps[1]: 100.01 is more than "
			"the largest value, 100"},
		{PLANS("steps: []"),
			"t.yaml:1:20: plans.p.steps: must not be empty"},
		{PLANS("steps: [1, 5, 5, 100]"),
			"t.yaml:1:27: plans.p.steps[2]: must be more than the "
			"step before it"},
		{PLANS("steps: [100, 5]"),
			"t.yaml:1:26: plans.p.steps[1]: must be more than the "
			"step before it"},
		{PLANS("steps: 50"),
			"t.yaml:1:20: plans.p.steps: the last step must be "
			"100"},
		{PLANS("false_rollback: 0.2"),
			"t.yaml:1:29: plans.p.false_rollback: 0.2 is more than "
			"the largest value, 0.1"},
		{PLANS("false_rollback: 0.00009"),
			"t.yaml:1:29: plans.p.false_rollback: 0.00009 is less "
			"than the least value, 0.0001"},
		{PLANS("tolerance: 1."),
			"t.yaml:1:24: plans.p.tolerance: expected a number (2, "
			"1.5; at most six decimals), not \"1.\""},
		{PLANS("tolerance: .5"),
			"t.yaml:1:24: plans.p.tolerance: expected a number (2, "
			"1.5; at most six decimals), not \".5\""},
		{PLANS("worse: 1e1"),
			"t.yaml:1:20: plans.p.worse: expected a number (2, "
			"1.5; at most six decimals), not \"1e1\""},
		{PLANS("worse: 99999999999999999999"),
			"t.yaml:1:20: plans.p.worse: expected a number (2, "
			"1.5; at most six decimals), not "
			"\"99999999999999999999\""},
		{PLANS("worse: 18446744073710"),
			"t.yaml:1:20: plans.p.worse: expected a number (2, "
			"1.5; at most six decimals), not \"18446744073710\""},
		{PLANS("error_statuses: 5xx"),
			"t.yaml:1:29: plans.p.error_statuses: expected a "
			"status or range (404, 500-599), not \"5xx\""},
		{PLANS("error_statuses: 599-500"),
			"t.yaml:1:29: plans.p.error_statuses: 599-500 ends "
			"before it begins"},
		{PLANS("error_statuses: 500-1000"),
			"t.yaml:1:29: plans.p.error_statuses: 1000 is more "
			"than the largest value, 999"},
		{PLANS("error_statuses: 500-"),
			"t.yaml:1:29: plans.p.error_statuses: expected a "
			"status or range (404, 500-599), not \"500-\""},
		{PLANS("on_harm: rolback"),
			"t.yaml:1:22: plans.p.on_harm: unknown value "
			"\"rolback\", did you mean \"rollback\"? (one of "
			"rollback, freeze)"},
		{PLANS("max_error_rate: -1"),
			"t.yaml:1:29: plans.p.max_error_rate: expected a "
			"percentage (5, 0.25; at most two decimals), not "
			"\"-1\""},
		{"plans: {default: {}}\n" REST,
			"t.yaml:1:9: plans.default: is the name of the plan "
			"with all defaults, which can't be changed"},
		{"plans: [p]\n" REST,
			"t.yaml:1:8: plans: expected a map of names, not a "
			"list"},
	};
	size_t i;

	for (i = 0; i < N_OF(rows); i++)
		assert_error(rows[i][0], rows[i][1]);
}

static void
test_services_name_their_plan(void **state)
{
	struct config *config = parse_good(
		"plans: {slow: {hold: 1h}}\n" LISTENERS "services:\n"
		"  a: {" VERSIONS ", match: {paths: /a}, plan: slow}\n"
		"  b: {" VERSIONS ", match: {paths: /b}, plan: default}\n"
		"  c: {" VERSIONS "}\n");
	struct registry registry;
	struct snapshot *snapshot;
	const struct secret secret = {{1}};
	const struct config_plan *slow = &config->plans[0];

	registry_init(&registry, 1);
	snapshot = snapshot_build(config, &registry, &secret, NULL);
	assert_ptr_equal(snapshot->services[0].plan, slow);
	assert_ptr_equal(snapshot->services[1].plan, config_default_plan());
	assert_ptr_equal(snapshot->services[2].plan, config_default_plan());
	assert_ptr_equal(snapshot_find_plan(snapshot, "slow"), slow);
	assert_null(snapshot_find_plan(snapshot, "fast"));
	snapshot_free(snapshot);
	registry_free(&registry);

	assert_error("plans: {gradual: {}}\n" SERVICE("plan: gradaul"),
		"t.yaml:3:58: services.web.plan: no plan \"gradaul\", did you "
		"mean \"gradual\"?");
	assert_error(SERVICE("plan: gradual"),
		"t.yaml:2:58: services.web.plan: no plan \"gradual\" in "
		"plans");
}

static void
test_watch_names_services_of_other_units(void **state)
{
	config_free(parse_good(
		"plans: {p: {watch: [b, c]}}\n" LISTENERS "services:\n"
		"  a: {" VERSIONS ", match: {paths: /a}, plan: p, group: g}\n"
		"  b: {" VERSIONS ", match: {paths: /b}, group: h}\n"
		"  c: {" VERSIONS "}\n"));

	assert_error(PLANS("watch: [wep]"),
		"t.yaml:1:21: plans.p.watch: no service \"wep\", did you mean "
		"\"web\"?");
	assert_error(PLANS("watch: [payments]"),
		"t.yaml:1:21: plans.p.watch: no service \"payments\"");
	assert_error(PLANS("watch: [web, web]"),
		"t.yaml:1:26: plans.p.watch: \"web\" is given twice");
	assert_error("plans: {p: {watch: [web]}}\n" SERVICE("plan: p"),
		"t.yaml:3:58: services.web.plan: \"p\" watches this service "
		"itself");
	assert_errors("plans: {p: {watch: [b]}}\n" LISTENERS "services:\n"
		      "  a: {" VERSIONS
		      ", match: {paths: /a}, plan: p, group: g}\n"
		      "  b: {" VERSIONS ", group: g, plan: p}\n",
		2,
		(const char *const[]){
			"t.yaml:4:67: services.a.plan: \"p\" watches \"b\", "
			"which is in the same group",
			"t.yaml:5:57: services.b.plan: \"p\" watches this "
			"service itself"});
}

static void
test_groups_have_one_plan_and_a_name_of_their_own(void **state)
{
	struct config *config = parse_good(
		"plans: {p: {}}\n" LISTENERS "services:\n"
		"  a: {" VERSIONS ", match: {paths: /a}, plan: p, group: g}\n"
		"  b: {" VERSIONS ", match: {paths: /b}, plan: p, group: g}\n"
		"  c: {" VERSIONS ", match: {paths: /c}, group: h}\n"
		"  d: {" VERSIONS ", plan: default, group: h}\n");

	assert_string_equal(config->services[0].group, "g");
	assert_string_equal(config->services[3].group, "h");
	config_free(config);

	assert_error(SERVICE("group: web"),
		"t.yaml:2:59: services.web.group: \"web\" is a service's name "
		"(line 2)");
	assert_error("plans: {p: {}}\n" LISTENERS "services:\n"
		     "  a: {" VERSIONS
		     ", match: {paths: /a}, plan: p, group: g}\n"
		     "  b: {" VERSIONS ", group: g}\n",
		"t.yaml:5:48: services.b.plan: must be that of the others in "
		"group \"g\", as of service \"a\" (line 4)");
}

static void
test_health_is_off_unless_it_is_there(void **state)
{
	struct config *config = parse_good(REST);
	const struct config_health *health = &config->services[0].health;

	assert_false(health->is_on);
	assert_int_equal(config->services[0].warmup_ns, 30 * CLOCK_NS_PER_S);
	config_free(config);

	config = parse_good(SERVICE("health: {}"));
	health = &config->services[0].health;
	assert_true(health->is_on);
	assert_null(health->path);
	assert_null(health->host);
	assert_int_equal(health->interval_ns, 2 * CLOCK_NS_PER_S);
	assert_int_equal(health->timeout_ns, 1 * CLOCK_NS_PER_S);
	assert_int_equal(health->rise, 2);
	assert_int_equal(health->fall, 3);
	assert_int_equal(health->n_statuses, 1);
	assert_int_equal(health->statuses[0].first, 200);
	assert_int_equal(health->statuses[0].last, 399);
	config_free(config);
}

static void
assert_health_host(const char *text, const char *host)
{
	struct config *config = parse_good(text);

	assert_string_equal(config->services[0].health.host, host);
	config_free(config);
}

static void
test_host_of_health(void **state)
{
	assert_health_host(
		SERVICE("health: {host: App.local:8080}"), "App.local:8080");
	assert_health_host(SERVICE("health: {host: \"::1\"}"), "[::1]");
	assert_health_host(SERVICE("health: {host: \"[::1]:80\"}"), "[::1]:80");
}

static void
test_health_is_read(void **state)
{
	struct config *config = parse_good(
		SERVICE("warmup: 0, health: {path: \"/up?full=1\", interval: "
			"50ms, timeout: 20ms, rise: 1, fall: 1, statuses: "
			"[200, 204-206]}"));
	const struct config_health *health = &config->services[0].health;
	char text[4096];

	assert_int_equal(config->services[0].warmup_ns, 0);
	assert_true(health->is_on);
	assert_string_equal(health->path, "/up?full=1");
	assert_int_equal(health->interval_ns, 50 * CLOCK_NS_PER_MS);
	assert_int_equal(health->timeout_ns, 20 * CLOCK_NS_PER_MS);
	assert_int_equal(health->rise, 1);
	assert_int_equal(health->fall, 1);
	assert_true(config_statuses_have(
		health->statuses, health->n_statuses, 200));
	assert_false(config_statuses_have(
		health->statuses, health->n_statuses, 203));
	assert_true(config_statuses_have(
		health->statuses, health->n_statuses, 204));
	assert_true(config_statuses_have(
		health->statuses, health->n_statuses, 206));
	assert_false(config_statuses_have(
		health->statuses, health->n_statuses, 207));
	config_free(config);

	assert_error(SERVICE("health: {host: \"*.example.com\"}"),
		"t.yaml:2:67: services.web.health.host: expected a host name, "
		"with a port or without (www.example.com, app.local:8080), "
		"not \"*.example.com\"");
	assert_error(SERVICE("health: {path: healthz}"),
		"t.yaml:2:67: services.web.health.path: expected a path that "
		"begins with \"/\", without \"#\" or space, not \"healthz\"");
	assert_error(SERVICE("health: {path: \"/a b\"}"),
		"t.yaml:2:67: services.web.health.path: expected a path that "
		"begins with \"/\", without \"#\" or space, not \"/a b\"");
	snprintf(text, sizeof(text),
		LISTENERS "services: {web: {" VERSIONS
			  ", health: {path: /%02048d}}}\n",
		0);
	assert_error(text, "t.yaml:2:67: services.web.health.path: has more "
			   "than 2048 bytes");
	assert_error(SERVICE("health: 2s"),
		"t.yaml:2:60: services.web.health: expected a map, not a "
		"single value");
	assert_error(SERVICE("health: {fall: 0}"),
		"t.yaml:2:67: services.web.health.fall: 0 is less than the "
		"least value, 1");
}

static void
test_statuses_without_a_path_are_warned_of(void **state)
{
	config_free(parse_good(
		"state_dir: /s\n" SERVICE("health: {statuses: 200}")));
	assert_int_equal(report.n_warnings, 1);
	assert_string_equal(report.warnings[0],
		"t.yaml:3:71: services.web.health.statuses: has an effect "
		"with health.path only");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_default_plan_is_an_empty_plan),
		TEST(test_plan_is_read),
		TEST(test_bad_values_of_plans_are_named),
		TEST(test_services_name_their_plan),
		TEST(test_watch_names_services_of_other_units),
		TEST(test_groups_have_one_plan_and_a_name_of_their_own),
		TEST(test_health_is_off_unless_it_is_there),
		TEST(test_health_is_read),
		TEST(test_host_of_health),
		TEST(test_statuses_without_a_path_are_warned_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
