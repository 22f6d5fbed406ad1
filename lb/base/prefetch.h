/*
 * prefetch: asks for memory that will be read soon.
 *
 * What belongs to one of ten thousand services or endpoints is in no cache when
 * its turn comes. Asked for all at once, as soon as it is known where it is,
 * it is waited for once, and not line by line. Any address will do.
 */
#ifndef PERCH_BASE_PREFETCH_H
#define PERCH_BASE_PREFETCH_H

#include <stddef.h>

#include "base/memory.h"

/* The line at memory. */
static inline void
prefetch(const void *memory)
{
	__builtin_prefetch(memory);
}

/* All lines of an object. */
static inline void
prefetch_object(const void *object, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += MEMORY_LINE)
		prefetch((const char *)object + i);
}

#endif
