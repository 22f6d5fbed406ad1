/* What stands at an edge of the grammar, and what only a caller other than a
 * connection could hand to a parser: prefixes of heads, nothing at all. */
#include "head.h"

#include "http/authority.h"
#include "http/h1_body.h"
#include "http/h1_write.h"

/* --- authorities ------------------------------------------------------------- */

static bool
is_authority(const char *bytes, size_t len)
{
	char *copy = exact_copy(bytes, len);
	bool is_valid = authority_is_valid(
		(struct slice){copy, len}, AUTHORITY_PORT_OPTIONAL);

	free(copy);
	return is_valid;
}

static void
test_percent_in_a_host_is_followed_by_two_digits(void **state)
{
	assert_true(is_authority("a%4a", 4));
	assert_false(is_authority("a%4g", 4));
	assert_false(is_authority("a%g4", 4));
	assert_false(is_authority("a%4", 3));
}

static void
test_nul_ends_no_ipv6_address(void **state)
{
	assert_true(is_authority("[::1]", 5));
	assert_false(is_authority("[::1\0]", 6));
	assert_false(is_authority("[\0::1]", 6));
}

static void
test_scheme_ends_in_two_slashes(void **state)
{
	assert_int_equal(request_line("GET https://a/ HTTP/1.1"), H1_OK);
	assert_int_equal(request_line("GET https:/abc HTTP/1.1"), H1_BAD);
	assert_int_equal(request_line("GET httpsx//ab HTTP/1.1"), H1_BAD);
	assert_int_equal(request_line("GET http:/abcd HTTP/1.1"), H1_BAD);
	assert_int_equal(request_line("GET httpx//abc HTTP/1.1"), H1_BAD);
}

/* --- framing ----------------------------------------------------------------- */

static void
test_parameters_of_a_coding_are_looked_at(void **state)
{
	static const char *const bad[] = {"chunked;a={}", "chunked;a=\"",
		"chunked;a=\"b\\\"", "chunked;;a=b", "chunked; ;a=b"};
	static const char *const unknown[] = {
		"deflate, chunked", "gzip;a=\"b\\\"c\", chunked"};
	char line[128];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "Transfer-Encoding: %s\r\n",
			bad[i]);
		assert_int_equal(request_with(line), H1_BAD);
		assert_string_equal(why, "malformed Transfer-Encoding");
	}
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		snprintf(line, sizeof(line), "Transfer-Encoding: %s\r\n",
			unknown[i]);
		assert_int_equal(request_with(line), H1_NOT_IMPLEMENTED);
	}
	assert_int_equal(
		request_with("Transfer-Encoding: deflate\r\n"), H1_BAD);
}

static void
test_nearly_keep_alive_is_no_keep_alive(void **state)
{
	static const char *const options[] = {
		"keep_alive", "keep-alivE, x", "upgrada", "clos3"};
	size_t i;

	for (i = 0; i < 4; i++) {
		char text[128];

		snprintf(text, sizeof(text),
			"GET / HTTP/1.0\r\nConnection: %s\r\n\r\n", options[i]);
		assert_int_equal(request(text), H1_OK);
		assert_int_equal(message.keep_alive, i == 1);
	}
}

static enum h1_result
decode_chunked(const char *text)
{
	size_t len = strlen(text);
	char *copy = exact_copy(text, len);
	struct slice trailers;
	struct h1_body body;
	enum h1_result result;
	size_t consumed, produced;

	h1_body_start(&body, BODY_CHUNKED, 0);
	result = h1_body_decode(
		&body, copy, len, &consumed, &produced, &trailers);
	free(copy);
	return result;
}

static void
test_more_than_one_space_around_an_extension(void **state)
{
	assert_int_equal(
		decode_chunked("1  ;\t\ta  =  b  ;c\r\nx\r\n0\r\n\r\n"), H1_OK);
	assert_int_equal(decode_chunked("1  a\r\nx\r\n0\r\n\r\n"), H1_BAD);
	assert_int_equal(decode_chunked("1;a  b\r\nx\r\n0\r\n\r\n"), H1_BAD);
}

/* --- prefixes of heads --------------------------------------------------------- */

static void
test_end_of_nothing(void **state)
{
	size_t scanned = 0;
	size_t head_len = 0;

	assert_int_equal(
		h1_find_end("", 0, 0, &scanned, &head_len), H1_HEAD_LONG);
	assert_int_equal(h1_skip_empty_lines("\rG", 2), 0);
	assert_int_equal(h1_skip_empty_lines("\r", 1), 0);
	assert_int_equal(h1_skip_empty_lines("\r\n", 2), 2);
}

/* Neither is read beyond its end, which a sanitizer build sees. */
static void
test_no_prefix_of_a_head_is_a_head(void **state)
{
	static const char request_text[] =
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	static const char response_text[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
	char *copy;
	size_t len;

	for (len = 0; len < sizeof(request_text) - 1; len++) {
		copy = exact_copy(request_text, len);
		assert_int_equal(
			h1_parse_request(copy, len, &limits, &message, NULL),
			H1_BAD);
		free(copy);
	}
	for (len = 0; len < sizeof(response_text) - 1; len++) {
		copy = exact_copy(response_text, len);
		assert_int_equal(h1_parse_response(copy, len, &limits, HTTP_GET,
					 &message, NULL),
			H1_BAD);
		free(copy);
	}
	assert_int_equal(h1_parse_response("HTTP/1.1 200", 12, &limits,
				 HTTP_GET, &message, &why),
		H1_BAD);
	assert_string_equal(why, "malformed reason phrase");
}

static void
test_bytes_behind_a_head_are_no_part_of_it(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nG";

	assert_int_equal(h1_parse_request(text, sizeof(text) - 1, &limits,
				 &message, &why),
		H1_BAD);
	assert_string_equal(why, "bare CR or no end of the head");
}

static void
test_head_over_its_limit_says_so_to_who_asks(void **state)
{
	static const struct h1_limits small = {4, 4, 4};

	why = NULL;
	assert_int_equal(h1_parse_request("GET / ", 6, &small, &message, &why),
		H1_HEAD_LONG);
	assert_string_equal(why, "head over its limit");
	assert_int_equal(h1_parse_request("GET / ", 6, &small, &message, NULL),
		H1_HEAD_LONG);
	why = NULL;
	assert_int_equal(
		h1_parse_response("HTTP/", 5, &small, HTTP_GET, &message, &why),
		H1_HEAD_LONG);
	assert_string_equal(why, "head over its limit");
	assert_int_equal(
		h1_parse_response("HTTP/", 5, &small, HTTP_GET, &message, NULL),
		H1_HEAD_LONG);
}

static void
test_page_of_a_status_without_a_reason(void **state)
{
	char page[64];
	size_t len = h1_error_page(
		599, SLICE(""), SLICE("id"), page, sizeof(page) - 1);

	page[len] = '\0';
	assert_string_equal(page, "599  (request id)\n");
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_percent_in_a_host_is_followed_by_two_digits),
		TEST(test_nul_ends_no_ipv6_address),
		TEST(test_scheme_ends_in_two_slashes),
		TEST(test_parameters_of_a_coding_are_looked_at),
		TEST(test_nearly_keep_alive_is_no_keep_alive),
		TEST(test_more_than_one_space_around_an_extension),
		TEST(test_end_of_nothing),
		TEST(test_no_prefix_of_a_head_is_a_head),
		TEST(test_bytes_behind_a_head_are_no_part_of_it),
		TEST(test_head_over_its_limit_says_so_to_who_asks),
		TEST(test_page_of_a_status_without_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
