/*
 * pool: a free list of objects of one size, for one thread.
 *
 * What is given back is kept (last in, first out, so that it is still in the
 * cache) up to a cap. In sanitizer builds nothing is kept, so that a use after
 * release is seen.
 */
#ifndef PERCH_BASE_POOL_H
#define PERCH_BASE_POOL_H

#include <stddef.h>

struct pool {
	void *free;
	size_t size; /* of an object, bytes */
	size_t n_free;
	size_t max_free;
};

void pool_init(struct pool *pool, size_t size, size_t max_free);
/* Frees what is kept. */
void pool_close(struct pool *pool);

/* Not zeroed. NULL if memory is out. */
void *pool_take(struct pool *pool) __attribute__((warn_unused_result));
void pool_give(struct pool *pool, void *object);

#endif
