/*
 * key: what a client key or a balance key is in a request.
 */
#ifndef PERCH_PROXY_KEY_H
#define PERCH_PROXY_KEY_H

#include "proxy/exchange.h"

/* XXH3_64 of the first of keys that the request has; false if it has none. */
bool key_hash(const struct exchange *exchange, const struct config_key *keys,
	size_t n_keys, uint64_t *hash);

#endif
