#include "proxy/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "proxy/maglev.h"
#include "proxy/route_path.h"
#include "proxy/sequence.h"

static void
build_maglev(struct snapshot_version *version)
{
	struct maglev_member *members =
		memory_zalloc_array(version->n_endpoints, sizeof(*members));
	const struct snapshot_endpoint *endpoint;
	size_t i;

	for (i = 0; i < version->n_endpoints; i++) {
		endpoint = &version->endpoints[i];
		members[i].name_hash = hash_bytes(endpoint->registry->name,
			strlen(endpoint->registry->name), 0);
		members[i].weight = endpoint->weight;
	}
	version->maglev =
		memory_zalloc_array(MAGLEV_SIZE, sizeof(*version->maglev));
	maglev_build(version->maglev, members, version->n_endpoints);
	free(members);
}

static void
build_sequence(struct snapshot_version *version)
{
	unsigned *weights =
		memory_zalloc_array(version->n_endpoints, sizeof(*weights));
	size_t i;

	for (i = 0; i < version->n_endpoints; i++)
		weights[i] = version->endpoints[i].weight;
	version->sequence = sequence_build(
		weights, version->n_endpoints, &version->n_sequence);
	free(weights);
}

static int
compare_hashes(const void *a, const void *b)
{
	uint32_t hash_a = ((const struct snapshot_hash *)a)->name_hash;
	uint32_t hash_b = ((const struct snapshot_hash *)b)->name_hash;

	return hash_a < hash_b ? -1 : hash_a > hash_b ? 1 : 0;
}

static void
build_hashes(struct snapshot_version *version)
{
	size_t i;

	version->hashes = memory_zalloc_array(
		version->n_endpoints, sizeof(*version->hashes));
	for (i = 0; i < version->n_endpoints; i++) {
		version->hashes[i].name_hash =
			version->endpoints[i].registry->name_hash;
		version->hashes[i].index = (uint32_t)i;
	}
	qsort(version->hashes, version->n_endpoints, sizeof(*version->hashes),
		compare_hashes);
}

static void
build_version(struct snapshot_version *version, struct registry *registry,
	struct registry_service *service, const struct config_service *config,
	const struct config_version *config_version)
{
	const struct config_endpoint *from;
	struct snapshot_endpoint *to;
	size_t i;

	version->registry =
		registry_version(registry, service, config_version->name);
	version->release = version->registry->release;
	version->name = slice_from_string(version->registry->name);
	version->n_endpoints = config_version->n_endpoints;
	for (i = 0; i < version->n_endpoints; i++) {
		from = &config_version->endpoints[i];
		to = &version->endpoints[i];
		to->registry = registry_endpoint(registry, version->registry,
			from->name, from->host, from->port);
		to->address = to->registry->address;
		to->weight = from->weight;
		to->id = to->registry->id;
		version->total_weight += from->weight;
	}
	if (config->balance.affinity == CONFIG_TRUE)
		build_hashes(version);
	if (version->n_endpoints < 2)
		return;
	if (config->balance.policy == CONFIG_MAGLEV)
		build_maglev(version);
	if (config->balance.policy == CONFIG_ROUND_ROBIN)
		build_sequence(version);
}

const struct config_plan *
snapshot_find_plan(const struct snapshot *snapshot, const char *name)
{
	const struct config_plan *built_in = config_default_plan();
	const struct config *config = snapshot->config;
	size_t i;

	if (name == NULL || strcmp(name, built_in->name) == 0)
		return built_in;
	for (i = 0; i < config->n_plans; i++)
		if (strcmp(config->plans[i].name, name) == 0)
			return &config->plans[i];
	return NULL;
}

/* Versions and endpoints in one piece: what a request reads of them lies
 * together. */
static void
build_versions(struct snapshot_service *service,
	const struct config_service *config, struct registry *registry)
{
	struct snapshot_endpoint *endpoints;
	size_t size = config->n_versions * sizeof(*service->versions);
	size_t i;

	for (i = 0; i < config->n_versions; i++)
		size += config->versions[i].n_endpoints * sizeof(*endpoints);
	service->n_versions = config->n_versions;
	service->versions = memory_zalloc_lines(size);
	endpoints = (struct snapshot_endpoint *)(void *)(service->versions +
							 config->n_versions);
	for (i = 0; i < config->n_versions; i++) {
		service->versions[i].endpoints = endpoints;
		build_version(&service->versions[i], registry,
			service->registry, config, &config->versions[i]);
		endpoints += service->versions[i].n_endpoints;
	}
}

static struct slice
find_plain_host(const struct config_service *config)
{
	size_t i;

	for (i = 0; i < config->match.n_hosts; i++)
		if (strchr(config->match.hosts[i], '*') == NULL)
			return slice_from_string(config->match.hosts[i]);
	return SLICE_NONE;
}

/* A prefix as requests' paths are compared with it. The config's check leaves
 * only codes to be decoded, and what can't be is never asked for. */
static void
add_routes(struct snapshot *snapshot, struct snapshot_service *service,
	const char *host, const char *path)
{
	struct slice prefix = slice_from_string(path);
	char *buf = memory_zalloc(prefix.len);
	unsigned doubts;

	if (snapshot->config->paths == CONFIG_PATHS_AS_IS ||
		route_path_read(prefix, ROUTE_PATH_CANONICAL, buf, &prefix,
			&doubts) == NULL)
		route_add(&snapshot->routes, slice_from_string(host), prefix,
			service);
	free(buf);
}

static void
build_service(struct snapshot *snapshot, struct snapshot_service *service,
	const struct config_service *config, struct registry *registry)
{
	size_t i;
	size_t j;

	service->registry = registry_service(registry, config->name);
	service->unit = registry_unit_of(service->registry);
	service->config = config;
	service->plan = snapshot_find_plan(snapshot, config->plan);
	service->settings = settings_share(&snapshot->settings, config);
	service->name = slice_from_string(service->registry->name);
	service->plain_host = find_plain_host(config);
	build_versions(service, config, registry);
	for (i = 0; i < config->match.n_hosts; i++)
		for (j = 0; j < config->match.n_paths; j++)
			add_routes(snapshot, service, config->match.hosts[i],
				config->match.paths[j]);
}

/* How many services have each host: one alone keeps the plain cookie name. */
static void
count_hosts(const struct config *config, struct table *counts,
	uintptr_t *n_any)
{
	const struct config_service *service;
	struct slice host;
	uintptr_t n;
	size_t i;
	size_t j;

	for (i = 0; i < config->n_services; i++) {
		service = &config->services[i];
		for (j = 0; j < service->match.n_hosts; j++) {
			host = slice_from_string(service->match.hosts[j]);
			n = (uintptr_t)table_find(counts, host) + 1;
			table_set(counts, host, (void *)n);
			if (host.ptr[0] == '*')
				(*n_any)++;
		}
	}
}

static bool
shares_host(const struct config_service *service, const struct table *counts,
	uintptr_t n_any)
{
	size_t i;

	for (i = 0; i < service->match.n_hosts; i++)
		if ((uintptr_t)table_find(counts,
			    slice_from_string(service->match.hosts[i])) > 1)
			return true;
	/* A wildcard may cover any other service's host. */
	return n_any > 1;
}

static struct slice
suffix_name(struct slice name, struct slice suffix)
{
	char *out = memory_zalloc(name.len + 1 + suffix.len);

	memcpy(out, name.ptr, name.len);
	out[name.len] = '_';
	memcpy(out + name.len + 1, suffix.ptr, suffix.len);
	return (struct slice){out, name.len + 1 + suffix.len};
}

/* One cookie a service: where services share a host, its name tells whose. */
static void
name_cookies(struct snapshot *snapshot)
{
	const struct config *config = snapshot->config;
	struct snapshot_service *service;
	struct slice plain;
	struct slice suffixed;
	struct table counts;
	uintptr_t n_any = 0;
	size_t i;

	table_init(&counts);
	count_hosts(config, &counts, &n_any);
	if (n_any > 0 && config->n_services > 1)
		n_any = 2;
	for (i = 0; i < snapshot->n_services; i++) {
		service = &snapshot->services[i];
		plain = slice_from_string(service->settings->sticky.cookie);
		suffixed = suffix_name(plain, service->name);
		if (shares_host(service->config, &counts, n_any)) {
			service->cookie_name = suffixed;
			service->former_cookie_name = plain;
		} else {
			service->cookie_name = plain;
			service->former_cookie_name = suffixed;
		}
		service->suffixed_name = suffixed.ptr;
	}
	table_free(&counts);
}

/* The first service of each group has the list of its mates, the others the
 * same. */
static void
join_groups(struct snapshot *snapshot)
{
	struct snapshot_service *service, *first;
	struct slice group;
	struct table firsts;

	table_init(&firsts);
	for (size_t i = 0; i < snapshot->n_services; i++) {
		service = &snapshot->services[i];
		if (service->config->group == NULL)
			continue;
		group = slice_from_string(service->config->group);
		first = table_find(&firsts, group);
		if (first == NULL)
			table_set(&firsts, group, first = service);
		first->mates = memory_realloc_array(first->mates,
			first->n_mates + 1, sizeof(*first->mates));
		first->mates[first->n_mates++] = service;
	}
	for (size_t i = 0; i < snapshot->n_services; i++) {
		service = &snapshot->services[i];
		if (service->config->group == NULL)
			continue;
		first = table_find(
			&firsts, slice_from_string(service->config->group));
		service->mates = first->mates;
		service->n_mates = first->n_mates;
	}
	table_free(&firsts);
}

struct snapshot *
snapshot_build(struct config *config, struct registry *registry,
	struct access_log *access_log)
{
	struct snapshot *snapshot = memory_zalloc(sizeof(*snapshot));
	size_t i;

	snapshot->config = config;
	snapshot->access_log = access_log;
	snapshot->n_services = config->n_services;
	snapshot->services = memory_zalloc_lines(
		config->n_services * sizeof(*snapshot->services));
	route_init(&snapshot->routes);
	settings_set_init(&snapshot->settings);
	table_init(&snapshot->by_name);
	for (i = 0; i < config->n_services; i++) {
		snapshot->services[i].index = (unsigned)i;
		build_service(snapshot, &snapshot->services[i],
			&config->services[i], registry);
		table_set(&snapshot->by_name, snapshot->services[i].name,
			&snapshot->services[i]);
	}
	name_cookies(snapshot);
	join_groups(snapshot);
	return snapshot;
}

/* From the last to the first, which has the list. */
static void
free_groups(struct snapshot *snapshot)
{
	for (size_t i = snapshot->n_services; i-- > 0;) {
		struct snapshot_service *service = &snapshot->services[i];

		if (service->n_mates > 0 && service->mates[0] == service)
			free(service->mates);
	}
}

void
snapshot_free(struct snapshot *snapshot)
{
	struct snapshot_service *service;
	struct snapshot_version *version;
	size_t i;
	size_t j;

	free_groups(snapshot);
	for (i = 0; i < snapshot->n_services; i++) {
		service = &snapshot->services[i];
		for (j = 0; j < service->n_versions; j++) {
			version = &service->versions[j];
			free(version->maglev);
			free(version->sequence);
			free(version->hashes);
		}
		free(service->versions);
		free((char *)(uintptr_t)service->suffixed_name);
	}
	free(snapshot->services);
	route_free(&snapshot->routes);
	settings_set_free(&snapshot->settings);
	table_free(&snapshot->by_name);
	config_free(snapshot->config);
	free(snapshot);
}

const struct snapshot_service *
snapshot_find_service(const struct snapshot *snapshot, struct slice name)
{
	return table_find(&snapshot->by_name, name);
}

int
snapshot_find_version(const struct snapshot_service *service, struct slice name)
{
	size_t i;

	for (i = 0; i < service->n_versions; i++)
		if (slice_equal(service->versions[i].name, name))
			return (int)i;
	return -1;
}

const struct snapshot_endpoint *
snapshot_find_endpoint(
	const struct snapshot_version *version, uint32_t name_hash)
{
	struct snapshot_hash key = {name_hash, 0};
	const struct snapshot_hash *found;

	if (version->hashes == NULL)
		return NULL;
	found = bsearch(&key, version->hashes, version->n_endpoints,
		sizeof(*version->hashes), compare_hashes);
	return found != NULL ? &version->endpoints[found->index] : NULL;
}
