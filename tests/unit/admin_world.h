/*
 * admin_world: a registry and snapshot made by hand, for tests of what the
 * admin server shows: service "shop" with v1 (two endpoints) and v2 (one).
 */
#ifndef PERCH_TESTS_ADMIN_WORLD_H
#define PERCH_TESTS_ADMIN_WORLD_H

#include <assert.h>
#include <string.h>

#include "proxy/registry.h"
#include "proxy/snapshot.h"

#define WORLD_WORKERS 2

struct world {
	struct registry registry;
	struct registry_endpoint *a, *b, *c; /* v1's, v1's, v2's */
	struct registry_version *v1, *v2;
	struct snapshot_endpoint endpoints[3];
	struct snapshot_version versions[2];
	struct config_service config;
	struct settings settings;
	struct snapshot_service service;
	struct snapshot snapshot;
};

static inline void
world_init(struct world *world)
{
	static const char *const names[] = {"v1", "v2"};
	const struct release_config release = {
		.stable = "v1", .versions = names, .n_versions = 2};
	struct registry *registry = &world->registry;
	struct registry_service *shop;
	struct error note;

	memset(world, 0, sizeof(*world));
	registry_init(registry, WORLD_WORKERS);
	shop = registry_service(registry, "shop");
	release_adopt(&shop->release, &release, NULL, 1, &note);
	world->v1 = registry_version(registry, shop, "v1");
	world->v2 = registry_version(registry, shop, "v2");
	world->a = registry_endpoint(registry, world->v1, "a:1", "a", 1);
	world->b = registry_endpoint(registry, world->v1, "b:1", "b", 1);
	world->c = registry_endpoint(registry, world->v2, "c:1", "c", 1);
	world->endpoints[0] = (struct snapshot_endpoint){.registry = world->a};
	world->endpoints[1] = (struct snapshot_endpoint){.registry = world->b};
	world->endpoints[2] = (struct snapshot_endpoint){.registry = world->c};
	world->versions[0] = (struct snapshot_version){.registry = world->v1,
		.release = world->v1->release,
		.name = SLICE("v1"),
		.endpoints = world->endpoints,
		.n_endpoints = 2};
	world->versions[1] = (struct snapshot_version){.registry = world->v2,
		.release = world->v2->release,
		.name = SLICE("v2"),
		.endpoints = world->endpoints + 2,
		.n_endpoints = 1};
	world->service = (struct snapshot_service){.registry = shop,
		.config = &world->config,
		.settings = &world->settings,
		.name = SLICE("shop"),
		.versions = world->versions,
		.n_versions = 2};
	world->snapshot.services = &world->service;
	world->snapshot.n_services = 1;
}

static inline void
world_free(struct world *world)
{
	registry_free(&world->registry);
}

/* A worker's request that took so long and was answered with that class. */
static inline void
world_request(struct registry_endpoint *endpoint, unsigned worker,
	unsigned response_class, uint64_t duration_ns)
{
	struct meter_times *times = &endpoint->version->loads[worker].times;

	meter_add(&endpoint->meters[worker].responses[response_class], 1);
	histogram_record(&times->first_byte, duration_ns);
	histogram_record(&times->total, duration_ns);
}

#endif
