/*
 * registry: what must outlive a reload, by name: meters, endpoint state and
 * each service's release.
 *
 * Made and extended by the control thread only, when it builds a snapshot.
 * Entries are never freed while perch runs, so whoever got a pointer from a
 * snapshot may keep it. Workers write their own meters and, when a connect
 * fails, an endpoint's left-out mark; everything else here is read-only to
 * them.
 */
#ifndef PERCH_PROXY_REGISTRY_H
#define PERCH_PROXY_REGISTRY_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/table.h"
#include "release/meter.h"
#include "release/release.h"

struct registry_endpoint {
	/* Control only. */
	char *host;
	struct address address;         /* resolved, or AF_UNSPEC */
	uint16_t port;
	struct registry_endpoint *next; /* of the version, newest first */

	/* What a request looks at. */
	alignas(MEMORY_LINE) char *name; /* host:port */
	unsigned id;        /* dense, from 0: workers index their pools by it */
	uint32_t name_hash; /* low bits of XXH3_64(name): the cookie's */
	struct registry_version *version;
	/* Monotonic ns until which it is passed over after failed connects. */
	_Atomic uint64_t left_out_until_ns;
	_Atomic uint32_t connect_failures; /* in a row */
	struct meter meters[];             /* one for each worker */
};

/* What one worker has with all of a version's endpoints; it alone writes it. */
struct registry_load {
	alignas(MEMORY_LINE) _Atomic int64_t in_flight;
	struct meter_times times;
};

struct registry_version {
	struct registry_service *service;
	char *name;
	struct release_version *release; /* its standing */
	struct meter *meters; /* one for each worker: found no endpoint */
	struct registry_endpoint *endpoints;
	struct table by_name;          /* the same by name */
	struct registry_version *next; /* of the service, newest first */
	struct registry_load loads[];  /* one for each worker */
};

struct registry_service {
	alignas(MEMORY_LINE) const char *name; /* the release's */
	struct release release;
	struct meter *meters; /* one for each worker: found no version */
	bool is_moving; /* control only: see proxy/releases */
	struct registry_version *versions;
	struct registry_service *next;
};

/* What a worker counts that belongs to no service. One writer each. */
struct worker_counts {
	_Atomic uint64_t accepted;       /* client connections */
	_Atomic uint64_t refused;        /* over limits.connections, or out of descriptors */
	_Atomic uint64_t connections;    /* client connections now */
	_Atomic uint64_t upstream_connections; /* now, idle ones included */
	_Atomic uint64_t upstream_idle;        /* now */
	_Atomic uint64_t bad_requests;   /* no head could be parsed */
	_Atomic uint64_t unrouted;       /* no service matched */
	_Atomic uint64_t tunnels;        /* now */
	char apart[64]; /* so that two workers' counts share no cache line */
};

struct registry {
	unsigned n_workers;
	struct worker_counts *workers; /* one for each */
	struct registry_service *services; /* newest first */
	struct table by_name;              /* the same by name */
	unsigned n_endpoints;
};

void registry_init(struct registry *registry, unsigned n_workers);
/* At the very end, when no worker runs. */
void registry_free(struct registry *registry);

/* Each finds an entry or makes it. */
struct registry_service *registry_service(
	struct registry *registry, const char *name);
struct registry_version *registry_version(struct registry *registry,
	struct registry_service *service, const char *name);
struct registry_endpoint *registry_endpoint(struct registry *registry,
	struct registry_version *version, const char *name, const char *host,
	uint16_t port);

/* A version's sum over all workers and endpoints. out is overwritten. */
void registry_sum_version(const struct registry *registry,
	const struct registry_version *version, struct meter_counts *out);

/* Is it passed over now because connects to it failed? */
static inline bool
registry_endpoint_is_left_out(
	const struct registry_endpoint *endpoint, uint64_t now_ns)
{
	return atomic_load_explicit(&endpoint->left_out_until_ns,
		       memory_order_relaxed) > now_ns;
}

#endif
