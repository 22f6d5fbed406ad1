/*
 * buffer: bytes that a connection has received or owes, in one piece.
 *
 * Taken from the worker's pool when there is something to hold and given back
 * when there isn't: an idle connection has none. data[start..end) is what it
 * holds.
 */
#ifndef PERCH_NET_BUFFER_H
#define PERCH_NET_BUFFER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"

struct buffer {
	uint32_t cap;
	uint32_t start;
	uint32_t end;
	char data[];
};

/* NULL if memory is out. The pool's object size decides the capacity. */
static inline struct buffer *
buffer_take(struct pool *pool)
{
	struct buffer *buffer = pool_take(pool);

	if (buffer != NULL) {
		buffer->cap = (uint32_t)(pool->size - sizeof(*buffer));
		buffer->start = 0;
		buffer->end = 0;
	}
	return buffer;
}

/* One of another size than the pool's is freed: what owes more than a buffer
 * is rare, and a reload may change the size. */
static inline void
buffer_give(struct pool *pool, struct buffer *buffer)
{
	if (buffer->cap + sizeof(*buffer) == pool->size)
		pool_give(pool, buffer);
	else
		free(buffer);
}

static inline size_t
buffer_len(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

static inline size_t
buffer_room(const struct buffer *buffer)
{
	return buffer->cap - buffer->end;
}

/* Moves what is held to offset `to` (at most start). */
static inline void
buffer_compact(struct buffer *buffer, uint32_t to)
{
	size_t len = buffer_len(buffer);

	if (buffer->start == to)
		return;
	memmove(buffer->data + to, buffer->data + buffer->start, len);
	buffer->start = to;
	buffer->end = to + (uint32_t)len;
}

#endif
