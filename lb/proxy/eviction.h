/*
 * eviction: what a candidate still has open when it is rolled back, WebSockets
 * and other tunnels, event streams and whatever else takes long, is closed, so
 * that its clients come anew and get stable.
 *
 * control finds out which candidates were rolled back, and tells the workers;
 * each looks at the busy connections of their endpoints. Requests pay nothing
 * for it.
 */
#ifndef PERCH_PROXY_EVICTION_H
#define PERCH_PROXY_EVICTION_H

#include "proxy/shard.h"

struct eviction;

/* On the control thread, now and then: posts to the shards, one for each worker,
 * what has to go since the last call. */
void eviction_look(struct registry *registry, const struct snapshot *snapshot,
	struct shard *const *shards);

/* At a shard's end: those that still run. */
void eviction_free_all(struct shard *shard);

#endif
