#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "config/config.h"
#include "config/schema.h"
#include "config/suggest.h"
#include "config/yaml.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

#ifndef CONF_DIR
#define CONF_DIR "conf"
#endif

/* What every file needs, in flow form, to be put below what is tested. */
#define LISTENERS "listeners: [{bind: 127.0.0.1:80}]\n"
#define VERSIONS "versions: {v1: {endpoints: a:1}}"
#define SERVICES "services: {web: {" VERSIONS "}}\n"
#define REST LISTENERS SERVICES
/* A service with one more key. */
#define SERVICE(key) LISTENERS "services: {web: {" VERSIONS ", " key "}}\n"

static struct config_report report;

static struct config *
parse(const char *text)
{
	config_report_free(&report);
	return config_parse("t.yaml", text, strlen(text), &report);
}

static struct config *
parse_good(const char *text)
{
	struct config *config = parse(text);

	if (config == NULL)
		fail_msg("%s\nin:\n%s", report.errors[0], text);
	assert_int_equal(report.n_errors, 0);
	return config;
}

static void
assert_errors(const char *text, size_t n, const char *const *messages)
{
	size_t i;

	assert_null(parse(text));
	for (i = 0; i < n && i < report.n_errors; i++)
		assert_string_equal(report.errors[i], messages[i]);
	if (report.n_errors != n)
		fail_msg("%zu errors, not %zu, the last: %s", report.n_errors,
			n, report.errors[report.n_errors - 1]);
}

/* Just this one. */
static void
assert_error(const char *text, const char *message)
{
	assert_errors(text, 1, &message);
}

static int
free_report(void **state)
{
	config_report_free(&report);
	return 0;
}

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
	assert_int_equal(t->shutdown_ns, 30 * CLOCK_NS_PER_S);
	assert_int_equal(t->upstream_idle_ns, 60 * CLOCK_NS_PER_S);
	assert_int_equal(t->connect_ns, 2 * CLOCK_NS_PER_S);
	assert_int_equal(t->queue_ns, 5 * CLOCK_NS_PER_S);
	assert_int_equal(t->response_ns, 30 * CLOCK_NS_PER_S);
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
	assert_int_equal(web->sticky.override, CONFIG_OVERRIDE_TRUSTED);
	assert_int_equal(web->sticky.identity, CONFIG_IDENTITY_COOKIE);
	assert_int_equal(web->sticky.cacheable, CONFIG_CACHEABLE_PRIVATE);
	assert_null(web->sticky.domain);
	assert_int_equal(web->sticky.lifetime_ns, 0);
	assert_int_equal(web->balance.policy, CONFIG_LEAST_REQUEST);
	assert_int_equal(web->balance.n_key, 1);
	assert_int_equal(web->balance.key[0].source, CONFIG_KEY_CLIENT);
	assert_int_equal(web->drain_ns, 600 * CLOCK_NS_PER_S);
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
test_bad_amounts_name_what_was_expected(void **state)
{
	static const char *const rows[][2] = {
		{"timeouts: {idle: 10}\n" REST,
			"t.yaml:1:18: timeouts.idle: expected a duration "
			"(250ms, 10s, 5m, 1h), not \"10\""},
		{"timeouts: {idle: 1 s}\n" REST,
			"t.yaml:1:18: timeouts.idle: expected a duration "
			"(250ms, 10s, 5m, 1h), not \"1 s\""},
		{"timeouts: {idle: 0}\n" REST,
			"t.yaml:1:18: timeouts.idle: 0 is less than the least "
			"value, 1ms"},
		{"timeouts: {idle: 25h}\n" REST,
			"t.yaml:1:18: timeouts.idle: 25h is more than the "
			"largest value, 24h"},
		{"timeouts: {idle: 99999999999999999999h}\n" REST,
			"t.yaml:1:18: timeouts.idle: expected a duration "
			"(250ms, 10s, 5m, 1h), not \"99999999999999999999h\""},
		{"limits: {head: 512}\n" REST,
			"t.yaml:1:16: limits.head: 512 is less than the least "
			"value, 1KiB"},
		{"limits: {head: 1mb}\n" REST,
			"t.yaml:1:16: limits.head: expected a size (16KiB, "
			"1MiB, or bytes), not \"1mb\""},
		{"limits: {fields: 251}\n" REST,
			"t.yaml:1:18: limits.fields: 251 is more than the "
			"largest value, 250"},
		{"limits: {fields: -1}\n" REST,
			"t.yaml:1:18: limits.fields: expected a whole number, "
			"not \"-1\""},
		{"limits: {body: 17000000TiB}\n" REST,
			"t.yaml:1:16: limits.body: expected a size (16KiB, "
			"1MiB, or bytes), not \"17000000TiB\""},
		{"workers: 0\n" REST,
			"t.yaml:1:10: workers: 0 is less than the least value, "
			"1"},
		{"workers: many\n" REST,
			"t.yaml:1:10: workers: expected a whole number or "
			"auto, not \"many\""},
		{"workers: [1]\n" REST,
			"t.yaml:1:10: workers: expected a whole number or "
			"auto, not a list"},
		{"workers:\n" REST,
			"t.yaml:1:9: workers: expected a whole number or auto, "
			"not nothing"},
	};
	size_t i;

	for (i = 0; i < N_OF(rows); i++)
		assert_error(rows[i][0], rows[i][1]);
}

static void
test_unknown_key_suggests_the_near_one(void **state)
{
	static const char *const rows[][2] = {
		{"wrokers: 1\n" REST,
			"t.yaml:1:1: unknown key \"wrokers\", did you mean "
			"\"workers\"?"},
		{SERVICE("\n  balance: {polcy: maglev}"),
			"t.yaml:3:13: unknown key \"polcy\" in "
			"services.web.balance, did you mean \"policy\"?"},
		{"timeouts: {resp: 1s}\n" REST,
			"t.yaml:1:12: unknown key \"resp\" in timeouts, did "
			"you mean \"response\"?"},
		{LISTENERS "services: {web: {versions: {v1: {endpoints: [\n"
			   " {address: \"a:1\", wieght: 3}]}}}}\n",
			"t.yaml:3:19: unknown key \"wieght\" in "
			"services.web.versions.v1.endpoints[0], did you mean "
			"\"weight\"?"},
		{"listeners: [{bind: 127.0.0.1:80, tls: {}}]\n" SERVICES,
			"t.yaml:1:34: unknown key \"tls\" in listeners[0]; "
			"known here: bind"},
		{SERVICE("plan: gradual"),
			"t.yaml:2:52: unknown key \"plan\" in services.web; "
			"known here: match, versions, stable, sticky, balance, "
			"drain, timeouts, limits"},
	};
	size_t i;

	for (i = 0; i < N_OF(rows); i++)
		assert_error(rows[i][0], rows[i][1]);
}

static void
test_distance_counts_swaps_as_one(void **state)
{
	static const char *const words[] = {"weight", "address", "key"};

	assert_int_equal(suggest_distance("weight", "weight"), 0);
	assert_int_equal(suggest_distance("wieght", "weight"), 1);
	assert_int_equal(suggest_distance("", "abc"), 3);
	assert_int_equal(suggest_distance("kitten", "sitting"), 3);
	assert_string_equal(suggest_word("adres", words, 3), "address");
	assert_string_equal(suggest_word("addr", words, 3), "address");
	assert_string_equal(suggest_word("kye", words, 3), "key");
	assert_null(suggest_word("kxx", words, 3));
	assert_null(suggest_word("", words, 3));
	assert_null(suggest_word("health", words, 3));
}

static void
test_wrong_word_lists_the_right_ones(void **state)
{
	static const char *const rows[][2] = {
		{"log: {level: inof}\n" REST,
			"t.yaml:1:14: log.level: unknown value \"inof\", did "
			"you mean \"info\"? (one of error, warn, info, debug)"},
		{SERVICE("balance: {policy: random}"),
			"t.yaml:2:70: services.web.balance.policy: unknown "
			"value \"random\", expected one of least_request, "
			"round_robin, maglev"},
	};
	size_t i;

	for (i = 0; i < N_OF(rows); i++)
		assert_error(rows[i][0], rows[i][1]);
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
			"domain: .Example.COM}"));
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
test_stable_names_a_version(void **state)
{
	static const char two[] =
		LISTENERS "services:\n  web:\n    versions: {v1-abcdef: "
			  "{endpoints: a:1}, v2-abcdef: {endpoints: b:1}}\n";
	char text[512];

	assert_error(two,
		"t.yaml:3:3: missing key \"stable\" in services.web, which has "
		"2 versions");
	snprintf(text, sizeof(text), "%s    stable: v1-abcdfe\n", two);
	assert_error(text,
		"t.yaml:5:13: services.web.stable: no version \"v1-abcdfe\", "
		"did you mean \"v1-abcdef\"?");
	snprintf(text, sizeof(text), "%s    stable: other\n", two);
	assert_error(text,
		"t.yaml:5:13: services.web.stable: no version \"other\" in its "
		"versions");
	snprintf(text, sizeof(text), "%s    stable: v2-abcdef\n", two);
	config_free(parse_good(text));
}

static void
test_names_are_limited_in_length_and_letters(void **state)
{
	char name[66], text[512];

	memset(name, 'a', sizeof(name));
	name[64] = '\0';
	snprintf(text, sizeof(text),
		LISTENERS "services: {web: {versions: {%s: {endpoints: "
			  "a:1}}}}\n",
		name);
	config_free(parse_good(text));
	name[64] = 'a';
	name[65] = '\0';
	snprintf(text, sizeof(text),
		LISTENERS "services: {web: {versions: {%s: {endpoints: "
			  "a:1}}}}\n",
		name);
	assert_null(parse(text));
	assert_error(LISTENERS "services: {\"a b\": {" VERSIONS "}}\n",
		"t.yaml:2:12: services.a b: expected a name (letters, digits, "
		"\".\", \"_\" and \"-\"; at most 64), not \"a b\"");
	/* In a cookie, "-" is no version. */
	assert_null(parse(
		LISTENERS "services: {web: {versions: {\"-\": {endpoints: "
			  "a:1}}}}\n"));
}

static void
test_things_given_twice_are_refused(void **state)
{
	assert_error("listeners:\n  - bind: \"[::]:80\"\n  - bind: "
		     "\"*:80\"\n" SERVICES,
		"t.yaml:3:11: listener [::]:80 is given twice, first in line "
		"2");
	assert_error(LISTENERS "services: {web: {versions: {v1: {endpoints:\n"
			       "  [a:1, b:1,\n"
			       "  {address: A:1}]}}}}\n",
		"t.yaml:4:13: endpoint a:1 of version \"v1\" is given twice, "
		"first in line 3");
	assert_error(LISTENERS "services:\n"
			       "  web: {" VERSIONS "}\n"
			       "  web: {}\n",
		"t.yaml:4:3: the key \"web\" is there twice");
	assert_error(LISTENERS "services:\n"
			       "  a: {" VERSIONS ", match: {hosts: a.b}}\n"
			       "  b: {" VERSIONS ", match: {paths: /x}}\n"
			       "  c: {" VERSIONS ", match: {hosts: A.B}}\n",
		"t.yaml:5:56: services.c.match: a.b/ is taken by service "
		"\"a\" (line 3)");
	assert_error(SERVICE("match: {paths: [/x, /y, /x]}"),
		"t.yaml:2:76: services.web.match: */x is given twice");
	assert_error("admin: {bind: [127.0.0.1:1, 127.0.0.1:1]}\n" REST,
		"t.yaml:1:29: admin.bind 127.0.0.1:1 is given twice, first in "
		"line 1");
}

static void
test_all_errors_come_at_once_in_order(void **state)
{
	static const char *const messages[] = {
		"t.yaml:1:1: missing key \"services\"",
		"t.yaml:1:10: workers: 257 is more than the largest value, "
		"256",
		"t.yaml:2:1: unknown key \"limts\", did you mean \"limits\"?",
		"t.yaml:3:7: unknown key \"levl\" in log, did you mean "
		"\"level\"?",
		"t.yaml:3:27: log.access: expected a map, not a single value",
		"t.yaml:6:11: listener 127.0.0.1:1 is given twice, first in "
		"line 5",
		"t.yaml:7:18: environment variable PERCH_TEST_UNSET is not "
		"set; ${PERCH_TEST_UNSET:-default} gives it a default",
	};

	unsetenv("PERCH_TEST_UNSET");
	assert_errors("workers: 257\n"
		      "limts: {}\n"
		      "log: {levl: info, access: no}\n"
		      "listeners:\n"
		      "  - bind: 127.0.0.1:1\n"
		      "  - bind: 127.0.0.1:1\n"
		      "trusted_proxies: \"${PERCH_TEST_UNSET}\"\n",
		N_OF(messages), messages);
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
test_bad_variables_are_errors_with_a_place(void **state)
{
	static const char *const rows[][2] = {
		{"user: ${PERCH_TEST_UNSET}\n" REST,
			"t.yaml:1:7: environment variable PERCH_TEST_UNSET is "
			"not set; ${PERCH_TEST_UNSET:-default} gives it a "
			"default"},
		{"user: $HOME\n" REST,
			"t.yaml:1:7: a \"$\" must begin ${NAME}; write $$ for "
			"a dollar"},
		{"user: ${A\n" REST, "t.yaml:1:7: \"${\" has no \"}\""},
		{"user: ${A-b}\n" REST,
			"t.yaml:1:7: \"${A-b}\" is neither ${NAME} nor "
			"${NAME:-default}"},
		{"user: ${}\n" REST,
			"t.yaml:1:7: \"${}\" is neither ${NAME} nor "
			"${NAME:-default}"},
		{"user: ${PERCH_TEST_LINES}\n" REST,
			"t.yaml:1:7: a variable's value has control "
			"characters"},
	};
	size_t i;

	unsetenv("PERCH_TEST_UNSET");
	setenv("PERCH_TEST_LINES", "a\nb", 1);
	for (i = 0; i < N_OF(rows); i++)
		assert_error(rows[i][0], rows[i][1]);
}

static void
test_syntax_errors_have_a_place(void **state)
{
	static const char *const rows[][2] = {
		{"a: [1, 2\nb: 3\n",
			"t.yaml:2:2: not valid YAML: did not find expected ',' "
			"or ']', while parsing a flow sequence from line 1 on"},
		{"a: b: c\n", "t.yaml:1:5: not valid YAML: mapping values are "
			      "not allowed in this context"},
		{"user: \xff\n", "t.yaml:1:7: not valid YAML: invalid leading "
				 "UTF-8 octet"},
		{"a: 1\nb: &x 2\nb: *x\n" REST,
			"t.yaml:1:1: unknown key \"a\"; known here: workers, "
			"user, trusted_proxies, timeouts, limits, log, "
			"listeners, services, admin, state_dir"},
		{"a: 1\n---\nb: 1\n",
			"t.yaml:2:1: a second document (\"---\") in one file"},
		{"- a\n", "t.yaml:1:1: the file: expected a map, not a list"},
	};
	size_t i;

	for (i = 0; i < N_OF(rows); i++) {
		assert_null(parse(rows[i][0]));
		assert_true(report.n_errors >= 1);
		assert_string_equal(report.errors[0], rows[i][1]);
	}
}

static void
test_yaml_beyond_the_subset_is_refused(void **state)
{
	assert_error("user: &a nobody\n" REST,
		"t.yaml:1:7: anchors and tags are not supported");
	assert_error("user: !!str nobody\n" REST,
		"t.yaml:1:7: anchors and tags are not supported");
	assert_error("user: \"a\\0b\"\n" REST,
		"t.yaml:1:7: a value must be one line without control "
		"characters");
	assert_error("? [a]\n: b\n" REST,
		"t.yaml:1:3: a key must be a word, not a list or map");
	assert_error("user: *a\n" REST,
		"t.yaml:1:7: aliases (*a) are not supported; write the value "
		"out");
}

static void
test_empty_file_misses_what_is_required(void **state)
{
	static const char *const messages[] = {
		"t.yaml:1:1: missing key \"listeners\"",
		"t.yaml:1:1: missing key \"services\"",
	};

	assert_errors("", 2, messages);
	assert_errors("# nothing\n", 2, messages);
	assert_errors("---\n...\n", 2, messages);
}

static void
test_commented_out_group_is_empty(void **state)
{
	config_free(parse_good("timeouts:\n  # idle: 1s\nlog: ~\n" REST));
}

static void
test_deep_nesting_ends_with_an_error(void **state)
{
	size_t n = 200000;
	char *text = calloc(1, n + 1);

	memset(text, '[', n);
	assert_error(text, "t.yaml:1:34: nested more than 32 deep");
	free(text);
}

static void
test_huge_input_is_refused(void **state)
{
	char *text = malloc(YAML_MAX_SIZE + 1);

	memset(text, ' ', YAML_MAX_SIZE + 1);
	config_report_free(&report);
	assert_null(config_parse("t.yaml", text, YAML_MAX_SIZE + 1, &report));
	assert_int_equal(report.n_errors, 1);
	assert_string_equal(report.errors[0], "t.yaml: larger than 4 MiB");
	free(text);
}

static void
test_very_many_errors_are_counted(void **state)
{
	size_t n = 3000, i;
	char *text = calloc(1, n * 16), *at = text;

	for (i = 0; i < n; i++)
		at += sprintf(at, "zzz%zu: 1\n", i);
	sprintf(at, REST);
	assert_null(parse(text));
	assert_int_equal(report.n_errors, 1001);
	assert_string_equal(report.errors[1000], "t.yaml: and 2000 more");
	free(text);
}

static void
test_doubtful_choices_are_warned_of(void **state)
{
	config_free(parse_good(REST));
	assert_int_equal(report.n_warnings, 1);
	assert_string_equal(report.warnings[0],
		"t.yaml:1:1: no state_dir: a restart forgets releases and "
		"draws every client anew");

	config_free(parse_good("state_dir: /x\n" REST));
	assert_int_equal(report.n_warnings, 0);

	config_free(parse_good(
		"state_dir: /x\n" SERVICE("sticky: {cacheable: keep}")));
	assert_int_equal(report.n_warnings, 1);
	assert_string_equal(report.warnings[0],
		"t.yaml:3:72: services.web.sticky.cacheable: with keep, a "
		"shared cache may give the candidate's pages to everybody");

	config_free(
		parse_good("state_dir: /x\nadmin: {bind: 0.0.0.0:1}\n" REST));
	assert_int_equal(report.n_warnings, 1);
	assert_string_equal(report.warnings[0],
		"t.yaml:2:15: admin.bind: the admin server asks for no "
		"password, and 0.0.0.0:1 is no loopback address");
}

static void
test_missing_file_is_an_error(void **state)
{
	assert_null(config_load("/nonexistent/perch.yaml", &report));
	assert_int_equal(report.n_errors, 1);
	assert_string_equal(report.errors[0],
		"/nonexistent/perch.yaml: can't be read: No such file or "
		"directory");
	config_report_free(&report);
	assert_null(config_load("/", &report));
	assert_string_equal(
		report.errors[0], "/: can't be read: Is a directory");
}

static void
test_every_example_loads(void **state)
{
	DIR *dir = opendir(CONF_DIR);
	struct dirent *file;
	size_t n = 0;

	assert_non_null(dir);
	while ((file = readdir(dir)) != NULL) {
		const char *dot = strrchr(file->d_name, '.');
		char path[512];
		struct config *config;

		if (dot == NULL || strcmp(dot, ".yaml") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", CONF_DIR, file->d_name);
		config_report_free(&report);
		config = config_load(path, &report);
		if (config == NULL)
			fail_msg("%s", report.errors[0]);
		config_free(config);
		n++;
	}
	closedir(dir);
	assert_true(n >= 2);
}

/* What stands for a row in the JSON Schema: each word of its path in turn. */
static json_t *
schema_at(json_t *schema, const char *path)
{
	char copy[256], *word, *rest;

	snprintf(copy, sizeof(copy), "%s", path);
	for (word = strtok_r(copy, ".", &rest); word != NULL;
		word = strtok_r(NULL, ".", &rest)) {
		char *brackets = strstr(word, "[]");
		json_t *any;

		if (strcmp(word, "NAME") == 0) {
			schema =
				json_object_get(schema, "additionalProperties");
			continue;
		}
		if (brackets != NULL)
			*brackets = '\0';
		schema = json_object_get(
			json_object_get(schema, "properties"), word);
		if (brackets == NULL)
			continue;
		/* The array, and of its items the map. */
		any = json_object_get(schema, "anyOf");
		schema = json_object_get(
			any != NULL ? json_array_get(any, 0) : schema, "items");
		any = json_object_get(schema, "anyOf");
		if (any != NULL)
			schema = json_array_get(any, 1);
	}
	return schema;
}

/* Prints with print; the caller frees. */
static char *
printed(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print(out);
	fclose(out);
	return text;
}

static void
test_json_schema_describes_each_key(void **state)
{
	char *text = printed(config_print_json_schema);
	json_error_t error;
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	size_t i;

	if (schema == NULL)
		fail_msg("line %d: %s", error.line, error.text);
	assert_true(
		json_is_false(json_object_get(schema, "additionalProperties")));
	for (i = 0; i < schema_n_keys; i++) {
		json_t *at = schema_at(schema, schema_keys[i].path);
		json_t *help = json_object_get(at, "description");

		if (help == NULL)
			fail_msg("%s is not in it", schema_keys[i].path);
		assert_string_equal(
			json_string_value(help), schema_keys[i].help);
		if (schema_keys[i].def != NULL)
			assert_non_null(json_object_get(at, "default"));
	}
	json_decref(schema);
	free(text);
}

static void
test_reference_describes_each_key(void **state)
{
	char *man = printed(config_print_reference_man);
	char *markdown = printed(config_print_reference_markdown);
	char line[256];
	size_t i;

	for (i = 0; i < schema_n_keys; i++) {
		snprintf(line, sizeof(line), "\n.It Ic %s\n",
			schema_keys[i].path);
		if (strstr(man, line) == NULL)
			fail_msg("%s is not in the man page", line);
		snprintf(line, sizeof(line), "\n| `%s` |", schema_keys[i].path);
		if (strstr(markdown, line) == NULL)
			fail_msg("%s is not in the markdown", line);
	}
	free(man);
	free(markdown);
}

/* Each row's example must be taken where it stands. */
static void
test_examples_of_the_schema_are_good(void **state)
{
	size_t i;

	for (i = 0; i < schema_n_keys; i++) {
		const struct schema_key *key = &schema_keys[i];
		char text[1024];

		if (key->example == NULL || strstr(key->path, "NAME") ||
			strchr(key->path, '[') || strchr(key->path, '.'))
			continue;
		snprintf(text, sizeof(text), "%s: %s\n" REST, key->path,
			key->example);
		config_free(parse_good(text));
	}
	config_free(parse_good(
		SERVICE("sticky: {key: [header X-User-Id, cookie session]}, "
			"match: {hosts: [www.example.com, \"*.example.org\"], "
			"paths: [/api, /auth]}")));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, free_report)
	const struct CMUnitTest tests[] = {
		TEST(test_smallest_file_gets_the_defaults),
		TEST(test_times_and_limits_have_defaults),
		TEST(test_service_gets_defaults),
		TEST(test_durations_have_units),
		TEST(test_sizes_have_units),
		TEST(test_bad_amounts_name_what_was_expected),
		TEST(test_unknown_key_suggests_the_near_one),
		TEST(test_distance_counts_swaps_as_one),
		TEST(test_wrong_word_lists_the_right_ones),
		TEST(test_words_become_enums),
		TEST(test_keys_name_headers_and_cookies),
		TEST(test_hosts_are_lower_cased_and_checked),
		TEST(test_endpoints_are_words_or_maps),
		TEST(test_listeners_bind_addresses),
		TEST(test_admin_binds_ip_or_unix),
		TEST(test_a_service_overrides_times_and_limits),
		TEST(test_stable_names_a_version),
		TEST(test_names_are_limited_in_length_and_letters),
		TEST(test_things_given_twice_are_refused),
		TEST(test_all_errors_come_at_once_in_order),
		TEST(test_variables_are_replaced),
		TEST(test_bad_variables_are_errors_with_a_place),
		TEST(test_syntax_errors_have_a_place),
		TEST(test_yaml_beyond_the_subset_is_refused),
		TEST(test_empty_file_misses_what_is_required),
		TEST(test_commented_out_group_is_empty),
		TEST(test_deep_nesting_ends_with_an_error),
		TEST(test_huge_input_is_refused),
		TEST(test_very_many_errors_are_counted),
		TEST(test_doubtful_choices_are_warned_of),
		TEST(test_missing_file_is_an_error),
		TEST(test_every_example_loads),
		TEST(test_json_schema_describes_each_key),
		TEST(test_reference_describes_each_key),
		TEST(test_examples_of_the_schema_are_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
