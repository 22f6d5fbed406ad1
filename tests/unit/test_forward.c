/* What a request gains and loses: heads are compared whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exact.h"
#include "head.h"
#include "proxy/forward.h"

#define HOST "Host: a.example\r\n"
#define GET_TO(target) "GET " target " HTTP/1.1\r\n"
#define GET GET_TO("/")
#define ID "X-Request-Id: id-1\r\n"
#define OVERRIDE "X-Perch-Version: web=v2\r\n"
#define FORWARDED(peer, proto, host)                                           \
	"X-Forwarded-For: " peer "\r\nX-Forwarded-Proto: " proto "\r\n"        \
	"X-Forwarded-Host: " host "\r\n"
/* What every request of an untrusted client is given. */
#define ADDED FORWARDED("192.0.2.7", "http", "a.example") ID OVERRIDE "\r\n"

static struct address peer;
static struct forward_request_options options;
static char text_space[65536];
static char output[65536];

static void
set_peer(const char *ip)
{
	assert_true(address_parse_ip(slice_from_string(ip), 4711, &peer));
}

static int
set_up(void **state)
{
	(void)state;
	set_peer("192.0.2.7");
	options = (struct forward_request_options){
		.client = {&peer, false, SLICE("http")},
		.request_id = SLICE("id-1"),
		.override_header = SLICE("X-Perch-Version"),
		.override_value = SLICE("web=v2"),
		.cookie_name = SLICE("perch"),
		.former_cookie_name = SLICE("perch-web"),
	};
	return 0;
}

/* The head that goes out for the message that was parsed last. */
static const char *
forward_parsed(void)
{
	struct forward_text text = {text_space, 0, sizeof(text_space)};
	struct forward_head out;
	size_t len;

	assert_true(forward_request(&message, &options, &text, &out));
	assert_int_equal(out.body, message.body);
	len = forward_write_request(&out, output, sizeof(output) - 1);
	assert_true(len > 0);
	output[len] = '\0';
	return output;
}

static const char *
forwarded(const char *bytes)
{
	assert_int_equal(request(bytes), H1_OK);
	return forward_parsed();
}

/* Of a GET with these lines behind Host. */
static const char *
forwarded_with(const char *lines)
{
	char bytes[4096];

	snprintf(bytes, sizeof(bytes), GET HOST "%s\r\n", lines);
	return forwarded(bytes);
}

static void
test_end_to_end_fields_stay_as_they_are(void **state)
{
	assert_string_equal(
		forwarded("PATCH /a?b=c HTTP/1.1\r\nAccept:  */*  \r\n" HOST
			  "x-odd:\r\nAuthorization: Basic eDp5\r\n"
			  "X-Twice: 1\r\nX-Twice: 2\r\n\r\n"),
		"PATCH /a?b=c HTTP/1.1\r\nAccept:  */*  \r\n" HOST
		"x-odd:\r\nAuthorization: Basic eDp5\r\n"
		"X-Twice: 1\r\nX-Twice: 2\r\n" ADDED);
}

/* RFC 9110 7.6.1, and what a client can't be believed. */
static void
test_fields_of_this_hop_are_dropped(void **state)
{
	static const char *const lines[] = {"Connection: close",
		"connection: keep-alive",
		"Connection:", "Keep-Alive: timeout=5",
		"Proxy-Connection: keep-alive", "TE: gzip",
		"TE:", "Upgrade: websocket", "X-Forwarded-For: 10.0.0.1",
		"X-Forwarded-Proto: https", "X-Forwarded-Host: b.example",
		"X-Request-Id: mine", "X-Perch-Version: web=v1",
		"X-PERCH-VERSION: web=v1"};
	char bytes[256];
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(bytes, sizeof(bytes),
			GET "A: 1\r\n%s\r\n" HOST "%s\r\nB: 2\r\n\r\n",
			lines[i], lines[i]);
		assert_string_equal(
			forwarded(bytes), GET "A: 1\r\n" HOST "B: 2\r\n" ADDED);
	}
}

static void
test_fields_that_connection_names_are_dropped(void **state)
{
	assert_string_equal(
		forwarded(GET "x-early: 1\r\n" HOST
			      "Connection: X-Early, close,,X-LATE\r\n"
			      "X-Stays: 1\r\nConnection: x-more\r\n"
			      "X-Late: 1\r\nX-Late: 2\r\nX-More: 1\r\n"
			      "X-Lat: 1\r\nX-Later: 1\r\n\r\n"),
		GET HOST "X-Stays: 1\r\nX-Lat: 1\r\nX-Later: 1\r\n" ADDED);
	assert_string_equal(
		forwarded_with("Connection: close, keep-alive\r\nClose: 1\r\n"),
		GET HOST "Close: 1\r\n" ADDED);
}

static void
test_connection_cannot_name_framing_or_host(void **state)
{
	assert_string_equal(
		forwarded("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n"
			  "Connection: Content-Length, Host\r\n\r\n"),
		"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" ADDED);
	assert_string_equal(forwarded("POST / HTTP/1.1\r\n" HOST
				      "Transfer-Encoding: chunked\r\n"
				      "Connection: Transfer-Encoding\r\n\r\n"),
		"POST / HTTP/1.1\r\n" HOST
		"Transfer-Encoding: chunked\r\n" ADDED);
}

/* Else a client could hide who it is, or one behind a trusted proxy. */
static void
test_connection_cannot_name_what_is_added(void **state)
{
	static const char said[] = "X-Forwarded-Proto: https\r\n"
				   "X-Forwarded-Host: b.example\r\n"
				   "X-Request-Id: theirs\r\n";
	char lines[512], expected[512];

	assert_string_equal(
		forwarded_with("Connection: X-Forwarded-For, X-Forwarded-Proto,"
			       " X-Forwarded-Host, X-Request-Id,"
			       " X-Perch-Version\r\n"
			       "X-Forwarded-For: 10.0.0.1\r\n"),
		GET HOST ADDED);
	options.client.is_trusted = true;
	options.keeps_request_id = true;
	snprintf(lines, sizeof(lines),
		"Connection: X-Forwarded-For, x-forwarded-proto,"
		" X-Forwarded-Host, X-Request-Id, X-Perch-Version\r\n"
		"X-Forwarded-For: 203.0.113.9\r\n%s",
		said);
	snprintf(expected, sizeof(expected),
		GET HOST
		"%sX-Forwarded-For: 203.0.113.9, 192.0.2.7\r\n" OVERRIDE "\r\n",
		said);
	assert_string_equal(forwarded_with(lines), expected);
}

/* Backends that make variables of fields read "_" as "-". */
static void
test_fields_that_pass_for_perchs_own_are_dropped(void **state)
{
	static const char *const lines[] = {"X_Forwarded_For: 10.0.0.1",
		"x-forwarded_for: 10.0.0.1", "X_FORWARDED-PROTO: https",
		"X_Forwarded_Host: b.example", "X_Request_Id: mine",
		"X-Perch_Version: web=v1", "x_perch_version: web=v1"};
	char bytes[256];
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(bytes, sizeof(bytes), "%s\r\nX_Kept: 1\r\n", lines[i]);
		options.client.is_trusted = i % 2 == 0;
		assert_string_equal(
			forwarded_with(bytes), GET HOST "X_Kept: 1\r\n" ADDED);
	}
}

/* Whatever its name with dashes means, and whoever sends it. */
static void
test_disguised_fields_are_dropped(void **state)
{
	static const char *const names[] = {"Content_Length", "content_type",
		"Transfer_Encoding", "User_Agent", "If_None_Match", "Sec_Fetch_Mode",
		"Sec_Websocket_Key", "X_Real_IP", "x_forwarded_port",
		"X_Forwarded-Anything", "X-Original_URL", "Proxy_Connection",
		"Keep_Alive", "Set_Cookie", "Content_Encoding",
		"Access_Control_Request_Method", "Accept_Encoding",
		"Proxy_Authorization", "X_Http_Method_Override",
		"X_CSRF_Token", "Last_Event_ID", "X_Perch_Rescued",
		"X_Perch_Key", "Max_Forwards", "Client_Cert",
		"X_Forwarded_"
		"Of_A_Name_That_Is_Longer_Than_Any_That_Means_Something"};
	char bytes[256];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(bytes, sizeof(bytes), "%s: 1\r\nX_Kept: 1\r\n",
			names[i]);
		options.client.is_trusted = i % 2 == 0;
		options.passes_underscores = false;
		assert_string_equal(
			forwarded_with(bytes), GET HOST "X_Kept: 1\r\n" ADDED);
		assert_true(forward_is_disguised(&message, &options));
		options.passes_underscores = true;
		snprintf(bytes, sizeof(bytes), "%s: 1\r\n", names[i]);
		assert_non_null(strstr(forwarded_with(bytes), names[i]));
		assert_false(forward_is_disguised(&message, &options));
	}
}

static void
test_underscores_alone_are_no_disguise(void **state)
{
	static const char lines[] =
		"X_Kept: 1\r\nsession_id: 1\r\nLength_Content: 1\r\n"
		"_: 1\r\n"
		"X_A_Name_That_Is_Longer_Than_Any_That_Would_Mean_Something_To_"
		"Us: 1\r\n";

	assert_string_equal(forwarded_with(lines),
		GET HOST
		"X_Kept: 1\r\nsession_id: 1\r\nLength_Content: 1\r\n"
		"_: 1\r\n"
		"X_A_Name_That_Is_Longer_Than_Any_That_Would_Mean_Something_To_"
		"Us: 1\r\n" ADDED);
}

/* Passing them is for backends that tell them apart: perch's own word stays
 * its own under its own name. */
static void
test_version_is_perchs_word_with_underscores_passed_too(void **state)
{
	options.passes_underscores = true;
	assert_string_equal(
		forwarded_with("X-Perch-Version: web=v1\r\n"
			       "X_Perch_Version: web=v1\r\n"
			       "X_Forwarded_For: 10.0.0.1\r\n"),
		GET HOST "X_Perch_Version: web=v1\r\n"
			 "X_Forwarded_For: 10.0.0.1\r\n" ADDED);
}

#define CLAIMS                                                                 \
	"Forwarded: for=10.0.0.1\r\nX-Forwarded-Port: 443\r\n"                 \
	"X-Real-IP: 10.0.0.1\r\nx-original-url: /admin\r\n"                    \
	"X-Forwarded-User: root\r\nProxy: http://evil.example\r\n"

static void
test_claims_of_strangers_are_dropped(void **state)
{
	static char real_ip[] = "x-real-ip", forwarded[] = "Forwarded";
	static char *let_through[] = {real_ip, forwarded};

	assert_string_equal(forwarded_with(CLAIMS), GET HOST ADDED);
	options.claims = let_through;
	options.n_claims = 2;
	assert_string_equal(forwarded_with(CLAIMS "X_Real_IP: 10.0.0.2\r\n"),
		GET HOST "Forwarded: for=10.0.0.1\r\n"
			 "X-Real-IP: 10.0.0.1\r\n" ADDED);
	assert_int_equal(
		forward_trailers(SLICE("X-Real-IP: a\r\n"), &options).len, 14);
}

static void
test_claims_of_trusted_peers_are_passed_on(void **state)
{
	options.client.is_trusted = true;
	assert_string_equal(forwarded_with(CLAIMS), GET HOST CLAIMS ADDED);
	/* Unless it is the field by which perch names the version. */
	options.override_header = SLICE("X-Real-IP");
	assert_null(strstr(forwarded_with(CLAIMS), "X-Real-IP: 10"));
}

static void
test_trailers_that_pass_for_perchs_own_are_dropped(void **state)
{
	static const char *const bad[] = {"X-Perch-Version: web=v1\r\n",
		"X-Sum: 1\r\nx_perch_version:\r\n",
		"X_Forwarded_For: a\r\nX-Sum: 1\r\n", "X-Request-Id: a\r\n",
		"X-Forwarded-Proto: a: b\r\n", "X-Forwarded-Host: a\r\n",
		"X-Real-IP: a\r\n", "x_real_ip: a\r\n",
		"Content_Length: 1\r\n", "X_Forwarded_Port: 1\r\n",
		/* What is no line at all, which no parser lets through. */
		"X-Sum", "X-Sum: 1"};
	static const char good[] = "X-Sum: a: X-Forwarded-For: b\r\nB:\r\n";
	struct slice left;
	char *copy;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		copy = exact_copy(bad[i], strlen(bad[i]));
		left = forward_trailers(
			(struct slice){copy, strlen(bad[i])}, &options);
		assert_int_equal(left.len, 0);
		free(copy);
	}
	left = forward_trailers(SLICE(good), &options);
	assert_ptr_equal(left.ptr, good);
	assert_int_equal(left.len, strlen(good));
	left = forward_trailers((struct slice){NULL, 0}, &options);
	assert_int_equal(left.len, 0);
}

static void
test_content_length_is_folded_to_one(void **state)
{
	static const char *const lines[] = {"Content-Length: 5\r\n",
		"Content-Length: 5\r\nContent-Length: 5\r\n",
		"Content-Length: 5, 5\r\nContent-Length: 5\r\n",
		"Content-Length: 5\r\nContent-Length: 5,5\r\n"};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_string_equal(forwarded_with(lines[i]),
			GET HOST "Content-Length: 5\r\n" ADDED);
	assert_string_equal(forwarded_with("Content-Length: 42 , 42\r\n"),
		GET HOST "Content-Length: 42\r\n" ADDED);
	assert_string_equal(
		forwarded_with("Content-Length: 9223372036854775807,"
			       "9223372036854775807\r\n"),
		GET HOST "Content-Length: 9223372036854775807\r\n" ADDED);
	assert_string_equal(forwarded_with("Content-Length: 0,0\r\n"),
		GET HOST "Content-Length: 0\r\n" ADDED);
}

static void
test_chunked_is_said_anew(void **state)
{
	assert_string_equal(forwarded_with("transfer-encoding: CHUNKED\r\n"
					   "Trailer: Checksum\r\n"),
		GET HOST "Trailer: Checksum\r\n"
			 "Transfer-Encoding: chunked\r\n" ADDED);
}

static void
test_trusted_proxy_is_believed(void **state)
{
	options.client.is_trusted = true;
	assert_string_equal(forwarded_with("X-Forwarded-For: 203.0.113.9\r\n"
					   "X-Forwarded-Proto: https\r\n"
					   "X-Forwarded-Host: b.example\r\n"),
		GET HOST
		"X-Forwarded-Proto: https\r\n"
		"X-Forwarded-Host: b.example\r\n"
		"X-Forwarded-For: 203.0.113.9, 192.0.2.7\r\n" ID OVERRIDE
		"\r\n");
	assert_string_equal(forwarded_with(""), GET HOST ADDED);
}

static void
test_trusted_chain_of_several_fields_is_joined(void **state)
{
	options.client.is_trusted = true;
	assert_string_equal(
		forwarded_with("X-Forwarded-For: 203.0.113.9, 10.0.0.1\r\n"
			       "X-Forwarded-For:\r\nA: 1\r\n"
			       "X-Forwarded-For: 10.0.0.2\r\n"),
		GET HOST "A: 1\r\n" FORWARDED(
			"203.0.113.9, 10.0.0.1, 10.0.0.2, 192.0.2.7", "http",
			"a.example") ID OVERRIDE "\r\n");
}

static void
test_peer_is_written_without_port_and_mapping(void **state)
{
	set_peer("2001:db8::7");
	assert_string_equal(forwarded_with(""),
		GET HOST FORWARDED("2001:db8::7", "http", "a.example")
			ID OVERRIDE "\r\n");
	set_peer("::ffff:192.0.2.7");
	assert_string_equal(forwarded_with(""), GET HOST ADDED);
}

static void
test_scheme_is_the_connections(void **state)
{
	options.client.scheme = SLICE("https");
	assert_string_equal(forwarded_with("X-Forwarded-Proto: http\r\n"),
		GET HOST FORWARDED("192.0.2.7", "https", "a.example")
			ID OVERRIDE "\r\n");
}

static void
test_request_id_that_is_kept_is_not_added_again(void **state)
{
	options.keeps_request_id = true;
	assert_string_equal(forwarded_with("X-Request-Id: theirs\r\n"),
		GET HOST "X-Request-Id: theirs\r\n" FORWARDED(
			"192.0.2.7", "http", "a.example") OVERRIDE "\r\n");
}

static void
test_own_cookie_is_taken_out(void **state)
{
	static const struct {
		const char *value;
		const char *left;
	} table[] = {
		{"perch=1; a=b; c=d", "a=b; c=d"},
		{"a=b; perch=1; c=d", "a=b; c=d"},
		{"a=b; c=d; perch=1", "a=b; c=d"},
		{"a=b;perch=1;c=d", "a=b; c=d"},
		{"perch=1; a=b; perch=2", "a=b"},
		{"a=\"x y\"; perch=; nameless", "a=\"x y\"; nameless"},
		{"perch = 1; a=b=c", "a=b=c"},
		{"perch=1; Perch=2; perchx=3; xperch=4",
			"Perch=2; perchx=3; xperch=4"},
		{"perch-web=1; a=b; perch=2; perch-api=3", "a=b; perch-api=3"},
		{"a=b; perch-web=1", "a=b"},
	};
	char line[256], expected[1024];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(line, sizeof(line), "Cookie: %s\r\nA: 1\r\n",
			table[i].value);
		snprintf(expected, sizeof(expected),
			GET HOST "A: 1\r\nCookie: %s\r\n" ADDED, table[i].left);
		assert_string_equal(forwarded_with(line), expected);
	}
}

static void
test_cookies_of_others_stay_as_they_are(void **state)
{
	assert_string_equal(
		forwarded_with("cookie: a=b;c=d;; Perch=1; x=perch=1\r\n"),
		GET HOST "cookie: a=b;c=d;; Perch=1; x=perch=1\r\n" ADDED);
}

static void
test_own_cookie_alone_takes_its_field_along(void **state)
{
	assert_string_equal(forwarded_with("Cookie: perch=1\r\nA: 1\r\n"),
		GET HOST "A: 1\r\n" ADDED);
	assert_string_equal(forwarded_with("Cookie: perch=1; ;perch=2;\r\n"),
		GET HOST ADDED);
}

static void
test_each_cookie_field_is_looked_at(void **state)
{
	assert_string_equal(
		forwarded_with("Cookie: perch=1; a=1\r\nCookie: b=1\r\n"
			       "Cookie: perch=2\r\nCookie: c=1; perch=3\r\n"),
		GET HOST "Cookie: b=1\r\nCookie: a=1; c=1\r\n" ADDED);
}

/* As many as a head can have: they must take nothing else's place. */
static void
test_cookies_of_many_fields_share_one(void **state)
{
	static const char framing[] = "Content-Length: 5, 5\r\n";
	static char lines[4096], expected[8192];
	size_t len, expected_len;
	int n, i;

	for (n = 1; n < 90; n++) {
		len = (size_t)sprintf(lines, "%s", framing);
		expected_len = (size_t)sprintf(
			expected, GET HOST "Content-Length: 5\r\nCookie: ");
		for (i = 0; i < n; i++) {
			len += (size_t)sprintf(lines + len,
				"Cookie: perch=%d; c=%d\r\n", i, i);
			expected_len += (size_t)sprintf(expected + expected_len,
				"%sc=%d", i > 0 ? "; " : "", i);
		}
		sprintf(expected + expected_len, "\r\n" ADDED);
		assert_string_equal(forwarded_with(lines), expected);
	}
}

/* All that can be added to one head at once. */
static void
test_head_with_all_that_can_be_added(void **state)
{
	options.upgrade = SLICE("websocket");
	options.client.is_trusted = true;
	assert_string_equal(
		forwarded(GET_TO("http://b.example/p") HOST
			"Upgrade: websocket\r\nTE: trailers\r\n"
			"Connection: upgrade, te\r\n"
			"Content-Length: 5, 5\r\nCookie: perch=1; a=b\r\n"
			"X-Forwarded-For: 203.0.113.9\r\n\r\n"),
		GET_TO("/p") "Upgrade: websocket\r\nContent-Length: 5\r\n"
			     "Host: b.example\r\nTE: trailers\r\n"
			     "Connection: upgrade, TE\r\nCookie: "
			     "a=b\r\n" FORWARDED("203.0.113.9, 192.0.2.7",
				     "http", "b.example") ID OVERRIDE "\r\n");
}

static void
test_conditions_of_another_version_are_dropped(void **state)
{
	static const char lines[] = "If-Match: \"a\"\r\n"
				    "If-None-Match: \"b\"\r\nA: 1\r\n"
				    "If-Modified-Since: now\r\n"
				    "If-Unmodified-Since: now\r\n"
				    "If-Range: \"c\"\r\nRange: bytes=0-1\r\n";
	char expected[1024];

	snprintf(expected, sizeof(expected), GET HOST "%s" ADDED, lines);
	assert_string_equal(forwarded_with(lines), expected);
	options.drops_conditions = true;
	assert_string_equal(forwarded_with(lines), GET HOST "A: 1\r\n" ADDED);
}

/* RFC 9112 3.2.2: the target's host counts, and is what Host says then. */
static void
test_absolute_form_becomes_origin_form(void **state)
{
	static const char tail[] = FORWARDED(
		"192.0.2.7", "http", "b.example:8080") ID OVERRIDE "\r\n";
	char expected[1024];

	snprintf(expected, sizeof(expected), "%s%s%s", GET_TO("/p?q=1"),
		"A: 1\r\nHost: b.example:8080\r\n", tail);
	assert_string_equal(forwarded(GET_TO("http://b.example:8080/p?q=1") HOST
				    "A: 1\r\n\r\n"),
		expected);
	snprintf(expected, sizeof(expected), "%s%s%s", GET,
		"Host: b.example:8080\r\n", tail);
	assert_string_equal(
		forwarded(GET_TO("http://b.example:8080") HOST "\r\n"),
		expected);
}

static void
test_http_1_0_goes_on_as_1_1_with_a_host(void **state)
{
	static const char bytes[] = "GET / HTTP/1.0\r\n"
				    "X-Forwarded-Host: b.example\r\n\r\n";
	static const char rest[] = "X-Forwarded-For: 192.0.2.7\r\n"
				   "X-Forwarded-Proto: http\r\n" ID OVERRIDE
				   "\r\n";
	char expected[512];

	options.default_host = SLICE("d.example");
	snprintf(expected, sizeof(expected), GET "Host: d.example\r\n%s",
		rest);
	assert_string_equal(
		forwarded("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
		expected);
	/* No host was named, whatever a stranger says of it. */
	assert_string_equal(forwarded(bytes), expected);
	options.client.is_trusted = true;
	snprintf(expected, sizeof(expected),
		GET "X-Forwarded-Host: b.example\r\nHost: d.example\r\n%s",
		rest);
	assert_string_equal(forwarded(bytes), expected);
	options.client.is_trusted = false;
	assert_string_equal(
		forwarded("GET / HTTP/1.0\r\n" HOST "\r\n"), GET HOST ADDED);
}

static void
test_asterisk_stays(void **state)
{
	assert_string_equal(forwarded("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
		"OPTIONS * HTTP/1.1\r\n" HOST ADDED);
}

/* RFC 9110 10.1.4. */
static void
test_wish_for_trailers_goes_on(void **state)
{
	static const char *const lines[] = {
		"TE: trailers\r\nConnection: TE\r\n",
		"te: gzip;q=0.5, Trailers\r\nConnection: te, close\r\n"};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_string_equal(forwarded_with(lines[i]),
			GET HOST "TE: trailers\r\nConnection: TE\r\n" ADDED);
}

static void
test_upgrade_is_to_one_of_the_protocols(void **state)
{
	static char tcp[] = "tcp", spdy[] = "SPDY/3.1";
	static char *protocols[] = {tcp, spdy};

	assert_true(forward_is_upgrade(SLICE("TCP"), protocols, 2));
	assert_true(forward_is_upgrade(SLICE("spdy/3.1"), protocols, 2));
	assert_false(forward_is_upgrade(SLICE("spdy/3.0"), protocols, 2));
	assert_false(forward_is_upgrade(SLICE("tcp, spdy/3.1"), protocols, 2));
	assert_false(forward_is_upgrade(SLICE("websocket"), protocols, 2));
	assert_false(forward_is_upgrade(SLICE("tcp"), protocols, 0));
	assert_false(forward_is_upgrade(SLICE(""), protocols, 2));
	/* One, though two may pass. */
	options.upgrade = SLICE("tcp");
	assert_string_equal(
		forwarded_with("Upgrade: TCP\r\nUpgrade: SPDY/3.1\r\n"
			       "Connection: Upgrade\r\n"),
		GET HOST "Upgrade: TCP\r\nConnection: upgrade\r\n" ADDED);
}

static void
test_upgrade_goes_on_where_it_is_honoured(void **state)
{
	options.upgrade = SLICE("websocket");
	assert_string_equal(
		forwarded_with("Upgrade: websocket\r\n"
			       "Connection: keep-alive, Upgrade, X-Hop\r\n"
			       "X-Hop: 1\r\nSec-WebSocket-Version: 13\r\n"),
		GET HOST "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			 "Connection: upgrade\r\n" ADDED);
}

/* Drops stand in a set of bits: here in each of its words. */
static void
test_head_with_the_most_fields(void **state)
{
	static const struct h1_limits most = {16384, 8192, MESSAGE_FIELDS_MAX};
	static char bytes[16384], expected[16384];
	size_t len, kept_len;
	int i;

	len = (size_t)sprintf(bytes, GET HOST "Connection: X-Drop\r\n");
	kept_len = (size_t)sprintf(expected, GET HOST);
	for (i = 2; i < MESSAGE_FIELDS_MAX; i++)
		if (i % 3 == 0) {
			len += (size_t)sprintf(
				bytes + len, "X-Drop: %d\r\n", i);
		} else {
			len += (size_t)sprintf(bytes + len, "K: %d\r\n", i);
			kept_len += (size_t)sprintf(
				expected + kept_len, "K: %d\r\n", i);
		}
	len += (size_t)sprintf(bytes + len, "\r\n");
	sprintf(expected + kept_len, ADDED);
	assert_int_equal(parse_bytes(bytes, len, &most, 0, HTTP_GET), H1_OK);
	assert_int_equal(message.n_fields, MESSAGE_FIELDS_MAX);
	assert_string_equal(forward_parsed(), expected);
}

static void
test_head_that_does_not_fit_is_refused(void **state)
{
	struct forward_text text = {text_space, 0, sizeof(text_space)};
	struct forward_head out;
	size_t len, cap;
	char *room;

	forwarded_with("Cookie: perch=1; a=b\r\nA: 1\r\nTE: trailers\r\n");
	len = strlen(output);
	assert_true(forward_request(&message, &options, &text, &out));
	for (cap = 0; cap <= len; cap++) {
		room = malloc(cap > 0 ? cap : 1);
		assert_non_null(room);
		assert_int_equal(forward_write_request(&out, room, cap),
			cap < len ? 0 : len);
		if (cap == len)
			assert_memory_equal(room, output, len);
		free(room);
	}
}

static void
test_cookie_without_text_space_is_refused(void **state)
{
	struct forward_text text = {text_space, 0, 0};
	struct forward_head out;

	assert_int_equal(
		request(GET HOST "Cookie: perch=1; a=b\r\n\r\n"), H1_OK);
	assert_false(forward_request(&message, &options, &text, &out));
}

/* Not even the client's address may be left out. */
static void
test_any_text_that_does_not_fit_is_refused(void **state)
{
	struct forward_text text;
	struct forward_head out;
	size_t cap, needed;

	assert_int_equal(request(GET HOST "Content-Length: 5, 5\r\n"
					  "Cookie: perch=1; a=b\r\n\r\n"),
		H1_OK);
	text = (struct forward_text){text_space, 0, sizeof(text_space)};
	assert_true(forward_request(&message, &options, &text, &out));
	needed = text.len;
	for (cap = 0; cap <= needed; cap++) {
		text = (struct forward_text){text_space, 0, cap};
		assert_int_equal(
			forward_request(&message, &options, &text, &out),
			cap == needed);
	}
}

static void
test_one_field_too_many_never_goes_out(void **state)
{
	struct forward_text text = {text_space, 0, sizeof(text_space)};
	struct forward_head out;

	assert_int_equal(request(GET HOST "\r\n"), H1_OK);
	assert_true(forward_request(&message, &options, &text, &out));
	while (out.n_extras < FORWARD_EXTRAS_MAX)
		forward_add(&out, SLICE("A"), SLICE("1"));
	assert_false(out.is_overfull);
	assert_true(forward_write_request(&out, output, sizeof(output)) > 0);
	forward_add(&out, SLICE("B"), SLICE("1"));
	assert_true(out.is_overfull);
	assert_int_equal(
		forward_write_request(&out, output, sizeof(output)), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, forget)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_end_to_end_fields_stay_as_they_are),
		TEST(test_fields_of_this_hop_are_dropped),
		TEST(test_fields_that_connection_names_are_dropped),
		TEST(test_connection_cannot_name_framing_or_host),
		TEST(test_connection_cannot_name_what_is_added),
		TEST(test_fields_that_pass_for_perchs_own_are_dropped),
		TEST(test_trailers_that_pass_for_perchs_own_are_dropped),
		TEST(test_disguised_fields_are_dropped),
		TEST(test_underscores_alone_are_no_disguise),
		TEST(test_version_is_perchs_word_with_underscores_passed_too),
		TEST(test_claims_of_strangers_are_dropped),
		TEST(test_claims_of_trusted_peers_are_passed_on),
		TEST(test_content_length_is_folded_to_one),
		TEST(test_chunked_is_said_anew),
		TEST(test_trusted_proxy_is_believed),
		TEST(test_trusted_chain_of_several_fields_is_joined),
		TEST(test_peer_is_written_without_port_and_mapping),
		TEST(test_scheme_is_the_connections),
		TEST(test_request_id_that_is_kept_is_not_added_again),
		TEST(test_own_cookie_is_taken_out),
		TEST(test_cookies_of_others_stay_as_they_are),
		TEST(test_own_cookie_alone_takes_its_field_along),
		TEST(test_each_cookie_field_is_looked_at),
		TEST(test_cookies_of_many_fields_share_one),
		TEST(test_head_with_all_that_can_be_added),
		TEST(test_conditions_of_another_version_are_dropped),
		TEST(test_absolute_form_becomes_origin_form),
		TEST(test_http_1_0_goes_on_as_1_1_with_a_host),
		TEST(test_asterisk_stays),
		TEST(test_wish_for_trailers_goes_on),
		TEST(test_upgrade_is_to_one_of_the_protocols),
		TEST(test_upgrade_goes_on_where_it_is_honoured),
		TEST(test_head_with_the_most_fields),
		TEST(test_head_that_does_not_fit_is_refused),
		TEST(test_cookie_without_text_space_is_refused),
		TEST(test_any_text_that_does_not_fit_is_refused),
		TEST(test_one_field_too_many_never_goes_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
