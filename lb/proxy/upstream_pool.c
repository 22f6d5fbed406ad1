#include "proxy/upstream_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/prefetch.h"
#include "proxy/upstream.h"

/* How long an endpoint that refuses connections is left out: doubled with
 * each failure in a row, within these bounds. */
#define LEFT_OUT_MIN_NS (1 * CLOCK_NS_PER_S)
#define LEFT_OUT_MAX_NS (30 * CLOCK_NS_PER_S)

/* --- blocks ----------------------------------------------------------------- */

#define BLOCK 64u /* pools */

static bool
grow_blocks(struct shard *shard, unsigned n)
{
	struct upstream_pool **grown =
		realloc(shard->pools, n * sizeof(struct upstream_pool *));

	if (grown == NULL)
		return false;
	while (shard->n_pool_blocks < n)
		grown[shard->n_pool_blocks++] = NULL;
	shard->pools = grown;
	return true;
}

/* Where the pool is or will be; NULL if memory is out. */
static struct upstream_pool *
make_place(struct shard *shard, unsigned id)
{
	struct upstream_pool **block;

	if (id / BLOCK >= shard->n_pool_blocks &&
		!grow_blocks(shard, id / BLOCK + 1))
		return NULL;
	block = &shard->pools[id / BLOCK];
	if (*block == NULL) {
		*block = aligned_alloc(MEMORY_LINE, BLOCK * sizeof(**block));
		if (*block == NULL)
			return NULL;
		memset(*block, 0, BLOCK * sizeof(**block));
	}
	return *block + id % BLOCK;
}

struct upstream_pool *
upstream_pool_place(const struct shard *shard, unsigned id)
{
	if (id / BLOCK >= shard->n_pool_blocks ||
		shard->pools[id / BLOCK] == NULL)
		return NULL;
	return shard->pools[id / BLOCK] + id % BLOCK;
}

struct upstream_pool *
upstream_pool_find(const struct shard *shard, unsigned id)
{
	struct upstream_pool *pool = upstream_pool_place(shard, id);

	return pool != NULL && pool->is_made ? pool : NULL;
}

/* The connection that will most likely be taken. */
static void
prefetch_idle(const struct upstream_pool *pool)
{
	if (!list_is_empty(&pool->idle))
		prefetch_object(
			list_entry(pool->idle.next, struct upstream, node),
			sizeof(struct upstream));
}

struct upstream_pool *
upstream_pool(struct shard *shard, struct registry_endpoint *endpoint,
	const struct address *address)
{
	struct upstream_pool *pool = upstream_pool_find(shard, endpoint->id);

	if (pool != NULL) {
		prefetch_idle(pool);
		return pool;
	}
	pool = make_place(shard, endpoint->id);
	if (pool == NULL)
		return NULL;
	pool->is_made = true;
	pool->shard = shard;
	pool->endpoint = endpoint;
	pool->address = *address;
	list_init(&pool->idle);
	list_init(&pool->resting);
	list_init(&pool->parked);
	list_init(&pool->busy);
	list_init(&pool->queue);
	return pool;
}

void
upstream_pools_each(
	struct shard *shard, void (*each)(struct upstream_pool *pool))
{
	struct upstream_pool *pool;
	unsigned id;

	for (id = 0; id < shard->n_pool_blocks * BLOCK; id++) {
		pool = upstream_pool_find(shard, id);
		if (pool != NULL)
			each(pool);
	}
}

void
upstream_pools_free(struct shard *shard)
{
	unsigned i;

	for (i = 0; i < shard->n_pool_blocks; i++)
		free(shard->pools[i]);
	free(shard->pools);
}

/* --- counts ----------------------------------------------------------------- */

struct meter *
upstream_pool_meter(const struct upstream_pool *pool)
{
	return &pool->endpoint->meters[pool->shard->index];
}

void
upstream_pool_count_idle(struct upstream_pool *pool, int n)
{
	pool->n_idle += (uint32_t)n;
	meter_add(&pool->shard->counts->upstream_idle, (uint64_t)(int64_t)n);
}

void
upstream_pool_count_resting(struct upstream_pool *pool, int n)
{
	pool->n_resting += (uint32_t)n;
	meter_add(&pool->shard->counts->upstream_idle, (uint64_t)(int64_t)n);
}

void
upstream_pool_count_open(struct upstream_pool *pool, int n)
{
	pool->n_open += (uint32_t)n;
	meter_add(&pool->shard->counts->upstream_connections,
		(uint64_t)(int64_t)n);
}

/* --- left-out marks ------------------------------------------------------------- */

void
upstream_pool_leave_out(struct upstream_pool *pool)
{
	struct registry_endpoint *endpoint = pool->endpoint;
	uint32_t failures = atomic_load_explicit(
		&endpoint->connect_failures, memory_order_relaxed);
	uint64_t pause_ns = LEFT_OUT_MAX_NS;

	if (failures < 5)
		pause_ns = LEFT_OUT_MIN_NS << failures;
	if (!registry_endpoint_is_left_out(endpoint, pool->shard->now_ns))
		atomic_store_explicit(&endpoint->connect_failures,
			failures + 1, memory_order_relaxed);
	atomic_store_explicit(&endpoint->left_out_until_ns,
		pool->shard->now_ns + pause_ns, memory_order_relaxed);
}

void
upstream_pool_welcome_back(struct upstream_pool *pool)
{
	struct registry_endpoint *endpoint = pool->endpoint;

	upstream_pool_serve_later(pool);
	if (atomic_load_explicit(&endpoint->connect_failures,
		    memory_order_relaxed) == 0)
		return;
	atomic_store_explicit(
		&endpoint->connect_failures, 0, memory_order_relaxed);
	atomic_store_explicit(
		&endpoint->left_out_until_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&endpoint->up_since_ns, pool->shard->now_ns,
		memory_order_relaxed);
}

/* --- the queue -------------------------------------------------------------------- */

void
upstream_pool_enqueue(struct upstream_pool *pool, struct exchange *exchange)
{
	list_push_back(&pool->queue, &exchange->queue_node);
	pool->n_queued++;
	timeouts_set(&pool->shard->worker.timeouts, &exchange->queue_timeout,
		exchange->local->queue, pool->shard->now_ns);
	exchange->queue = pool;
}

void
upstream_pool_park(struct upstream_pool *pool, struct exchange *exchange)
{
	struct shard *shard = pool->shard;

	list_push_back(&pool->parked, &exchange->queue_node);
	pool->n_queued++;
	timeouts_set(&shard->worker.timeouts, &exchange->queue_timeout,
		shard->view->upstream_park, shard->now_ns);
	exchange->queue = pool;
}

void
upstream_leave_queue(struct exchange *exchange)
{
	if (exchange->queue == NULL)
		return;
	list_remove(&exchange->queue_node);
	timeout_stop(&exchange->queue_timeout);
	exchange->queue->n_queued--;
	exchange->queue = NULL;
}

void
upstream_queue_expired(struct timeout *timeout)
{
	struct exchange *exchange =
		list_entry(timeout, struct exchange, queue_timeout);

	shard_touch_clock(exchange->shard);
	upstream_leave_queue(exchange);
	exchange_on_failure(exchange, METER_ERROR_OVERLOAD);
}

void
upstream_park_expired(struct timeout *timeout)
{
	struct exchange *exchange =
		list_entry(timeout, struct exchange, queue_timeout);
	struct upstream_pool *pool = exchange->queue;

	shard_touch_clock(exchange->shard);
	upstream_leave_queue(exchange);
	/* However many wait, one of them tries. */
	if (pool->retry_ns > exchange->shard->now_ns) {
		exchange_on_retry_later(exchange);
		return;
	}
	pool->retry_ns = exchange->shard->now_ns + UPSTREAM_PARK_NS / 2;
	exchange_on_retry(exchange);
}

/* One that rests may be used, or closed for another to be opened. */
static bool
has_room(const struct upstream_pool *pool)
{
	return pool->n_idle > 0 || pool->n_resting > 0 ||
	       pool->n_open < pool->max_open;
}

/* It takes connections, or did just now. */
static void
serve_parked(struct upstream_pool *pool)
{
	struct list *last = pool->parked.prev;
	struct exchange *exchange;
	struct list *node;
	bool is_last;

	if (list_is_empty(&pool->parked) ||
		registry_endpoint_is_left_out(
			pool->endpoint, pool->shard->now_ns))
		return;
	/* Who is parked anew comes behind that one. */
	do {
		node = pool->parked.next;
		is_last = node == last;
		exchange = list_entry(node, struct exchange, queue_node);
		upstream_leave_queue(exchange);
		exchange_on_retry(exchange);
	} while (!is_last && !registry_endpoint_is_left_out(
				     pool->endpoint, pool->shard->now_ns));
}

/* Takes exchanges out of the queue while there are connections for them. */
static void
serve_queue(struct worker_deferred *deferred)
{
	struct upstream_pool *pool =
		list_entry(deferred, struct upstream_pool, deferred);
	struct exchange *exchange;

	pool->is_serving_queue = false;
	while (!list_is_empty(&pool->queue) && has_room(pool)) {
		exchange = list_entry(
			pool->queue.next, struct exchange, queue_node);
		upstream_leave_queue(exchange);
		exchange_on_turn(exchange);
	}
	serve_parked(pool);
}

/* Later, for the way here may be deep inside an exchange. */
void
upstream_pool_serve_later(struct upstream_pool *pool)
{
	if ((list_is_empty(&pool->queue) && list_is_empty(&pool->parked)) ||
		pool->is_serving_queue)
		return;
	pool->is_serving_queue = true;
	worker_defer(&pool->shard->worker, &pool->deferred, serve_queue);
}

void
upstream_pool_close_idle(struct upstream_pool *pool)
{
	while (!list_is_empty(&pool->idle))
		upstream_close(list_entry(
			pool->idle.next, struct upstream, node));
	while (!list_is_empty(&pool->resting))
		upstream_close(
			list_entry(pool->resting.next, struct upstream, node));
}

void
upstream_pool_close_all(struct upstream_pool *pool)
{
	assert(list_is_empty(&pool->busy));
	upstream_pool_close_idle(pool);
}
