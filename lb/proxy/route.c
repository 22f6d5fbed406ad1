#include "proxy/route.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proxy/route_path.h"

#define HOST_MAX 256

void
route_init(struct route_table *table)
{
	table_init(&table->exact);
	table_init(&table->wildcard);
	table->any = NULL;
	table->all = NULL;
}

void
route_free(struct route_table *table)
{
	struct route_host *host;

	while ((host = table->all) != NULL) {
		table->all = host->next;
		table_free(&host->prefixes);
		free(host->lengths);
		free(host);
	}
	table_free(&table->exact);
	table_free(&table->wildcard);
}

static struct route_host *
new_host(struct route_table *table)
{
	struct route_host *host = memory_zalloc(sizeof(*host));

	host->next = table->all;
	table->all = host;
	return host;
}

static struct route_host *
find_or_make(struct route_table *table, struct table *names, struct slice name)
{
	struct route_host *host = table_find(names, name);

	if (host != NULL)
		return host;
	host = new_host(table);
	table_set(names, name, host);
	return host;
}

static struct route_host *
host_entry(struct route_table *table, struct slice host)
{
	if (slice_equal(host, SLICE("*"))) {
		if (table->any == NULL)
			table->any = new_host(table);
		return table->any;
	}
	if (slice_starts_with(host, SLICE("*.")))
		return find_or_make(table, &table->wildcard,
			(struct slice){host.ptr + 1, host.len - 1});
	return find_or_make(table, &table->exact, host);
}

/* Puts it in its place, once. */
static void
add_length(struct route_host *host, size_t len)
{
	size_t i = 0;

	while (i < host->n_lengths && host->lengths[i] > len)
		i++;
	if (i < host->n_lengths && host->lengths[i] == len)
		return;
	host->lengths = memory_realloc_array(
		host->lengths, host->n_lengths + 1, sizeof(*host->lengths));
	memmove(host->lengths + i + 1, host->lengths + i,
		(host->n_lengths - i) * sizeof(*host->lengths));
	host->lengths[i] = len;
	host->n_lengths++;
}

void
route_add(struct route_table *table, struct slice host, struct slice prefix,
	const struct snapshot_service *service)
{
	struct route_host *entry = host_entry(table, host);

	assert(prefix.len > 0 && prefix.ptr[0] == '/');
	if (prefix.len == 1) {
		entry->root = service;
		return;
	}
	table_set(&entry->prefixes, prefix, (void *)(uintptr_t)service);
	add_length(entry, prefix.len);
}

/* Does a segment end there, or has one just ended? */
static bool
is_boundary(struct slice path, size_t len)
{
	return path.len == len || path.ptr[len] == '/' ||
	       path.ptr[len - 1] == '/';
}

/*
 * Only what is as long as one of the host's prefixes is looked up, and only
 * where a segment ends: as often as the host has lengths at the most, whatever
 * the path, and however many prefixes have them.
 */
static const struct snapshot_service *
find_path(const struct route_host *host, struct slice path)
{
	const struct snapshot_service *service;
	size_t i;

	if (host == NULL)
		return NULL;
	for (i = 0; i < host->n_lengths; i++) {
		size_t len = host->lengths[i];

		if (len > path.len || !is_boundary(path, len))
			continue;
		service = table_find(
			&host->prefixes, (struct slice){path.ptr, len});
		if (service != NULL)
			return service;
	}
	return host->root;
}

/* Lower case, without port and without a trailing dot; empty if it is longer
 * than any name. */
static struct slice
canonical_host(struct slice host, char out[HOST_MAX])
{
	size_t len = 0;

	if (host.len > 0 && host.ptr[0] == '[')
		while (len < host.len && host.ptr[len] != ']')
			len++;
	while (len < host.len && host.ptr[len] != ':')
		len++;
	if (len > 0 && host.ptr[len - 1] == '.')
		len--;
	if (len > HOST_MAX)
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)host.ptr[i]);
	return (struct slice){out, len};
}

const struct snapshot_service *
route_find(
	const struct route_table *table, struct slice host, struct slice path)
{
	const struct snapshot_service *service = NULL;
	char buf[HOST_MAX];
	struct slice name;
	struct slice suffix;

	if (table->exact.n_used == 0 && table->wildcard.n_used == 0)
		return find_path(table->any, path);
	name = canonical_host(host, buf);
	service = find_path(table_find(&table->exact, name), path);
	suffix = name;
	while (service == NULL && table->wildcard.n_used > 0 &&
		suffix.len > 1) {
		suffix.ptr++;
		suffix.len--;
		if (suffix.ptr[0] == '.')
			service = find_path(
				table_find(&table->wildcard, suffix), path);
	}
	return service != NULL ? service : find_path(table->any, path);
}

/*
 * Does every other reading of the path lead there too? Folding slashes alone
 * needn't be left out: without it a path matches the same prefix or a shorter
 * one, and shorter prefixes have less to hide. What dots walk over depends on
 * it.
 */
static const char *
compare_readings(const struct route_table *table, struct slice host,
	struct slice path, unsigned doubts, char *buf,
	const struct snapshot_service *service)
{
	const unsigned both = ROUTE_PATH_DOTS | ROUTE_PATH_SLASHES;
	struct slice read;
	unsigned unused;

	if ((doubts & ROUTE_PATH_DOTS) == 0)
		doubts &= ~ROUTE_PATH_SLASHES;
	for (unsigned left = doubts; left > 0; left = (left - 1) & doubts) {
		const char *why;

		if ((left & both) == both)
			continue;
		why = route_path_read(path, ROUTE_PATH_CANONICAL & ~left, buf,
			&read, &unused);
		if (why != NULL)
			return why;
		if (route_find(table, host, read) != service)
			return "path that may be read as another service's";
	}
	return NULL;
}

const char *
route_resolve(const struct route_table *table, struct slice host,
	struct slice target, char *buf, const struct snapshot_service **service)
{
	struct slice path = route_path_cut(target), read;
	unsigned doubts;
	const char *why = route_path_read(
		path, ROUTE_PATH_CANONICAL, buf, &read, &doubts);

	*service = NULL;
	if (why != NULL)
		return why;
	*service = route_find(table, host, read);
	if (doubts == 0)
		return NULL;
	return compare_readings(table, host, path, doubts, buf, *service);
}
