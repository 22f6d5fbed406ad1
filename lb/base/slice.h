/*
 * slice: a run of bytes that somebody else owns.
 *
 * Everything that is parsed is handed on as slices over the buffer it came
 * in; a slice is never NUL-terminated and is valid as long as its buffer.
 */
#ifndef PERCH_BASE_SLICE_H
#define PERCH_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *ptr;
	size_t len;
};

/* A slice over a string literal. */
#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

#define SLICE_NONE ((struct slice){NULL, 0})

static inline struct slice
slice_from_string(const char *string)
{
	return (struct slice){string, strlen(string)};
}

static inline bool
slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII case is ignored. */
static inline bool
slice_equal_nocase(struct slice a, struct slice b)
{
	return a.len == b.len &&
	       (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool
slice_starts_with(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* Copies it to out, which has room; returns where it ends there. */
static inline char *
slice_append(char *out, struct slice s)
{
	if (s.len > 0)
		memcpy(out, s.ptr, s.len);
	return out + s.len;
}

/* The slice without spaces and tabs at both ends (OWS of RFC 9110 5.6.3). */
static inline struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 &&
	       (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

#endif
