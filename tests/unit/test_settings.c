#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "config_parse.h"
#include "proxy/settings.h"

static struct settings_set set;
static struct config *config;

static int
set_up(void **state)
{
	settings_set_init(&set);
	config = NULL;
	return 0;
}

static int
tear_down(void **state)
{
	settings_set_free(&set);
	config_free(config);
	return free_report(state);
}

/* What two services may say; to a request, no two are the same. */
static const char *const sayings[] = {
	"drain: 1h",
	"sticky: {header: X-Other}",
	"sticky: {cookie: other}",
	"sticky: {key: [header X]}",
	"sticky: {key: [cookie X]}",
	"sticky: {key: [header Y]}",
	"sticky: {key: [header X, header Y]}",
	"sticky: {key: [header X], identity: key}",
	"sticky: {pin: session}",
	"sticky: {override: any}",
	"sticky: {cacheable: keep}",
	"sticky: {domain: example.com}",
	"sticky: {lifetime: 1h}",
	"balance: {policy: round_robin}",
	"balance: {policy: maglev}",
	"balance: {policy: maglev, key: path}",
	"balance: {policy: maglev, bounded_load: true}",
	"balance: {affinity: true}",
	"rescue: {budget: 1}",
	"upgrades: []",
	"upgrades: [tcp]",
	"upgrades: [tcp, SPDY/3.1]",
	"warmup: 1s",
	"limits: {body: 1MiB}",
	"timeouts: {response: 1s}",
};

/* Each saying of two services, which differ in all else. */
static struct config *
parse_pairs(void)
{
	static char text[16384];
	size_t len = 0;
	size_t i;

	len += (size_t)sprintf(text, LISTENERS "services:\n");
	for (i = 0; i < 2 * N_OF(sayings); i++)
		len += (size_t)sprintf(text + len,
			"  s%zu: {match: {paths: [/s%zu]}, %s, "
			"versions: {v%zu: {endpoints: \"10.0.0.1:%zu\"}}}\n",
			i, i, sayings[i / 2], i, i + 1);
	return parse_good(text);
}

static void
test_services_that_say_the_same_share_settings(void **state)
{
	const struct settings *found[2 * N_OF(sayings)];
	size_t i;
	size_t k;

	config = parse_pairs();
	for (i = 0; i < N_OF(found); i++)
		found[i] = settings_share(&set, &config->services[i]);
	for (i = 0; i < N_OF(found); i++)
		for (k = 0; k < i; k++)
			if ((found[i] == found[k]) != (i / 2 == k / 2))
				fail_msg("s%zu and s%zu: %s; %s", k, i,
					sayings[k / 2], sayings[i / 2]);
}

static void
test_shared_settings_say_what_the_service_says(void **state)
{
	const struct config_service *service;
	const struct settings *settings;
	size_t i;
	size_t k;

	config = parse_pairs();
	for (i = 0; i < config->n_services; i++) {
		service = &config->services[i];
		settings = settings_share(&set, service);
		assert_string_equal(
			settings->sticky.header, service->sticky.header);
		assert_string_equal(
			settings->sticky.cookie, service->sticky.cookie);
		assert_int_equal(settings->sticky.n_key, service->sticky.n_key);
		for (k = 0; k < service->sticky.n_key; k++)
			assert_string_equal(settings->sticky.key[k].name,
				service->sticky.key[k].name);
		assert_int_equal(
			settings->balance.policy, service->balance.policy);
		assert_int_equal(
			settings->rescue.budget, service->rescue.budget);
		assert_int_equal(settings->warmup_ns, service->warmup_ns);
		assert_int_equal(settings->limits.body, service->limits.body);
		assert_int_equal(settings->timeouts.response_ns,
			service->timeouts.response_ns);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_services_that_say_the_same_share_settings, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_shared_settings_say_what_the_service_says, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
