/* Heads line by line: each rule of data-path.md's "HTTP/1 strictness" that isn't
 * about framing, and each sample at every split point. */
#include "head.h"

/* --- finding the end ------------------------------------------------------ */

static enum h1_result
find_end(const char *text, size_t limit, size_t *head_len)
{
	size_t scanned = 0;

	free(head);
	head = exact_copy(text, strlen(text));
	return h1_find_end(head, strlen(text), limit, &scanned, head_len);
}

static void
test_end_is_found_behind_empty_line(void **state)
{
	size_t head_len = 0;

	(void)state;
	assert_int_equal(
		find_end("A\r\nB\r\n\r\nbody\n", 99, &head_len), H1_OK);
	assert_int_equal(head_len, 8);
	assert_int_equal(find_end("A\r\nB\r\n\r", 99, &head_len), H1_PARTIAL);
	assert_int_equal(find_end("", 99, &head_len), H1_PARTIAL);
}

static void
test_bare_lf_is_refused_at_once(void **state)
{
	size_t head_len;

	(void)state;
	assert_int_equal(find_end("GET / HTTP/1.1\n", 99, &head_len), H1_BAD);
	assert_int_equal(find_end("\n", 99, &head_len), H1_BAD);
	assert_int_equal(find_end("A\r\nB\n", 99, &head_len), H1_BAD);
	assert_int_equal(find_end("A\r\n\n", 99, &head_len), H1_BAD);
}

static void
test_head_without_end_within_limit_is_long(void **state)
{
	size_t head_len;

	(void)state;
	assert_int_equal(find_end("A\r\nBCDEFG", 9, &head_len), H1_HEAD_LONG);
	assert_int_equal(find_end("A\r\nBCDEF", 9, &head_len), H1_PARTIAL);
	assert_int_equal(
		find_end("A\r\nBCD\r\n\r\n", 9, &head_len), H1_HEAD_LONG);
	assert_int_equal(find_end("A\r\nBCD\r\n\r\n", 10, &head_len), H1_OK);
}

static void
test_request_line_without_end_within_limit_is_a_long_target(void **state)
{
	size_t head_len;

	(void)state;
	assert_int_equal(
		find_end("GET /aaaaaaaaa", 14, &head_len), H1_TARGET_LONG);
}

static void
test_one_empty_line_is_skipped(void **state)
{
	(void)state;
	assert_int_equal(h1_skip_empty_lines("\r\nGET", 5), 2);
	assert_int_equal(h1_skip_empty_lines("\r\n\r\nGET", 7), 2);
	assert_int_equal(h1_skip_empty_lines("\r", 1), 0);
	assert_int_equal(h1_skip_empty_lines("GET", 3), 0);
	assert_int_equal(h1_skip_empty_lines("\nGET", 4), 0);
	assert_int_equal(request("\r\nGET / HTTP/1.1\r\n\r\n"), H1_BAD);
}

static void
test_lone_cr_leaves_room_for_the_empty_line(void **state)
{
	size_t scanned = 0, head_len;

	(void)state;
	assert_int_equal(
		h1_find_end("\r", 1, 99, &scanned, &head_len), H1_PARTIAL);
	assert_int_equal(scanned, 0);
}

/* --- the request line ----------------------------------------------------- */

static void
test_request_is_taken_apart(void **state)
{
	(void)state;
	assert_int_equal(request("GET /a?b=c HTTP/1.1\r\n"
				 "Host: www.example.com:8080\r\n"
				 "X-Empty:\r\n"
				 "ACCEPT: \t text/html \t \r\n"
				 "X-Odd_Name!: caf\xc3\xa9\tx\r\n\r\n"),
		H1_OK);
	assert_int_equal(message.method, HTTP_GET);
	assert_span(message.method_name, "GET");
	assert_span(message.target, "/a?b=c");
	assert_span(message.path, "/a?b=c");
	assert_span(message.host, "www.example.com:8080");
	assert_int_equal(message.version_minor, 1);
	assert_int_equal(message.body, BODY_NONE);
	assert_false(message.is_absolute_form);
	assert_int_equal(message.n_fields, 4);
	assert_slice(message_find(&message, FIELD_ACCEPT), "text/html");
	assert_slice(message_find_name(&message, SLICE("x-empty")), "");
	assert_slice(message_find_name(&message, SLICE("x-odd_name!")),
		"caf\xc3\xa9\tx");
	assert_null(message_find(&message, FIELD_COOKIE).ptr);
	assert_null(message_find_name(&message, SLICE("x-none")).ptr);
	assert_true(message_has(&message, FIELD_HOST));
	assert_false(message_has(&message, FIELD_OTHER));
}

static void
test_methods_are_known_by_exact_name(void **state)
{
	(void)state;
	assert_int_equal(request_line("PATCH / HTTP/1.1"), H1_OK);
	assert_int_equal(message.method, HTTP_PATCH);
	assert_int_equal(request_line("get / HTTP/1.1"), H1_OK);
	assert_int_equal(message.method, HTTP_OTHER);
	assert_int_equal(request_line("M-SEARCH / HTTP/1.1"), H1_OK);
	assert_int_equal(message.method, HTTP_OTHER);
	assert_span(message.method_name, "M-SEARCH");
	assert_int_equal(request_line("TRACE / HTTP/1.1"), H1_OK);
	assert_int_equal(message.method, HTTP_TRACE);
}

static void
test_malformed_request_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"G(T / HTTP/1.1",
		"G\tT / HTTP/1.1",
		" GET / HTTP/1.1",
		"GET  / HTTP/1.1",
		"GET /  HTTP/1.1",
		"GET / HTTP/1.1 ",
		"GET\t/ HTTP/1.1",
		"GET /\tHTTP/1.1",
		"GET / HTTP/1.1\t",
		"GET / http/1.1",
		"GET / HTTP/1",
		"GET / HTTP/2",
		"GET / HTTP/1.",
		"GET / HTTP/1.10",
		"GET / HTTP/11.1",
		"GET / HTTP/x.1",
		"GET / HTTPS/1.1",
		"GET /\xc3\xa9 HTTP/1.1",
		"GET /a b HTTP/1.1",
		"GET /a#b HTTP/1.1",
		"GET /aaaaaaaaaaaa#b HTTP/1.1",
		"GET /a\001b HTTP/1.1",
		"GET /a\177b HTTP/1.1",
		"GET /a\rb HTTP/1.1",
		"GET a HTTP/1.1",
		"GET ?a HTTP/1.1",
		"GET * HTTP/1.1",
		"OPTIONS ** HTTP/1.1",
		"GET",
		"GET ",
		"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (request_line(lines[i]) != H1_BAD)
			fail_msg("taken: \"%s\"", lines[i]);
}

static void
test_nul_in_target_is_refused(void **state)
{
	static const char text[] =
		"GET /a\0b HTTP/1.1\r\nHost: a.example\r\n\r\n";

	(void)state;
	assert_int_equal(
		parse_bytes(text, sizeof(text) - 1, &limits, 0, HTTP_GET),
		H1_BAD);
}

static void
test_http_0_9_is_bad_and_other_majors_are_another_version(void **state)
{
	(void)state;
	assert_int_equal(request("GET /\r\n\r\n"), H1_BAD);
	assert_string_equal(why, "no HTTP version (HTTP/0.9)");
	assert_int_equal(request_line("GET / HTTP/2.0"), H1_BAD_VERSION);
	assert_int_equal(request_line("GET / HTTP/3.0"), H1_BAD_VERSION);
	assert_int_equal(request_line("GET / HTTP/0.9"), H1_BAD_VERSION);
	assert_int_equal(
		request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), H1_BAD_VERSION);
}

static void
test_later_minor_versions_are_read_as_1_1(void **state)
{
	(void)state;
	assert_int_equal(request_line("GET / HTTP/1.2"), H1_OK);
	assert_int_equal(message.version_minor, 1);
	assert_int_equal(request_line("GET / HTTP/1.9"), H1_OK);
	assert_int_equal(message.version_minor, 1);
	assert_true(message.keep_alive);
	assert_int_equal(request_line("GET / HTTP/1.0"), H1_OK);
	assert_int_equal(message.version_minor, 0);
}

/* --- targets -------------------------------------------------------------- */

static void
test_absolute_form_wins_over_host(void **state)
{
	(void)state;
	assert_int_equal(
		request_line("GET http://b.example:81/x?y HTTP/1.1"), H1_OK);
	assert_true(message.is_absolute_form);
	assert_span(message.host, "b.example:81");
	assert_span(message.path, "/x?y");
	assert_span(message.target, "http://b.example:81/x?y");
	assert_int_equal(request_line("GET HTTPS://[::1] HTTP/1.1"), H1_OK);
	assert_span(message.host, "[::1]");
	assert_span(message.path, "/");
}

static void
test_absolute_form_still_needs_a_good_host(void **state)
{
	(void)state;
	assert_int_equal(request("GET http://b/ HTTP/1.1\r\n\r\n"), H1_BAD);
	assert_int_equal(
		request("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n"), H1_BAD);
	assert_int_equal(request("GET http://b/ HTTP/1.0\r\n\r\n"), H1_OK);
	assert_span(message.host, "b");
}

static void
test_malformed_absolute_forms_are_refused(void **state)
{
	static const char *const targets[] = {
		"http://",
		"http:///x",
		"http:/x",
		"http:x",
		"http://user@b.example/",
		"http://user:secret@b.example/",
		"http://b.example?x",
		"http://b.example:99999/",
		"http://b<c/",
		"ftp://b.example/",
		"httpx://b.example/",
		"://b.example/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "GET %s HTTP/1.1", targets[i]);
		if (request_line(line) != H1_BAD)
			fail_msg("taken: \"%s\"", targets[i]);
	}
}

static void
test_asterisk_is_for_options_alone(void **state)
{
	(void)state;
	assert_int_equal(request_line("OPTIONS * HTTP/1.1"), H1_OK);
	assert_span(message.path, "*");
	assert_span(message.host, "a.example");
	assert_int_equal(request_line("HEAD * HTTP/1.1"), H1_BAD);
}

static void
test_authority_form_is_for_connect_alone(void **state)
{
	(void)state;
	assert_int_equal(request_line("CONNECT b.example:443 HTTP/1.1"), H1_OK);
	assert_span(message.host, "b.example:443");
	assert_int_equal(message.path.len, 0);
	assert_int_equal(request_line("CONNECT b.example HTTP/1.1"), H1_BAD);
	assert_int_equal(request_line("CONNECT b.example: HTTP/1.1"), H1_BAD);
	assert_int_equal(request_line("CONNECT / HTTP/1.1"), H1_BAD);
	assert_int_equal(request_line("CONNECT http://b/ HTTP/1.1"), H1_BAD);
	assert_int_equal(request_line("GET b.example:443 HTTP/1.1"), H1_BAD);
}

static void
test_target_over_its_limit_is_told_apart(void **state)
{
	static const struct h1_limits tight = {16384, 8, 100};
	static const char fits[] = "GET /2345678 HTTP/1.0\r\n\r\n";
	static const char over[] = "GET /23456789 HTTP/1.0\r\n\r\n";

	(void)state;
	assert_int_equal(
		parse_bytes(fits, strlen(fits), &tight, 0, HTTP_GET), H1_OK);
	assert_int_equal(parse_bytes(over, strlen(over), &tight, 0, HTTP_GET),
		H1_TARGET_LONG);
}

/* --- Host ----------------------------------------------------------------- */

static void
test_http_1_1_needs_exactly_one_host(void **state)
{
	(void)state;
	assert_int_equal(request("GET / HTTP/1.1\r\n\r\n"), H1_BAD);
	assert_string_equal(why, "no Host");
	assert_int_equal(request("GET / HTTP/1.0\r\n\r\n"), H1_OK);
	assert_int_equal(message.host.len, 0);
	assert_int_equal(request_with("Host: a.example\r\n"), H1_BAD);
	assert_string_equal(why, "two Hosts");
	assert_int_equal(
		request("GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n"),
		H1_BAD);
}

static void
test_good_hosts_are_taken(void **state)
{
	static const char *const hosts[] = {
		"a",
		"A.Example",
		"a_b.example.",
		"a.example:",
		"a.example:1",
		"a.example:65535",
		"a.example:00080",
		"127.0.0.1",
		"127.0.0.1:80",
		"[::1]",
		"[::1]:8080",
		"[::ffff:10.0.0.1]",
		"[2001:DB8::1]:",
		"xn--bcher-kva.example",
		"a%20b",
		"a~b!$&'()*+;=",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		if (request_with_host(hosts[i]) != H1_OK)
			fail_msg("refused: \"%s\"", hosts[i]);
		assert_span(message.host, hosts[i]);
	}
}

static void
test_malformed_hosts_are_refused(void **state)
{
	static const char *const hosts[] = {
		"",
		"a b",
		"a\tb",
		"a/b",
		"a\\b",
		"a?b",
		"a#b",
		"a@b",
		"a,b",
		"a, b",
		"a\"b",
		"a<b",
		"a>b",
		"a{b",
		"a|b",
		"a^b",
		"a`b",
		"b\303\274cher.example",
		":80",
		"a:b",
		"a:80:80",
		"a:-1",
		"a:0",
		"a:65536",
		"a:99999999999999999999",
		"a:80 ,",
		"[::1",
		"::1",
		"[]",
		"[::1]x",
		"[::1]:x",
		"[fe80::1%25eth0]",
		"[v1.a]",
		"[1.2.3.4]",
		"[::g]",
		"[:::]",
		"a[::1]",
		"a%2",
		"a%zz",
		"a%",
		"http://a",
		"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (request_with_host(hosts[i]) != H1_BAD)
			fail_msg("taken: \"%s\"", hosts[i]);
}

/* --- field lines ---------------------------------------------------------- */

static void
test_malformed_field_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"X : y\r\n",
		"X\t: y\r\n",
		"Transfer-Encoding : chunked\r\n",
		"Content-Length\t: 5\r\n",
		": y\r\n",
		"X\r\n",
		"no colon at all\r\n",
		"X y: z\r\n",
		"X(y): z\r\n",
		"X\"y: z\r\n",
		"X\x01y: z\r\n",
		"X\xc3\xa9: z\r\n",
		"Aaaaaaaaaaaaaaaa\xc3\xa9: z\r\n",
		"Aaaaaaa@: z\r\n",
		"Aaaaaaa[: z\r\n",
		"Aaaaaaa{: z\r\n",
		"Aaaaaaa\x1a: z\r\n",
		"X: a\r\n folded\r\n",
		"X: a\r\n\tfolded\r\n",
		" X: a\r\n",
		"X: a\rb\r\n",
		"X: a\r\r\n",
		"X: a\x01\r\n",
		"X: aaaaaaaaaaaaaaaaaaaaaaa\037aaaaaaaaaaaaaaaaaa\r\n",
		"X: a\x7f\r\n",
		"X: \x0b\r\n",
		"X: \x0c\r\n",
		"\rX: a\r\n",
		"X\r: a\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (request_with(lines[i]) != H1_BAD)
			fail_msg("taken: \"%s\"", lines[i]);
}

static void
test_fold_on_the_first_line_is_refused(void **state)
{
	(void)state;
	assert_int_equal(request("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), H1_BAD);
	assert_string_equal(why, "folded field line");
}

/* Every byte there is, in a name, in a value and in a target. */
static void
test_every_byte_is_sorted_rightly(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[128];
		int n;
		enum h1_result result;
		int is_token = c != 0 &&
			       (strchr("!#$%&'*+-.^_`|~", c) != NULL ||
				       (c >= '0' && c <= '9') ||
				       ((c | 0x20) >= 'a' &&
					       (c | 0x20) <= 'z' && c < 128));
		int is_text = c == '\t' || (c >= ' ' && c != 0x7f);

		/* A "\n" would end the line and begin another. */
		if (c == '\n')
			continue;
		for (int pad = 0; pad < 17; pad++) {
			n = snprintf(text, sizeof(text),
				"GET / HTTP/1.0\r\n%.*s%cb: v\r\n\r\n", pad,
				"aaaaaaaaaaaaaaaaa", c);
			result = parse_bytes(
				text, (size_t)n, &limits, 0, HTTP_GET);
			/* "aa:b: v" is a field whose value is "b: v". */
			if (!(c == ':' && pad > 0))
				assert_int_equal(
					result, is_token ? H1_OK : H1_BAD);
			n = snprintf(text, sizeof(text),
				"GET / HTTP/1.0\r\nX: %.*s%cb\r\n\r\n", pad,
				"aaaaaaaaaaaaaaaaa", c);
			result = parse_bytes(
				text, (size_t)n, &limits, 0, HTTP_GET);
			assert_int_equal(result, is_text ? H1_OK : H1_BAD);
			n = snprintf(text, sizeof(text),
				"GET /%.*s%cb HTTP/1.0\r\n\r\n", pad,
				"aaaaaaaaaaaaaaaaa", c);
			result = parse_bytes(
				text, (size_t)n, &limits, 0, HTTP_GET);
			assert_int_equal(result, c > ' ' && c < 0x7f && c != '#'
							 ? H1_OK
							 : H1_BAD);
		}
	}
}

static void
test_too_many_fields_make_the_head_long(void **state)
{
	static const struct h1_limits three = {16384, 8192, 3};
	static const char fits[] =
		"GET / HTTP/1.0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n";
	static const char over[] =
		"GET / HTTP/1.0\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n";
	static const struct h1_limits no_limit = {UINT32_MAX, 8192, UINT32_MAX};
	char text[4096] = "GET / HTTP/1.0\r\n";

	(void)state;
	assert_int_equal(
		parse_bytes(fits, strlen(fits), &three, 0, HTTP_GET), H1_OK);
	assert_int_equal(parse_bytes(over, strlen(over), &three, 0, HTTP_GET),
		H1_HEAD_LONG);
	for (int i = 0; i < MESSAGE_FIELDS_MAX; i++)
		strcat(text, "A: 1\r\n");
	strcat(text, "A: 1\r\n\r\n");
	assert_int_equal(
		parse_bytes(text, strlen(text), &no_limit, 0, HTTP_GET),
		H1_HEAD_LONG);
}

static void
test_parser_itself_holds_the_head_limit(void **state)
{
	static const struct h1_limits tight = {20, 20, 100};
	static const char text[] = "GET / HTTP/1.0\r\nA: 1\r\n\r\n";

	(void)state;
	assert_int_equal(
		h1_parse_request(text, strlen(text), &tight, &message, NULL),
		H1_HEAD_LONG);
	assert_int_equal(h1_parse_response(text, strlen(text), &tight, HTTP_GET,
				 &message, NULL),
		H1_HEAD_LONG);
}

static void
test_name_too_long_for_its_count_is_refused(void **state)
{
	static const struct h1_limits wide = {200000, 8192, 100};
	static char text[70100] = "GET / HTTP/1.0\r\n";
	size_t n = strlen(text);

	(void)state;
	memset(text + n, 'a', 70000);
	memcpy(text + n + 70000, ": v\r\n\r\n", 7);
	assert_int_equal(
		parse_bytes(text, n + 70007, &wide, 0, HTTP_GET), H1_BAD);
}

static void
test_head_without_its_end_is_refused(void **state)
{
	static const char text[] = "GET / HTTP/1.0\r\nA: 1\r\n\r\n";

	(void)state;
	for (size_t len = 0; len < strlen(text); len++) {
		char *copy = exact_copy(text, len);

		assert_int_equal(
			h1_parse_request(copy, len, &limits, &message, NULL),
			H1_BAD);
		free(copy);
	}
}

/* --- every split ---------------------------------------------------------- */

struct outcome {
	enum h1_result result;
	size_t head_len;
	struct message message;
};

/* As a connection reads: first the bytes up to split, then all, or byte by
 * byte where split is 0. Each look is at a block of exactly what has come. */
static void
read_in_parts(const char *text, size_t split, struct outcome *outcome)
{
	size_t len = strlen(text), scanned = 0;
	size_t at = split ? split : 1;

	memset(outcome, 0, sizeof(*outcome));
	for (;;) {
		char *copy = exact_copy(text, at);

		outcome->result = h1_find_end(
			copy, at, limits.head, &scanned, &outcome->head_len);
		if (outcome->result == H1_OK)
			outcome->result =
				h1_parse_request(copy, outcome->head_len,
					&limits, &outcome->message, NULL);
		free(copy);
		if (outcome->result != H1_PARTIAL || at == len)
			return;
		at = split ? len : at + 1;
	}
}

static void
assert_same_outcome(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->head_len, b->head_len);
	if (a->result != H1_OK)
		return;
	assert_int_equal(a->message.n_fields, b->message.n_fields);
	assert_memory_equal(&a->message.method, &b->message.method,
		offsetof(struct message, fields) -
			offsetof(struct message, method));
	assert_memory_equal(a->message.fields, b->message.fields,
		a->message.n_fields * sizeof(struct field));
}

static void
test_any_split_gives_the_same_result(void **state)
{
	static const char *const samples[] = {
		"GET /assets/app-1a2b.js?x=1 HTTP/1.1\r\nHost: www.example.com"
		"\r\nUser-Agent: Mozilla/5.0 (X11)\r\nAccept: */*\r\n"
		"Cookie: perch=0f3a2.1.-.v1; a=b\r\nConnection: keep-alive\r\n"
		"\r\n",
		"POST http://b.example/x HTTP/1.1\r\nHost: a\r\n"
		"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
		"5\r\nhello\r\n0\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
		("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		"GET / HTTP/1.1\r\nHost: a\r\n\r",
		"\r\n\r\n",
	};
	static struct outcome whole, parts;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		read_in_parts(samples[i], strlen(samples[i]), &whole);
		for (size_t split = 0; split < strlen(samples[i]); split++) {
			read_in_parts(samples[i], split, &parts);
			assert_same_outcome(&whole, &parts);
		}
	}
}

/* Of a head that is no good, or not whole. */
static void
test_glimpse_of_a_first_line(void **state)
{
	static const struct {
		const char *head;
		const char *method; /* "": nothing is told */
		const char *target;
	} cases[] = {
		{"GET /a HTTP/1.1\r\nHost : x\r\n\r\n", "GET", "/a"},
		{"GET /a HTTP/1.1", "GET", "/a"},
		{"GET /a\x1b\"\xff b HTTP/1.1\r\n", "GET", "/a\x1b\"\xff"},
		{"GET /a\r\n", "GET", "/a"},
		{"GET /a\n", "GET", "/a"},
		{"GET /a", "GET", "/a"},
		{"M-SEARCH * HTTP/2.0\r\n", "M-SEARCH", "*"},
		{"GET ", "GET", ""},
		{"GET  /a HTTP/1.1\r\n", "GET", ""},
		{"GET", "", ""},
		{"GET\r\n/a HTTP/1.1\r\n", "", ""},
		{" /a HTTP/1.1\r\n", "", ""},
		{"", "", ""},
		{"\x16\x03\x01\x02 /a", "", ""},
		{"G\xc3T /a HTTP/1.1\r\n", "", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&message, 0xff, sizeof(message));
		h1_glimpse_request(
			cases[i].head, strlen(cases[i].head), &message);
		assert_int_equal(message.head_len, 0);
		assert_int_equal(message.n_fields, 0);
		assert_true(slice_equal(
			message_slice(&message, message.method_name),
			slice_from_string(cases[i].method)));
		assert_true(slice_equal(message_slice(&message, message.target),
			slice_from_string(cases[i].target)));
	}
}

/* Over a block of just its size. */
static enum h1_result
check_line(const char *line)
{
	static struct message scratch;
	size_t len = strlen(line);
	char *copy = exact_copy(line, len);
	enum h1_result result;

	why = NULL;
	result = h1_check_request_line(copy, len, &limits, &scratch, &why);
	assert_true((result == H1_OK) == (why == NULL));
	free(copy);
	return result;
}

static void
test_request_line_is_judged_by_itself(void **state)
{
	char long_line[9000];

	assert_int_equal(check_line("GET / HTTP/1.1\r\n"), H1_OK);
	assert_int_equal(check_line("OPTIONS * HTTP/1.0\r\n"), H1_OK);
	assert_int_equal(check_line("GET /\r\n"), H1_BAD);
	assert_int_equal(check_line("GET / HTTP/2.0\r\n"), H1_BAD_VERSION);
	assert_int_equal(check_line("GET /#a HTTP/1.1\r\n"), H1_BAD);
	assert_int_equal(check_line("GET a HTTP/1.1\r\n"), H1_BAD);
	assert_int_equal(check_line("G(T / HTTP/1.1\r\n"), H1_BAD);
	assert_int_equal(check_line("\r\n"), H1_BAD);
	memset(long_line, 'a', sizeof(long_line));
	long_line[8992] = '\0';
	memcpy(long_line, "GET /", 5);
	memcpy(long_line + 8980, " HTTP/1.1\r\n", 12);
	assert_int_equal(check_line(long_line), H1_TARGET_LONG);
}

static void
test_request_begins_with_a_method_or_an_empty_line(void **state)
{
	static const char good[] = "GgX1!~\r\n", bad[] = "(/ \t\x16\x80\":";

	for (size_t i = 0; i < sizeof(good) - 1; i++)
		assert_true(h1_may_begin(good[i]));
	for (size_t i = 0; i < sizeof(bad); i++)
		assert_false(h1_may_begin(bad[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, forget)
		T(test_end_is_found_behind_empty_line),
		T(test_bare_lf_is_refused_at_once),
		T(test_head_without_end_within_limit_is_long),
		T(test_request_line_without_end_within_limit_is_a_long_target),
		T(test_one_empty_line_is_skipped),
		T(test_lone_cr_leaves_room_for_the_empty_line),
		T(test_request_is_taken_apart),
		T(test_methods_are_known_by_exact_name),
		T(test_malformed_request_lines_are_refused),
		T(test_nul_in_target_is_refused),
		T(test_http_0_9_is_bad_and_other_majors_are_another_version),
		T(test_later_minor_versions_are_read_as_1_1),
		T(test_absolute_form_wins_over_host),
		T(test_absolute_form_still_needs_a_good_host),
		T(test_malformed_absolute_forms_are_refused),
		T(test_asterisk_is_for_options_alone),
		T(test_authority_form_is_for_connect_alone),
		T(test_target_over_its_limit_is_told_apart),
		T(test_http_1_1_needs_exactly_one_host),
		T(test_good_hosts_are_taken),
		T(test_malformed_hosts_are_refused),
		T(test_malformed_field_lines_are_refused),
		T(test_fold_on_the_first_line_is_refused),
		T(test_every_byte_is_sorted_rightly),
		T(test_too_many_fields_make_the_head_long),
		T(test_parser_itself_holds_the_head_limit),
		T(test_name_too_long_for_its_count_is_refused),
		T(test_head_without_its_end_is_refused),
		T(test_glimpse_of_a_first_line),
		T(test_any_split_gives_the_same_result),
		T(test_request_line_is_judged_by_itself),
		T(test_request_begins_with_a_method_or_an_empty_line),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
