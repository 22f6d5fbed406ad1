/*
 * table: a hash table from byte strings to pointers.
 *
 * Open addressing, grown at three quarters. Keys are copied; values belong to
 * the caller. Not for the data path's writes: workers only look up. A slot
 * knows its key's hash, so no other key's bytes are read on the way.
 */
#ifndef PERCH_BASE_TABLE_H
#define PERCH_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct table_slot {
	char *key; /* NULL: free */
	uint32_t key_len;
	uint32_t hash;
	void *value;
};

struct table {
	struct table_slot *slots;
	size_t n_slots; /* a power of two, or 0 */
	size_t n_used;
};

void table_init(struct table *table);
/* Frees the keys and slots, not the values. */
void table_free(struct table *table);

/* NULL if there is none. */
void *table_find(const struct table *table, struct slice key);
/* value must not be NULL; replaces what was there. Exits if memory is out. */
void table_set(struct table *table, struct slice key, void *value);
/* Returns what was there, or NULL. */
void *table_remove(struct table *table, struct slice key);

#endif
