#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/url.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void
test_urls_are_taken_apart(void **state)
{
	static const struct {
		const char *text, *host, *target, *authority;
		bool is_https;
		uint16_t port;
	} rows[] = {
		{"http://a", "a", "/", "a", false, 80},
		{"https://a", "a", "/", "a", true, 443},
		{"https://A.Example./x?y=%2f", "a.example", "/x?y=%2f",
			"a.example", true, 443},
		{"http://a:443/", "a", "/", "a:443", false, 443},
		{"https://a:443/", "a", "/", "a", true, 443},
		{"http://127.0.0.1:8080/@:", "127.0.0.1",
			"/@:", "127.0.0.1:8080", false, 8080},
		{"http://[::1]/b/c", "::1", "/b/c", "[::1]", false, 80},
		{"https://[2001:DB8::1]:8443", "2001:db8::1", "/",
			"[2001:db8::1]:8443", true, 8443},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		char authority[URL_AUTHORITY_SIZE];
		struct error error;
		struct url url;

		if (!url_parse(slice_from_string(rows[i].text), &url, &error))
			fail_msg("%s: %s", rows[i].text, error.message);
		assert_int_equal(url.is_https, rows[i].is_https);
		assert_string_equal(url.host, rows[i].host);
		assert_int_equal(url.port, rows[i].port);
		assert_true(slice_equal(
			url.target, slice_from_string(rows[i].target)));
		url_format_authority(&url, authority);
		assert_string_equal(authority, rows[i].authority);
	}
}

static void
test_what_is_no_url_is_refused(void **state)
{
	static const char *const rows[][2] = {
		{"", "begins with"},
		{"a", "begins with"},
		{"ftp://a/", "begins with"},
		{"HTTP://a/", "begins with"},
		{"http:/a/", "begins with"},
		{"http://", "host"},
		{"http:///x", "host"},
		{"http://a:0/", "host"},
		{"http://a:65536/", "host"},
		{"http://a:x/", "host"},
		{"http://a b/", "host"},
		{"http://[::1/", "host"},
		{"http://u@a/", "no user"},
		{"http://u:p@a:80/x", "no user"},
		{"http://a?x", "a path"},
		{"http://a#x", "a path"},
		{"http://a/#x", "no \"#\""},
		{"http://a/x y", "percent"},
		{"http://a/%", "percent"},
		{"http://a/%2", "percent"},
		{"http://a/%2x", "percent"},
		{"http://a/\xc3\xa4", "percent"},
		{"http://a/x\r\nHost: b", "percent"},
		{"http://a/\"", "percent"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct error error;
		struct url url;

		if (url_parse(slice_from_string(rows[i][0]), &url, &error))
			fail_msg("%s is taken for a URL", rows[i][0]);
		if (strstr(error.message, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], error.message);
	}
}

static void
test_a_url_has_a_longest(void **state)
{
	static const char start[] = "http://a/";
	size_t size = URL_MAX_LEN + 2;
	char *text = malloc(size);
	struct error error;
	struct url url;

	assert_non_null(text);
	memset(text, 'x', size);
	memcpy(text, start, sizeof(start) - 1);
	assert_true(url_parse((struct slice){text, URL_MAX_LEN}, &url, &error));
	assert_int_equal(url.target.len, URL_MAX_LEN - (sizeof(start) - 2));
	assert_false(
		url_parse((struct slice){text, URL_MAX_LEN + 1}, &url, &error));
	free(text);
}

/* The path of a webhook is often its password. */
static void
test_a_refusal_keeps_the_secret(void **state)
{
	struct error error;
	struct url url;

	assert_false(
		url_parse(SLICE("http://me:hush@a/hush#hush"), &url, &error));
	assert_null(strstr(error.message, "hush"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls_are_taken_apart),
		cmocka_unit_test(test_what_is_no_url_is_refused),
		cmocka_unit_test(test_a_url_has_a_longest),
		cmocka_unit_test(test_a_refusal_keeps_the_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
