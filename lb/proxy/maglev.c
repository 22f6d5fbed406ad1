#include "proxy/maglev.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "proxy/sequence.h"

/*
 * Each member has a list of all slots in an order of its own (the
 * permutation: offset, offset + skip, ...; every slot occurs as the size is
 * prime). Members take turns, by weight, and each takes the first slot on its
 * list that is free. Turns are given in the order of the names' hashes, so
 * that the order in the config has no say.
 */
#define UNTAKEN UINT32_MAX

/* Seeds that part a name's two numbers from each other and from its hash. */
#define SEED_OFFSET 1
#define SEED_SKIP 2

struct work {
	uint64_t name_hash;
	uint32_t index; /* into the caller's members */
	uint32_t next; /* slot to try next */
	uint32_t skip; /* 1 to MAGLEV_SIZE - 1 */
	unsigned weight;
};

static int
compare_work(const void *a, const void *b)
{
	const struct work *left = a, *right = b;

	if (left->name_hash != right->name_hash)
		return left->name_hash < right->name_hash ? -1 : 1;
	if (left->index != right->index)
		return left->index < right->index ? -1 : 1;
	return 0;
}

static struct work *
sorted_work(const struct maglev_member *members, size_t n)
{
	struct work *work = memory_zalloc_array(n, sizeof(*work));

	for (size_t i = 0; i < n; i++) {
		uint64_t name = members[i].name_hash;

		work[i].name_hash = name;
		work[i].index = (uint32_t)i;
		work[i].next =
			(uint32_t)(hash_u64(name, SEED_OFFSET) % MAGLEV_SIZE);
		work[i].skip = (uint32_t)(hash_u64(name, SEED_SKIP) %
					  (MAGLEV_SIZE - 1)) +
			       1;
		work[i].weight = members[i].weight;
	}
	qsort(work, n, sizeof(*work), compare_work);
	return work;
}

static uint32_t *
turns_by_weight(const struct work *work, size_t n, size_t *len)
{
	unsigned *weights = memory_zalloc_array(n, sizeof(*weights));
	uint32_t *turns;

	for (size_t i = 0; i < n; i++)
		weights[i] = work[i].weight;
	turns = sequence_build(weights, n, len);
	free(weights);
	return turns;
}

/* The next slot on the member's list, which moves on. */
static uint32_t
step(struct work *work)
{
	uint32_t slot = work->next;

	work->next += work->skip;
	if (work->next >= MAGLEV_SIZE)
		work->next -= MAGLEV_SIZE;
	return slot;
}

void
maglev_build(uint32_t *table, const struct maglev_member *members, size_t n)
{
	struct work *work;
	uint32_t *turns;
	size_t n_turns;

	assert(n >= 1);
	work = sorted_work(members, n);
	turns = turns_by_weight(work, n, &n_turns);
	for (size_t i = 0; i < MAGLEV_SIZE; i++)
		table[i] = UNTAKEN;
	for (size_t taken = 0; taken < MAGLEV_SIZE; taken++) {
		struct work *member = &work[turns[taken % n_turns]];
		uint32_t slot;

		do
			slot = step(member);
		while (table[slot] != UNTAKEN);
		table[slot] = member->index;
	}
	free(turns);
	free(work);
}
