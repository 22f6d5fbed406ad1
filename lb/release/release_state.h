/*
 * release_state: where a unit stands, as JSON and back: what the journal keeps
 * of it over a restart. Pure.
 *
 *	{"generation": 3, "epoch": 7, "share_bp": 500, "running": true,
 *	 "services": {"frontend": {"stable": "v1", "config_stable": "v1",
 *		"candidate": "v2", "generation": 3, "seed": "00c0ffee00c0ffee",
 *		"versions": [{"name": "v0", "standing": "draining",
 *			"until": 1700000000000000000}]}}}
 *
 * candidate is null where a service takes no part; until is wall-clock ns.
 * JSON's integers have a sign, hence the seed as text.
 */
#ifndef PERCH_RELEASE_RELEASE_STATE_H
#define PERCH_RELEASE_RELEASE_STATE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "release/release.h"

/* A new reference. */
json_t *release_state_to_json(const struct release_unit *unit);

/* Both are false, with error set, if it makes no sense. */
bool release_state_read_cell(const json_t *state, struct release_cell *out,
	struct error *error) __attribute__((warn_unused_result));
/* Also if it says nothing of the service. out is to be
 * release_saved_free()d either way. */
bool release_state_read_service(const json_t *state, const char *service,
	struct release_saved *out, struct error *error)
	__attribute__((warn_unused_result));

#endif
