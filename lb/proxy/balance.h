/*
 * balance: which endpoint of a version.
 *
 * Reads the snapshot and what every worker has in flight; keeps only a round
 * robin cursor, in the worker's view.
 */
#ifndef PERCH_PROXY_BALANCE_H
#define PERCH_PROXY_BALANCE_H

#include "proxy/exchange.h"

/* Has the version an endpoint that is resolved, and neither left out nor
 * down? */
bool balance_has_usable(
	const struct shard *shard, const struct snapshot_version *version);

/* The same, of exchange->version, exchange->tried passed over. */
bool balance_has_other(const struct exchange *exchange);

/* Has it one that is resolved, and not down by its checks? */
bool balance_may_come_back(
	const struct shard *shard, const struct snapshot_version *version);

/*
 * An endpoint for exchange->version by the service's policy, exchange->tried
 * passed over. If all are left out or down, one of those: it may be back. NULL
 * if none is resolved.
 */
const struct snapshot_endpoint *balance_pick(const struct exchange *exchange);

/* Asks for the memory that a pick of this endpoint will need. */
void balance_prefetch(
	const struct shard *shard, const struct snapshot_endpoint *endpoint);

#endif
