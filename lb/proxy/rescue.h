/*
 * rescue: the asset of another version.
 *
 * A page of one version may ask the other for its script: cookies belong to the
 * browser, not to the tab, and some requests carry none. What one version
 * doesn't have is asked of another, within a budget (proxy/rescue_budget); what
 * was found, or not, is remembered (proxy/rescue_memory). Here are the
 * decisions; proxy/exchange carries them out.
 */
#ifndef PERCH_PROXY_RESCUE_H
#define PERCH_PROXY_RESCUE_H

#include "proxy/exchange.h"
#include "proxy/rescue_budget.h"
#include "proxy/rescue_memory.h"

/* A worker's own, of a service that has several versions: 17 KiB. */
struct rescue_table {
	struct rescue_budget budget;
	struct rescue_memory memory;
};

/* An empty one. budget: percent of the requests. */
void rescue_table_init(struct rescue_table *table, uint64_t budget);

/* May this request be rescued at all? A read without a body that isn't for a
 * page, nor forced to its version; or a preflight. Counts it for the budget. */
bool rescue_is_eligible(struct exchange *exchange);

/* Is this what a version says that doesn't have it? 404, 410, or a page where
 * something else was asked for; to a preflight, what a browser takes for no. */
bool rescue_is_missing(
	const struct exchange *exchange, const struct message *response);

/* May the other version's answer be used? */
bool rescue_is_good(
	const struct exchange *exchange, const struct message *response);

/* Whom to ask instead; NULL if nobody is left, nobody has it, or the budget is
 * spent. */
const struct snapshot_version *rescue_pick(struct exchange *exchange);

/* The version that had this path lately, if it isn't the chosen one and can be
 * asked; else NULL. Where that is to be tested, is_rescue_test is set. */
const struct snapshot_version *rescue_recall(struct exchange *exchange);

/* What came of it: the other version's answer is used, */
void
rescue_note_found(struct exchange *exchange, const struct message *response);
/* or isn't, */
void
rescue_note_missing(struct exchange *exchange, const struct message *response);
/* or didn't come in time. */
void rescue_note_late(struct exchange *exchange);
/* What was remembered of the path is no longer so. */
void rescue_forget(struct exchange *exchange);

#endif
