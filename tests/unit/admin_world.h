/*
 * admin_world: a registry and snapshot made by hand, for tests of what the
 * admin server shows: service "shop" with v1 (two endpoints) and v2 (one).
 */
#ifndef PERCH_TESTS_ADMIN_WORLD_H
#define PERCH_TESTS_ADMIN_WORLD_H

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include "proxy/registry.h"
#include "proxy/releases.h"
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
	struct releases releases; /* without a journal */
};

static inline struct snapshot_endpoint
world_endpoint(struct registry_endpoint *endpoint)
{
	endpoint->address.any.sa_family = AF_INET;
	return (struct snapshot_endpoint){
		.registry = endpoint, .address = endpoint->address};
}

static inline void
world_init(struct world *world)
{
	static const char *const names[] = {"v1", "v2"};
	const struct release_config release = {
		.stable = "v1", .versions = names, .n_versions = 2};
	struct registry *registry = &world->registry;
	struct registry_service *shop;
	struct registry_unit *unit;
	struct error note;

	memset(world, 0, sizeof(*world));
	registry_init(registry, WORLD_WORKERS);
	shop = registry_service(registry, "shop");
	unit = registry_unit(registry, "shop");
	release_adopt(&shop->release, &unit->release, &release, 1, &note);
	world->v1 = registry_version(registry, shop, "v1");
	world->v2 = registry_version(registry, shop, "v2");
	world->a = registry_endpoint(registry, world->v1, "a:1", "a", 1);
	world->b = registry_endpoint(registry, world->v1, "b:1", "b", 1);
	world->c = registry_endpoint(registry, world->v2, "c:1", "c", 1);
	world->endpoints[0] = world_endpoint(world->a);
	world->endpoints[1] = world_endpoint(world->b);
	world->endpoints[2] = world_endpoint(world->c);
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
	world->config.name = shop->release.service;
	world->service = (struct snapshot_service){.registry = shop,
		.config = &world->config,
		.plan = config_default_plan(),
		.settings = &world->settings,
		.name = SLICE("shop"),
		.versions = world->versions,
		.n_versions = 2};
	world->snapshot.services = &world->service;
	world->snapshot.n_services = 1;
	table_init(&world->snapshot.by_name);
	table_set(&world->snapshot.by_name, SLICE("shop"), &world->service);
	world->releases.registry = registry;
	world->releases.snapshot = &world->snapshot;
}

static inline void
world_free(struct world *world)
{
	releases_close(&world->releases);
	table_free(&world->snapshot.by_name);
	registry_free(&world->registry);
}

static inline struct registry_unit *
world_unit(const struct world *world)
{
	return registry_unit_of(world->service.registry);
}

static inline void
world_acknowledge(enum judge_answer answer, const char *why, void *arg)
{
	assert(answer == JUDGE_DONE);
}

/* An operator's words, in force at once. */
static inline void
world_release(struct world *world, const char *version, uint16_t share_bp)
{
	const struct judge_word word = {
		.who = "me", .why = "", .ack = world_acknowledge};
	const struct releases_start start = {.unit = "shop",
		.version = version,
		.share_bp = share_bp,
		.is_auto = -1};

	releases_start(&world->releases, &start, &word);
}

static inline void
world_say(struct world *world, enum plan_word_kind kind)
{
	const struct judge_word word = {
		.who = "me", .why = "", .ack = world_acknowledge};
	const struct plan_word what = {.kind = kind};

	releases_say(&world->releases, "shop", &what, &word);
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
