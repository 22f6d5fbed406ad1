#include "config/check.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/table.h"
#include "config/check_release.h"
#include "config/suggest.h"

/* Hosts times paths, over all services: what the router must hold. */
#define MAX_ROUTES 65536
#define MAX_NEAR_NAMES 256

static struct report_place
place_or(const struct reader *reader, const void *member,
	struct report_place otherwise)
{
	const struct report_place *place = reader_place(reader, member);

	return place != NULL ? *place : otherwise;
}

static struct report_place
place_of(const struct reader *reader, const void *member)
{
	return place_or(reader, member, (struct report_place){1, 1});
}

/*
 * Reports what if key was seen before. Seen keys point at something of which
 * the place is known.
 */
static void
check_unique(const struct reader *reader, struct table *seen, struct slice key,
	void *member, const char *what)
{
	const void *first = table_find(seen, key);

	if (first == NULL) {
		table_set(seen, key, member);
		return;
	}
	report_error(reader->report, place_of(reader, member),
		"%s is given twice, first in line %u", what,
		place_of(reader, first).line);
}

static void
check_listeners(const struct reader *reader)
{
	struct config *config = reader->config;
	struct table seen;
	size_t i;

	table_init(&seen);
	for (i = 0; i < config->n_listeners; i++) {
		struct config_listener *listener = &config->listeners[i];
		char text[ADDRESS_TEXT_SIZE], what[ADDRESS_TEXT_SIZE + 16];
		size_t len = address_format(&listener->bind, text);

		if (address_len(&listener->bind) == 0)
			continue;
		snprintf(what, sizeof(what), "listener %s", text);
		check_unique(reader, &seen, (struct slice){text, len}, listener,
			what);
	}
	table_free(&seen);
}

/* Only root can become another one; who isn't starts all the same. */
static void
check_user(const struct reader *reader)
{
	const struct config *config = reader->config;

	if (config->user == NULL || getpwnam(config->user) != NULL)
		return;
	if (geteuid() == 0)
		report_error(reader->report, place_of(reader, &config->user),
			"user: no user \"%s\" on this system", config->user);
	else
		report_warning(reader->report, place_of(reader, &config->user),
			"user: no user \"%s\" on this system, whom perch would "
			"become if started as root",
			config->user);
}

static bool
is_loopback(const char *bind)
{
	struct cidr loopback[2];
	struct address address;
	char host[ADDRESS_HOST_SIZE];
	uint16_t port;

	return cidr_parse(SLICE("127.0.0.0/8"), &loopback[0]) &&
	       cidr_parse(SLICE("::1"), &loopback[1]) &&
	       address_split(slice_from_string(bind), 0, host, &port) &&
	       address_parse_ip(slice_from_string(host), port, &address) &&
	       cidr_matches_any(loopback, 2, &address);
}

static void
check_admin(const struct reader *reader)
{
	struct config_admin *admin = &reader->config->admin;
	struct table seen;
	size_t i;

	table_init(&seen);
	for (i = 0; i < admin->n_bind; i++) {
		const char *bind = admin->bind[i];
		char what[192];

		if (bind == NULL)
			continue;
		snprintf(what, sizeof(what), "admin.bind %s", bind);
		check_unique(reader, &seen, slice_from_string(bind),
			&admin->bind[i], what);
		if (strncmp(bind, "unix:", 5) == 0 || is_loopback(bind))
			continue;
		report_warning(reader->report,
			place_of(reader, &admin->bind[i]),
			"admin.bind: the admin server asks for no password, "
			"and %s is no loopback address",
			bind);
	}
	table_free(&seen);
}

static void
check_notify(const struct reader *reader)
{
	struct config *config = reader->config;
	struct table seen;
	size_t i;

	table_init(&seen);
	for (i = 0; i < config->n_notify; i++) {
		struct config_webhook *webhook = &config->notify[i];

		if (webhook->url == NULL)
			continue;
		check_unique(reader, &seen, slice_from_string(webhook->url),
			&webhook->url, "this URL of notify");
		if (webhook->ca == NULL ||
			strncmp(webhook->url, "https:", 6) == 0)
			continue;
		report_warning(reader->report, place_of(reader, &webhook->ca),
			"notify[%zu].ca: has an effect on an https URL only",
			i);
	}
	table_free(&seen);
}

static void
check_endpoints(const struct reader *reader, struct config_version *version)
{
	struct table seen;
	size_t i;

	table_init(&seen);
	for (i = 0; i < version->n_endpoints; i++) {
		struct config_endpoint *endpoint = &version->endpoints[i];
		char what[ADDRESS_HOST_SIZE + 128];

		if (endpoint->name == NULL)
			continue;
		snprintf(what, sizeof(what), "endpoint %s of version \"%.*s\"",
			endpoint->name, REPORT_QUOTE_LEN, version->name);
		check_unique(reader, &seen, slice_from_string(endpoint->name),
			endpoint, what);
	}
	table_free(&seen);
}

static const char *
nearest_version(const struct config_service *service, const char *name)
{
	const char *names[MAX_NEAR_NAMES];
	size_t i, n = 0;

	for (i = 0; i < service->n_versions && n < MAX_NEAR_NAMES; i++)
		names[n++] = service->versions[i].name;
	return suggest_word(name, names, n);
}

static void
report_unknown_version(
	const struct reader *reader, const struct config_service *service)
{
	struct report_place place = place_of(reader, &service->stable);
	const char *near = nearest_version(service, service->stable);

	if (near != NULL)
		report_error(reader->report, place,
			"services.%.*s.stable: no version \"%s\", did you mean "
			"\"%.*s\"?",
			REPORT_QUOTE_LEN, service->name, service->stable,
			REPORT_QUOTE_LEN, near);
	else
		report_error(reader->report, place,
			"services.%.*s.stable: no version \"%s\" in its "
			"versions",
			REPORT_QUOTE_LEN, service->name, service->stable);
}

static void
check_stable(const struct reader *reader, struct config_service *service)
{
	size_t i;

	/* Without versions, or with a bad name, it has been reported. */
	if (service->n_versions == 0 ||
		(service->stable == NULL &&
			reader_place(reader, &service->stable) != NULL))
		return;
	if (service->stable == NULL && service->n_versions == 1) {
		service->stable = memory_strdup(service->versions[0].name);
		return;
	}
	if (service->stable == NULL) {
		report_error(reader->report, place_of(reader, &service->name),
			"missing key \"stable\" in services.%.*s, which has "
			"%zu versions",
			REPORT_QUOTE_LEN, service->name, service->n_versions);
		return;
	}
	for (i = 0; i < service->n_versions; i++) {
		if (strcmp(service->versions[i].name, service->stable) == 0)
			return;
	}
	report_unknown_version(reader, service);
}

/* Read along with the config: what can't be is refused with it. */
static void
read_secrets(const struct reader *reader, char *const *path,
	struct secrets *out, const char *key)
{
	struct error error;

	if (*path != NULL && !secrets_load(*path, out, &error))
		report_error(reader->report, place_of(reader, path), "%s: %s",
			key, error.message);
}

static void
check_override(const struct reader *reader, struct config_service *service)
{
	struct config_sticky *sticky = &service->sticky;
	char key[REPORT_QUOTE_LEN + 64];

	snprintf(key, sizeof(key), "services.%.*s.sticky.override_keys",
		REPORT_QUOTE_LEN, service->name);
	read_secrets(
		reader, &sticky->override_keys, &sticky->override_secrets, key);
	if (sticky->override == CONFIG_OVERRIDE_KEY &&
		sticky->override_keys == NULL &&
		reader_place(reader, &sticky->override_keys) == NULL)
		report_error(reader->report,
			place_of(reader, &sticky->override),
			"services.%.*s.sticky.override: key needs "
			"override_keys",
			REPORT_QUOTE_LEN, service->name);
	if (sticky->override != CONFIG_OVERRIDE_KEY &&
		sticky->override_keys != NULL)
		report_warning(reader->report,
			place_of(reader, &sticky->override_keys),
			"%s: has an effect with override: key only", key);
}

/* What browsers would refuse. */
static void
check_cookie(const struct reader *reader, struct config_service *service)
{
	struct config_sticky *sticky = &service->sticky;

	if (sticky->same_site == CONFIG_SAME_SITE_NONE &&
		sticky->secure == CONFIG_SECURE_NEVER)
		report_error(reader->report, place_of(reader, &sticky->secure),
			"services.%.*s.sticky.secure: browsers take a cookie "
			"with same_site: none only if it is Secure",
			REPORT_QUOTE_LEN, service->name);
	if (sticky->partitioned == CONFIG_TRUE &&
		sticky->same_site != CONFIG_SAME_SITE_NONE)
		report_error(reader->report,
			place_of(reader, &sticky->partitioned),
			"services.%.*s.sticky.partitioned: is for same_site: "
			"none",
			REPORT_QUOTE_LEN, service->name);
}

/* Nobody would get a cookie for a domain that the host isn't in. */
static void
check_domain(const struct reader *reader, struct config_service *service)
{
	const char *domain = service->sticky.domain;
	size_t len, domain_len;

	if (domain == NULL)
		return;
	domain_len = strlen(domain);
	for (size_t i = 0; i < service->match.n_hosts; i++) {
		const char *host = service->match.hosts[i];

		len = host != NULL ? strlen(host) : 0;
		if (len == 0 || strcmp(host, "*") == 0 ||
			strcmp(host, domain) == 0 ||
			(len > domain_len &&
				host[len - domain_len - 1] == '.' &&
				strcmp(host + len - domain_len, domain) == 0))
			continue;
		report_warning(reader->report,
			place_of(reader, &service->sticky.domain),
			"services.%.*s.sticky.domain: browsers refuse the "
			"cookie at %s, which isn't in %s",
			REPORT_QUOTE_LEN, service->name, host, domain);
	}
}

static void
check_sticky(const struct reader *reader, struct config_service *service)
{
	struct config_sticky *sticky = &service->sticky;

	check_override(reader, service);
	check_cookie(reader, service);
	check_domain(reader, service);
	if (sticky->lifetime_ns % UINT64_C(1000000000) != 0)
		report_error(reader->report,
			place_of(reader, &sticky->lifetime_ns),
			"services.%.*s.sticky.lifetime: Max-Age has whole "
			"seconds",
			REPORT_QUOTE_LEN, service->name);
	if (sticky->cacheable == CONFIG_CACHEABLE_KEEP)
		report_warning(reader->report,
			place_of(reader, &sticky->cacheable),
			"services.%.*s.sticky.cacheable: with keep, a shared "
			"cache may give the candidate's pages to everybody, "
			"and clients get no cookie from pages that it may "
			"keep",
			REPORT_QUOTE_LEN, service->name);
	if (sticky->identity == CONFIG_IDENTITY_KEY && sticky->n_key == 0)
		report_warning(reader->report,
			place_of(reader, &sticky->identity),
			"services.%.*s.sticky.identity: key has no effect, for "
			"sticky.key is empty",
			REPORT_QUOTE_LEN, service->name);
}

static void
check_balance(const struct reader *reader, struct config_service *service)
{
	const struct report_place *place =
		reader_place(reader, &service->balance.key);

	if (place == NULL || service->balance.policy == CONFIG_MAGLEV)
		return;
	report_warning(reader->report, *place,
		"services.%.*s.balance.key: has an effect with policy maglev "
		"only",
		REPORT_QUOTE_LEN, service->name);
}

/* What a code of a canonical path stands for: see proxy/route_path.h. */
static bool
is_canonical_code(const char *code)
{
	unsigned byte;

	if (!isxdigit((unsigned char)code[1]) ||
		!isxdigit((unsigned char)code[2]) ||
		sscanf(code + 1, "%2x", &byte) != 1)
		return false;
	return byte >= ' ' && byte != 0x7f &&
	       strchr("./\\;", (int)byte) == NULL;
}

/* Can a canonical path begin so? Its codes may still be decoded. */
static bool
is_canonical_prefix(const char *path)
{
	const char *p = path;

	for (; *p != '\0'; p++) {
		if (*p == ';' || *p == '\\')
			return false;
		if (*p == '%' && !is_canonical_code(p))
			return false;
		if (*p != '/')
			continue;
		if (p[1] == '/')
			return false;
		if (p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
			return false;
		if (p[1] == '.' && p[2] == '.' && (p[3] == '/' || p[3] == '\0'))
			return false;
	}
	return true;
}

static void
check_prefixes(const struct reader *reader, struct config_service *service)
{
	struct report_place fallback = place_of(reader, &service->name);
	size_t i;

	if (reader->config->paths != CONFIG_PATHS_CANONICAL)
		return;
	for (i = 0; i < service->match.n_paths; i++) {
		char **path = &service->match.paths[i];

		if (*path != NULL && !is_canonical_prefix(*path))
			report_error(reader->report,
				place_or(reader, path, fallback),
				"services.%.*s.match.paths: no canonical path "
				"begins with %s (see paths)",
				REPORT_QUOTE_LEN, service->name, *path);
	}
}

/* One host and path; seen holds the service that has it. */
static void
check_route(const struct reader *reader, struct table *seen,
	struct config_service *service, char **host, char **path)
{
	struct report_place fallback = place_of(reader, &service->name);
	struct config_service *other;
	char *route;
	size_t size;

	if (*host == NULL || *path == NULL)
		return;
	/* No host has a slash in it, so this is unambiguous. */
	size = strlen(*host) + strlen(*path) + 1;
	route = memory_zalloc(size);
	snprintf(route, size, "%s%s", *host, *path);
	other = table_find(seen, slice_from_string(route));
	if (other == NULL)
		table_set(seen, slice_from_string(route), service);
	else if (other == service)
		report_error(reader->report,
			place_or(
				reader, path, place_or(reader, host, fallback)),
			"services.%.*s.match: %s is given twice",
			REPORT_QUOTE_LEN, service->name, route);
	else
		report_error(reader->report,
			place_or(
				reader, path, place_or(reader, host, fallback)),
			"services.%.*s.match: %s is taken by service \"%.*s\" "
			"(line %u)",
			REPORT_QUOTE_LEN, service->name, route,
			REPORT_QUOTE_LEN, other->name,
			place_of(reader, &other->name).line);
	free(route);
}

static void
check_routes(const struct reader *reader)
{
	struct config *config = reader->config;
	struct table seen;
	size_t i, h, p, n_routes = 0;

	table_init(&seen);
	for (i = 0; i < config->n_services; i++) {
		struct config_service *service = &config->services[i];

		n_routes += service->match.n_hosts * service->match.n_paths;
		if (n_routes > MAX_ROUTES) {
			report_error(reader->report,
				place_of(reader, &service->name),
				"more than %d pairs of host and path in all",
				MAX_ROUTES);
			break;
		}
		for (h = 0; h < service->match.n_hosts; h++) {
			for (p = 0; p < service->match.n_paths; p++)
				check_route(reader, &seen, service,
					&service->match.hosts[h],
					&service->match.paths[p]);
		}
	}
	table_free(&seen);
}

void
check_config(const struct reader *reader)
{
	struct config *config = reader->config;
	size_t i, v;

	check_listeners(reader);
	check_user(reader);
	check_admin(reader);
	check_notify(reader);
	read_secrets(reader, &config->sticky.secret, &config->sticky.secrets,
		"sticky.secret");
	for (i = 0; i < config->n_services; i++) {
		struct config_service *service = &config->services[i];

		for (v = 0; v < service->n_versions; v++)
			check_endpoints(reader, &service->versions[v]);
		check_stable(reader, service);
		check_sticky(reader, service);
		check_balance(reader, service);
		check_prefixes(reader, service);
	}
	check_routes(reader);
	check_release(reader);
	if (config->state_dir == NULL &&
		reader_place(reader, &config->state_dir) == NULL)
		report_warning(reader->report, (struct report_place){1, 1},
			"no state_dir: a restart forgets releases and draws "
			"every client anew");
}
