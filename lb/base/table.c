#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/prefetch.h"

#define MIN_SLOTS 16

static uint32_t
hash_of(struct slice key)
{
	return (uint32_t)hash_bytes(key.ptr, key.len, 0);
}

/* The key's slot, or the free one where it would stand. n_slots > 0. */
static size_t
probe(const struct table *table, struct slice key, uint32_t hash)
{
	size_t mask = table->n_slots - 1;
	size_t i = hash & mask;

	/* Ends, for a quarter of the slots is free. */
	while (table->slots[i].key != NULL) {
		const struct table_slot *slot = &table->slots[i];

		/* Whoever finds it goes on to it. */
		prefetch(slot->value);
		if (slot->hash == hash &&
			slice_equal(
				(struct slice){slot->key, slot->key_len}, key))
			break;
		i = (i + 1) & mask;
	}
	return i;
}

static void
grow(struct table *table)
{
	struct table old = *table;
	size_t i;

	table->n_slots = old.n_slots == 0 ? MIN_SLOTS : old.n_slots * 2;
	table->slots =
		memory_zalloc_array(table->n_slots, sizeof(*table->slots));
	for (i = 0; i < old.n_slots; i++) {
		const struct table_slot *slot = &old.slots[i];
		struct slice key = {slot->key, slot->key_len};

		if (slot->key != NULL)
			table->slots[probe(table, key, slot->hash)] = *slot;
	}
	free(old.slots);
}

void
table_init(struct table *table)
{
	*table = (struct table){0};
}

void
table_free(struct table *table)
{
	size_t i;

	for (i = 0; i < table->n_slots; i++)
		free(table->slots[i].key);
	free(table->slots);
	table_init(table);
}

void *
table_find(const struct table *table, struct slice key)
{
	if (table->n_used == 0)
		return NULL;
	return table->slots[probe(table, key, hash_of(key))].value;
}

void
table_set(struct table *table, struct slice key, void *value)
{
	struct table_slot *slot;
	uint32_t hash = hash_of(key);

	assert(key.len <= UINT32_MAX && table->n_used < UINT32_MAX / 2);
	if ((table->n_used + 1) * 4 > table->n_slots * 3)
		grow(table);
	slot = &table->slots[probe(table, key, hash)];
	if (slot->key == NULL) {
		slot->key = memory_strndup(key.len > 0 ? key.ptr : "", key.len);
		slot->key_len = (uint32_t)key.len;
		slot->hash = hash;
		table->n_used++;
	}
	slot->value = value;
}

/*
 * No tombstones: whatever could have stood in the hole, had it been free
 * when it came, moves into it, and leaves the next hole.
 */
static void
close_hole(struct table *table, size_t hole)
{
	size_t mask = table->n_slots - 1;
	size_t i = hole;

	for (;;) {
		struct table_slot *slot;
		size_t home;

		i = (i + 1) & mask;
		slot = &table->slots[i];
		if (slot->key == NULL)
			break;
		home = slot->hash & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		table->slots[hole] = *slot;
		hole = i;
	}
	table->slots[hole] = (struct table_slot){0};
}

void *
table_remove(struct table *table, struct slice key)
{
	struct table_slot *slot;
	void *value;
	size_t i;

	if (table->n_used == 0)
		return NULL;
	i = probe(table, key, hash_of(key));
	slot = &table->slots[i];
	if (slot->key == NULL)
		return NULL;
	value = slot->value;
	free(slot->key);
	close_hole(table, i);
	table->n_used--;
	return value;
}
