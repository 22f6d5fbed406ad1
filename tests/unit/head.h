/*
 * head: heads read as a connection reads them, for the tests of h1_parse.
 */
#ifndef PERCH_TESTS_HEAD_H
#define PERCH_TESTS_HEAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exact.h"
#include "http/h1_parse.h"

static const struct h1_limits limits = {16384, 8192, 100};

/* What the last parse was over; kept so that spans can be looked at. */
static char *head;
static struct message message;
static const char *why;

static inline int
forget(void **state)
{
	(void)state;
	free(head);
	head = NULL;
	return 0;
}

/* Finds the end and parses, as a connection does. */
static inline enum h1_result
parse_bytes(const char *bytes, size_t len, const struct h1_limits *use,
	int is_response, enum http_method method)
{
	enum h1_result result;
	size_t scanned = 0, head_len = 0;

	free(head);
	head = exact_copy(bytes, len);
	why = NULL;
	result = h1_find_end(head, len, use->head, &scanned, &head_len);
	if (result != H1_OK)
		return result;
	/* What follows the head must not matter to the parser. */
	char *cut = exact_copy(head, head_len);
	free(head);
	head = cut;
	result = is_response ? h1_parse_response(head, head_len, use, method,
				       &message, &why)
			     : h1_parse_request(
				       head, head_len, use, &message, &why);
	assert_true((result == H1_OK) == (why == NULL));
	return result;
}

static inline enum h1_result
request(const char *text)
{
	return parse_bytes(text, strlen(text), &limits, 0, HTTP_GET);
}

static inline enum h1_result
response_to(enum http_method method, const char *text)
{
	return parse_bytes(text, strlen(text), &limits, 1, method);
}

static inline enum h1_result
response(const char *text)
{
	return response_to(HTTP_GET, text);
}

/* A good request but for the lines given. */
static inline enum h1_result
request_with(const char *lines)
{
	char text[4096];

	snprintf(text, sizeof(text),
		"POST /p HTTP/1.1\r\nHost: a.example\r\n%s\r\n", lines);
	return request(text);
}

static inline enum h1_result
request_with_host(const char *host)
{
	char text[1024];

	snprintf(
		text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	return request(text);
}

static inline enum h1_result
request_line(const char *line)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s\r\nHost: a.example\r\n\r\n", line);
	return request(text);
}

static inline void
assert_span(struct span span, const char *expected)
{
	assert_int_equal(span.len, strlen(expected));
	assert_memory_equal(
		message.base + span.start, expected, strlen(expected));
}

static inline void
assert_slice(struct slice slice, const char *expected)
{
	assert_non_null(slice.ptr);
	assert_int_equal(slice.len, strlen(expected));
	assert_memory_equal(slice.ptr, expected, slice.len);
}

#endif
