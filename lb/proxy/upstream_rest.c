#include "proxy/upstream_rest.h"

#include "base/clock.h"
#include "base/log.h"
#include "proxy/upstream_pool.h"

/*
 * What comes late is most often the body of an answer that has none: of HEAD,
 * 204 and 304 (RFC 9112 6.3). A connection rests after each of these. While few
 * of a pool do, others are used, or opened, in their place; when there are many,
 * the endpoint is busy, and has as yet given no cause: then the one that rests
 * longest is used. That isn't done in the first second of such answers, in
 * which an endpoint that always sends these bodies gives itself away.
 *
 * An endpoint that was seen to send unasked bytes is marked: its connections
 * rest their full time, where it was seen behind a length or a last chunk
 * after any answer.
 *
 * So plain keep-alive traffic pays nothing for all this.
 */

/* So many of a pool may rest before they are used early. */
#define RESTING_MAX 8
#define PROBATION_NS CLOCK_NS_PER_S
#define MARK_NS (600 * CLOCK_NS_PER_S)

static enum registry_unasked
mark_of(const struct upstream_pool *pool)
{
	const struct registry_endpoint *endpoint = pool->endpoint;

	if (atomic_load_explicit(&endpoint->unasked_until_ns,
		    memory_order_relaxed) <= pool->shard->now_ns)
		return UNASKED_NEVER;
	return (enum registry_unasked)atomic_load_explicit(
		&endpoint->unasked, memory_order_relaxed);
}

bool
upstream_rest_is_due(const struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;

	if (!upstream->has_ended_with_head)
		return mark_of(pool) == UNASKED_BEHIND_ANY;
	if (pool->probation_until_ns == 0)
		pool->probation_until_ns = pool->shard->now_ns + PROBATION_NS;
	return true;
}

bool
upstream_rest_needs_look(const struct upstream *upstream)
{
	return upstream->has_ended_with_head ||
	       mark_of(upstream->pool) != UNASKED_NEVER;
}

struct upstream *
upstream_rest_pick(const struct upstream_pool *pool)
{
	if (pool->n_resting == 0 ||
		(pool->n_resting < RESTING_MAX &&
			pool->n_open < pool->max_open) ||
		pool->shard->now_ns < pool->probation_until_ns ||
		mark_of(pool) != UNASKED_NEVER)
		return NULL;
	return list_entry(pool->resting.next, struct upstream, node);
}

void
upstream_rest_note_unasked(struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;
	struct registry_endpoint *endpoint = pool->endpoint;
	const struct registry_version *version = endpoint->version;
	enum registry_unasked before = mark_of(pool);
	enum registry_unasked now = upstream->has_ended_with_head
					    ? UNASKED_BEHIND_HEAD
					    : UNASKED_BEHIND_ANY;

	if (now < before)
		now = before;
	atomic_store_explicit(&endpoint->unasked, (uint8_t)now,
		memory_order_relaxed);
	atomic_store_explicit(&endpoint->unasked_until_ns,
		pool->shard->now_ns + MARK_NS, memory_order_relaxed);
	if (now == before)
		return;
	log_warn("%s of %s %s sends more than its answers have: bytes behind "
		 "%s; its connections rest for 50 ms before they are used "
		 "again",
		endpoint->name, version->service->name, version->name,
		now == UNASKED_BEHIND_HEAD
			? "an answer to HEAD, a 204 or a 304"
			: "the end of a body");
}
