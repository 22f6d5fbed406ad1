/*
 * upstream_pool: a worker's connections to one endpoint, and who waits for one.
 *
 * Idle ones are reused last in, first out. An endpoint has at most so many
 * connections from a worker; requests beyond wait in its queue. Owned by the
 * shard, made at need, kept until its end. They stand in blocks, so that where
 * one is follows from the endpoint's id alone.
 */
#ifndef PERCH_PROXY_UPSTREAM_POOL_H
#define PERCH_PROXY_UPSTREAM_POOL_H

#include "base/clock.h"
#include "proxy/exchange.h"
#include "proxy/shard.h"

struct upstream_pool {
	alignas(MEMORY_LINE) struct list idle; /* most recently used first */
	struct list busy;  /* connecting ones too */
	struct list queue; /* exchanges */
	uint32_t n_open;
	uint32_t n_idle;
	uint32_t n_queued;
	bool is_made;
	bool is_serving_queue;

	struct shard *shard;
	struct registry_endpoint *endpoint;
	struct address address;
	uint32_t max_idle; /* of the latest exchange's config */
	uint32_t max_open; /* the same */
	struct list parked; /* exchanges, until it takes connections again */
	uint64_t retry_ns; /* a parked one tries not before this */
	struct list resting; /* not to be used yet, for longest first */
	uint32_t n_resting;
	/* Resting connections are let rest until then; 0: none did yet. */
	uint64_t probation_until_ns;
	struct worker_deferred deferred; /* serves the queue */
};

/* The shard's pool for an endpoint, made with this address at need; NULL if
 * memory is out. */
struct upstream_pool *upstream_pool(struct shard *shard,
	struct registry_endpoint *endpoint, const struct address *address);

/* Where that of the endpoint with this id is, if it was made; may be NULL. */
struct upstream_pool *upstream_pool_place(
	const struct shard *shard, unsigned id);
/* NULL if there is none for the endpoint with this id. */
struct upstream_pool *upstream_pool_find(const struct shard *shard, unsigned id);

/* Calls back with each pool that was made. */
void upstream_pools_each(
	struct shard *shard, void (*each)(struct upstream_pool *pool));
/* When no connection is left. */
void upstream_pools_free(struct shard *shard);

/* This worker's meter of the endpoint. */
struct meter *upstream_pool_meter(const struct upstream_pool *pool);
/* One more or less: n is 1 or -1. */
void upstream_pool_count_idle(struct upstream_pool *pool, int n);
void upstream_pool_count_resting(struct upstream_pool *pool, int n);
void upstream_pool_count_open(struct upstream_pool *pool, int n);

/* A connect failed: the endpoint is passed over for a while, by all workers. */
void upstream_pool_leave_out(struct upstream_pool *pool);
/* A connect succeeded. */
void upstream_pool_welcome_back(struct upstream_pool *pool);

void upstream_pool_enqueue(
	struct upstream_pool *pool, struct exchange *exchange);
/* For one whose connect has failed: its turn comes within 250 ms, or when a
 * connect succeeds. */
void upstream_pool_park(struct upstream_pool *pool, struct exchange *exchange);
/* The exchange leaves the queue that it waits in, if any. */
void upstream_leave_queue(struct exchange *exchange);
/* There may be a connection for who waits: looks when the stack has unwound,
 * for the way here may be deep inside an exchange. */
void upstream_pool_serve_later(struct upstream_pool *pool);

/* Closes connections that a drain or a new address made useless. */
void upstream_pool_close_idle(struct upstream_pool *pool);
/* Closes all connections, at the end. */
void upstream_pool_close_all(struct upstream_pool *pool);

/* The step in which a connect is tried again. */
#define UPSTREAM_PARK_NS (250 * CLOCK_NS_PER_MS)

/* For the lists that a view looks up. */
timeout_expired_fn upstream_queue_expired;
timeout_expired_fn upstream_park_expired;

#endif
