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

/* Where no other key is present, the client is what maglev goes by. */
static bool
is_balanced_by_client(const struct config_service *config)
{
	const struct config_balance *balance = &config->balance;

	if (balance->policy != CONFIG_MAGLEV)
		return false;
	for (size_t i = 0; i < balance->n_key; i++)
		if (balance->key[i].source == CONFIG_KEY_ADDRESS ||
			balance->key[i].source == CONFIG_KEY_PATH)
			return false;
		else if (balance->key[i].source == CONFIG_KEY_CLIENT)
			return true;
	return true;
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
	if (service->n_versions > 1)
		registry_count_clients(registry, service->registry);
	service->wants_cookie = service->n_versions > 1 ||
				config->balance.affinity == CONFIG_TRUE ||
				is_balanced_by_client(config);
	for (i = 0; i < config->match.n_hosts; i++)
		for (j = 0; j < config->match.n_paths; j++)
			add_routes(snapshot, service, config->match.hosts[i],
				config->match.paths[j]);
}

/* --- the names of cookies ----------------------------------------------------- */

/* Who has a host, or a Domain: tables of names to the one service, or SEVERAL. */
static char several;
#define SEVERAL ((void *)&several)

static void
claim(struct table *claims, struct slice name,
	struct snapshot_service *service)
{
	void *first = table_find(claims, name);

	if (first == NULL)
		table_set(claims, name, service);
	else if (first != service)
		table_set(claims, name, SEVERAL);
}

static bool
is_claimed_by_another(const struct table *claims, struct slice name,
	const struct snapshot_service *service)
{
	const void *first = table_find(claims, name);

	return first != NULL && first != service;
}

/* "b.c" of "a.b.c"; false if nothing is left. */
static bool
take_label(struct slice *name)
{
	const char *dot = memchr(name->ptr, '.', name->len);

	if (dot == NULL)
		return false;
	name->len -= (size_t)(dot + 1 - name->ptr);
	name->ptr = dot + 1;
	return name->len > 0;
}

/* The name itself, or one that it is under. */
static bool
is_under_anothers(const struct table *claims, struct slice name,
	const struct snapshot_service *service)
{
	do {
		if (is_claimed_by_another(claims, name, service))
			return true;
	} while (take_label(&name));
	return false;
}

struct names {
	struct table hosts; /* as they stand in match.hosts */
	struct table domains;
	struct table above; /* each host and what it is under */
	unsigned n_services;
	unsigned n_any; /* services with a wildcard, "*" among them */
};

static bool
is_wildcard(struct slice host)
{
	return host.ptr[0] == '*';
}

static struct slice
base_of(struct slice wildcard)
{
	wildcard.ptr += wildcard.len > 1 ? 2 : 1;
	wildcard.len -= wildcard.len > 1 ? 2 : 1;
	return wildcard;
}

static void
claim_names(struct names *names, struct snapshot_service *service)
{
	const struct config_service *config = service->config;
	bool has_any = false;

	for (size_t i = 0; i < config->match.n_hosts; i++) {
		struct slice host = slice_from_string(config->match.hosts[i]);

		claim(&names->hosts, host, service);
		has_any = has_any || is_wildcard(host);
		if (is_wildcard(host))
			host = base_of(host);
		if (host.len == 0)
			continue;
		do
			claim(&names->above, host, service);
		while (take_label(&host));
	}
	names->n_any += has_any;
	if (config->sticky.domain != NULL)
		claim(&names->domains, slice_from_string(config->sticky.domain),
			service);
}

/* Does a browser send its cookie to another service as well, or another's to
 * it? A wildcard may cover any other service's host. */
static bool
shares_cookies(
	const struct names *names, const struct snapshot_service *service)
{
	const struct config_service *config = service->config;
	struct slice host;

	if (names->n_any > 0 && names->n_services > 1)
		return true;
	for (size_t i = 0; i < config->match.n_hosts; i++) {
		host = slice_from_string(config->match.hosts[i]);
		if (is_claimed_by_another(&names->hosts, host, service) ||
			is_under_anothers(&names->domains, host, service))
			return true;
	}
	return config->sticky.domain != NULL &&
	       is_claimed_by_another(&names->above,
		       slice_from_string(config->sticky.domain), service);
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

/* One cookie a service: where a browser may send it to several, its name tells
 * whose it is. */
static void
name_cookie(struct snapshot_service *service, const struct names *names)
{
	struct slice plain =
		slice_from_string(service->settings->sticky.cookie);
	struct slice suffixed = suffix_name(plain, service->name);
	bool is_shared = shares_cookies(names, service);

	service->cookie_name = is_shared ? suffixed : plain;
	service->former_cookie_name = is_shared ? plain : suffixed;
	service->suffixed_name = suffixed.ptr;
}

static void
name_cookies(struct snapshot *snapshot)
{
	struct names names = {.n_services = (unsigned)snapshot->n_services};

	table_init(&names.hosts);
	table_init(&names.domains);
	table_init(&names.above);
	for (size_t i = 0; i < snapshot->n_services; i++)
		claim_names(&names, &snapshot->services[i]);
	for (size_t i = 0; i < snapshot->n_services; i++)
		name_cookie(&snapshot->services[i], &names);
	table_free(&names.hosts);
	table_free(&names.domains);
	table_free(&names.above);
}

static void
index_cookies(struct snapshot_service *first)
{
	first->mates_by_cookie = memory_zalloc(sizeof(struct table));
	table_init(first->mates_by_cookie);
	for (uintptr_t i = 0; i < first->n_mates; i++)
		table_set(first->mates_by_cookie, first->mates[i]->cookie_name,
			(void *)(i + 1));
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
		if (first->mates_by_cookie == NULL)
			index_cookies(first);
		service->mates = first->mates;
		service->n_mates = first->n_mates;
		service->mates_by_cookie = first->mates_by_cookie;
	}
	table_free(&firsts);
}

/* The config's first, for perches that share it; its own last: what it signed
 * before it was given one stays good. */
_Static_assert(COOKIE_KEYS_MAX == SECRETS_MAX + 1, "and perch's own");

static void
take_keys(struct cookie_keys *keys, const struct config *config,
	const struct secret *own)
{
	const struct secrets *given = &config->sticky.secrets;

	for (size_t i = 0; i < given->n; i++)
		keys->keys[keys->n++] = siphash_key_of(given->items[i].bytes);
	keys->keys[keys->n++] = siphash_key_of(own->bytes);
}

struct snapshot *
snapshot_build(struct config *config, struct registry *registry,
	const struct secret *secret, struct access_log *access_log)
{
	struct snapshot *snapshot = memory_zalloc(sizeof(*snapshot));
	size_t i;

	snapshot->config = config;
	take_keys(&snapshot->cookie_keys, config, secret);
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

		if (service->n_mates == 0 || service->mates[0] != service)
			continue;
		table_free(service->mates_by_cookie);
		free(service->mates_by_cookie);
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

const char *
snapshot_route(const struct snapshot *snapshot, struct slice host,
	struct slice target, char *buf, const struct snapshot_service **service)
{
	if (snapshot->config->paths != CONFIG_PATHS_AS_IS)
		return route_resolve(
			&snapshot->routes, host, target, buf, service);
	*service = route_find(
		&snapshot->routes, host, route_path_cut(target));
	return NULL;
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
