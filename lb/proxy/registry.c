#include "proxy/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

void
registry_init(struct registry *registry, unsigned n_workers)
{
	memset(registry, 0, sizeof(*registry));
	table_init(&registry->by_name);
	table_init(&registry->units_by_name);
	registry->n_workers = n_workers;
	registry->workers =
		memory_zalloc_array(n_workers, sizeof(struct worker_counts));
}

static void
free_version(struct registry_version *version)
{
	struct registry_endpoint *endpoint;

	while ((endpoint = version->endpoints) != NULL) {
		version->endpoints = endpoint->next;
		free(endpoint->name);
		free(endpoint->host);
		free(endpoint);
	}
	table_free(&version->by_name);
	free(version->name);
	free(version->meters);
	free(version);
}

static void
free_watchers(struct registry_service *service)
{
	const struct registry_watchers *watchers =
		atomic_load(&service->watchers);
	const struct registry_watchers *previous;

	for (; watchers != NULL; watchers = previous) {
		previous = watchers->previous;
		free((void *)(uintptr_t)watchers);
	}
}

static void
free_units(struct registry *registry)
{
	struct registry_unit *unit;

	while ((unit = registry->units) != NULL) {
		registry->units = unit->next;
		crowd_publish(&unit->release.crowd, NULL, 0);
		crowd_reclaim(&unit->release.crowd, UINT64_MAX);
		free(unit->flights);
		free(unit);
	}
	table_free(&registry->units_by_name);
}

void
registry_free(struct registry *registry)
{
	struct registry_service *service;
	struct registry_version *version;

	while ((service = registry->services) != NULL) {
		registry->services = service->next;
		while ((version = service->versions) != NULL) {
			service->versions = version->next;
			free_version(version);
		}
		release_free(&service->release);
		free_watchers(service);
		free(service->meters);
		free(registry_clients_of(service));
		free(service);
	}
	table_free(&registry->by_name);
	free_units(registry);
	free(registry->workers);
}

static struct meter *
new_meters(const struct registry *registry)
{
	return memory_zalloc_lines(registry->n_workers * sizeof(struct meter));
}

struct registry_service *
registry_service(struct registry *registry, const char *name)
{
	struct slice key = slice_from_string(name);
	struct registry_service *service = table_find(&registry->by_name, key);

	if (service != NULL)
		return service;
	service = memory_zalloc_lines(sizeof(*service));
	service->meters = new_meters(registry);
	release_init(&service->release, name);
	/* Where a request looks anyway. */
	service->name = service->release.service;
	service->next = registry->services;
	registry->services = service;
	table_set(&registry->by_name, key, service);
	return service;
}

void
registry_count_clients(
	struct registry *registry, struct registry_service *service)
{
	if (registry_clients_of(service) != NULL)
		return;
	/* Workers may be asking for it already. */
	atomic_store_explicit(&service->clients,
		memory_zalloc_lines(registry->n_workers *
				    sizeof(struct registry_clients)),
		memory_order_release);
}

struct registry_unit *
registry_unit(struct registry *registry, const char *name)
{
	struct slice key = slice_from_string(name);
	struct registry_unit *unit = table_find(&registry->units_by_name, key);

	if (unit != NULL)
		return unit;
	unit = memory_zalloc_lines(sizeof(*unit));
	release_unit_init(&unit->release, name, &registry->last_generation);
	unit->flights = memory_zalloc_array(
		registry->n_workers, sizeof(*unit->flights));
	for (unsigned i = 0; i < registry->n_workers; i++)
		crowd_flights_init(&unit->flights[i].flights);
	unit->next = registry->units;
	registry->units = unit;
	table_set(&registry->units_by_name,
		slice_from_string(unit->release.name), unit);
	return unit;
}

void
registry_set_watch(
	struct registry_service *service, const struct registry_watch *watch)
{
	const struct registry_watchers *old = atomic_load_explicit(
		&service->watchers, memory_order_relaxed);
	size_t n_old = old != NULL ? old->n : 0;
	struct registry_watchers *now = memory_zalloc(
		sizeof(*now) + (n_old + 1) * sizeof(now->items[0]));

	for (size_t i = 0; i < n_old; i++)
		if (old->items[i].unit != watch->unit)
			now->items[now->n++] = old->items[i];
	if (watch->member != NULL)
		now->items[now->n++] = *watch;
	now->previous = old;
	atomic_store_explicit(&service->watchers, now, memory_order_release);
}

struct registry_version *
registry_version(struct registry *registry, struct registry_service *service,
	const char *name)
{
	struct registry_version *version;

	for (version = service->versions; version != NULL;
		version = version->next)
		if (strcmp(version->name, name) == 0)
			return version;
	version = memory_zalloc_lines(
		sizeof(*version) +
		registry->n_workers * sizeof(version->loads[0]));
	version->service = service;
	version->name = memory_strdup(name);
	version->meters = new_meters(registry);
	version->release = release_version_by_name(&service->release, name);
	table_init(&version->by_name);
	version->next = service->versions;
	service->versions = version;
	return version;
}

struct registry_endpoint *
registry_endpoint(struct registry *registry, struct registry_version *version,
	const char *name, const char *host, uint16_t port)
{
	struct slice key = slice_from_string(name);
	struct registry_endpoint *endpoint =
		table_find(&version->by_name, key);

	if (endpoint != NULL)
		return endpoint;
	endpoint = memory_zalloc_lines(
		sizeof(*endpoint) +
		registry->n_workers * sizeof(endpoint->meters[0]));
	endpoint->id = registry->n_endpoints++;
	endpoint->version = version;
	endpoint->name = memory_strdup(name);
	endpoint->host = memory_strdup(host);
	endpoint->port = port;
	endpoint->name_hash = (uint32_t)hash_bytes(name, strlen(name), 0);
	/* An address needs no resolving. */
	address_parse_ip(slice_from_string(host), port, &endpoint->address);
	endpoint->next = version->endpoints;
	version->endpoints = endpoint;
	table_set(&version->by_name, key, endpoint);
	return endpoint;
}

static void
add_meters(const struct registry *registry, const struct meter *meters,
	struct meter_counts *out)
{
	unsigned i;

	for (i = 0; i < registry->n_workers; i++)
		meter_sum(&meters[i], out);
}

void
registry_sum_version(const struct registry *registry,
	const struct registry_version *version, struct meter_counts *out)
{
	const struct registry_endpoint *endpoint;
	unsigned i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < registry->n_workers; i++)
		meter_times_sum(&version->loads[i].times, out);
	add_meters(registry, version->meters, out);
	for (endpoint = version->endpoints; endpoint != NULL;
		endpoint = endpoint->next)
		add_meters(registry, endpoint->meters, out);
}
