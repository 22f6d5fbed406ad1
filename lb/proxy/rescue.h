/*
 * rescue: the asset of another version.
 *
 * A page of one version may ask the other for its script: cookies belong to the
 * browser, not to the tab, and some requests carry none. What one version
 * doesn't have is asked of another, within a budget. Here are the decisions;
 * proxy/exchange carries them out.
 */
#ifndef PERCH_PROXY_RESCUE_H
#define PERCH_PROXY_RESCUE_H

#include "proxy/exchange.h"

/* Which version had a path that its own didn't. A cache: who comes last to a
 * slot has it. */
struct rescue_entry {
	uint64_t path_hash; /* 0: free */
	const struct registry_version *version;
};

#define RESCUE_ENTRIES 256 /* a power of two */

/* A worker's own, of a service that has several versions. */
struct rescue_table {
	struct rescue_entry entries[RESCUE_ENTRIES];
	uint32_t credit_bp; /* hundredths of rescues that may be tried */
};

/* An empty one, with some rescues to its credit. */
void rescue_table_init(struct rescue_table *table);

/* May this request be rescued at all? A read without a body that isn't for a
 * page, nor forced to its version. Counts it for the budget. */
bool rescue_is_eligible(struct exchange *exchange);

/* Is this what a version says that doesn't have it? 404, 410, or a page where
 * something else was asked for. */
bool rescue_is_missing(
	const struct exchange *exchange, const struct message *response);

/* May the other version's answer be used? */
bool rescue_is_good(
	const struct exchange *exchange, const struct message *response);

/* Whom to ask instead; NULL if nobody is left, or the budget is spent. */
const struct snapshot_version *rescue_pick(struct exchange *exchange);

/* The version that had this path lately, if it isn't the chosen one and can be
 * asked; else NULL. */
const struct snapshot_version *rescue_recall(const struct exchange *exchange);
void rescue_remember(const struct exchange *exchange);

#endif
