/*
 * registry: what must outlive a reload, by name: meters, endpoint state and
 * each service's release.
 *
 * Made and extended by the control thread only, when it builds a snapshot.
 * Entries are never freed while perch runs, so whoever got a pointer from a
 * snapshot may keep it. Workers write their own meters and an endpoint's marks:
 * that connects to it fail, that it has come back, that it sends what nobody
 * asked for. Everything else here is read-only to them.
 */
#ifndef PERCH_PROXY_REGISTRY_H
#define PERCH_PROXY_REGISTRY_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/table.h"
#include "proxy/bad_answer.h"
#include "proxy/shared_address.h"
#include "proxy/sticky.h"
#include "release/meter.h"
#include "release/release.h"

#define REGISTRY_STATUS_WORDS 16 /* room for 0 to 1023 */
#define REGISTRY_HURTS 2

/* What its checks found (proxy/health). */
enum registry_health {
	HEALTH_UNKNOWN, /* none was made, or not enough: counts as up */
	HEALTH_UP,
	HEALTH_DOWN,
};

/* Behind which answers it was seen to send bytes that nobody asked for. */
enum registry_unasked {
	UNASKED_NEVER,
	UNASKED_BEHIND_HEAD, /* those that end with their head */
	UNASKED_BEHIND_ANY,
};

struct judge;

struct registry_endpoint {
	/* Control only. */
	char *host;
	struct address address;         /* resolved, or AF_UNSPEC */
	uint16_t port;
	struct registry_endpoint *next; /* of the version, newest first */

	/* When the log was last told of a malformed answer, monotonic, and how
	 * many it wasn't told of since; any worker's. */
	_Atomic uint64_t bad_answer_said_ns;
	_Atomic uint64_t n_bad_answers_unsaid;

	/* What a request looks at. */
	alignas(MEMORY_LINE) char *name; /* host:port */
	unsigned id;        /* dense, from 0: workers index their pools by it */
	uint32_t name_hash; /* low bits of XXH3_64(name): the cookie's */
	struct registry_version *version;
	/* Monotonic ns until which it is passed over after failed connects. */
	_Atomic uint64_t left_out_until_ns;
	_Atomic uint32_t connect_failures; /* in a row */
	_Atomic uint8_t health;            /* enum registry_health; control's */
	_Atomic uint8_t unasked; /* enum registry_unasked */
	/* Monotonic ns until which that counts: see proxy/upstream_rest. */
	_Atomic uint64_t unasked_until_ns;
	/* Monotonic ns since which it is there, or has come back. */
	_Atomic uint64_t up_since_ns;
	struct meter meters[]; /* one for each worker */
};

/* What one worker has with all of a version's endpoints; it alone writes it. */
struct registry_load {
	alignas(MEMORY_LINE) _Atomic int64_t in_flight;
	uint64_t n_heads; /* final response heads; for itself alone */
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
	/* Monotonic ns until which rescue doesn't ask it, for it was late: for
	 * anything, and for what isn't the same for everybody. */
	_Atomic uint64_t slow_until_ns;
	_Atomic uint64_t slow_to_calls_until_ns;
	struct registry_load loads[];  /* one for each worker */
};

/* How one worker's requests of a service with several versions knew their
 * clients. */
struct registry_clients {
	alignas(MEMORY_LINE) _Atomic uint64_t known[STICKY_N_KNOWN];
	struct shared_address addresses;
};

struct registry_service {
	alignas(MEMORY_LINE) const char *name; /* the release's */
	/* Releases that watch it; NULL: none does. */
	_Atomic(const struct registry_watchers *) watchers;
	struct release release;
	struct meter *meters; /* one for each worker: found no version */
	/* One for each worker; NULL: it has never had several versions. */
	_Atomic(struct registry_clients *) clients;
	bool is_moving; /* control only: see proxy/releases */
	/* Control only: see proxy/eviction. */
	const struct release_version *candidate_seen;
	struct registry_version *versions;
	struct registry_service *next;
	/* How long a candidate's answer is waited for, until stable is asked; 0: as
	 * long as any. Control's: see proxy/patience. */
	_Atomic uint64_t patience_ns;
	/* Clients of the candidate that requests of this service have newly hurt,
	 * by EVIDENCE_ERRORS and EVIDENCE_NOT_FOUND; for words only. All workers
	 * write it, which is rare. */
	alignas(MEMORY_LINE) _Atomic uint64_t hurt[REGISTRY_HURTS];
};

/* A worker's samples in flight, apart from the other workers'. */
struct registry_flights {
	struct crowd_flights flights;
	char apart[48];
};

/* What is released together: a service, or a group of them. */
struct registry_unit {
	/* The first member: see registry_unit_of. */
	alignas(MEMORY_LINE) struct release_unit release;
	struct registry_flights *flights; /* one for each worker */
	/* By status: bits of 1 << (status % 64). Of the plan that runs. */
	_Atomic uint64_t error_statuses[REGISTRY_STATUS_WORDS];
	_Atomic uint64_t watch_statuses[REGISTRY_STATUS_WORDS];
	/* Control only. */
	struct judge *judge; /* proxy/releases'; NULL: never released */
	struct registry_unit *next; /* newest first */
};

/* A release that counts what happens to its clients at another service. */
struct registry_watch {
	struct registry_unit *unit;
	unsigned index; /* which of the release's watches */
	/* How its clients are known: a service of the unit. */
	const struct registry_service *member;
};

/* Immutable. */
struct registry_watchers {
	size_t n;
	const struct registry_watchers *previous; /* kept: it may be in use */
	struct registry_watch items[];
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
	_Atomic uint64_t bad_answers[BAD_ANSWER_REASONS];
	_Atomic uint64_t cut_short; /* early answers whose client sent on, closed at once */
	char apart[64]; /* so that two workers' counts share no cache line */
};

struct registry {
	unsigned n_workers;
	struct worker_counts *workers; /* one for each */
	struct registry_service *services; /* newest first */
	struct table by_name;              /* the same by name */
	struct registry_unit *units;
	struct table units_by_name;
	uint32_t last_generation; /* of all releases */
	unsigned n_endpoints;
};

void registry_init(struct registry *registry, unsigned n_workers);
/* At the very end, when no worker runs. */
void registry_free(struct registry *registry);

/* Each finds an entry or makes it. */
struct registry_unit *registry_unit(
	struct registry *registry, const char *name);
struct registry_service *registry_service(
	struct registry *registry, const char *name);
struct registry_version *registry_version(struct registry *registry,
	struct registry_service *service, const char *name);
/* The service has several versions. */
void registry_count_clients(
	struct registry *registry, struct registry_service *service);
struct registry_endpoint *
registry_endpoint(struct registry *registry, struct registry_version *version,
	const char *name, const char *host, uint16_t port);

/* For workers to see with their next request: watch is added, or, where it has
 * no member, the unit's is taken away. */
void registry_set_watch(
	struct registry_service *service, const struct registry_watch *watch);

/* What the service is released with. Only after release_adopt(). */
static inline struct registry_unit *
registry_unit_of(const struct registry_service *service)
{
	return (struct registry_unit *)(uintptr_t)atomic_load_explicit(
		&service->release.unit, memory_order_acquire);
}

static inline struct registry_clients *
registry_clients_of(const struct registry_service *service)
{
	return atomic_load_explicit(&service->clients, memory_order_acquire);
}

/* One that only a coming or refused config knows has no members yet. */
static inline bool
registry_unit_is_adopted(const struct registry_unit *unit)
{
	return unit->release.members != NULL;
}

/* In one of a unit's sets. */
static inline bool
registry_has_status(const _Atomic uint64_t *statuses, unsigned status)
{
	return status < REGISTRY_STATUS_WORDS * 64 &&
	       (atomic_load_explicit(&statuses[status / 64],
			memory_order_relaxed) >>
		       status % 64 & 1) != 0;
}

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

/* Do its checks fail? */
static inline bool
registry_endpoint_is_down(const struct registry_endpoint *endpoint)
{
	return atomic_load_explicit(&endpoint->health, memory_order_relaxed) ==
	       HEALTH_DOWN;
}

/* Is it passed over now, for one or the other? */
static inline bool
registry_endpoint_is_passed_over(
	const struct registry_endpoint *endpoint, uint64_t now_ns)
{
	return registry_endpoint_is_left_out(endpoint, now_ns) ||
	       registry_endpoint_is_down(endpoint);
}

/*
 * Is it so new, or so newly back, that its latency says nothing? now_ns may be
 * a little before that moment, as each thread reads the clock for itself.
 */
static inline bool
registry_endpoint_is_warming_up(const struct registry_endpoint *endpoint,
	uint64_t warmup_ns, uint64_t now_ns)
{
	return atomic_load_explicit(&endpoint->up_since_ns,
		       memory_order_relaxed) +
		       warmup_ns >
	       now_ns;
}

#endif
