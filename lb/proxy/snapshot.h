/*
 * snapshot: what a config became: immutable, with every reference resolved.
 *
 * Built by the control thread from a config and the registry, handed to each
 * worker by a message. A worker counts its own references (proxy/shard) and
 * leaves the holders at zero; control frees the snapshot when every worker has
 * done so.
 */
#ifndef PERCH_PROXY_SNAPSHOT_H
#define PERCH_PROXY_SNAPSHOT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/secret.h"
#include "config/config.h"
#include "http/cookie.h"
#include "proxy/registry.h"
#include "proxy/route.h"
#include "proxy/settings.h"

struct snapshot_endpoint {
	struct registry_endpoint *registry;
	struct address address; /* AF_UNSPEC: not resolved when it was built */
	unsigned weight;
	unsigned id; /* the registry's */
};

/* An endpoint by the hash that a cookie names it by. */
struct snapshot_hash {
	uint32_t name_hash;
	uint32_t index;
};

struct snapshot_version {
	alignas(MEMORY_LINE) struct registry_version *registry;
	const struct release_version *release; /* the registry's */
	struct slice name;
	struct snapshot_endpoint *endpoints;
	size_t n_endpoints;
	uint64_t total_weight;
	struct snapshot_hash *hashes; /* sorted; NULL without affinity */

	uint32_t *maglev;   /* MAGLEV_SIZE, or NULL: another policy, or one endpoint */
	uint32_t *sequence; /* round robin's, or NULL */
	size_t n_sequence;
};

struct snapshot_service {
	alignas(MEMORY_LINE) struct registry_service *registry;
	const struct registry_unit *unit; /* at first, to be asked for early */
	const struct settings *settings; /* what requests need of the config */
	struct snapshot_version *versions; /* all their endpoints behind them */
	size_t n_versions;
	struct slice name;
	unsigned index; /* in snapshot.services */

	/* Clients are to be known again: there are several versions, or they are
	 * balanced by who they are. */
	bool wants_cookie;
	struct slice cookie_name;
	struct slice former_cookie_name; /* if it shared its host, or didn't */
	const char *suffixed_name;       /* owned: one of the two */
	const struct config_service *config;
	const struct config_plan *plan; /* its releases go by */
	struct slice plain_host; /* the first that is no pattern; or none */
	/* All of its group, itself among them, in the config's order; or none. */
	const struct snapshot_service **mates;
	size_t n_mates;
	/* The first one's: cookie names to indices of mates, from 1. */
	struct table *mates_by_cookie;
};

/* An open access log; several snapshots may use one. */
struct access_log;

struct snapshot {
	struct config *config; /* owned */
	struct cookie_keys cookie_keys;
	struct settings_set settings; /* the services' */
	struct snapshot_service *services;
	size_t n_services;
	struct table by_name; /* services */
	struct route_table routes;
	struct access_log *access_log; /* NULL: off */
	_Atomic unsigned n_holders; /* workers that still use it */
	struct snapshot *next;      /* control only: of the retired ones */
};

/* Takes the config over. secret is perch's own, for its cookies. Nothing here can
 * fail: the config was checked. */
struct snapshot *
snapshot_build(struct config *config, struct registry *registry,
	const struct secret *secret, struct access_log *access_log);
void snapshot_free(struct snapshot *snapshot);

/* By name; NULL if there is none. */
const struct snapshot_service *snapshot_find_service(
	const struct snapshot *snapshot, struct slice name);
/* By the host and target of a request, as paths are compared. NULL with *service,
 * or NULL there if none matches; or why the path is refused. buf has room for
 * target.len bytes. */
const char *snapshot_route(const struct snapshot *snapshot, struct slice host,
	struct slice target, char *buf, const struct snapshot_service **service);
/* NULL stands for the default one; NULL if there is none of that name. */
const struct config_plan *snapshot_find_plan(
	const struct snapshot *snapshot, const char *name);
/* By the hash of its name; NULL if there is none, or no affinity. */
const struct snapshot_endpoint *snapshot_find_endpoint(
	const struct snapshot_version *version, uint32_t name_hash);
/* By name; -1 if there is none. */
int snapshot_find_version(
	const struct snapshot_service *service, struct slice name);

#endif
