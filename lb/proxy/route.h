/*
 * route: host and path to service. Immutable once built; pure look-ups.
 *
 * Host: exact, else the longest "*.suffix", else "*". Among the services of
 * that host the longest path prefix on segment boundaries; where none of them
 * matches, the next less exact host is tried.
 */
#ifndef PERCH_PROXY_ROUTE_H
#define PERCH_PROXY_ROUTE_H

#include "base/slice.h"
#include "base/table.h"

struct snapshot_service;

struct route_entry {
	struct slice prefix;
	const struct snapshot_service *service;
};

/* All the prefixes of one host, longest first. */
struct route_host {
	struct route_entry *entries;
	size_t n_entries;
	struct route_host *next; /* of the table, for freeing */
};

struct route_table {
	struct table exact;     /* "www.example.com" -> struct route_host */
	struct table wildcard;  /* ".example.com" -> struct route_host */
	struct route_host *any;
	struct route_host *all;
};

void route_init(struct route_table *table);
void route_free(struct route_table *table);

/* host as in the config: "a.b", "*.b" or "*"; the slices stay the caller's. */
void route_add(struct route_table *table, struct slice host,
	struct slice prefix, const struct snapshot_service *service);

/* Sorts prefixes; once, after the last route_add. */
void route_finish(struct route_table *table);

/*
 * host as a request names it (any case, port allowed); path without query,
 * normalised. NULL if nothing matches.
 */
const struct snapshot_service *route_find(const struct route_table *table,
	struct slice host, struct slice path);

#endif
