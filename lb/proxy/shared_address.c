#include "proxy/shared_address.h"

#include "base/clock.h"

static void
halve(struct shared_address *table)
{
	table->n_requests /= 2;
	for (unsigned i = 0; i < SHARED_ADDRESS_SLOTS; i++) {
		table->counts[i] /= 2;
		table->excess[i] /= 2;
	}
}

/* Where the address is counted from now on: in its own slot, or in that of the
 * rarest one. */
static unsigned
slot_of(struct shared_address *table, uint32_t hash)
{
	unsigned least = 0;

	for (unsigned i = 0; i < SHARED_ADDRESS_SLOTS; i++) {
		if (table->hashes[i] == hash && table->counts[i] > 0)
			return i;
		if (table->counts[i] < table->counts[least])
			least = i;
	}
	table->hashes[least] = hash;
	table->excess[least] = table->counts[least];
	table->agents[least] = 0;
	return least;
}

bool
shared_address_count(struct shared_address *table, uint32_t hash,
	uint64_t agent_hash, uint64_t now_ns)
{
	uint64_t half_ns = SHARED_ADDRESS_HALF_S * CLOCK_NS_PER_S;
	uint32_t seen;
	unsigned slot;

	if (table->halved_ns == 0)
		table->halved_ns = now_ns;
	while (now_ns - table->halved_ns >= half_ns && table->n_requests > 0) {
		table->halved_ns += half_ns;
		halve(table);
	}
	if (table->n_requests == 0)
		table->halved_ns = now_ns;
	slot = slot_of(table, hash);
	if (table->counts[slot] < UINT32_MAX)
		table->counts[slot]++;
	table->n_requests++;
	table->agents[slot] |= UINT64_C(1) << (agent_hash & 63);
	seen = table->counts[slot] - table->excess[slot];
	return seen >= SHARED_ADDRESS_MIN &&
	       __builtin_popcountll(table->agents[slot]) >=
		       SHARED_ADDRESS_AGENTS &&
	       (uint64_t)seen * SHARED_ADDRESS_PART > table->n_requests;
}
