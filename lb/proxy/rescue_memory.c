#include "proxy/rescue_memory.h"

#include <stddef.h>
#include <string.h>

/* Places in which a path may be. */
#define WAYS 4

void
rescue_memory_init(struct rescue_memory *memory)
{
	memset(memory, 0, sizeof(*memory));
}

void
rescue_memory_follow(struct rescue_memory *memory, uint64_t state)
{
	if (memory->state == state)
		return;
	rescue_memory_init(memory);
	memory->state = state;
}

static struct rescue_found *
find(struct rescue_memory *memory, uint64_t path)
{
	struct rescue_found *set =
		&memory->found[path % (RESCUE_FOUND / WAYS) * WAYS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].path == (path | 1))
			return &set[i];
	return NULL;
}

enum rescue_recall
rescue_memory_recall(
	struct rescue_memory *memory, uint64_t path, unsigned *version)
{
	struct rescue_found *found =
		memory->has_found ? find(memory, path) : NULL;

	if (found == NULL)
		return RESCUE_UNKNOWN;
	*version = found->version;
	return ++found->n_uses % RESCUE_TEST_EVERY == 0 ? RESCUE_KNOWN_TEST
							: RESCUE_KNOWN;
}

/* A free place, or that of what is used least. */
static struct rescue_found *
make_room(struct rescue_memory *memory, uint64_t path)
{
	struct rescue_found *set =
		&memory->found[path % (RESCUE_FOUND / WAYS) * WAYS];
	struct rescue_found *place = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].path == 0)
			return &set[i];
		if (set[i].n_uses < place->n_uses)
			place = &set[i];
	}
	return place;
}

void
rescue_memory_learn(struct rescue_memory *memory, uint64_t state, uint64_t path,
	unsigned version)
{
	struct rescue_found *found;

	if (state != memory->state)
		return;
	found = find(memory, path);
	if (found == NULL) {
		found = make_room(memory, path);
		*found = (struct rescue_found){.path = path | 1};
	}
	found->version = version;
	memory->has_found = true;
}

void
rescue_memory_forget(struct rescue_memory *memory, uint64_t path)
{
	struct rescue_found *found = find(memory, path);

	if (found != NULL)
		*found = (struct rescue_found){.path = 0};
}

void
rescue_memory_note_nowhere(struct rescue_memory *memory, uint64_t state,
	uint64_t path, uint64_t now_ns)
{
	struct rescue_nowhere *set =
		&memory->nowhere[path % (RESCUE_NOWHERE / WAYS) * WAYS];
	struct rescue_nowhere *place = &set[0];

	if (state != memory->state)
		return;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].path == (path | 1)) {
			place = &set[i];
			break;
		}
		if (set[i].until_ns < place->until_ns)
			place = &set[i];
	}
	*place = (struct rescue_nowhere){path | 1, now_ns + RESCUE_NOWHERE_NS};
}

bool
rescue_memory_is_nowhere(
	const struct rescue_memory *memory, uint64_t path, uint64_t now_ns)
{
	const struct rescue_nowhere *set =
		&memory->nowhere[path % (RESCUE_NOWHERE / WAYS) * WAYS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].path == (path | 1) && now_ns < set[i].until_ns)
			return true;
	return false;
}
