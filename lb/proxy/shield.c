#include "proxy/shield.h"

#include <string.h>

#include "base/clock.h"

void
shield_init(struct shield *shield, unsigned methods, uint64_t percent,
	uint64_t floor_per_s)
{
	memset(shield, 0, sizeof(*shield));
	shield->methods = methods;
	shield->percent = percent;
	shield->floor_per_s = floor_per_s;
}

bool
shield_is_failure(enum http_method method, unsigned status)
{
	switch (status) {
	case 502:
	case 503:
	case 504:
		return true;
	case 500:
		/* Anything but a read may have been done by half. */
		return method == HTTP_GET || method == HTTP_HEAD;
	default:
		/* RFC 9110 15: as good as a 500. */
		return status >= 600 &&
		       (method == HTTP_GET || method == HTTP_HEAD);
	}
}

bool
shield_may_repeat(const struct shield *shield, enum http_method method)
{
	return shield->methods >> method & 1;
}

/* The slot of this second, emptied of what it held a window ago. */
static struct shield_slot *
slot_at(struct shield *shield, uint64_t now_ns)
{
	uint64_t second = now_ns / CLOCK_NS_PER_S;
	struct shield_slot *slot = &shield->slots[second % SHIELD_WINDOW_S];

	if (slot->second != second)
		*slot = (struct shield_slot){.second = second};
	return slot;
}

void
shield_count(struct shield *shield, uint64_t now_ns)
{
	slot_at(shield, now_ns)->requests++;
}

bool
shield_take(struct shield *shield, uint64_t now_ns)
{
	struct shield_slot *now = slot_at(shield, now_ns);
	uint64_t requests = 0;
	uint64_t shields = 1; /* with this one */
	unsigned i;

	for (i = 0; i < SHIELD_WINDOW_S; i++) {
		const struct shield_slot *slot = &shield->slots[i];

		if (slot->second + SHIELD_WINDOW_S <= now->second)
			continue;
		requests += slot->requests;
		shields += slot->shields;
	}
	if (shields * 100 > requests * shield->percent &&
		shields > shield->floor_per_s * SHIELD_WINDOW_S)
		return false;
	now->shields++;
	return true;
}
