/* Whatever pieces a write is cut into, their bytes are the framing's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/h1_frame.h"

#define HEAD "HTTP/1.1 200 OK\r\n\r\n"
#define TRAILERS "Checksum: 1\r\nSigned: yes\r\n"

/* Bytes put together by hand. */
struct text {
	char bytes[32768];
	size_t len;
};

static void
put(struct text *text, const void *bytes, size_t len)
{
	assert_true(len <= sizeof(text->bytes) - text->len);
	if (len > 0)
		memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static void
put_string(struct text *text, const char *string)
{
	put(text, string, strlen(string));
}

/* RFC 9112 7.1, written as plainly as can be. */
static void
expect(struct text *text, const char *head, const struct h1_frame *frame)
{
	char size[32];

	text->len = 0;
	put_string(text, head);
	if (!frame->is_chunked) {
		put(text, frame->body.ptr, frame->body.len);
		return;
	}
	if (frame->body.len > 0) {
		snprintf(size, sizeof(size), "%zx\r\n", frame->body.len);
		put_string(text, size);
		put(text, frame->body.ptr, frame->body.len);
		put_string(text, "\r\n");
	}
	if (frame->is_end) {
		put_string(text, "0\r\n");
		put(text, frame->trailers.ptr, frame->trailers.len);
		put_string(text, "\r\n");
	}
}

/* Frames it in as much scratch as is promised to do, and joins the pieces. */
static int
join(struct text *text, const char *head, const struct h1_frame *frame)
{
	size_t used = strlen(head);
	char *scratch = malloc(used + H1_FRAME_ROOM);
	struct iovec iov[3];
	int i, n;

	assert_non_null(scratch);
	memcpy(scratch, head, used);
	n = h1_frame(frame, scratch, used, iov);
	assert_in_range(n, 0, 3);
	text->len = 0;
	for (i = 0; i < n; i++) {
		assert_true(iov[i].iov_len > 0);
		put(text, iov[i].iov_base, iov[i].iov_len);
	}
	free(scratch);
	return n;
}

static int
check(const char *head, const struct h1_frame *frame)
{
	static struct text expected, text;
	int n = join(&text, head, frame);

	expect(&expected, head, frame);
	assert_int_equal(text.len, expected.len);
	assert_memory_equal(text.bytes, expected.bytes, expected.len);
	return n;
}

/* Bytes that differ from their neighbours. */
static char *
make_body(size_t len)
{
	char *body = malloc(len > 0 ? len : 1);
	size_t i;

	assert_non_null(body);
	for (i = 0; i < len; i++)
		body[i] = (char)('!' + i * 7 % 89);
	return body;
}

static const size_t sizes[] = {
	0, 1, 15, 16, 255, 256, 4095, 4096, 4097, 4098, 8192, 16384, 20000};

#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void
test_bytes_are_the_framings_whatever_the_size(void **state)
{
	static const char *const heads[] = {"", HEAD};
	struct slice trailers[] = {SLICE(""), SLICE(TRAILERS)};
	struct h1_frame frame;
	size_t i;
	unsigned flags;
	char *body;

	for (i = 0; i < N_SIZES; i++) {
		body = make_body(sizes[i]);
		for (flags = 0; flags < 16; flags++) {
			frame = (struct h1_frame){
				.body = {body, sizes[i]},
				.trailers = trailers[flags & 1],
				.is_chunked = flags >> 1 & 1,
				.is_end = flags >> 2 & 1,
			};
			check(heads[flags >> 3 & 1], &frame);
		}
		free(body);
	}
}

static void
test_longest_trailers_fit(void **state)
{
	char trailers[H1_TRAILERS_MAX];
	struct h1_frame frame = {
		.trailers = {trailers, sizeof(trailers)},
		.is_chunked = true,
		.is_end = true,
	};
	size_t i;
	char *body;

	memset(trailers, 't', sizeof(trailers));
	memcpy(trailers, "T: ", 3);
	memcpy(trailers + sizeof(trailers) - 2, "\r\n", 2);
	for (i = 0; i < N_SIZES; i++) {
		body = make_body(sizes[i]);
		frame.body = (struct slice){body, sizes[i]};
		check(HEAD, &frame);
		free(body);
	}
}

static void
test_small_body_is_gathered_into_one_piece(void **state)
{
	char *body = make_body(H1_FRAME_GATHER_MAX);
	struct h1_frame frame = {
		.body = {body, H1_FRAME_GATHER_MAX},
		.is_end = true,
	};

	assert_int_equal(check(HEAD, &frame), 1);
	assert_int_equal(check("", &frame), 1);
	frame.is_chunked = true;
	assert_int_equal(check(HEAD, &frame), 1);
	free(body);
}

static void
test_large_body_is_sent_from_where_it_stands(void **state)
{
	char scratch[sizeof(HEAD) + H1_FRAME_ROOM] = HEAD;
	char *body = make_body(H1_FRAME_GATHER_MAX + 1);
	struct h1_frame frame = {.body = {body, H1_FRAME_GATHER_MAX + 1}};
	struct iovec iov[3];

	assert_int_equal(h1_frame(&frame, scratch, 0, iov), 1);
	assert_ptr_equal(iov[0].iov_base, body);
	assert_int_equal(h1_frame(&frame, scratch, strlen(HEAD), iov), 2);
	assert_ptr_equal(iov[1].iov_base, body);
	frame.is_chunked = true;
	assert_int_equal(h1_frame(&frame, scratch, 0, iov), 3);
	assert_ptr_equal(iov[1].iov_base, body);
	free(body);
}

static void
test_nothing_to_send_is_no_piece(void **state)
{
	struct h1_frame frame = {.body = {NULL, 0}};

	assert_int_equal(check("", &frame), 0);
	/* A chunk of no bytes would end the body. */
	frame.is_chunked = true;
	assert_int_equal(check("", &frame), 0);
	assert_int_equal(check(HEAD, &frame), 1);
	frame.is_end = true;
	assert_int_equal(check("", &frame), 1);
	frame.is_chunked = false;
	assert_int_equal(check("", &frame), 0);
}

/* What one side writes the other reads back. */
static void
test_decoder_reads_what_was_framed(void **state)
{
	static struct text text;
	struct slice trailers;
	struct h1_frame frame;
	struct h1_body decoder;
	size_t consumed, produced, i;
	char *body;

	for (i = 0; i < N_SIZES; i++) {
		body = make_body(sizes[i]);
		frame = (struct h1_frame){
			.body = {body, sizes[i]},
			.trailers = SLICE(TRAILERS),
			.is_chunked = true,
			.is_end = true,
		};
		join(&text, "", &frame);
		h1_body_start(&decoder, BODY_CHUNKED, 0);
		assert_int_equal(h1_body_decode(&decoder, text.bytes, text.len,
					 &consumed, &produced, &trailers),
			H1_OK);
		assert_int_equal(consumed, text.len);
		assert_int_equal(produced, sizes[i]);
		assert_memory_equal(text.bytes, body, sizes[i]);
		assert_true(slice_equal(trailers, SLICE(TRAILERS)));
		free(body);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_the_framings_whatever_the_size),
		cmocka_unit_test(test_longest_trailers_fit),
		cmocka_unit_test(test_small_body_is_gathered_into_one_piece),
		cmocka_unit_test(test_large_body_is_sent_from_where_it_stands),
		cmocka_unit_test(test_nothing_to_send_is_no_piece),
		cmocka_unit_test(test_decoder_reads_what_was_framed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
