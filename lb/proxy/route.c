#include "proxy/route.h"

#include <ctype.h>
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
		free(host->entries);
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

void
route_add(struct route_table *table, struct slice host, struct slice prefix,
	const struct snapshot_service *service)
{
	struct route_host *entry = host_entry(table, host);

	entry->entries = memory_realloc_array(entry->entries,
		entry->n_entries + 1, sizeof(*entry->entries));
	entry->entries[entry->n_entries++] =
		(struct route_entry){prefix, service};
}

static int
compare_entries(const void *a, const void *b)
{
	size_t len_a = ((const struct route_entry *)a)->prefix.len;
	size_t len_b = ((const struct route_entry *)b)->prefix.len;

	return len_a < len_b ? 1 : len_a > len_b ? -1 : 0;
}

void
route_finish(struct route_table *table)
{
	struct route_host *host;

	for (host = table->all; host != NULL; host = host->next)
		qsort(host->entries, host->n_entries, sizeof(*host->entries),
			compare_entries);
}

static const struct snapshot_service *
find_path(const struct route_host *host, struct slice path)
{
	size_t i;

	if (host == NULL)
		return NULL;
	for (i = 0; i < host->n_entries; i++)
		if (path_prefix_matches(path, host->entries[i].prefix))
			return host->entries[i].service;
	return NULL;
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
