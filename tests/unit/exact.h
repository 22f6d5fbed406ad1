/*
 * exact: copies of test input in blocks of just its size, so that a sanitizer
 * build sees a read of one byte too many.
 */
#ifndef PERCH_TESTS_EXACT_H
#define PERCH_TESTS_EXACT_H

#include <stdlib.h>
#include <string.h>

/* The caller frees it. */
static inline char *
exact_copy(const char *bytes, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, len);
	return copy;
}

#endif
