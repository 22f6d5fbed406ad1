/*
 * client: an HTTP/1 connection from a client; a stream for its exchanges, one
 * at a time.
 *
 * Parses requests and bodies out of one buffer, serves pipelined requests in
 * order, writes responses with their framing. An idle one holds no buffer and
 * no exchange. Owned by its shard, freed when it is closed.
 */
#ifndef PERCH_PROXY_CLIENT_H
#define PERCH_PROXY_CLIENT_H

#include "net/conn.h"
#include "proxy/shard.h"

/* Takes over an accepted socket; closes it if memory is out. */
void client_accept(struct shard *shard, int fd, const struct address *peer);

/* Answers 503 and closes, with no more than a try to write. */
void client_turn_away(int fd);

/* The shard drains: closed now if idle, else after its response. */
void client_drain_all(struct shard *shard);

/* Closes all, at the end. */
void client_close_all(struct shard *shard);

/* Timeout callbacks, for the lists that a view looks up. */
timeout_expired_fn client_expired;

#endif
