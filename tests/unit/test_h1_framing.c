/* What a head says of its body and of the connection, requests and responses:
 * where two readers that differ would let a request be smuggled. */
#include "head.h"

/* --- framing of requests -------------------------------------------------- */

static void
test_content_length_is_the_body(void **state)
{
	(void)state;
	assert_int_equal(request_with("Content-Length: 5\r\n"), H1_OK);
	assert_int_equal(message.body, BODY_LENGTH);
	assert_int_equal(message.content_length, 5);
	assert_int_equal(request_with("Content-Length: 0\r\n"), H1_OK);
	assert_int_equal(message.body, BODY_LENGTH);
	assert_int_equal(message.content_length, 0);
	assert_int_equal(request_with(""), H1_OK);
	assert_int_equal(message.body, BODY_NONE);
}

static void
test_equal_content_lengths_fold_to_one(void **state)
{
	(void)state;
	assert_int_equal(request_with("Content-Length: 5, 5 ,5\r\n"), H1_OK);
	assert_int_equal(message.content_length, 5);
	assert_int_equal(
		request_with("Content-Length: 5\r\nContent-length: 5\r\n"),
		H1_OK);
	assert_int_equal(message.content_length, 5);
	assert_int_equal(
		request_with("Content-Length: 5\r\nContent-Length: 6\r\n"),
		H1_BAD);
	assert_int_equal(request_with("Content-Length: 5, 6\r\n"), H1_BAD);
}

static void
test_content_length_that_overflows_is_refused(void **state)
{
	(void)state;
	assert_int_equal(
		request_with("Content-Length: 9223372036854775807\r\n"), H1_OK);
	assert_true(message.content_length == INT64_MAX);
	assert_int_equal(
		request_with("Content-Length: 9223372036854775808\r\n"),
		H1_BAD);
	assert_int_equal(
		request_with("Content-Length: 18446744073709551616\r\n"),
		H1_BAD);
	assert_int_equal(
		request_with("Content-Length: 18446744073709551621\r\n"),
		H1_BAD);
	assert_int_equal(
		request_with("Content-Length: 99999999999999999999999\r\n"),
		H1_BAD);
}

static void
test_malformed_content_length_is_refused(void **state)
{
	static const char *const values[] = {"", "-5", "+5", "5x", "x", "0x5",
		"5 5", "5,", ",5", "5,,5", "5;5", "5.0", "1e3", "\"5\"",
		"\xef\xbc\x95"};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char line[64];

		snprintf(line, sizeof(line), "Content-Length: %s\r\n",
			values[i]);
		if (request_with(line) != H1_BAD)
			fail_msg("taken: \"%s\"", values[i]);
	}
}

static void
test_chunked_is_the_one_coding(void **state)
{
	(void)state;
	assert_int_equal(request_with("Transfer-Encoding: chunked\r\n"), H1_OK);
	assert_int_equal(message.body, BODY_CHUNKED);
	assert_int_equal(
		request_with("transfer-encoding: \t CHUNKED \r\n"), H1_OK);
	assert_int_equal(message.body, BODY_CHUNKED);
}

static void
test_length_and_coding_together_are_refused(void **state)
{
	(void)state;
	assert_int_equal(request_with("Content-Length: 5\r\n"
				      "Transfer-Encoding: chunked\r\n"),
		H1_BAD);
	assert_int_equal(request_with("Transfer-Encoding: chunked\r\n"
				      "Content-Length: 0\r\n"),
		H1_BAD);
	assert_int_equal(request_with("Transfer-Encoding: gzip, chunked\r\n"
				      "Content-Length: 0\r\n"),
		H1_BAD);
}

static void
test_coding_in_http_1_0_is_refused(void **state)
{
	(void)state;
	assert_int_equal(request("POST / HTTP/1.0\r\n"
				 "Transfer-Encoding: chunked\r\n\r\n"),
		H1_BAD);
}

static void
test_other_codings_before_chunked_are_not_implemented(void **state)
{
	(void)state;
	assert_int_equal(request_with("Transfer-Encoding: gzip, chunked\r\n"),
		H1_NOT_IMPLEMENTED);
	assert_int_equal(request_with("Transfer-Encoding: x;a=b;c=\"d\" ,"
				      "chunked\r\n"),
		H1_NOT_IMPLEMENTED);
	assert_int_equal(request_with("Transfer-Encoding: gzip\r\n"
				      "Transfer-Encoding: chunked\r\n"),
		H1_NOT_IMPLEMENTED);
}

static void
test_other_uses_of_transfer_encoding_are_refused(void **state)
{
	static const char *const values[] = {"", "gzip", "identity",
		"chunked, chunked", "chunked, gzip", "chunked, gzip, chunked",
		"xchunked", "chunkedx", "chunked;a=b", "chunked;", ",chunked",
		"chunked,", "gzip,,chunked", "\"chunked\"", "'chunked'",
		"chunked chunked", "gzip chunked", "chun ked", "\013chunked",
		"gzip;, chunked", "gzip;a, chunked", "gzip;=b, chunked",
		"gzip;a=\"b, chunked", "gz(ip, chunked", "chunked\xa0"};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "Transfer-Encoding: %s\r\n",
			values[i]);
		if (request_with(line) != H1_BAD)
			fail_msg("taken: \"%s\"", values[i]);
	}
	assert_int_equal(request_with("Transfer-Encoding: chunked\r\n"
				      "Transfer-Encoding: chunked\r\n"),
		H1_BAD);
	assert_int_equal(request_with("Transfer-Encoding: chunked\r\n"
				      "Transfer-Encoding: identity\r\n"),
		H1_BAD);
	assert_int_equal(request_with("Transfer-Encoding:\r\n"
				      "Transfer-Encoding: chunked\r\n"),
		H1_BAD);
}

/* --- flags ---------------------------------------------------------------- */

static void
assert_keep_alive(const char *version, const char *connection, int expected)
{
	char text[256];

	snprintf(text, sizeof(text), "GET / HTTP/%s\r\nHost: a\r\n%s\r\n",
		version, connection);
	assert_int_equal(request(text), H1_OK);
	if (message.keep_alive != expected)
		fail_msg("HTTP/%s with %s", version, connection);
}

static void
test_keep_alive_goes_by_version_and_connection(void **state)
{
	(void)state;
	assert_keep_alive("1.1", "", 1);
	assert_keep_alive("1.1", "Connection: close\r\n", 0);
	assert_keep_alive("1.1", "Connection: x, CLOSE ,y\r\n", 0);
	assert_keep_alive("1.1", "Connection: closed\r\n", 1);
	assert_keep_alive("1.1", "Connection: x\r\nConnection: close\r\n", 0);
	assert_keep_alive("1.1", "Connection: keep-alive, close\r\n", 0);
	assert_keep_alive("1.0", "", 0);
	assert_keep_alive("1.0", "Connection: Keep-Alive\r\n", 1);
	assert_keep_alive("1.0", "Connection: keep-alive, close\r\n", 0);
}

static void
test_upgrade_needs_both_fields_and_1_1(void **state)
{
	(void)state;
	assert_int_equal(request_with("Connection: keep-alive, Upgrade\r\n"
				      "Upgrade: websocket\r\n"),
		H1_OK);
	assert_true(message.has_upgrade);
	assert_int_equal(request_with("Upgrade: websocket\r\n"), H1_OK);
	assert_false(message.has_upgrade);
	assert_int_equal(request_with("Connection: upgrade\r\n"), H1_OK);
	assert_false(message.has_upgrade);
	assert_int_equal(request("GET / HTTP/1.0\r\nConnection: upgrade\r\n"
				 "Upgrade: websocket\r\n\r\n"),
		H1_OK);
	assert_false(message.has_upgrade);
}

static void
test_continue_is_expected_only_before_a_body(void **state)
{
	(void)state;
	assert_int_equal(request_with("Expect: 100-Continue\r\n"
				      "Content-Length: 1\r\n"),
		H1_OK);
	assert_true(message.expects_continue);
	assert_int_equal(request_with("Expect: 100-continue\r\n"
				      "Transfer-Encoding: chunked\r\n"),
		H1_OK);
	assert_true(message.expects_continue);
	assert_int_equal(request_with("Expect: 100-continue\r\n"), H1_OK);
	assert_false(message.expects_continue);
	assert_int_equal(request_with("Expect: 100-continue\r\n"
				      "Content-Length: 0\r\n"),
		H1_OK);
	assert_false(message.expects_continue);
	assert_int_equal(request("POST / HTTP/1.0\r\nContent-Length: 1\r\n"
				 "Expect: 100-continue\r\n\r\n"),
		H1_OK);
	assert_false(message.expects_continue);
	assert_int_equal(request_with("Expect: something\r\n"
				      "Content-Length: 1\r\n"),
		H1_OK);
	assert_false(message.expects_continue);
}

static void
test_cookies_are_found_in_any_cookie_field(void **state)
{
	(void)state;
	assert_int_equal(request_with("Cookie: a=1; b=2\r\n"
				      "Cookie: c=3; b=4\r\n"),
		H1_OK);
	assert_slice(message_find_cookie(&message, SLICE("b")), "2");
	assert_slice(message_find_cookie(&message, SLICE("c")), "3");
	assert_null(message_find_cookie(&message, SLICE("B")).ptr);
	assert_int_equal(request_with(""), H1_OK);
	assert_null(message_find_cookie(&message, SLICE("b")).ptr);
}

/* --- responses ------------------------------------------------------------ */

static void
test_response_is_taken_apart(void **state)
{
	(void)state;
	assert_int_equal(response("HTTP/1.1 404 Not \xe9 Found\r\n"
				  "Content-Length: 12\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.status, 404);
	assert_span(message.reason, "Not \xe9 Found");
	assert_int_equal(message.body, BODY_LENGTH);
	assert_int_equal(message.content_length, 12);
	assert_true(message.keep_alive);
	assert_int_equal(response("HTTP/1.1 200 \r\n\r\n"), H1_OK);
	assert_int_equal(message.reason.len, 0);
	assert_int_equal(response("HTTP/1.1 200\r\n\r\n"), H1_OK);
	assert_int_equal(message.reason.len, 0);
}

static void
test_malformed_status_lines_are_refused(void **state)
{
	static const char *const lines[] = {"HTTP/1.1 099 x", "HTTP/1.1 000 x",
		"HTTP/1.1 20 x", "HTTP/1.1 2000 x", "HTTP/1.1 2x0 x",
		"HTTP/1.1  200 x", "HTTP/1.1\t200 x", "HTTP/1.1 200\tx",
		"HTTP/1.1 200x", "HTTP/1.1 -20 x", "HTTP/1.1 ", "HTTP/1.1",
		"http/1.1 200 x", "ICY 200 OK", "HTTP/1.x 200 x",
		"HTTP/1.1 200 a\x01", "HTTP/1.1 200 a\rb", "", "200 OK"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char text[128];

		snprintf(text, sizeof(text), "%s\r\n\r\n", lines[i]);
		if (response(text) != H1_BAD)
			fail_msg("taken: \"%s\"", lines[i]);
	}
	assert_int_equal(response("HTTP/2.0 200 OK\r\n\r\n"), H1_BAD_VERSION);
}

/* RFC 9110 15: not valid, but in use. */
static void
test_statuses_beyond_the_classes_are_taken(void **state)
{
	static const unsigned statuses[] = {199, 200, 599, 600, 799, 999};

	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		char text[128];

		snprintf(text, sizeof(text),
			"HTTP/1.1 %u x\r\nContent-Length: 0\r\n\r\n",
			statuses[i]);
		assert_int_equal(response(text), H1_OK);
		assert_int_equal(message.status, statuses[i]);
	}
}

static void
test_response_body_goes_by_method_and_status(void **state)
{
	(void)state;
	assert_int_equal(
		response_to(HTTP_HEAD,
			"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.body, BODY_NONE);
	assert_int_equal(message.content_length, 9);
	assert_true(message.keep_alive);
	assert_int_equal(
		response_to(HTTP_HEAD, "HTTP/1.1 200 OK\r\n"
				       "Transfer-Encoding: chunked\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.body, BODY_NONE);
	assert_int_equal(response("HTTP/1.1 304 x\r\n"
				  "Content-Length: 9\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.body, BODY_NONE);
	assert_int_equal(response("HTTP/1.1 204 x\r\n"
				  "Content-Length: 9\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.body, BODY_NONE);
	assert_int_equal(
		response("HTTP/1.1 103 x\r\nLink: </a>\r\n\r\n"), H1_OK);
	assert_int_equal(message.body, BODY_NONE);
	assert_int_equal(response("HTTP/1.1 101 x\r\n"
				  "Content-Length: 0\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.body, BODY_NONE);
	assert_int_equal(response("HTTP/1.1 200 OK\r\n"
				  "Transfer-Encoding: chunked\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.body, BODY_CHUNKED);
}

static void
test_response_without_framing_lasts_until_close(void **state)
{
	(void)state;
	assert_int_equal(response("HTTP/1.1 200 OK\r\n\r\n"), H1_OK);
	assert_int_equal(message.body, BODY_UNTIL_CLOSE);
	assert_false(message.keep_alive);
	assert_int_equal(
		response_to(HTTP_CONNECT,
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.body, BODY_UNTIL_CLOSE);
	assert_int_equal(response_to(HTTP_CONNECT,
				 "HTTP/1.1 403 x\r\nContent-Length: 5\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.body, BODY_LENGTH);
}

static void
test_contradicting_response_framing_is_refused(void **state)
{
	(void)state;
	assert_int_equal(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
				  "Transfer-Encoding: chunked\r\n\r\n"),
		H1_BAD);
	assert_int_equal(response("HTTP/1.1 103 x\r\n"
				  "Content-Length: 5\r\n\r\n"),
		H1_BAD);
	assert_int_equal(response("HTTP/1.0 200 OK\r\n"
				  "Transfer-Encoding: chunked\r\n\r\n"),
		H1_BAD);
	assert_int_equal(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
				  "Content-Length: 6\r\n\r\n"),
		H1_BAD);
	assert_int_equal(response("HTTP/1.1 200 OK\r\n"
				  "Transfer-Encoding: gzip, chunked\r\n\r\n"),
		H1_NOT_IMPLEMENTED);
	assert_int_equal(response("HTTP/1.1 200 OK\r\n"
				  "Content-Length : 5\r\n\r\n"),
		H1_BAD);
}

/* RFC 9112 6.3: they end with the head, whatever it says; but what says so
 * wrongly may send something behind it. */
static void
test_framing_where_no_body_follows(void **state)
{
	static const struct {
		enum http_method method;
		const char *status;
		const char *fields;
		bool is_kept_alive;
	} cases[] = {
		{HTTP_GET, "204", "", true},
		{HTTP_GET, "204", "Content-Length: 0\r\n", true},
		{HTTP_GET, "204", "Content-Length: 3\r\n", false},
		{HTTP_GET, "204", "Transfer-Encoding: chunked\r\n", false},
		{HTTP_GET, "204", "Transfer-Encoding: gzip\r\n", false},
		{HTTP_HEAD, "204", "Transfer-Encoding: chunked\r\n", false},
		{HTTP_GET, "304", "Content-Length: 3\r\n", true},
		{HTTP_GET, "304", "Transfer-Encoding: chunked\r\n", true},
		{HTTP_GET, "304",
			"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
			false},
		{HTTP_HEAD, "200", "Content-Length: 3\r\n", true},
		{HTTP_HEAD, "200", "Transfer-Encoding: chunked\r\n", true},
		{HTTP_HEAD, "200", "Transfer-Encoding: x,,\r\n", false},
		{HTTP_HEAD, "200", "Transfer-Encoding: gzip, chunked\r\n",
			false},
		{HTTP_HEAD, "200",
			"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
			false},
		{HTTP_GET, "100", "Transfer-Encoding: chunked\r\n", false},
		{HTTP_GET, "101", "Transfer-Encoding: chunked\r\n", false},
		{HTTP_GET, "101", "Content-Length: 3\r\n", false},
		{HTTP_GET, "103", "Content-Length: 0\r\n", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];

		snprintf(text, sizeof(text), "HTTP/1.1 %s x\r\n%s\r\n",
			cases[i].status, cases[i].fields);
		if (response_to(cases[i].method, text) != H1_OK)
			fail_msg("refused: \"%s\"", text);
		assert_int_equal(message.body, BODY_NONE);
		if (message.keep_alive != cases[i].is_kept_alive)
			fail_msg("keep_alive is %d: \"%s\"", message.keep_alive,
				text);
	}
	assert_int_equal(
		response_to(HTTP_HEAD, "HTTP/1.0 200 OK\r\n"
				       "Connection: keep-alive\r\n"
				       "Transfer-Encoding: chunked\r\n\r\n"),
		H1_OK);
	assert_false(message.keep_alive);
	/* What has no sense in any answer has none in these. */
	assert_int_equal(
		response("HTTP/1.1 204 x\r\nContent-Length: x\r\n\r\n"),
		H1_BAD);
	assert_int_equal(
		response_to(HTTP_HEAD, "HTTP/1.1 200 x\r\nContent-Length: 1\r\n"
				       "Content-Length: 2\r\n\r\n"),
		H1_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, forget)
		T(test_content_length_is_the_body),
		T(test_equal_content_lengths_fold_to_one),
		T(test_content_length_that_overflows_is_refused),
		T(test_malformed_content_length_is_refused),
		T(test_chunked_is_the_one_coding),
		T(test_length_and_coding_together_are_refused),
		T(test_coding_in_http_1_0_is_refused),
		T(test_other_codings_before_chunked_are_not_implemented),
		T(test_other_uses_of_transfer_encoding_are_refused),
		T(test_keep_alive_goes_by_version_and_connection),
		T(test_upgrade_needs_both_fields_and_1_1),
		T(test_continue_is_expected_only_before_a_body),
		T(test_cookies_are_found_in_any_cookie_field),
		T(test_response_is_taken_apart),
		T(test_malformed_status_lines_are_refused),
		T(test_statuses_beyond_the_classes_are_taken),
		T(test_response_body_goes_by_method_and_status),
		T(test_response_without_framing_lasts_until_close),
		T(test_contradicting_response_framing_is_refused),
		T(test_framing_where_no_body_follows),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
