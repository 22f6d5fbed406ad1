/*
 * unit_json: the release of a service or of a group as the API shows it: its
 * "release" object, and the group itself.
 *
 * All fields are always there: what a unit that was never released can't say is
 * null.
 */
#ifndef PERCH_ADMIN_UNIT_JSON_H
#define PERCH_ADMIN_UNIT_JSON_H

#include <stdint.h>

#include <jansson.h>

#include "proxy/releases.h"
#include "proxy/snapshot.h"

/* A new reference, as all of these are. service: from whose point of view, one
 * of the unit's; NULL: the whole group's. */
json_t *
unit_json_release(const struct releases *releases, struct registry_unit *unit,
	const struct snapshot_service *service, uint64_t now_ns);

/* {"name", "services", "stable": {service: version}, "release"} */
json_t *unit_json_group(const struct releases *releases,
	struct registry_unit *unit, uint64_t now_ns);

/* The names of its services, in the config's order. */
json_t *unit_json_services(
	const struct releases *releases, const struct registry_unit *unit);

#endif
