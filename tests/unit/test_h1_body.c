/* Bodies: where they end, and that it doesn't matter how the bytes come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exact.h"
#include "http/h1_body.h"
#include "http/h1_write.h"

/* What a body came to. */
struct outcome {
	enum h1_result result;
	size_t len; /* of data */
	size_t left; /* raw bytes that were not used */
	size_t trailers_len;
	char data[8192];
	char trailers[8192];
};

/*
 * Decodes raw as it comes in: step bytes at a time (0: up to split, then the
 * rest), keeping what was not consumed, in a block of just the size needed.
 */
static void
decode_in_parts(enum body_kind kind, uint64_t length, const char *raw,
	size_t raw_len, size_t split, size_t step, struct outcome *outcome)
{
	struct h1_body body;
	size_t start = 0, end = step ? 0 : split;

	memset(outcome, 0, sizeof(*outcome));
	h1_body_start(&body, kind, length);
	for (;;) {
		char *copy = exact_copy(raw + start, end - start);
		size_t consumed, produced;
		struct slice trailers;

		outcome->result = h1_body_decode(&body, copy, end - start,
			&consumed, &produced, &trailers);
		assert_true(consumed <= end - start);
		assert_true(produced <= consumed);
		memcpy(outcome->data + outcome->len, copy, produced);
		outcome->len += produced;
		outcome->trailers_len = trailers.len;
		if (trailers.len > 0)
			memcpy(outcome->trailers, trailers.ptr, trailers.len);
		/* What was not used must stand as it was. */
		if (outcome->result != H1_BAD)
			assert_memory_equal(copy + consumed,
				raw + start + consumed, end - start - consumed);
		free(copy);
		start += consumed;
		if (outcome->result != H1_PARTIAL || end == raw_len)
			break;
		end = step && end + step < raw_len ? end + step : raw_len;
	}
	outcome->left = raw_len - start;
}

static enum h1_result
decode_bytes(const char *raw, size_t len, struct outcome *outcome)
{
	decode_in_parts(BODY_CHUNKED, 0, raw, len, len, 0, outcome);
	return outcome->result;
}

static struct outcome outcome;

static enum h1_result
decode(const char *raw)
{
	return decode_bytes(raw, strlen(raw), &outcome);
}

static void
assert_data(const char *expected)
{
	assert_int_equal(outcome.len, strlen(expected));
	assert_memory_equal(outcome.data, expected, outcome.len);
}

static void
assert_trailers(const char *expected)
{
	assert_int_equal(outcome.trailers_len, strlen(expected));
	assert_memory_equal(outcome.trailers, expected, outcome.trailers_len);
}

/* --- other kinds ---------------------------------------------------------- */

static void
test_no_body_ends_at_once(void **state)
{
	(void)state;
	decode_in_parts(BODY_NONE, 0, "GET", 3, 3, 0, &outcome);
	assert_int_equal(outcome.result, H1_OK);
	assert_int_equal(outcome.len, 0);
	assert_int_equal(outcome.left, 3);
}

static void
test_length_ends_after_its_bytes(void **state)
{
	(void)state;
	decode_in_parts(BODY_LENGTH, 5, "helloGET", 8, 8, 0, &outcome);
	assert_int_equal(outcome.result, H1_OK);
	assert_data("hello");
	assert_int_equal(outcome.left, 3);
	decode_in_parts(BODY_LENGTH, 5, "hell", 4, 2, 0, &outcome);
	assert_int_equal(outcome.result, H1_PARTIAL);
	assert_data("hell");
	decode_in_parts(BODY_LENGTH, 0, "GET", 3, 0, 0, &outcome);
	assert_int_equal(outcome.result, H1_OK);
	assert_int_equal(outcome.left, 3);
}

static void
test_until_close_never_ends(void **state)
{
	(void)state;
	decode_in_parts(BODY_UNTIL_CLOSE, 0, "hello", 5, 2, 0, &outcome);
	assert_int_equal(outcome.result, H1_PARTIAL);
	assert_data("hello");
	assert_int_equal(outcome.left, 0);
}

/* --- chunks --------------------------------------------------------------- */

static void
test_chunks_are_joined_in_place(void **state)
{
	(void)state;
	assert_int_equal(decode("5\r\nhello\r\n1\r\n "
				"\r\n00A\r\n0123456789\r\n0\r\n\r\nGET"),
		H1_OK);
	assert_data("hello 0123456789");
	assert_int_equal(outcome.left, 3);
	assert_trailers("");
	assert_int_equal(decode("0\r\n\r\n"), H1_OK);
	assert_int_equal(decode("000\r\n\r\n"), H1_OK);
	assert_data("");
}

static void
test_ended_body_takes_no_more(void **state)
{
	char buf[] = "0\r\n\r\nGET / HTTP/1.1\r\n";
	struct h1_body body;
	struct slice trailers;
	size_t consumed, produced;

	(void)state;
	h1_body_start(&body, BODY_CHUNKED, 0);
	assert_int_equal(
		h1_body_decode(&body, buf, 5, &consumed, &produced, &trailers),
		H1_OK);
	assert_int_equal(h1_body_decode(&body, buf + 5, sizeof(buf) - 6,
				 &consumed, &produced, &trailers),
		H1_OK);
	assert_int_equal(consumed, 0);
	assert_int_equal(produced, 0);
}

static void
test_malformed_body_stays_malformed(void **state)
{
	char buf[] = "x0\r\n\r\n";
	struct h1_body body;
	struct slice trailers;
	size_t consumed, produced;

	(void)state;
	h1_body_start(&body, BODY_CHUNKED, 0);
	assert_int_equal(
		h1_body_decode(&body, buf, 1, &consumed, &produced, &trailers),
		H1_BAD);
	assert_int_equal(h1_body_decode(&body, buf + 1, 5, &consumed, &produced,
				 &trailers),
		H1_BAD);
}

static void
test_size_of_sixteen_digits_is_the_most(void **state)
{
	struct h1_body body;
	struct slice trailers;
	size_t consumed, produced;
	char buf[] = "FFFFFFFFFFFFFFFF\r\nab";

	(void)state;
	h1_body_start(&body, BODY_CHUNKED, 0);
	assert_int_equal(h1_body_decode(&body, buf, sizeof(buf) - 1, &consumed,
				 &produced, &trailers),
		H1_PARTIAL);
	assert_int_equal(produced, 2);
	assert_true(body.remaining == UINT64_MAX - 2);
	assert_int_equal(decode("10000000000000000\r\n"), H1_BAD);
	assert_int_equal(decode("00000000000000001\r\na\r\n"), H1_BAD);
	assert_int_equal(decode("0000000000000001\r\na\r\n0\r\n\r\n"), H1_OK);
	assert_data("a");
}

static void
test_malformed_sizes_are_refused(void **state)
{
	static const char *const raws[] = {"\r\n", "g\r\n", "-1\r\n", "+1\r\n",
		" 1\r\n", "1 \r\n", "1\t\r\n", "0x1\r\n", "1,\r\n", "1 2\r\n",
		"1\n", "1\rX", "1\r\r\n", "\n", "1\001\r\n", "1_0\r\n",
		"0\r\nx", "0\n\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(raws) / sizeof(raws[0]); i++) {
		enum h1_result result = decode(raws[i]);

		/* "0\r\nx" may yet become a trailer. */
		if (strcmp(raws[i], "0\r\nx") == 0)
			assert_int_equal(result, H1_PARTIAL);
		else if (result != H1_BAD)
			fail_msg("taken: \"%s\"", raws[i]);
	}
}

static void
test_nul_in_size_line_is_refused(void **state)
{
	(void)state;
	assert_int_equal(decode_bytes("1\0\r\na\r\n", 7, &outcome), H1_BAD);
	assert_int_equal(decode_bytes("1;a\0\r\na\r\n", 9, &outcome), H1_BAD);
}

static void
test_missing_crlf_behind_data_is_refused(void **state)
{
	(void)state;
	assert_int_equal(decode("1\r\na0\r\n\r\n"), H1_BAD);
	assert_data("a");
	assert_int_equal(decode("1\r\na\n0\r\n\r\n"), H1_BAD);
	assert_int_equal(decode("1\r\na\r0\r\n\r\n"), H1_BAD);
	assert_int_equal(decode("1\r\nab\r\n0\r\n\r\n"), H1_BAD);
	assert_int_equal(decode("1\r\na"), H1_PARTIAL);
	assert_int_equal(decode("1\r\na\r"), H1_PARTIAL);
}

static void
test_extensions_are_checked_and_dropped(void **state)
{
	static const char *const good[] = {";a", ";a=b", ";a=\"b;\\\" c\"",
		";a;b=c;d", " ; a = b", "\t;\ta\t=\t\"b\"", ";a=\"\"",
		";a=\"b\" ;c", ";a ;b", ";!#$%&'*+-.^_`|~=1",
		";a=\"\303\274\\\303\""};
	static const char *const bad[] = {";", ";;a", ";a=", ";a=;b", ";=b",
		";a=b=c", ";a=\"b", ";a=\"b\"c", ";a b", ";a=b c", ";a ",
		";a,b", ";a=\"b\001\"", ";a=\"b\\\001\"", ";a=\"\177\"",
		";\303\274", ";a=(", ";a=b\001", "; "};
	char raw[256];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(raw, sizeof(raw), "2%s\r\nhi\r\n0%s\r\n\r\n", good[i],
			good[i]);
		if (decode(raw) != H1_OK)
			fail_msg("refused: \"%s\"", good[i]);
		assert_data("hi");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(raw, sizeof(raw), "2%s\r\nhi\r\n0\r\n\r\n", bad[i]);
		if (decode(raw) != H1_BAD)
			fail_msg("taken: \"%s\"", bad[i]);
	}
}

static void
test_bare_lf_in_extension_is_refused(void **state)
{
	(void)state;
	assert_int_equal(decode("2;a\nhi\r\n0\r\n\r\n"), H1_BAD);
	assert_int_equal(decode("2;a=\"\n\"\r\nhi\r\n0\r\n\r\n"), H1_BAD);
	assert_int_equal(decode("2;a=\"\r\n\"\r\nhi\r\n0\r\n\r\n"), H1_BAD);
	assert_int_equal(decode("2;a\rb\r\nhi\r\n0\r\n\r\n"), H1_BAD);
}

static void
test_over_long_size_line_is_refused(void **state)
{
	char raw[H1_CHUNK_LINE_MAX + 64] = "2;";
	size_t most = H1_CHUNK_LINE_MAX - 2;

	(void)state;
	memset(raw + 2, 'a', most - 2);
	strcpy(raw + most, "\r\nhi\r\n0\r\n\r\n");
	assert_int_equal(decode(raw), H1_OK);
	memset(raw + 2, 'a', most - 1);
	strcpy(raw + most + 1, "\r\nhi\r\n0\r\n\r\n");
	assert_int_equal(decode(raw), H1_BAD);
}

/* --- trailers ------------------------------------------------------------- */

static void
test_trailers_are_handed_on(void **state)
{
	(void)state;
	assert_int_equal(
		decode("2\r\nhi\r\n0\r\nDigest: a=b\r\nX: \r\n\r\nGET"), H1_OK);
	assert_data("hi");
	assert_trailers("Digest: a=b\r\nX: \r\n");
	assert_int_equal(outcome.left, 3);
}

static void
test_beginning_of_trailers_is_left_in_place(void **state)
{
	(void)state;
	assert_int_equal(
		decode("2\r\nhi\r\n0\r\nDigest: a=b\r\n\r"), H1_PARTIAL);
	assert_data("hi");
	assert_int_equal(outcome.left, strlen("Digest: a=b\r\n\r"));
}

static void
test_malformed_trailers_are_refused(void **state)
{
	static const char *const sections[] = {"X\r\n", "X : y\r\n", ": y\r\n",
		" X: y\r\n", "X: y\r\n z\r\n", "X: y\rz\r\n", "X: y\n",
		"X: \001\r\n", "\001: y\r\n"};
	char raw[128];

	(void)state;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		snprintf(raw, sizeof(raw), "0\r\n%s\r\n", sections[i]);
		if (decode(raw) != H1_BAD)
			fail_msg("taken: \"%s\"", sections[i]);
	}
}

static void
test_fields_of_a_head_may_not_stand_in_trailers(void **state)
{
	static const char *const names[] = {"Transfer-Encoding",
		"Content-Length", "HOST", "Connection", "Trailer", "TE",
		"Upgrade", "Keep-Alive", "Proxy-Connection", "Cookie",
		"Set-Cookie", "Authorization", "Proxy-Authorization",
		"WWW-Authenticate", "Proxy-Authenticate", "Cache-Control",
		"Expect", "Range", "If-Match", "If-None-Match",
		"If-Modified-Since", "If-Unmodified-Since", "If-Range",
		"Content-Encoding", "Content-Type", "Content-Range",
		"Max-Forwards", "Location", "Forwarded", "X-Forwarded-For",
		"X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id"};
	char raw[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(raw, sizeof(raw), "0\r\nX: y\r\n%s: 1\r\n\r\n",
			names[i]);
		if (decode(raw) != H1_BAD)
			fail_msg("taken: \"%s\"", names[i]);
	}
}

static void
test_over_long_trailers_are_refused(void **state)
{
	char raw[H1_TRAILERS_MAX + 64] = "0\r\nX: ";
	size_t end = 3 + H1_TRAILERS_MAX - 4;

	(void)state;
	memset(raw + 6, 'a', end - 6);
	strcpy(raw + end, "\r\n\r\n");
	assert_int_equal(decode(raw), H1_OK);
	memset(raw + 6, 'a', end - 5);
	strcpy(raw + end + 1, "\r\n\r\n");
	assert_int_equal(decode(raw), H1_BAD);
}

/* --- every split ---------------------------------------------------------- */

static const char *const samples[] = {
	"5\r\nhello\r\n1\r\n \r\n00A\r\n0123456789\r\n0\r\n\r\nGET / ",
	"2 ;a = \"b\\\"c\" ;d\r\nhi\r\n0;x\r\nDigest: a=b\r\nX:\r\n\r\nGET",
	"0\r\n\r\n",
	"1f\r\n0123456789012345678901234567890\r\n0\r\nA: b\r\n\r\n",
	"2\r\nhi\r\n2\r\nho0\r\n\r\n",
	"2\r\nhi\r\n0\r\nHost: x\r\n\r\n",
	"2\r\nhi\r\n0\r\nX: y\n\r\n",
	"2\r\nhi\r\n11111111111111111\r\n",
	"2;a=\"\001\"\r\nhi\r\n",
	"2\r\nhi\r\n0\r\nX: y\r\n",
	"2\r\nhi\r\n5\r\nhel",
};

static void
assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->data, b->data, a->len);
	assert_int_equal(a->trailers_len, b->trailers_len);
	assert_memory_equal(a->trailers, b->trailers, a->trailers_len);
	if (a->result != H1_BAD)
		assert_int_equal(a->left, b->left);
}

static void
test_any_split_gives_the_same_body(void **state)
{
	static struct outcome whole, parts;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		size_t len = strlen(samples[i]);

		decode_bytes(samples[i], len, &whole);
		for (size_t split = 0; split <= len; split++) {
			decode_in_parts(BODY_CHUNKED, 0, samples[i], len, split,
				0, &parts);
			assert_same(&whole, &parts);
		}
		for (size_t step = 1; step < 8; step++) {
			decode_in_parts(BODY_CHUNKED, 0, samples[i], len, 0,
				step, &parts);
			assert_same(&whole, &parts);
		}
	}
}

/* --- what is written can be read ------------------------------------------ */

static void
test_written_sizes_are_read_back(void **state)
{
	static const uint64_t sizes[] = {1, 9, 10, 15, 16, 255, 256, 4095,
		65536, UINT32_MAX, UINT64_C(1) << 60, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct h1_body body;
		struct slice trailers;
		size_t consumed, produced, len;
		char line[20];

		len = h1_write_chunk_size(line, sizes[i]);
		h1_body_start(&body, BODY_CHUNKED, 0);
		assert_int_equal(h1_body_decode(&body, line, len, &consumed,
					 &produced, &trailers),
			H1_PARTIAL);
		assert_true(body.remaining == sizes[i]);
	}
}

static void
test_chunk_size_is_lower_case_hex(void **state)
{
	char line[20];

	(void)state;
	assert_int_equal(h1_write_chunk_size(line, 26), 4);
	assert_memory_equal(line, "1a\r\n", 4);
	assert_int_equal(h1_write_chunk_size(line, 0), 3);
	assert_memory_equal(line, "0\r\n", 3);
	assert_int_equal(h1_write_chunk_size(line, UINT64_MAX), 18);
}

static void
decode_some(struct h1_body *body, const char *raw, size_t *produced)
{
	char *copy = exact_copy(raw, strlen(raw));
	struct slice trailers;
	size_t consumed;

	assert_int_equal(h1_body_decode(body, copy, strlen(raw), &consumed,
				 produced, &trailers),
		H1_PARTIAL);
	assert_int_equal(consumed, strlen(raw));
	free(copy);
}

static void
test_long_rest_of_a_length_passes_in_pieces(void **state)
{
	struct h1_body body;
	struct h1_run run;
	size_t produced;

	(void)state;
	h1_body_start(&body, BODY_LENGTH, H1_RUN_MIN + 3);
	decode_some(&body, "abc", &produced);
	assert_int_equal(produced, 3);
	assert_int_equal(h1_body_passable(&body), H1_RUN_MIN);
	run = h1_body_pass(&body, H1_RUN_MIN - 1);
	assert_int_equal(run.length, H1_RUN_MIN);
	assert_int_equal(run.n, H1_RUN_MIN - 1);
	assert_false(run.is_end || run.is_body_end);
	/* A run that has begun passes to its end. */
	assert_int_equal(h1_body_passable(&body), 1);
	run = h1_body_pass(&body, 1);
	assert_int_equal(run.length, 0);
	assert_true(run.is_end && run.is_body_end);
	assert_int_equal(h1_body_passable(&body), 0);
}

static void
test_long_rest_of_a_chunk_passes(void **state)
{
	struct h1_body body;
	struct h1_run run;
	size_t produced;

	(void)state;
	h1_body_start(&body, BODY_CHUNKED, 0);
	assert_int_equal(h1_body_passable(&body), 0);
	decode_some(&body, "10002\r", &produced);
	/* Its size line isn't over. */
	assert_int_equal(h1_body_passable(&body), 0);
	decode_some(&body, "\nab", &produced);
	assert_int_equal(produced, 2);
	assert_int_equal(h1_body_passable(&body), H1_RUN_MIN);
	run = h1_body_pass(&body, H1_RUN_MIN);
	assert_int_equal(run.length, H1_RUN_MIN);
	assert_true(run.is_end);
	assert_false(run.is_body_end);
	/* Behind it there is framing, and a chunk of its own. */
	assert_int_equal(h1_body_passable(&body), 0);
	decode_some(&body, "\r\n10001\r\nab", &produced);
	assert_int_equal(produced, 2);
	assert_int_equal(h1_body_passable(&body), 0);
}

static void
test_run_that_is_decoded_after_all_ends_there(void **state)
{
	struct h1_body body;
	size_t produced;

	(void)state;
	h1_body_start(&body, BODY_CHUNKED, 0);
	decode_some(&body, "10000\r\n", &produced);
	(void)h1_body_pass(&body, H1_RUN_MIN - 2);
	decode_some(&body, "yz\r\n2\r\na", &produced);
	assert_int_equal(produced, 3);
	assert_int_equal(h1_body_passable(&body), 0);
}

/* A chunk of any size, to a receiver that need not know such sizes. */
static void
test_boundless_chunk_passes_in_runs(void **state)
{
	struct h1_body body;
	struct h1_run run;
	size_t produced;

	(void)state;
	h1_body_start(&body, BODY_CHUNKED, 0);
	decode_some(&body, "ffffffffffffffff\r\n", &produced);
	assert_int_equal(h1_body_passable(&body), H1_RUN_MAX);
	run = h1_body_pass(&body, 1);
	assert_int_equal(run.length, H1_RUN_MAX);
	assert_int_equal(h1_body_passable(&body), H1_RUN_MAX - 1);
	run = h1_body_pass(&body, H1_RUN_MAX - 1);
	assert_int_equal(run.length, 0);
	assert_true(run.is_end);
	run = h1_body_pass(&body, 1);
	assert_int_equal(run.length, H1_RUN_MAX);
	/* Behind a run there may be too little for another one. */
	h1_body_start(&body, BODY_LENGTH, (uint64_t)H1_RUN_MAX + 1);
	run = h1_body_pass(&body, H1_RUN_MAX);
	assert_true(run.is_end);
	assert_false(run.is_body_end);
	assert_int_equal(h1_body_passable(&body), 0);
}

static void
test_nothing_passes_that_has_no_length(void **state)
{
	struct h1_body body;

	(void)state;
	h1_body_start(&body, BODY_UNTIL_CLOSE, 0);
	assert_int_equal(h1_body_passable(&body), 0);
	h1_body_start(&body, BODY_NONE, 0);
	assert_int_equal(h1_body_passable(&body), 0);
	h1_body_start(&body, BODY_LENGTH, H1_RUN_MIN - 1);
	assert_int_equal(h1_body_passable(&body), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_body_ends_at_once),
		cmocka_unit_test(test_length_ends_after_its_bytes),
		cmocka_unit_test(test_until_close_never_ends),
		cmocka_unit_test(test_chunks_are_joined_in_place),
		cmocka_unit_test(test_ended_body_takes_no_more),
		cmocka_unit_test(test_malformed_body_stays_malformed),
		cmocka_unit_test(test_size_of_sixteen_digits_is_the_most),
		cmocka_unit_test(test_malformed_sizes_are_refused),
		cmocka_unit_test(test_nul_in_size_line_is_refused),
		cmocka_unit_test(test_missing_crlf_behind_data_is_refused),
		cmocka_unit_test(test_extensions_are_checked_and_dropped),
		cmocka_unit_test(test_bare_lf_in_extension_is_refused),
		cmocka_unit_test(test_over_long_size_line_is_refused),
		cmocka_unit_test(test_trailers_are_handed_on),
		cmocka_unit_test(test_beginning_of_trailers_is_left_in_place),
		cmocka_unit_test(test_malformed_trailers_are_refused),
		cmocka_unit_test(
			test_fields_of_a_head_may_not_stand_in_trailers),
		cmocka_unit_test(test_over_long_trailers_are_refused),
		cmocka_unit_test(test_any_split_gives_the_same_body),
		cmocka_unit_test(test_written_sizes_are_read_back),
		cmocka_unit_test(test_chunk_size_is_lower_case_hex),
		cmocka_unit_test(test_long_rest_of_a_length_passes_in_pieces),
		cmocka_unit_test(test_long_rest_of_a_chunk_passes),
		cmocka_unit_test(test_run_that_is_decoded_after_all_ends_there),
		cmocka_unit_test(test_boundless_chunk_passes_in_runs),
		cmocka_unit_test(test_nothing_passes_that_has_no_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
