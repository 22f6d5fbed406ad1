/*
 * plan_json: a unit's plan, and how long each of its steps needs to see harm, at
 * some traffic: what the caller says, else what was measured.
 */
#ifndef PERCH_ADMIN_PLAN_JSON_H
#define PERCH_ADMIN_PLAN_JSON_H

#include <jansson.h>

#include "admin/service_json.h"
#include "proxy/registry.h"

/* Both as the judge counts: a client counts once in each 250 ms in which a
 * request of it ended. NaN: unknown. */
struct plan_json_traffic {
	double clients_per_s; /* of both versions */
	double error_rate; /* 0 to 1 */
};

/*
 * {"plan", "steps": [{"share", "hold_s", "seconds_2x", "seconds_10x",
 * "why_not_2x", "why_not_10x"}], "clients_per_s", "error_rate", "measured",
 * "clients_by", "error_rate_by"}; a new reference. The last two say where a
 * number comes from: "given"; "release", of the step that runs; or "requests", of
 * the last seconds, each taken for a client. measured: one of the two wasn't
 * given. error_rate is null where there was nothing to measure it by. Seconds are
 * null where it is never seen, and "why_not_..." says why; else that is null:
 * "nobody_to_compare" (at 100 % stable has no clients), "no_clients",
 * "errors_unknown", "no_errors" (no multiple of none), "more_than_all" (more than
 * everybody can't be hurt).
 */
json_t *
plan_json(const struct service_source *source, const struct registry_unit *unit,
	const struct plan_json_traffic *given);

#endif
