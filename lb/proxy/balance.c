#include "proxy/balance.h"

#include <math.h>

#include "base/hash.h"
#include "base/prefetch.h"
#include "proxy/key.h"
#include "proxy/maglev.h"
#include "proxy/upstream.h"
#include "proxy/upstream_pool.h"

/* How often a consistent hash looks elsewhere before it takes them in turn. */
#define REHASH_MAX 8

static bool
is_resolved(const struct shard *shard, const struct snapshot_endpoint *endpoint)
{
	const struct upstream_pool *pool;

	if (endpoint->address.any.sa_family != AF_UNSPEC)
		return true;
	pool = upstream_pool_find(shard, endpoint->id);
	return pool != NULL && pool->address.any.sa_family != AF_UNSPEC;
}

static bool
is_usable(const struct shard *shard, const struct snapshot_endpoint *endpoint)
{
	return !registry_endpoint_is_passed_over(
		       endpoint->registry, shard->now_ns) &&
	       is_resolved(shard, endpoint);
}

bool
balance_has_usable(
	const struct shard *shard, const struct snapshot_version *version)
{
	size_t i;

	for (i = 0; i < version->n_endpoints; i++)
		if (is_usable(shard, &version->endpoints[i]))
			return true;
	return false;
}

bool
balance_may_come_back(
	const struct shard *shard, const struct snapshot_version *version)
{
	const struct snapshot_endpoint *endpoint;

	for (size_t i = 0; i < version->n_endpoints; i++) {
		endpoint = &version->endpoints[i];
		if (!registry_endpoint_is_down(endpoint->registry) &&
			is_resolved(shard, endpoint))
			return true;
	}
	return false;
}

void
balance_prefetch(
	const struct shard *shard, const struct snapshot_endpoint *endpoint)
{
	prefetch(&endpoint->registry->name);
	prefetch(&endpoint->registry->meters[shard->index]);
	prefetch_object(upstream_pool_place(shard, endpoint->id),
		sizeof(struct upstream_pool));
}

static bool
may_pick(const struct exchange *exchange,
	const struct snapshot_endpoint *endpoint)
{
	balance_prefetch(exchange->shard, endpoint);
	return endpoint != exchange->tried &&
	       is_usable(exchange->shard, endpoint);
}

bool
balance_has_other(const struct exchange *exchange)
{
	const struct snapshot_version *version = exchange->version;
	size_t i;

	for (i = 0; i < version->n_endpoints; i++)
		if (may_pick(exchange, &version->endpoints[i]))
			return true;
	return false;
}

/* In flight from all workers, plus the one to come, by weight. */
static double
load_of(const struct exchange *exchange,
	const struct snapshot_endpoint *endpoint)
{
	const struct registry *registry = exchange->shard->registry;
	int64_t n = 1;
	unsigned i;

	for (i = 0; i < registry->n_workers; i++)
		n += atomic_load_explicit(
			&endpoint->registry->meters[i].in_flight,
			memory_order_relaxed);
	return (double)n / endpoint->weight;
}

/* --- maglev --------------------------------------------------------------------- */

static uint64_t
hash_request(const struct exchange *exchange)
{
	const struct settings *settings = exchange->service->settings;
	uint64_t hash;

	if (key_hash(exchange, settings->balance.key, settings->balance.n_key,
		    &hash))
		return hash;
	return hash_u64(exchange->decision.cell, 0);
}

/* Of all that is in flight, plus the one to come, 1.25 times its part: see
 * Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads",
 * 2017. */
#define BOUND 1.25

static int64_t
version_load(const struct exchange *exchange)
{
	const struct registry_version *version = exchange->version->registry;
	int64_t n = 1;
	unsigned i;

	for (i = 0; i < exchange->shard->registry->n_workers; i++)
		n += atomic_load_explicit(&version->loads[i].in_flight,
			memory_order_relaxed);
	return n;
}

static bool
is_over_bound(const struct exchange *exchange,
	const struct snapshot_endpoint *endpoint)
{
	const struct snapshot_version *version = exchange->version;
	double part;

	if (exchange->service->settings->balance.bounded_load == CONFIG_FALSE)
		return false;
	part = (double)version_load(exchange) / (double)version->total_weight;
	return load_of(exchange, endpoint) * endpoint->weight >
	       ceil(BOUND * part * endpoint->weight);
}

static const struct snapshot_endpoint *
pick_maglev(const struct exchange *exchange)
{
	const struct snapshot_version *version = exchange->version;
	const struct snapshot_endpoint *endpoint;
	uint64_t hash = hash_request(exchange);
	unsigned i;

	for (i = 0; i < REHASH_MAX; i++) {
		endpoint =
			&version->endpoints[maglev_find(version->maglev, hash)];
		if (may_pick(exchange, endpoint) &&
			!is_over_bound(exchange, endpoint))
			return endpoint;
		hash = hash_u64(hash, i + 1);
	}
	/* Nearly all are full or passed over: the next that isn't. */
	for (i = 0; i < version->n_endpoints; i++) {
		endpoint = &version->endpoints[(hash + i) %
					       version->n_endpoints];
		if (may_pick(exchange, endpoint) &&
			!is_over_bound(exchange, endpoint))
			return endpoint;
	}
	return NULL;
}

/* --- the others ------------------------------------------------------------------- */

static const struct snapshot_endpoint *
pick_round_robin(const struct exchange *exchange)
{
	const struct snapshot_version *version = exchange->version;
	uint32_t *cursor = &exchange->local->cursors[version -
						     exchange->service->versions];
	const struct snapshot_endpoint *endpoint;
	size_t i;

	for (i = 0; i < version->n_sequence; i++) {
		endpoint = &version->endpoints[version->sequence[*cursor]];
		*cursor = (uint32_t)((*cursor + 1) % version->n_sequence);
		if (may_pick(exchange, endpoint))
			return endpoint;
	}
	return NULL;
}

/* Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing". */
static const struct snapshot_endpoint *
pick_least_request(const struct exchange *exchange)
{
	const struct snapshot_version *version = exchange->version;
	uint64_t random = shard_random(exchange->shard);
	size_t n = version->n_endpoints;
	size_t first = (uint32_t)random % n;
	size_t second = (first + 1 + (random >> 32) % (n - 1)) % n;
	const struct snapshot_endpoint *a = &version->endpoints[first];
	const struct snapshot_endpoint *b = &version->endpoints[second];

	if (!may_pick(exchange, a))
		return may_pick(exchange, b) ? b : NULL;
	if (!may_pick(exchange, b))
		return a;
	return load_of(exchange, a) <= load_of(exchange, b) ? a : b;
}

/* The first that will do, from a random one on; what is left out or down as a
 * last resort. */
static const struct snapshot_endpoint *
pick_any(const struct exchange *exchange)
{
	const struct snapshot_version *version = exchange->version;
	const struct snapshot_endpoint *last_resort = NULL;
	const struct snapshot_endpoint *endpoint;
	size_t n = version->n_endpoints;
	size_t start = shard_random(exchange->shard) % n;
	size_t i;

	for (i = 0; i < n; i++) {
		endpoint = &version->endpoints[(start + i) % n];
		if (may_pick(exchange, endpoint))
			return endpoint;
		if (last_resort == NULL && endpoint != exchange->tried &&
			is_resolved(exchange->shard, endpoint))
			last_resort = endpoint;
	}
	return last_resort;
}

const struct snapshot_endpoint *
balance_pick(const struct exchange *exchange)
{
	const struct snapshot_version *version = exchange->version;
	const struct snapshot_endpoint *picked = NULL;

	if (version->n_endpoints == 1)
		return pick_any(exchange);
	if (exchange->has_affinity) {
		picked = snapshot_find_endpoint(
			version, exchange->affinity_hash);
		if (picked != NULL && may_pick(exchange, picked))
			return picked;
		picked = NULL;
	}
	switch (exchange->service->settings->balance.policy) {
	case CONFIG_MAGLEV:
		picked = pick_maglev(exchange);
		break;
	case CONFIG_ROUND_ROBIN:
		picked = pick_round_robin(exchange);
		break;
	case CONFIG_LEAST_REQUEST:
		picked = pick_least_request(exchange);
		break;
	}
	return picked != NULL ? picked : pick_any(exchange);
}
