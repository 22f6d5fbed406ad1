#include "admin/unit_json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin/view.h"
#include "proxy/judge_json.h"

/* The next of the unit's services from the config's i-th on; NULL after the
 * last. */
static const struct snapshot_service *
next_member(const struct snapshot *snapshot, const struct registry_unit *unit,
	size_t *i)
{
	while (*i < snapshot->n_services) {
		const struct snapshot_service *service =
			&snapshot->services[(*i)++];

		if (registry_unit_of(service->registry) == unit)
			return service;
	}
	return NULL;
}

json_t *
unit_json_services(
	const struct releases *releases, const struct registry_unit *unit)
{
	const struct snapshot_service *member;
	json_t *list = json_array();
	size_t i = 0;

	while ((member = next_member(releases->snapshot, unit, &i)) != NULL)
		json_array_append_new(
			list, json_stringn(member->name.ptr, member->name.len));
	return list;
}

static json_t *
stable_json(const struct releases *releases, const struct registry_unit *unit)
{
	const struct snapshot_service *member;
	json_t *object = json_object();
	size_t i = 0;

	while ((member = next_member(releases->snapshot, unit, &i)) != NULL) {
		struct view_release release =
			view_read_release(member->registry);

		json_object_set_new(object, member->registry->name,
			json_string(release.record->stable->name));
	}
	return object;
}

/* Of those that take part in the release that runs. */
static json_t *
candidates_json(
	const struct releases *releases, const struct registry_unit *unit)
{
	const struct snapshot_service *member;
	json_t *object = json_object();
	size_t i = 0;

	while ((member = next_member(releases->snapshot, unit, &i)) != NULL) {
		struct view_release release =
			view_read_release(member->registry);

		if (view_is_running(&release))
			json_object_set_new(object, member->registry->name,
				json_string(release.record->candidate->name));
	}
	return object;
}

/* The service's own, or the one that all of a group have by one name. */
static json_t *
candidate_json(const json_t *candidates, const struct snapshot_service *service)
{
	const char *name, *common = NULL;
	json_t *value;

	if (service != NULL) {
		common = json_string_value(
			json_object_get(candidates, service->registry->name));
		return common != NULL ? json_string(common) : json_null();
	}
	json_object_foreach((json_t *)(uintptr_t)candidates, name, value)
	{
		if (common != NULL &&
			strcmp(common, json_string_value(value)) != 0)
			return json_null();
		common = json_string_value(value);
	}
	return common != NULL ? json_string(common) : json_null();
}

static json_t *
steps_json(const struct config_plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->n_steps; i++)
		json_array_append_new(
			list, json_real(plan->steps_bp[i] / 100.0));
	return list;
}

/* What a release would go by. */
static json_t *
idle_json(const struct config_plan *plan)
{
	return json_pack("{s:s, s:s, s:b, s:i, s:o, s:n, s:n, s:n, "
			 "s:{s:i, s:i}, s:n, s:n, s:n, s:n, s:s, s:n, s:[]}",
		"state", "idle", "plan", plan->name, "auto",
		plan->is_auto == CONFIG_TRUE, "step", 0, "steps",
		steps_json(plan), "step_age_s", "age_s", "share_actual",
		"clients", "stable", 0, "candidate", 0, "score", "evidence",
		"threshold", "safe", "reason", "idle: nothing was released yet",
		"who", "signals");
}

json_t *
unit_json_release(const struct releases *releases, struct registry_unit *unit,
	const struct snapshot_service *service, uint64_t now_ns)
{
	const struct judge *judge = unit->judge;
	size_t first = 0;
	const struct snapshot_service *one =
		service != NULL ? service
				: next_member(releases->snapshot, unit, &first);
	struct view_release release;
	bool is_running;
	json_t *candidates = candidates_json(releases, unit);
	char seed[17];
	json_t *object, *known;

	/* Nobody finds a unit that has none in the config. */
	assert(one != NULL);
	release = view_read_release(one->registry);
	is_running = release.cell.state == RELEASE_RUNNING;
	/* As text: JSON's numbers don't hold 64 bits everywhere. */
	snprintf(seed, sizeof(seed), "%016" PRIx64, release.record->seed);
	object = json_pack("{s:b, s:s, s:o, s:o, s:o, s:f, s:I, s:i, s:s}",
		"running", is_running, "unit", unit->release.name, "services",
		unit_json_services(releases, unit), "candidate",
		candidate_json(candidates, service), "candidates", candidates,
		"share", is_running ? release.cell.share_bp / 100.0 : 0.0,
		"generation", (json_int_t)release.cell.generation, "epoch",
		(int)release.cell.epoch, "seed", seed);
	known = judge != NULL ? judge_json_release(judge, now_ns)
			      : idle_json(one->plan);
	json_object_update(object, known);
	json_decref(known);
	return object;
}

json_t *
unit_json_group(const struct releases *releases, struct registry_unit *unit,
	uint64_t now_ns)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "name", unit->release.name,
		"services", unit_json_services(releases, unit), "stable",
		stable_json(releases, unit), "release",
		unit_json_release(releases, unit, NULL, now_ns));
}
