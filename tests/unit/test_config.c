#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "config_parse.h"

static void
test_smallest_file_gets_the_defaults(void **state)
{
	struct config *config = parse_good(REST);
	struct address local;

	assert_int_equal(config->workers, 0);
	assert_null(config->user);
	assert_null(config->state_dir);
	assert_int_equal(config->n_trusted_proxies, 2);
	assert_true(address_parse_ip(SLICE("127.9.9.9"), 1, &local));
	assert_true(cidr_matches_any(config->trusted_proxies, 2, &local));
	assert_true(address_parse_ip(SLICE("::1"), 1, &local));
	assert_true(cidr_matches_any(config->trusted_proxies, 2, &local));
	assert_int_equal(config->log.level, LOG_LEVEL_INFO);
	assert_string_equal(config->log.target, "stderr");
	assert_int_equal(config->log.access.format, CONFIG_ACCESS_OFF);
	assert_string_equal(config->log.access.file, "stdout");
	assert_int_equal(config->admin.n_bind, 1);
	assert_string_equal(config->admin.bind[0], "127.0.0.1:9900");
	config_free(config);
}

static void
test_times_and_limits_have_defaults(void **state)
{
	struct config *config = parse_good(REST);
	const struct config_timeouts *t = &config->timeouts;
	const struct config_limits *l = &config->limits;

	assert_int_equal(t->header_ns, 10 * CLOCK_NS_PER_S);
	assert_int_equal(t->body_ns, 30 * CLOCK_NS_PER_S);
	assert_int_equal(t->idle_ns, 60 * CLOCK_NS_PER_S);
	assert_int_equal(t->half_closed_ns, 10 * CLOCK_NS_PER_S);
	assert_int_equal(t->unready_ns, 0);
	assert_int_equal(t->shutdown_ns, 30 * CLOCK_NS_PER_S);
	assert_int_equal(t->upstream_idle_ns, 60 * CLOCK_NS_PER_S);
	assert_int_equal(t->connect_ns, 2 * CLOCK_NS_PER_S);
	assert_int_equal(t->queue_ns, 5 * CLOCK_NS_PER_S);
	assert_int_equal(t->response_ns, 60 * CLOCK_NS_PER_S);
	assert_int_equal(t->response_idle_ns, 30 * CLOCK_NS_PER_S);
	assert_int_equal(t->tunnel_ns, 3600 * CLOCK_NS_PER_S);
	assert_int_equal(l->connections, 20000);
	assert_int_equal(l->head, 16384);
	assert_int_equal(l->target, 8192);
	assert_int_equal(l->fields, 100);
	assert_int_equal(l->body, 0);
	assert_int_equal(l->endpoint_connections, 1024);
	assert_int_equal(l->endpoint_idle, 256);
	assert_int_equal(l->pending, 1024);
	config_free(config);
}

static void
test_service_gets_defaults(void **state)
{
	struct config *config = parse_good(REST);
	const struct config_service *web = &config->services[0];

	assert_string_equal(web->name, "web");
	assert_int_equal(web->match.n_hosts, 1);
	assert_string_equal(web->match.hosts[0], "*");
	assert_int_equal(web->match.n_paths, 1);
	assert_string_equal(web->match.paths[0], "/");
	assert_string_equal(web->stable, "v1");
	assert_string_equal(web->sticky.header, "X-Perch-Version");
	assert_string_equal(web->sticky.cookie, "perch");
	assert_int_equal(web->sticky.n_key, 0);
	assert_int_equal(web->sticky.pin, CONFIG_PIN_DOCUMENT);
	assert_int_equal(web->sticky.override, CONFIG_OVERRIDE_OFF);
	assert_int_equal(web->sticky.identity, CONFIG_IDENTITY_COOKIE);
	assert_int_equal(web->sticky.cacheable, CONFIG_CACHEABLE_PRIVATE);
	assert_null(web->sticky.domain);
	assert_int_equal(web->sticky.lifetime_ns, 0);
	assert_int_equal(web->balance.policy, CONFIG_LEAST_REQUEST);
	assert_int_equal(web->balance.n_key, 1);
	assert_int_equal(web->balance.key[0].source, CONFIG_KEY_CLIENT);
	assert_int_equal(web->drain_ns, 600 * CLOCK_NS_PER_S);
	assert_int_equal(web->shield.budget, 20);
	assert_int_equal(web->shield.n_methods, 4);
	assert_int_equal(web->shield.methods[0], CONFIG_SHIELD_GET);
	assert_int_equal(web->shield.methods[3], CONFIG_SHIELD_TRACE);
	assert_int_equal(web->versions[0].endpoints[0].weight, 1);
	config_free(config);
}

static void
test_durations_have_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{"1500us", 1500 * CLOCK_NS_PER_US},
		{"250ms", 250 * CLOCK_NS_PER_MS},
		{"10s", 10 * CLOCK_NS_PER_S},
		{"5m", 300 * CLOCK_NS_PER_S},
		{"24h", 86400 * CLOCK_NS_PER_S},
		{"\"7s\"", 7 * CLOCK_NS_PER_S},
	};
	char text[256];
	size_t i;

	for (i = 0; i < N_OF(rows); i++) {
		struct config *config;

		snprintf(text, sizeof(text), "timeouts: {idle: %s}\n" REST,
			rows[i].text);
		config = parse_good(text);
		assert_int_equal(config->timeouts.idle_ns, rows[i].ns);
		config_free(config);
	}
}

static void
test_sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{"0", 0},
		{"1000", 1000},
		{"12B", 12},
		{"2KB", 2000},
		{"2KiB", 2048},
		{"3MB", 3000000},
		{"1MiB", 1048576},
		{"4GB", UINT64_C(4000000000)},
		{"1GiB", UINT64_C(1) << 30},
		{"1024TiB", UINT64_C(1) << 50},
	};
	char text[256];
	size_t i;

	for (i = 0; i < N_OF(rows); i++) {
		struct config *config;

		snprintf(text, sizeof(text), "limits: {body: %s}\n" REST,
			rows[i].text);
		config = parse_good(text);
		assert_int_equal(config->limits.body, rows[i].bytes);
		config_free(config);
	}
}

static void
test_words_become_enums(void **state)
{
	struct config *config = parse_good(
		"log: {level: debug, target: syslog,\n"
		"  access: {format: combined, file: ./a.log}}\n" SERVICE(
			"balance: {policy: maglev, key: path}, drain: 0, "
			"sticky: {pin: session, override: any, identity: key, "
			"key: address, cacheable: keep, lifetime: 24h, "
			"domain: .Example.COM}, "
			"shield: {budget: 0, methods: [DELETE, GET]}"));
	const struct config_service *web = &config->services[0];

	assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
	assert_string_equal(config->log.target, "syslog");
	assert_int_equal(config->log.access.format, CONFIG_ACCESS_COMBINED);
	assert_string_equal(config->log.access.file, "./a.log");
	assert_int_equal(web->balance.policy, CONFIG_MAGLEV);
	assert_int_equal(web->balance.n_key, 1);
	assert_int_equal(web->balance.key[0].source, CONFIG_KEY_PATH);
	assert_int_equal(web->sticky.pin, CONFIG_PIN_SESSION);
	assert_int_equal(web->sticky.override, CONFIG_OVERRIDE_ANY);
	assert_int_equal(web->sticky.identity, CONFIG_IDENTITY_KEY);
	assert_int_equal(web->sticky.cacheable, CONFIG_CACHEABLE_KEEP);
	assert_int_equal(web->sticky.lifetime_ns, 86400 * CLOCK_NS_PER_S);
	assert_string_equal(web->sticky.domain, "example.com");
	assert_int_equal(web->drain_ns, 0);
	assert_int_equal(web->shield.budget, 0);
	assert_int_equal(web->shield.n_methods, 2);
	assert_int_equal(web->shield.methods[0], CONFIG_SHIELD_DELETE);
	assert_int_equal(web->shield.methods[1], CONFIG_SHIELD_GET);
	config_free(config);
}

static void
test_keys_name_headers_and_cookies(void **state)
{
	struct config *config = parse_good(SERVICE(
		"sticky: {key: [header X-User-Id, cookie  session, address]},"
		"balance: {policy: maglev, key: [header A, client, path]}"));
	const struct config_service *web = &config->services[0];

	assert_int_equal(web->sticky.n_key, 3);
	assert_int_equal(web->sticky.key[0].source, CONFIG_KEY_HEADER);
	assert_string_equal(web->sticky.key[0].name, "X-User-Id");
	assert_int_equal(web->sticky.key[1].source, CONFIG_KEY_COOKIE);
	assert_string_equal(web->sticky.key[1].name, "session");
	assert_int_equal(web->sticky.key[2].source, CONFIG_KEY_ADDRESS);
	assert_null(web->sticky.key[2].name);
	assert_int_equal(web->balance.n_key, 3);
	assert_int_equal(web->balance.key[1].source, CONFIG_KEY_CLIENT);
	config_free(config);

	assert_error(SERVICE("sticky: {key: [client]}"),
		"t.yaml:2:67: services.web.sticky.key[0]: expected header "
		"NAME, cookie NAME or address, not \"client\"");
	assert_error(SERVICE("sticky: {key: header}"),
		"t.yaml:2:66: services.web.sticky.key: expected header NAME, "
		"cookie NAME or address, not \"header\"");
	assert_error(SERVICE("sticky: {key: header a b}"),
		"t.yaml:2:66: services.web.sticky.key: expected header NAME, "
		"cookie NAME or address, not \"header a b\"");
}

static void
test_hosts_are_lower_cased_and_checked(void **state)
{
	struct config *config = parse_good(
		SERVICE("match: {hosts: [WWW.Example.com., \"*.Example.ORG\", "
			"127.0.0.1, \"[0:0::1]\", \"*\"], paths: /API}"));
	const struct config_service *web = &config->services[0];

	assert_int_equal(web->match.n_hosts, 5);
	assert_string_equal(web->match.hosts[0], "www.example.com");
	assert_string_equal(web->match.hosts[1], "*.example.org");
	assert_string_equal(web->match.hosts[2], "127.0.0.1");
	assert_string_equal(web->match.hosts[3], "[::1]");
	assert_string_equal(web->match.hosts[4], "*");
	assert_int_equal(web->match.n_paths, 1);
	assert_string_equal(web->match.paths[0], "/API");
	config_free(config);

	assert_error(SERVICE("match: {hosts: \"a.b:80\"}"),
		"t.yaml:2:67: services.web.match.hosts: \"a.b:80\" has a port; "
		"a host is matched without one");
	assert_error(SERVICE("match: {hosts: \"a.*.b\"}"),
		"t.yaml:2:67: services.web.match.hosts: expected a host name "
		"(www.example.com, *.example.com, *), not \"a.*.b\"");
	assert_error(SERVICE("match: {hosts: []}"),
		"t.yaml:2:67: services.web.match.hosts: must not be empty");
	assert_error(SERVICE("match: {paths: [/a, b]}"),
		"t.yaml:2:72: services.web.match.paths[1]: expected a path "
		"that begins with \"/\", without \"?\", \"#\" or space, not "
		"\"b\"");
}

static void
test_endpoints_are_words_or_maps(void **state)
{
	struct config *config = parse_good(LISTENERS
		"services:\n"
		"  web:\n"
		"    versions:\n"
		"      v1:\n"
		"        endpoints:\n"
		"          - App:8080\n"
		"          - {address: \"[0:0::1]:80\", weight: 1000}\n"
		"          - address: 10.0.0.1:1\n"
		"      v2: {endpoints: b:2}\n"
		"    stable: v2\n");
	const struct config_service *web = &config->services[0];
	const struct config_endpoint *e = web->versions[0].endpoints;

	assert_int_equal(web->n_versions, 2);
	assert_string_equal(web->versions[0].name, "v1");
	assert_int_equal(web->versions[0].n_endpoints, 3);
	assert_string_equal(e[0].name, "app:8080");
	assert_string_equal(e[0].host, "app");
	assert_int_equal(e[0].port, 8080);
	assert_int_equal(e[0].weight, 1);
	assert_string_equal(e[1].name, "[::1]:80");
	assert_string_equal(e[1].host, "::1");
	assert_int_equal(e[1].weight, 1000);
	assert_string_equal(e[2].name, "10.0.0.1:1");
	assert_string_equal(web->versions[1].name, "v2");
	assert_int_equal(web->versions[1].endpoints[0].port, 2);
	assert_string_equal(web->stable, "v2");
	config_free(config);
}

static void
test_listeners_bind_addresses(void **state)
{
	struct config *config = parse_good("listeners:\n"
					   "  - bind: 0.0.0.0:80\n"
					   "  - bind: \"*:81\"\n"
					   "  - bind: \"[::1]:82\"\n" SERVICES);
	char text[ADDRESS_TEXT_SIZE];

	assert_int_equal(config->n_listeners, 3);
	address_format(&config->listeners[0].bind, text);
	assert_string_equal(text, "0.0.0.0:80");
	address_format(&config->listeners[1].bind, text);
	assert_string_equal(text, "[::]:81");
	address_format(&config->listeners[2].bind, text);
	assert_string_equal(text, "[::1]:82");
	config_free(config);

	assert_error("listeners: [{bind: localhost:80}]\n" SERVICES,
		"t.yaml:1:20: listeners[0].bind: expected IP:PORT, "
		"[IPV6]:PORT or *:PORT, not \"localhost:80\"");
	assert_error("listeners: [127.0.0.1:80]\n" SERVICES,
		"t.yaml:1:13: listeners[0]: expected a map, not a single "
		"value");
	assert_error("listeners: {}\n" SERVICES,
		"t.yaml:1:12: listeners: expected a list, not a map");
	assert_error("listeners: []\n" SERVICES,
		"t.yaml:1:12: listeners: must not be empty");
	assert_error("listeners: [{}]\n" SERVICES,
		"t.yaml:1:13: missing key \"bind\" in listeners[0]");
}

static void
test_admin_binds_ip_or_unix(void **state)
{
	struct config *config = parse_good("admin: {bind: [\"[0::1]:9900\", "
					   "\"unix:/run/p.sock\"]}\n" REST);

	assert_int_equal(config->admin.n_bind, 2);
	assert_string_equal(config->admin.bind[0], "[::1]:9900");
	assert_string_equal(config->admin.bind[1], "unix:/run/p.sock");
	config_free(config);

	config = parse_good("admin: {bind: 127.0.0.1:1}\n" REST);
	assert_int_equal(config->admin.n_bind, 1);
	config_free(config);

	config = parse_good("admin: {bind: []}\n" REST);
	assert_int_equal(config->admin.n_bind, 0);
	config_free(config);

	assert_error("admin: {bind: \"unix:\"}\n" REST,
		"t.yaml:1:15: admin.bind: expected IP:PORT, [IPV6]:PORT or "
		"unix:PATH, not \"unix:\"");
}

static void
test_webhooks_are_read(void **state)
{
	struct config *config = parse_good(
		"notify: [{url: \"https://a.b/c?d\"}, {url: \"http://a:81\", "
		"format: slack, events: [rolled_back, held]}, {url: "
		"\"https://e\", ca: /x.pem, events: paused}]\n" REST);
	const struct config_webhook *webhook = config->notify;

	assert_int_equal(config->n_notify, 3);
	assert_string_equal(webhook[0].url, "https://a.b/c?d");
	assert_int_equal(webhook[0].n_events, CONFIG_N_EVENTS);
	for (size_t i = 0; i < CONFIG_N_EVENTS; i++)
		assert_int_equal(webhook[0].events[i], i);
	assert_int_equal(webhook[0].format, CONFIG_WEBHOOK_JSON);
	assert_null(webhook[0].ca);
	assert_int_equal(webhook[1].n_events, 2);
	assert_int_equal(webhook[1].events[0], CONFIG_EVENT_ROLLED_BACK);
	assert_int_equal(webhook[1].events[1], CONFIG_EVENT_HELD);
	assert_int_equal(webhook[1].format, CONFIG_WEBHOOK_SLACK);
	assert_int_equal(webhook[2].n_events, 1);
	assert_string_equal(webhook[2].ca, "/x.pem");
	config_free(config);

	config = parse_good(REST);
	assert_int_equal(config->n_notify, 0);
	config_free(config);
}

static void
test_a_service_overrides_times_and_limits(void **state)
{
	/* What services inherit from stands below them. */
	struct config *config = parse_good(
		LISTENERS "services:\n"
			  "  a: {" VERSIONS ", match: {paths: /a},\n"
			  "    timeouts: {response: 1s}, limits: {body: 5}}\n"
			  "  b: {" VERSIONS "}\n"
			  "timeouts: {response: 7s, connect: 3s, idle: 9s}\n"
			  "limits: {body: 1KiB, fields: 50}\n");
	const struct config_service *a = &config->services[0];
	const struct config_service *b = &config->services[1];

	assert_int_equal(a->timeouts.response_ns, 1 * CLOCK_NS_PER_S);
	assert_int_equal(a->timeouts.connect_ns, 3 * CLOCK_NS_PER_S);
	assert_int_equal(a->timeouts.idle_ns, 9 * CLOCK_NS_PER_S);
	assert_int_equal(a->limits.body, 5);
	assert_int_equal(a->limits.fields, 50);
	assert_int_equal(b->timeouts.response_ns, 7 * CLOCK_NS_PER_S);
	assert_int_equal(b->limits.body, 1024);
	assert_int_equal(config->timeouts.response_ns, 7 * CLOCK_NS_PER_S);
	config_free(config);

	assert_error(SERVICE("timeouts: {idle: 1s}"),
		"t.yaml:2:63: unknown key \"idle\" in services.web.timeouts; "
		"known here: connect, queue, response, response_idle, tunnel");
}

static void
test_variables_are_replaced(void **state)
{
	struct config *config;

	setenv("PERCH_TEST_PORT", "8123", 1);
	setenv("PERCH_TEST_EMPTY", "", 1);
	unsetenv("PERCH_TEST_UNSET");
	config = parse_good(
		"workers: ${PERCH_TEST_UNSET:-7}\n"
		"user: ${PERCH_TEST_EMPTY:-nobody}\n"
		"state_dir: /a$$b/${PERCH_TEST_PORT}${PERCH_TEST_EMPTY}/c\n"
		"listeners: [{bind: "
		"\"127.0.0.1:${PERCH_TEST_PORT}\"}]\n" SERVICES);
	assert_int_equal(config->workers, 7);
	assert_string_equal(config->user, "nobody");
	assert_string_equal(config->state_dir, "/a$b/8123/c");
	assert_int_equal(address_port(&config->listeners[0].bind), 8123);
	config_free(config);
}

static void
test_commented_out_group_is_empty(void **state)
{
	config_free(parse_good("timeouts:\n  # idle: 1s\nlog: ~\n" REST));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_smallest_file_gets_the_defaults),
		TEST(test_times_and_limits_have_defaults),
		TEST(test_service_gets_defaults),
		TEST(test_durations_have_units),
		TEST(test_sizes_have_units),
		TEST(test_words_become_enums),
		TEST(test_keys_name_headers_and_cookies),
		TEST(test_hosts_are_lower_cased_and_checked),
		TEST(test_endpoints_are_words_or_maps),
		TEST(test_listeners_bind_addresses),
		TEST(test_admin_binds_ip_or_unix),
		TEST(test_webhooks_are_read),
		TEST(test_a_service_overrides_times_and_limits),
		TEST(test_variables_are_replaced),
		TEST(test_commented_out_group_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
