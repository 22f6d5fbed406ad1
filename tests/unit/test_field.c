/* Names, tokens, lists and cookie pairs; and what is said of errors. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exact.h"
#include "http/field.h"
#include "http/h1_write.h"

static const struct {
	const char *name;
	enum field_id id;
} known[] = {
	{"Accept", FIELD_ACCEPT},
	{"Cache-Control", FIELD_CACHE_CONTROL},
	{"Forwarded", FIELD_CLAIM},
	{"Connection", FIELD_CONNECTION},
	{"Content-Length", FIELD_CONTENT_LENGTH},
	{"Content-Type", FIELD_CONTENT_TYPE},
	{"Cookie", FIELD_COOKIE},
	{"Expect", FIELD_EXPECT},
	{"Expires", FIELD_EXPIRES},
	{"Host", FIELD_HOST},
	{"If-Match", FIELD_IF_MATCH},
	{"If-Modified-Since", FIELD_IF_MODIFIED_SINCE},
	{"If-None-Match", FIELD_IF_NONE_MATCH},
	{"If-Range", FIELD_IF_RANGE},
	{"If-Unmodified-Since", FIELD_IF_UNMODIFIED_SINCE},
	{"Keep-Alive", FIELD_KEEP_ALIVE},
	{"Origin", FIELD_ORIGIN},
	{"Proxy-Connection", FIELD_PROXY_CONNECTION},
	{"Range", FIELD_RANGE},
	{"Referer", FIELD_REFERER},
	{"Sec-Fetch-Dest", FIELD_SEC_FETCH_DEST},
	{"Sec-Fetch-Mode", FIELD_SEC_FETCH_MODE},
	{"Sec-Fetch-Site", FIELD_SEC_FETCH_SITE},
	{"Sec-Purpose", FIELD_SEC_PURPOSE},
	{"Set-Cookie", FIELD_SET_COOKIE},
	{"CDN-Cache-Control", FIELD_TARGETED_CACHE_CONTROL},
	{"TE", FIELD_TE},
	{"Trailer", FIELD_TRAILER},
	{"Transfer-Encoding", FIELD_TRANSFER_ENCODING},
	{"Upgrade", FIELD_UPGRADE},
	{"User-Agent", FIELD_USER_AGENT},
	{"Via", FIELD_VIA},
	{"X-Forwarded-For", FIELD_X_FORWARDED_FOR},
	{"X-Forwarded-Host", FIELD_X_FORWARDED_HOST},
	{"X-Forwarded-Proto", FIELD_X_FORWARDED_PROTO},
	{"X-Perch-Key", FIELD_X_PERCH_KEY},
	{"X-Request-Id", FIELD_X_REQUEST_ID},
};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

/* Over a block of just its size. */
static enum field_id
identify(const char *name, size_t len)
{
	char *copy = exact_copy(name, len);
	enum field_id id = field_identify((struct slice){copy, len});

	free(copy);
	return id;
}

static void
test_every_known_name_is_identified(void **state)
{
	(void)state;
	assert_int_equal(N_KNOWN, FIELD_COUNT - 1);
	for (size_t i = 0; i < N_KNOWN; i++) {
		char upper[32] = "", lower[32] = "";
		size_t len = strlen(known[i].name);

		for (size_t j = 0; j < len; j++) {
			upper[j] = (char)toupper(known[i].name[j]);
			lower[j] = (char)tolower(known[i].name[j]);
		}
		assert_int_equal(identify(known[i].name, len), known[i].id);
		assert_int_equal(identify(upper, len), known[i].id);
		assert_int_equal(identify(lower, len), known[i].id);
	}
}

static void
test_claims_have_many_names(void **state)
{
	static const char *const claims[] = {"Proxy", "X-Host", "X-Scheme",
		"X-Real-IP", "Client-IP", "X-Forwarded", "X-Client-IP",
		"X-Remote-IP", "Client-Cert", "X-Url-Scheme", "X-Rewrite-URL",
		"X-Remote-Addr", "X-Client-Cert", "True-Client-IP",
		"Front-End-Https", "Proxy-Client-IP", "CF-Connecting-IP",
		"Fastly-Client-IP", "X-Originating-IP", "Client-Cert-Chain",
		"WL-Proxy-Client-IP", "X-Cluster-Client-IP",
		"X-HTTP-Host-Override", "X-Forwarded-Port", "X-Forwarded-By",
		"X-Forwarded-Prefix", "X-Forwarded-Ssl", "x-forwarded-server",
		"X-FORWARDED-SCHEME", "X-Original-URL", "X-Original-Host",
		"X-Ssl-Client-Verify"};
	static const char *const others[] = {"Prox", "Proxies", "X-Hosts",
		"X-Forwarder", "X-Forwarded_Port", "Y-Forwarded-Port",
		"X-Originals", "Accept-Encoding", "Accept-Language",
		"Authorization", "Sec-CH-UA-Mobile", "Content-Encoding",
		"Origins", "DNT", "Upgrade-Insecure-Requests", "X-Ssl-Client"};

	(void)state;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		if (identify(claims[i], strlen(claims[i])) != FIELD_CLAIM)
			fail_msg("%s", claims[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (identify(others[i], strlen(others[i])) != FIELD_OTHER)
			fail_msg("%s", others[i]);
}

/* Every single byte changed, and every length but the right one. */
static void
test_nearly_known_names_are_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KNOWN; i++) {
		size_t len = strlen(known[i].name);
		char name[33];

		strcpy(name, known[i].name);
		for (size_t j = 0; j < len; j++) {
			char was = name[j];

			for (int c = 0; c < 256; c++) {
				if (tolower(c) == tolower(was))
					continue;
				name[j] = (char)c;
				assert_int_equal(identify(name, len),
					strncasecmp(name, "X-Forwarded-", 12) ==
							0
						? FIELD_CLAIM
						: FIELD_OTHER);
			}
			name[j] = was;
		}
		strcat(name, "x");
		assert_int_equal(identify(name, len + 1),
			strncasecmp(name, "X-Forwarded-", 12) == 0
				? FIELD_CLAIM
				: FIELD_OTHER);
		assert_int_not_equal(identify(name, len - 1), known[i].id);
	}
	assert_int_equal(identify("", 0), FIELD_OTHER);
	assert_int_equal(
		identify("A-Name-Longer-Than-All-Of-Ours", 30), FIELD_OTHER);
}

static void
test_tokens_are_of_token_characters(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		bool expected = (c < 128 && isalnum(c)) ||
				strchr("!#$%&'*+-.^_`|~", c) != NULL;

		assert_int_equal(
			field_is_token_char((unsigned char)c), expected);
	}
	assert_false(field_is_token_char(0));
	assert_true(field_is_token(SLICE("gzip")));
	assert_false(field_is_token(SLICE("")));
	assert_false(field_is_token(SLICE("a b")));
	assert_false(field_is_token(SLICE("a,")));
}

/* The list's elements, joined by "|". */
static const char *
elements(const char *list)
{
	static char joined[256];
	size_t len = strlen(list);
	char *copy = exact_copy(list, len);
	struct slice rest = {copy, len}, element;

	joined[0] = '\0';
	while (field_list_next(&rest, &element)) {
		strncat(joined, element.ptr, element.len);
		strcat(joined, "|");
	}
	free(copy);
	return joined;
}

static void
test_lists_are_parted_at_commas(void **state)
{
	(void)state;
	assert_string_equal(elements("a"), "a|");
	assert_string_equal(elements("a,b"), "a|b|");
	assert_string_equal(elements(" a ,\tb c\t, d"), "a|b c|d|");
	assert_string_equal(elements(""), "");
}

static void
test_empty_elements_are_passed_over(void **state)
{
	(void)state;
	assert_string_equal(elements(",, a,, ,b, ,"), "a|b|");
	assert_string_equal(elements(" , "), "");
}

static void
test_commas_in_quoted_strings_dont_part(void **state)
{
	(void)state;
	assert_string_equal(elements("a=\"b,c\", d"), "a=\"b,c\"|d|");
	assert_string_equal(elements("\"a\\\",b\", c"), "\"a\\\",b\"|c|");
	assert_string_equal(elements("a, \"b, c"), "a|\"b, c|");
	assert_string_equal(elements("a, \"b\\"), "a|\"b\\|");
}

static void
test_list_membership_ignores_case_and_parameters(void **state)
{
	struct slice list = SLICE("Gzip;q=0.5 , keep-ALIVE, x");

	(void)state;
	assert_true(field_list_has(list, SLICE("gzip")));
	assert_true(field_list_has(list, SLICE("Keep-Alive")));
	assert_true(field_list_has(list, SLICE("X")));
	assert_false(field_list_has(list, SLICE("keep")));
	assert_false(field_list_has(list, SLICE("q=0.5")));
	assert_false(field_list_has(SLICE(""), SLICE("x")));
	assert_true(field_list_has(SLICE("trailers ;q=1"), SLICE("trailers")));
}

/* "name=value[pair]" for each. */
static const char *
cookies(const char *text)
{
	static char joined[256];
	size_t len = strlen(text);
	char *copy = exact_copy(text, len);
	struct slice rest = {copy, len}, name, value, pair;

	joined[0] = '\0';
	while (field_cookie_next(&rest, &name, &value, &pair)) {
		strncat(joined, name.ptr, name.len);
		strcat(joined, ">");
		strncat(joined, value.ptr, value.len);
		strcat(joined, "[");
		strncat(joined, pair.ptr, pair.len);
		strcat(joined, "]");
	}
	free(copy);
	return joined;
}

static void
test_cookie_pairs_are_taken_one_by_one(void **state)
{
	(void)state;
	assert_string_equal(cookies("a=b"), "a>b[a=b]");
	assert_string_equal(cookies("a=b; c=d"), "a>b[a=b]c>d[c=d]");
	assert_string_equal(cookies("a=b;c=d ; "), "a>b[a=b]c>d[c=d]");
	assert_string_equal(cookies("a=b=c"), "a>b=c[a=b=c]");
	assert_string_equal(cookies("a="), "a>[a=]");
	assert_string_equal(cookies(""), "");
	assert_string_equal(cookies(" ;; "), "");
}

static void
test_nameless_cookies_are_kept_as_values(void **state)
{
	(void)state;
	assert_string_equal(cookies("x; a=b"), ">x[x]a>b[a=b]");
	assert_string_equal(cookies("=x"), ">x[=x]");
}

static void
test_spaces_around_equals_belong_to_neither(void **state)
{
	(void)state;
	assert_string_equal(cookies("a = b"), "a>b[a = b]");
}

/* --- errors --------------------------------------------------------------- */

static void
assert_page(unsigned status, const char *accept, const char *id,
	const char *expected)
{
	char out[512];
	size_t len = h1_error_page(status, slice_from_string(accept),
		slice_from_string(id), out, sizeof(out));

	assert_int_equal(len, strlen(expected));
	assert_memory_equal(out, expected, len);
}

static void
test_error_page_is_text_by_default(void **state)
{
	(void)state;
	assert_page(404, "", "r1", "404 Not Found (request r1)\n");
	assert_page(404, "*/*", "", "404 Not Found\n");
	assert_page(503,
		"text/html,application/xhtml+xml,application/xml;q=0.9,"
		"*/*;q=0.8",
		"", "503 Service Unavailable\n");
}

static void
test_error_page_is_json_where_preferred(void **state)
{
	static const char *const yes[] = {"application/json",
		"Application/JSON; charset=utf-8",
		"application/json, text/plain, */*",
		"text/plain;q=0.5, application/json;q=0.9",
		"*/*;q=0.1, application/json", "application/*",
		"application/json;q=0.8, */*;q=0.8", "text/*;q=0, */*"};
	static const char *const no[] = {"text/plain, application/json",
		"application/json;q=0", "application/json;q=0.5, text/plain",
		"application/json;q=0, */*", "text/*, application/*",
		"application/json;q=x, */*", "application/jsonx", ",;,",
		"application/json;q=0.001, text/*;q=0.002"};

	(void)state;
	assert_page(404, "application/json", "r1",
		"{\"status\":404,\"error\":\"Not Found\","
		"\"request_id\":\"r1\"}\n");
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (h1_error_content_type(slice_from_string(yes[i])).ptr[0] !=
			'a')
			fail_msg("text for \"%s\"", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (h1_error_content_type(slice_from_string(no[i])).ptr[0] !=
			't')
			fail_msg("JSON for \"%s\"", no[i]);
}

static void
test_request_id_cant_break_out_of_the_page(void **state)
{
	(void)state;
	assert_page(400, "application/json", "a\"b\\c\n\033\303d",
		"{\"status\":400,\"error\":\"Bad Request\","
		"\"request_id\":\"a?b?c???d\"}\n");
	assert_page(400, "", "a\r\nb", "400 Bad Request (request a??b)\n");
}

static void
test_error_page_that_doesnt_fit_is_not_cut(void **state)
{
	struct slice none = SLICE("");
	char *out = exact_copy("", 0);
	char exact[14];

	(void)state;
	assert_int_equal(h1_error_page(404, none, none, out, 0), 0);
	free(out);
	assert_int_equal(h1_error_page(404, none, none, exact, 13), 0);
	assert_int_equal(h1_error_page(404, none, none, exact, 14), 14);
}

static void
assert_reason(unsigned status, const char *expected)
{
	struct slice reason = h1_status_reason(status);

	assert_int_equal(reason.len, strlen(expected));
	assert_memory_equal(reason.ptr, expected, reason.len);
}

static void
test_reasons_are_those_of_the_registry(void **state)
{
	(void)state;
	assert_reason(100, "Continue");
	assert_reason(103, "Early Hints");
	assert_reason(200, "OK");
	assert_reason(208, "Already Reported");
	assert_reason(304, "Not Modified");
	assert_reason(308, "Permanent Redirect");
	assert_reason(405, "Method Not Allowed");
	assert_reason(408, "Request Timeout");
	assert_reason(413, "Content Too Large");
	assert_reason(414, "URI Too Long");
	assert_reason(417, "Expectation Failed");
	assert_reason(421, "Misdirected Request");
	assert_reason(426, "Upgrade Required");
	assert_reason(429, "Too Many Requests");
	assert_reason(431, "Request Header Fields Too Large");
	assert_reason(451, "Unavailable For Legal Reasons");
	assert_reason(501, "Not Implemented");
	assert_reason(502, "Bad Gateway");
	assert_reason(504, "Gateway Timeout");
	assert_reason(505, "HTTP Version Not Supported");
	assert_reason(508, "Loop Detected");
	assert_reason(511, "Network Authentication Required");
	for (unsigned status = 0; status < 1100; status++)
		assert_true(h1_status_reason(status).len < 40);
	assert_reason(0, "");
	assert_reason(99, "");
	assert_reason(299, "");
	assert_reason(418, "");
	assert_reason(600, "");
}

static void
test_fields_for_caches_of_one_kind(void **state)
{
	static const char *const names[] = {"Surrogate-Control",
		"X-Accel-Expires", "Edge-Control",
		"Cloudflare-CDN-Cache-Control", "x-CDN-cache-control"};
	static const char *const others[] = {"-CDN-Cache-Control",
		"CDN-Cache-Controls", "XCDN-Cache-Control-X",
		"Surrogate-Controls", "Cloudflare-CDN-Cache-Contro1"};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(identify(names[i], strlen(names[i])),
			FIELD_TARGETED_CACHE_CONTROL);
		assert_int_equal(
			identify(others[i], strlen(others[i])), FIELD_OTHER);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_known_name_is_identified),
		cmocka_unit_test(test_claims_have_many_names),
		cmocka_unit_test(test_fields_for_caches_of_one_kind),
		cmocka_unit_test(test_nearly_known_names_are_other),
		cmocka_unit_test(test_tokens_are_of_token_characters),
		cmocka_unit_test(test_lists_are_parted_at_commas),
		cmocka_unit_test(test_empty_elements_are_passed_over),
		cmocka_unit_test(test_commas_in_quoted_strings_dont_part),
		cmocka_unit_test(
			test_list_membership_ignores_case_and_parameters),
		cmocka_unit_test(test_cookie_pairs_are_taken_one_by_one),
		cmocka_unit_test(test_nameless_cookies_are_kept_as_values),
		cmocka_unit_test(test_spaces_around_equals_belong_to_neither),
		cmocka_unit_test(test_error_page_is_text_by_default),
		cmocka_unit_test(test_error_page_is_json_where_preferred),
		cmocka_unit_test(test_request_id_cant_break_out_of_the_page),
		cmocka_unit_test(test_error_page_that_doesnt_fit_is_not_cut),
		cmocka_unit_test(test_reasons_are_those_of_the_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
