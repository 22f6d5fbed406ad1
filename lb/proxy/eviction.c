#include "proxy/eviction.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "proxy/upstream.h"
#include "proxy/upstream_pool.h"

/*
 * Each goes at a random moment within close_after, so that they don't all come
 * back at once. No connection has to know its moment: at each of so many ticks
 * that are left, whatever is still there goes with a chance of one in as many.
 *
 * What came after the rollback stays: somebody asked for that version. A request
 * that has no answer yet is waited for. An answer is long if it has been under
 * way for 5 s, or for close_after, when its moment comes.
 */
#define LONG_NS (5 * CLOCK_NS_PER_S)
#define TICKS 120
#define TICK_MIN_NS (20 * CLOCK_NS_PER_MS)
#define TICK_MAX_NS (250 * CLOCK_NS_PER_MS)

struct eviction {
	struct list node; /* the shard's */
	struct shard *shard;
	struct event *timer;
	uint64_t since_ns; /* what came later stays */
	uint64_t long_ns;
	uint64_t n_left; /* ticks */
	const struct registry_version *version;
	size_t n_ids;
	unsigned ids[]; /* of its endpoints */
};

/* --- a worker's thread ----------------------------------------------------- */

static bool
may_go(const struct eviction *eviction, const struct upstream *upstream)
{
	const struct exchange *exchange = upstream->exchange;

	if (exchange == NULL || exchange->upstream != upstream ||
		exchange->target->version != eviction->version ||
		exchange->started_ns > eviction->since_ns)
		return false;
	if (exchange->state == EXCHANGE_TUNNEL)
		return true;
	return exchange->state == EXCHANGE_RESPONDING &&
	       eviction->shard->now_ns - exchange->started_ns >=
		       eviction->long_ns;
}

static void
close_some(const struct eviction *eviction, struct upstream_pool *pool)
{
	struct list *node = pool->busy.next;
	struct upstream *upstream;

	while (node != &pool->busy) {
		upstream = list_entry(node, struct upstream, node);
		node = node->next;
		if (may_go(eviction, upstream) &&
			shard_random(eviction->shard) % eviction->n_left == 0)
			exchange_evict(upstream->exchange);
	}
}

static void
free_eviction(struct eviction *eviction)
{
	list_remove(&eviction->node);
	event_free(eviction->timer);
	free(eviction);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct eviction *eviction = arg;
	struct upstream_pool *pool;

	shard_touch_clock(eviction->shard);
	for (size_t i = 0; i < eviction->n_ids; i++) {
		pool = upstream_pool_find(eviction->shard, eviction->ids[i]);
		if (pool != NULL)
			close_some(eviction, pool);
	}
	if (--eviction->n_left == 0)
		free_eviction(eviction);
}

/* As a message. */
static void
begin(void *arg)
{
	struct eviction *eviction = arg;
	struct shard *shard = eviction->shard;
	uint64_t tick_ns = eviction->n_left / TICKS; /* close_after till here */
	struct timeval tick;

	if (tick_ns < TICK_MIN_NS)
		tick_ns = TICK_MIN_NS;
	if (tick_ns > TICK_MAX_NS)
		tick_ns = TICK_MAX_NS;
	eviction->n_left = eviction->n_left / tick_ns + 1;
	tick.tv_sec = 0;
	tick.tv_usec = (suseconds_t)(tick_ns / CLOCK_NS_PER_US);
	list_push_back(&shard->evictions, &eviction->node);
	eviction->timer = event_new(
		shard->worker.base, -1, EV_PERSIST, on_tick, eviction);
	if (eviction->timer == NULL || event_add(eviction->timer, &tick) != 0)
		abort();
}

void
eviction_free_all(struct shard *shard)
{
	while (!list_is_empty(&shard->evictions))
		free_eviction(list_entry(
			shard->evictions.next, struct eviction, node));
}

/* --- the control thread ---------------------------------------------------- */

static void
post(const struct registry *registry, struct shard *const *shards,
	const struct registry_version *version, uint64_t close_after_ns)
{
	const struct registry_endpoint *endpoint;
	struct eviction *eviction;
	size_t n = 0;

	for (endpoint = version->endpoints; endpoint != NULL;
		endpoint = endpoint->next)
		n++;
	for (unsigned i = 0; i < registry->n_workers; i++) {
		eviction = memory_zalloc(
			sizeof(*eviction) + n * sizeof(*eviction->ids));
		eviction->shard = shards[i];
		eviction->version = version;
		eviction->since_ns = clock_monotonic_ns();
		eviction->n_left = close_after_ns;
		eviction->long_ns =
			close_after_ns < LONG_NS ? close_after_ns : LONG_NS;
		for (endpoint = version->endpoints; endpoint != NULL;
			endpoint = endpoint->next)
			eviction->ids[eviction->n_ids++] = endpoint->id;
		worker_post(&shards[i]->worker, begin, eviction);
	}
}

/* Its candidate was this one till now, and neither is nor became stable. */
static bool
was_rolled_back(const struct registry_service *service,
	const struct release_record *record, const struct release_cell *cell)
{
	return service->candidate_seen != NULL &&
	       service->candidate_seen != release_candidate(record, cell) &&
	       service->candidate_seen != record->stable;
}

static void
look_at(struct registry *registry, struct registry_service *service,
	const struct snapshot *snapshot, struct shard *const *shards)
{
	const struct snapshot_service *found;
	const struct release_record *record;
	struct release_cell cell;

	record = release_read(&service->release, &cell);
	if (was_rolled_back(service, record, &cell)) {
		found = snapshot_find_service(
			snapshot, slice_from_string(service->name));
		if (found != NULL &&
			found->config->tunnels.on_rollback ==
				CONFIG_TUNNELS_CLOSE)
			post(registry, shards,
				registry_version(registry, service,
					service->candidate_seen->name),
				found->config->tunnels.close_after_ns);
	}
	service->candidate_seen = release_candidate(record, &cell);
}

void
eviction_look(struct registry *registry, const struct snapshot *snapshot,
	struct shard *const *shards)
{
	const struct registry_unit *unit;
	const struct release *member;

	for (unit = registry->units; unit != NULL; unit = unit->next)
		for (member = unit->release.members; member != NULL;
			member = member->next_member)
			look_at(registry,
				registry_service(registry, member->service),
				snapshot, shards);
}
