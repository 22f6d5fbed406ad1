/*
 * bindings: which addresses are listened on, over reloads.
 *
 * Control's. Each address has a socket for each worker; a worker owns its
 * sockets once they are handed to it, and what stays here are their numbers.
 */
#ifndef PERCH_PROXY_BINDINGS_H
#define PERCH_PROXY_BINDINGS_H

#include <stdbool.h>

#include "base/error.h"
#include "config/config.h"
#include "proxy/shard.h"

struct binding;

struct bindings {
	struct shard **shards;
	unsigned n_workers;
	struct binding *first;
};

/* Opens what config has and isn't open yet; all of it or nothing. */
bool bindings_prepare(struct bindings *bindings, const struct config *config,
	struct binding **opened, struct error *error);
/* Hands the opened ones to the workers; those that config lacks are let go. */
void bindings_commit(struct bindings *bindings, const struct config *config,
	struct binding *opened);
/* Closes what was opened after all. */
void bindings_discard(struct bindings *bindings, struct binding *opened);
void bindings_free(struct bindings *bindings);

#endif
