#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
check(void *memory)
{
	if (memory == NULL) {
		fputs("perch: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

void *
memory_zalloc(size_t size)
{
	return check(calloc(1, size > 0 ? size : 1));
}

void *
memory_zalloc_array(size_t n, size_t size)
{
	return check(calloc(n > 0 ? n : 1, size));
}

void *
memory_zalloc_lines(size_t size)
{
	size_t whole = (size + MEMORY_LINE - 1) / MEMORY_LINE * MEMORY_LINE;

	return memset(check(aligned_alloc(MEMORY_LINE, whole)), 0, whole);
}

void *
memory_realloc_array(void *old, size_t n, size_t size)
{
	return check(reallocarray(old, n > 0 ? n : 1, size));
}

char *
memory_strdup(const char *string)
{
	return check(strdup(string));
}

char *
memory_strndup(const char *bytes, size_t len)
{
	char *copy = check(malloc(len + 1));

	memcpy(copy, bytes, len);
	copy[len] = '\0';
	return copy;
}
