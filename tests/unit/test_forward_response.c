/* What a response gains and loses: heads are compared whole. And whether a
 * shared cache may keep it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exact.h"
#include "head.h"
#include "proxy/forward.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct forward_response_options options;
static char text_space[65536];
static char output[65536];

static int
set_up(void **state)
{
	(void)state;
	options = (struct forward_response_options){0};
	return 0;
}

/* The head that goes out for the message that was parsed last. */
static const char *
forward_parsed(const char *connection)
{
	struct forward_text text = {text_space, 0, sizeof(text_space)};
	struct forward_head out;
	size_t len;

	assert_true(forward_response(&message, &options, &text, &out));
	assert_int_equal(out.body, message.body);
	assert_int_equal(out.is_bodiless, message.body == BODY_NONE);
	len = forward_write_response(&out, slice_from_string(connection),
		output, sizeof(output) - 1);
	assert_true(len > 0);
	output[len] = '\0';
	return output;
}

static const char *
forwarded_to(enum http_method method, const char *bytes)
{
	assert_int_equal(response_to(method, bytes), H1_OK);
	return forward_parsed("");
}

static const char *
forwarded(const char *bytes)
{
	return forwarded_to(HTTP_GET, bytes);
}

/* --- fields ------------------------------------------------------------- */

static void
test_end_to_end_fields_stay_as_they_are(void **state)
{
	static const char bytes[] =
		OK "Server:  x  \r\nContent-Length: 5\r\nx-odd:\r\n"
		   "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
		   "Cache-Control: public, s-maxage=5\r\nVia: 1.1 y\r\n\r\n";

	assert_string_equal(forwarded(bytes), bytes);
}

static void
test_status_line_is_perchs_own(void **state)
{
	assert_string_equal(forwarded("HTTP/1.0 404 Was Not There\r\n\r\n"),
		"HTTP/1.1 404 Was Not There\r\n\r\n");
	assert_string_equal(
		forwarded("HTTP/1.1 599 \r\n\r\n"), "HTTP/1.1 599 \r\n\r\n");
	assert_string_equal(forwarded("HTTP/1.1 999 Gone home\r\n\r\n"),
		"HTTP/1.1 999 Gone home\r\n\r\n");
	assert_string_equal(
		forwarded("HTTP/1.1 204\r\n\r\n"), "HTTP/1.1 204 \r\n\r\n");
}

static void
test_fields_of_this_hop_are_dropped(void **state)
{
	static const char *const lines[] = {"Connection: close",
		"Connection: keep-alive", "keep-alive: timeout=5, max=9",
		"Proxy-Connection: close", "Upgrade: h2c"};
	char bytes[256];
	size_t i;

	for (i = 0; i < COUNT(lines); i++) {
		snprintf(bytes, sizeof(bytes),
			OK "%s\r\nA: 1\r\n%s\r\nB: 2\r\n\r\n", lines[i],
			lines[i]);
		assert_string_equal(
			forwarded(bytes), OK "A: 1\r\nB: 2\r\n\r\n");
	}
	/* Said anew by who frames it for the client. */
	assert_string_equal(
		forwarded(OK "Transfer-Encoding: chunked\r\nA: 1\r\n\r\n"),
		OK "A: 1\r\n\r\n");
}

static void
test_fields_that_connection_names_are_dropped(void **state)
{
	assert_string_equal(
		forwarded(OK "X-Early: 1\r\nConnection: x-early, X-LATE,"
			     " Content-Length, close\r\nContent-Length: 3\r\n"
			     "X-Late: 1\r\nX-Later: 1\r\n\r\n"),
		OK "Content-Length: 3\r\nX-Later: 1\r\n\r\n");
}

static void
test_connection_says_what_it_is_told(void **state)
{
	assert_int_equal(
		response(OK "Connection: keep-alive\r\nA: 1\r\n\r\n"), H1_OK);
	assert_string_equal(forward_parsed("close"),
		OK "Connection: close\r\nA: 1\r\n\r\n");
	assert_string_equal(forward_parsed("keep-alive"),
		OK "Connection: keep-alive\r\nA: 1\r\n\r\n");
	assert_string_equal(forward_parsed(""), OK "A: 1\r\n\r\n");
}

static void
test_content_length_is_folded_to_one(void **state)
{
	assert_string_equal(
		forwarded(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
		OK "Content-Length: 5\r\n\r\n");
	assert_string_equal(forwarded(OK "Content-Length: 5, 5\r\n"
					 "A: 1\r\n\r\n"),
		OK "A: 1\r\nContent-Length: 5\r\n\r\n");
	assert_string_equal(
		forwarded_to(HTTP_HEAD, OK "Content-Length: 5, 5\r\n\r\n"),
		OK "Content-Length: 5\r\n\r\n");
}

/* RFC 9110 8.6: where it may stand though no body follows, and where not. */
static void
test_content_length_of_what_has_no_body(void **state)
{
	assert_string_equal(
		forwarded_to(HTTP_HEAD, OK "Content-Length: 5\r\n\r\n"),
		OK "Content-Length: 5\r\n\r\n");
	assert_string_equal(forwarded("HTTP/1.1 304 Not Modified\r\n"
				      "Content-Length: 5\r\n\r\n"),
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
	assert_string_equal(forwarded("HTTP/1.1 204 No Content\r\n"
				      "Content-Length: 0\r\nA: 1\r\n\r\n"),
		"HTTP/1.1 204 No Content\r\nA: 1\r\n\r\n");
	assert_string_equal(forwarded("HTTP/1.1 204 No Content\r\n"
				      "Content-Length: 5,5\r\n\r\n"),
		"HTTP/1.1 204 No Content\r\n\r\n");
	assert_string_equal(forwarded("HTTP/1.1 103 Early Hints\r\n"
				      "Content-Length: 0\r\nLink: x\r\n\r\n"),
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
}

/* RFC 9112 6.1: no coding in a 204; and where there is one, a length beside it
 * says nothing. */
static void
test_coding_of_what_has_no_body(void **state)
{
	static const char fields[] = "Content-Length: 5\r\n"
				     "A: 1\r\n"
				     "Transfer-Encoding: chunked\r\n\r\n";
	char text[128];

	snprintf(text, sizeof(text), "HTTP/1.1 204 No Content\r\n%s", fields);
	assert_string_equal(
		forwarded(text), "HTTP/1.1 204 No Content\r\nA: 1\r\n\r\n");
	snprintf(text, sizeof(text), "HTTP/1.1 304 x\r\n%s", fields);
	assert_string_equal(forwarded(text), "HTTP/1.1 304 x\r\nA: 1\r\n\r\n");
	snprintf(text, sizeof(text), OK "%s", fields);
	assert_string_equal(forwarded_to(HTTP_HEAD, text), OK "A: 1\r\n\r\n");
	assert_string_equal(forwarded("HTTP/1.1 103 Early Hints\r\n"
				      "Transfer-Encoding: chunked\r\n\r\n"),
		"HTTP/1.1 103 Early Hints\r\n\r\n");
}

static void
test_upgrade_is_passed_on_where_it_is_honoured(void **state)
{
	static const char bytes[] =
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

	options.upgrade = SLICE("websocket");
	assert_string_equal(forwarded(bytes),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Accept: x\r\nConnection: upgrade\r\n\r\n");
	assert_string_equal(
		forwarded("HTTP/1.1 101 Switching Protocols\r\n"
			  "Upgrade: websocket\r\nUpgrade: h2c\r\n\r\n"),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: upgrade\r\n\r\n");
}

static void
test_cookie_is_added_to_those_that_are_there(void **state)
{
	options.set_cookie = SLICE("perch=1; Path=/");
	assert_string_equal(forwarded(OK "Set-Cookie: a=b\r\n\r\n"),
		OK "Set-Cookie: a=b\r\nSet-Cookie: perch=1; Path=/\r\n\r\n");
}

static void
test_cache_control_is_made_private(void **state)
{
	static const struct {
		const char *lines;
		const char *left;
	} table[] = {
		{"", "private"},
		{"Cache-Control: public\r\n", "private"},
		{"Cache-Control: Public, MAX-AGE=60\r\n",
			"private, MAX-AGE=60"},
		{"cache-control: max-age=60,S-MaxAge=600,"
		 "proxy-revalidate,must-revalidate\r\n",
			"private, max-age=60, must-revalidate"},
		{"Cache-Control: public\r\nCache-Control: immutable,"
		 "s-maxage=1\r\n",
			"private, immutable"},
		{"Cache-Control: ext=\"a, public\", , x\r\n",
			"private, ext=\"a, public\", x"},
		{"Cache-Control:a,b,c,d,e,f,g,h,i,j,k,l,m,n\r\n",
			"private, a, b, c, d, e, f, g, h, i, j, k, l, m, n"},
	};
	char bytes[512], expected[512];
	size_t i;

	options.makes_private = true;
	for (i = 0; i < COUNT(table); i++) {
		snprintf(bytes, sizeof(bytes), OK "A: 1\r\n%sB: 2\r\n\r\n",
			table[i].lines);
		snprintf(expected, sizeof(expected),
			OK "A: 1\r\nB: 2\r\nCache-Control: %s\r\n\r\n",
			table[i].left);
		assert_string_equal(forwarded(bytes), expected);
	}
}

static void
test_private_without_text_space_is_refused(void **state)
{
	struct forward_text text = {text_space, 0, 0};
	struct forward_head out;

	options.makes_private = true;
	assert_int_equal(response(OK "Cache-Control: public\r\n\r\n"), H1_OK);
	assert_false(forward_response(&message, &options, &text, &out));
}

static void
test_own_answer_has_a_length_of_its_own(void **state)
{
	struct forward_head out = {
		.status = 503,
		.reason = SLICE("Service Unavailable"),
		.body = BODY_LENGTH,
		.content_length = UINT64_MAX,
	};
	size_t len;

	forward_add(&out, SLICE("Content-Type"), SLICE("text/plain"));
	len = forward_write_response(
		&out, SLICE("close"), output, sizeof(output) - 1);
	output[len] = '\0';
	assert_string_equal(output,
		"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
		"Content-Length: 18446744073709551615\r\n"
		"Content-Type: text/plain\r\n\r\n");
}

static void
test_head_that_does_not_fit_is_refused(void **state)
{
	struct forward_text text = {text_space, 0, sizeof(text_space)};
	struct forward_head out;
	size_t len, cap;
	char *room;

	options.makes_private = true;
	options.set_cookie = SLICE("perch=1");
	assert_int_equal(response(OK "A: 1\r\nCache-Control: public\r\n"
				     "B: 2\r\n\r\n"),
		H1_OK);
	len = strlen(forward_parsed("close"));
	assert_true(forward_response(&message, &options, &text, &out));
	for (cap = 0; cap <= len; cap++) {
		room = malloc(cap > 0 ? cap : 1);
		assert_non_null(room);
		assert_int_equal(
			forward_write_response(&out, SLICE("close"), room, cap),
			cap < len ? 0 : len);
		if (cap == len)
			assert_memory_equal(room, output, len);
		free(room);
	}
}

static void
test_one_field_too_many_never_goes_out(void **state)
{
	struct forward_text text = {text_space, 0, sizeof(text_space)};
	struct forward_head out;

	assert_int_equal(response(OK "A: 1\r\n\r\n"), H1_OK);
	assert_true(forward_response(&message, &options, &text, &out));
	while (out.n_extras < FORWARD_EXTRAS_MAX)
		forward_add(&out, SLICE("B"), SLICE("1"));
	assert_true(forward_write_response(
			    &out, SLICE("close"), output, sizeof(output)) > 0);
	forward_add(&out, SLICE("Set-Cookie"), SLICE("perch=1"));
	assert_int_equal(forward_write_response(
				 &out, SLICE("close"), output, sizeof(output)),
		0);
}

/* A list of lengths has to be written anew, wherever it fits. */
static void
test_length_without_text_space_is_refused(void **state)
{
	struct forward_text text = {text_space, 0, 0};
	struct forward_head out;

	assert_int_equal(response(OK "Content-Length: 5, 5\r\n\r\n"), H1_OK);
	assert_false(forward_response(&message, &options, &text, &out));
}

/* --- what caches may keep ---------------------------------------------- */

static void
test_what_a_shared_cache_may_keep(void **state)
{
	static const struct {
		const char *lines;
		bool may;
	} table[] = {
		{"", false},
		{"Cache-Control: public\r\n", true},
		{"Cache-Control: PUBLIC\r\n", true},
		{"Cache-Control: max-age=60\r\n", true},
		{"Cache-Control: Max-Age=60\r\n", true},
		{"Cache-Control: max-age=0\r\n", false},
		{"Cache-Control: max-age=\r\n", false},
		{"Cache-Control: max-age\r\n", false},
		{"Cache-Control: s-maxage=60\r\n", true},
		{"Cache-Control: max-age=0, s-maxage=60\r\n", true},
		{"Cache-Control: MAX-AGE=0\r\n", false},
		{"Cache-Control: Max-Age=000\r\n", false},
		{"Cache-Control: max-age=010\r\n", true},
		{"Cache-Control: max-age=0, S-MaxAge=60\r\n", true},
		{"Cache-Control: s-maxage=0\r\n", false},
		{"Cache-Control: max-age=0, public\r\n", true},
		{"Cache-Control: private\r\n", false},
		{"Cache-Control: no-store\r\n", false},
		{"Cache-Control: no-cache\r\n", false},
		{"Cache-Control: public, private\r\n", false},
		{"Cache-Control: max-age=60, No-Store\r\n", false},
		{"Cache-Control: public\r\nCache-Control: no-cache\r\n", false},
		{"Cache-Control: no-transform\r\n"
		 "Cache-Control: max-age=1\r\n",
			true},
		{"Cache-Control: no-transform\r\n", false},
		{"Cache-Control: ext=\"a, public\"\r\n", false},
		{"Cache-Control: x-public, my-max-age=60\r\n", false},
		{"Cache-Control: mix-age=60, x-maxage=60\r\n", false},
		{"Cache-Control: max-age=x\r\n", false},
		{"Cache-Control: max-age=:0\r\n", false},
		{"Expires: Thu, 01 Dec 2094 16:00:00 GMT\r\n", true},
		{"Expires: Thu, 01 Dec 2094 16:00:00 GMT\r\n"
		 "Cache-Control: private\r\n",
			false},
		{"Cache-Control: no-transform\r\n"
		 "Expires: Thu, 01 Dec 2094 16:00:00 GMT\r\n",
			true},
		{"Expires: 0\r\n", false},
		{"Expires: -1\r\n", false},
		{"Expires:\r\n", false},
		{"Expires: 0\r\nCache-Control: max-age=60\r\n", true},
		{"Cache-Control: Max-Age=0\r\n"
		 "Expires: Thu, 01 Dec 2094 16:00:00 GMT\r\n",
			false},
		{"Cache-Control: s-maxage=0\r\n"
		 "Expires: Thu, 01 Dec 2094 16:00:00 GMT\r\n",
			false},
		{"Cache-Control: max-age=0\r\n"
		 "Expires: Thu, 01 Dec 2094 16:00:00 GMT\r\n",
			false},
	};
	char bytes[512];
	size_t i;

	for (i = 0; i < COUNT(table); i++) {
		snprintf(bytes, sizeof(bytes), OK "A: 1\r\n%s\r\n",
			table[i].lines);
		assert_int_equal(response(bytes), H1_OK);
		if (forward_is_shared_cacheable(&message) != table[i].may)
			fail_msg("%s: not %d", table[i].lines, table[i].may);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, forget)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_end_to_end_fields_stay_as_they_are),
		TEST(test_status_line_is_perchs_own),
		TEST(test_fields_of_this_hop_are_dropped),
		TEST(test_fields_that_connection_names_are_dropped),
		TEST(test_connection_says_what_it_is_told),
		TEST(test_content_length_is_folded_to_one),
		TEST(test_content_length_of_what_has_no_body),
		TEST(test_coding_of_what_has_no_body),
		TEST(test_upgrade_is_passed_on_where_it_is_honoured),
		TEST(test_cookie_is_added_to_those_that_are_there),
		TEST(test_cache_control_is_made_private),
		TEST(test_private_without_text_space_is_refused),
		TEST(test_own_answer_has_a_length_of_its_own),
		TEST(test_head_that_does_not_fit_is_refused),
		TEST(test_one_field_too_many_never_goes_out),
		TEST(test_length_without_text_space_is_refused),
		TEST(test_what_a_shared_cache_may_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
