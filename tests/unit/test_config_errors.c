#include <stdio.h>
#include <stdlib.h>

#include "config/suggest.h"
#include "config/yaml.h"
#include "config_parse.h"

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
		{SERVICE("http2: true"),
			"t.yaml:2:52: unknown key \"http2\" in services.web; "
			"known here: match, versions, stable, sticky, balance, "
			"drain, rescue, shield, tunnels, group, plan, warmup, health, "
			"timeouts, upgrades, limits"},
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
		{SERVICE("shield: {methods: [GET, PATCH]}"),
			"t.yaml:2:76: services.web.shield.methods[1]: unknown "
			"value \"PATCH\", expected one of GET, HEAD, OPTIONS, "
			"TRACE, PUT, DELETE"},
	};
	size_t i;

	for (i = 0; i < N_OF(rows); i++)
		assert_error(rows[i][0], rows[i][1]);
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
test_values_that_no_cookie_or_header_takes(void **state)
{
	assert_error(SERVICE("sticky: {lifetime: 1500ms}"),
		"t.yaml:2:71: services.web.sticky.lifetime: Max-Age has whole "
		"seconds");
	assert_error(SERVICE("sticky: {header: host}"),
		"t.yaml:2:69: services.web.sticky.header: Host has a meaning "
		"of its own");
	assert_error(SERVICE("sticky: {cookie: a=b}"),
		"t.yaml:2:69: services.web.sticky.cookie: expected the name of "
		"a cookie, not \"a=b\"");
	assert_error(SERVICE("sticky: {domain: 10.0.0.1}"),
		"t.yaml:2:69: services.web.sticky.domain: expected a domain "
		"name (example.com), not \"10.0.0.1\"");
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
test_prefixes_must_be_canonical(void **state)
{
	static const char *const bad[] = {"/a;b", "/a\\b", "//a", "/a//b",
		"/./a", "/a/..", "/a/../b", "/.", "/a%2fb", "/a%5Cb", "/a%3bb",
		"/%2e%2e", "/a%00", "/a%7f", "/a%", "/a%4", "/a%zz"};
	static const char *const good[] = {"/.well-known", "/a.b/..c/d..",
		"/caf%C3%A9", "/a%20b", "/a%25b", "/a/"};
	char text[512], error[128];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), SERVICE("match: {paths: '%s'}"),
			bad[i]);
		snprintf(error, sizeof(error),
			"services.web.match.paths: no canonical path begins "
			"with %s (see paths)",
			bad[i]);
		assert_null(parse(text));
		assert_non_null(strstr(report.errors[0], error));
		snprintf(text, sizeof(text),
			"paths: as_is\n" SERVICE("match: {paths: '%s'}"),
			bad[i]);
		config_free(parse_good(text));
	}
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), SERVICE("match: {paths: '%s'}"),
			good[i]);
		config_free(parse_good(text));
	}
}

static void
test_upgrades_hide_no_requests(void **state)
{
	static const char *const bad[] = {"h2c", "H2C", "h2", "HTTP/2.0",
		"TLS/1.0"};
	char text[256], error[160];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), SERVICE("upgrades: %s"), bad[i]);
		snprintf(error, sizeof(error),
			"services.web.upgrades: requests behind an upgrade to "
			"%s would pass unseen",
			bad[i]);
		assert_null(parse(text));
		assert_non_null(strstr(report.errors[0], error));
	}
	assert_null(parse("upgrades: [\"a b\"]\n" REST));
	assert_null(parse("upgrades: [a/]\n" REST));
	assert_null(parse("upgrades: [/a]\n" REST));
	assert_null(parse("upgrades: [websocket, h2c]\n" REST));
}

/* Each has its own copies, whoever said nothing. */
static void
test_services_inherit_upgrades(void **state)
{
	struct config *config = parse_good(
		"upgrades: [tcp, SPDY/3.1]\n" LISTENERS "services:\n"
		"  a: {" VERSIONS ", match: {paths: /a}}\n"
		"  b: {" VERSIONS ", match: {paths: /b}, upgrades: []}\n"
		"  c: {" VERSIONS ", match: {paths: /c}, upgrades: x}\n");

	assert_int_equal(config->services[0].n_upgrades, 2);
	assert_string_equal(config->services[0].upgrades[0], "tcp");
	assert_string_equal(config->services[0].upgrades[1], "SPDY/3.1");
	assert_ptr_not_equal(
		config->services[0].upgrades[0], config->upgrades[0]);
	assert_int_equal(config->services[1].n_upgrades, 0);
	assert_int_equal(config->services[2].n_upgrades, 1);
	assert_string_equal(config->services[2].upgrades[0], "x");
	config_free(config);
	config = parse_good(REST);
	assert_int_equal(config->services[0].n_upgrades, 1);
	assert_string_equal(config->services[0].upgrades[0], "websocket");
	config_free(config);
}

static void
test_webhooks_must_make_sense(void **state)
{
	assert_error("notify: [{format: json}]\n" REST,
		"t.yaml:1:10: missing key \"url\" in notify[0]");
	assert_error("notify: [{url: \"ftp://a/\"}]\n" REST,
		"t.yaml:1:16: notify[0].url: a URL begins with http:// or "
		"https://");
	assert_error("notify: [{url: \"http://me:pw@a/\"}]\n" REST,
		"t.yaml:1:16: notify[0].url: a URL may have no user or "
		"password here");
	assert_error(
		"notify: [{url: \"http://a\", events: [rolled_bak]}]\n" REST,
		"t.yaml:1:37: notify[0].events[0]: unknown value "
		"\"rolled_bak\", did you mean \"rolled_back\"? (one of "
		"started, advanced, retreated, held, running, paused, resumed, share_set, "
		"frozen, "
		"rolled_back, promoted, untrusted, journal_failed, "
		"journal_recovered)");
	assert_error("notify: [{url: \"http://a\", events: []}]\n" REST,
		"t.yaml:1:36: notify[0].events: must not be empty");
	assert_error("notify:\n"
		     "  - url: http://a/x\n"
		     "  - url: http://a/x\n" REST,
		"t.yaml:3:10: this URL of notify is given twice, first in "
		"line 2");
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
			"user, trusted_proxies, paths, forwarded_fields, "
			"underscores, upgrades, timeouts, limits, log, listeners, "
			"services, plans, notify, admin, sticky, state_dir"},
		{"a: 1\n---\nb: 1\n",
			"t.yaml:2:1: a second document (\"---\") in one file"},
		{"- a\n", "t.yaml:1:1: the file: expected a map, not a list"},
		{"listeners:\n  - bind: *:80\n",
			"t.yaml:2:11: a value that begins with * needs "
			"quotes: \"*:80\""},
		{"# f\xc3\xbcr\nhosts: [*.example.com, b]\n",
			"t.yaml:2:9: a value that begins with * needs quotes: "
			"\"*.example.com\""},
		{"a: {b: *}\n", "t.yaml:1:8: a value that begins with * needs "
				"quotes: \"*\""},
		{"a: &:80", "t.yaml:1:4: a value that begins with & needs "
			    "quotes: \"&:80\""},
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
		"out, or quote it if it begins with *");
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
		"shared cache may give the candidate's pages to everybody, and "
		"clients get no cookie from pages that it may keep");

	config_free(
		parse_good("state_dir: /x\nadmin: {bind: 0.0.0.0:1}\n" REST));
	assert_int_equal(report.n_warnings, 1);
	assert_string_equal(report.warnings[0],
		"t.yaml:2:15: admin.bind: the admin server asks for no "
		"password, and 0.0.0.0:1 is no loopback address");

	config_free(parse_good("state_dir: /x\n"
			       "notify: [{url: \"http://a\", ca: /b}]\n" REST));
	assert_int_equal(report.n_warnings, 1);
	assert_string_equal(report.warnings[0],
		"t.yaml:2:32: notify[0].ca: has an effect on an https URL "
		"only");
}

static void
test_cookies_that_browsers_refuse_are_refused(void **state)
{
	static const char *const rows[][2] = {
		{SERVICE("sticky: {same_site: none, secure: never}"),
			"t.yaml:2:86: services.web.sticky.secure: browsers "
			"take a cookie with same_site: none only if it is "
			"Secure"},
		{SERVICE("sticky: {partitioned: true}"),
			"t.yaml:2:74: services.web.sticky.partitioned: is for "
			"same_site: none"},
		{SERVICE("sticky: {override: key}"),
			"t.yaml:2:71: services.web.sticky.override: key needs "
			"override_keys"},
		{SERVICE("sticky: {override_keys: /nowhere/at/all}"),
			"t.yaml:2:76: services.web.sticky.override_keys: "
			"/nowhere/at/all: can't be read: No such file or "
			"directory"},
	};

	for (size_t i = 0; i < N_OF(rows); i++)
		assert_error(rows[i][0], rows[i][1]);
}

static void
test_domain_without_the_host_is_warned_of(void **state)
{
	config_free(parse_good("state_dir: /x\n" SERVICE(
		"match: {hosts: [example.com, a.example.com, "
		"\"*.b.example.com\", \"*\"]}, "
		"sticky: {domain: example.com}")));
	assert_int_equal(report.n_warnings, 0);
	config_free(parse_good("state_dir: /x\n" SERVICE(
		"match: {hosts: [example.com, xexample.com]}, "
		"sticky: {domain: example.com}")));
	assert_int_equal(report.n_warnings, 1);
	assert_non_null(strstr(report.warnings[0],
		"sticky.domain: browsers refuse the cookie at xexample.com, "
		"which isn't in example.com"));
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad_amounts_name_what_was_expected),
		TEST(test_unknown_key_suggests_the_near_one),
		TEST(test_distance_counts_swaps_as_one),
		TEST(test_wrong_word_lists_the_right_ones),
		TEST(test_stable_names_a_version),
		TEST(test_values_that_no_cookie_or_header_takes),
		TEST(test_names_are_limited_in_length_and_letters),
		TEST(test_things_given_twice_are_refused),
		TEST(test_prefixes_must_be_canonical),
		TEST(test_upgrades_hide_no_requests),
		TEST(test_services_inherit_upgrades),
		TEST(test_webhooks_must_make_sense),
		TEST(test_all_errors_come_at_once_in_order),
		TEST(test_bad_variables_are_errors_with_a_place),
		TEST(test_syntax_errors_have_a_place),
		TEST(test_yaml_beyond_the_subset_is_refused),
		TEST(test_empty_file_misses_what_is_required),
		TEST(test_deep_nesting_ends_with_an_error),
		TEST(test_huge_input_is_refused),
		TEST(test_very_many_errors_are_counted),
		TEST(test_cookies_that_browsers_refuse_are_refused),
		TEST(test_domain_without_the_host_is_warned_of),
		TEST(test_doubtful_choices_are_warned_of),
		TEST(test_missing_file_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
