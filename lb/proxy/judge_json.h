/*
 * judge_json: what a judge knows, as JSON: for the API, the journal and events.
 * Reads a judge, changes nothing. All return new references.
 */
#ifndef PERCH_PROXY_JUDGE_JSON_H
#define PERCH_PROXY_JUDGE_JSON_H

#include <jansson.h>

#include "proxy/judge.h"

/* What is known of the release that runs, or of the last one: state, step,
 * score, each signal's evidence. */
json_t *judge_json_release(const struct judge *judge, uint64_t now_ns);
/* An event of that name. previous_bp: the share before it. */
json_t *judge_json_event(
	const struct judge *judge, const char *name, uint16_t previous_bp);
/* An entry for the journal: who did what and why, on what evidence, and where
 * that leaves the unit. */
json_t *judge_json_entry(const struct judge *judge, const char *what,
	const struct plan_record *record);

/* The time, as events and entries tell it. */
json_t *judge_json_now(void);

#endif
