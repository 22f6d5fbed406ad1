#include "base/pool.h"

#include <stdlib.h>

#include "perch_config.h"

struct free_object {
	struct free_object *next;
};

void
pool_init(struct pool *pool, size_t size, size_t max_free)
{
	pool->free = NULL;
	pool->size = size < sizeof(struct free_object)
			     ? sizeof(struct free_object)
			     : size;
	pool->n_free = 0;
#ifdef PERCH_SANITIZED
	max_free = 0;
#endif
	pool->max_free = max_free;
}

void
pool_close(struct pool *pool)
{
	struct free_object *object;

	while ((object = pool->free) != NULL) {
		pool->free = object->next;
		free(object);
	}
	pool->n_free = 0;
}

void *
pool_take(struct pool *pool)
{
	struct free_object *object = pool->free;

	if (object == NULL)
		return malloc(pool->size);
	pool->free = object->next;
	pool->n_free--;
	return object;
}

void
pool_give(struct pool *pool, void *memory)
{
	struct free_object *object = memory;

	if (pool->n_free >= pool->max_free) {
		free(memory);
		return;
	}
	object->next = pool->free;
	pool->free = object;
	pool->n_free++;
}
