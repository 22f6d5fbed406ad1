/*
 * route: host and path to service. Immutable once built; pure look-ups.
 *
 * Host: exact, else the longest "*.suffix", else "*". Among the services of
 * that host the longest path prefix on segment boundaries: "/api" matches
 * "/api" and "/api/x", not "/apix"; "/api/" what is below it; "/" all. Where
 * none of them matches, the next less exact host is tried.
 *
 * A look-up costs the same for one host or prefix and for many: it grows only
 * with how many lengths the prefixes of one host have.
 */
#ifndef PERCH_PROXY_ROUTE_H
#define PERCH_PROXY_ROUTE_H

#include "base/slice.h"
#include "base/table.h"

struct snapshot_service;

/* All the prefixes of one host. */
struct route_host {
	const struct snapshot_service *root; /* of "/", or NULL */
	size_t *lengths;         /* of the others, each once, longest first */
	size_t n_lengths;
	struct table prefixes;   /* the others -> struct snapshot_service */
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

/* host as in the config: "a.b", "*.b" or "*". prefix starts with "/"; of two
 * alike the later one counts. Only the service stays the caller's. */
void route_add(struct route_table *table, struct slice host,
	struct slice prefix, const struct snapshot_service *service);

/*
 * host as a request names it (any case, port allowed); path without query, as
 * it is to be compared. NULL if nothing matches.
 */
const struct snapshot_service *route_find(const struct route_table *table,
	struct slice host, struct slice path);

/*
 * The service of a target by its canonical path; *service is NULL if there is
 * none. Not NULL: why the target must be refused; either it has no canonical
 * path, or some server would read it as another service's. buf has room for
 * target.len bytes.
 */
const char *route_resolve(const struct route_table *table, struct slice host,
	struct slice target, char *buf,
	const struct snapshot_service **service)
	__attribute__((warn_unused_result));

#endif
