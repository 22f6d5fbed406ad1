#include "proxy/releases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/table.h"
#include "release/release_state.h"

/* States in the journal by the services that they tell of. Gathered for the
 * first service that its unit's own state doesn't tell of: to look through all
 * units for each would take long where there are thousands of both. */
struct former_states {
	struct table by_service;
	bool is_gathered;
};

static void
gather_states(const struct releases *releases, struct former_states *former)
{
	const char *unit = NULL;
	const char *service;
	json_t *part;

	former->is_gathered = true;
	while ((unit = journal_next_unit(releases->journal, unit)) != NULL) {
		json_t *state = (json_t *)(uintptr_t)journal_state(
			releases->journal, unit);

		json_object_foreach(
			json_object_get(state, "services"), service, part)
		{
			struct slice key = slice_from_string(service);

			if (table_find(&former->by_service, key) == NULL)
				table_set(&former->by_service, key, state);
		}
	}
}

/* The unit's state in the journal that tells of the service: its own, else that
 * of a group that it was in. */
static const json_t *
find_state(const struct releases *releases, struct former_states *former,
	const char *unit, const char *service)
{
	const json_t *state = journal_state(releases->journal, unit);

	if (json_object_get(json_object_get(state, "services"), service))
		return state;
	if (!former->is_gathered)
		gather_states(releases, former);
	return table_find(&former->by_service, slice_from_string(service));
}

static void
restore_unit(struct releases *releases, struct registry_unit *unit)
{
	const json_t *state;
	struct release_cell cell;
	struct error error;

	if (releases->journal == NULL || registry_unit_is_adopted(unit))
		return;
	state = journal_state(releases->journal, unit->release.name);
	if (state == NULL)
		return;
	if (release_state_read_cell(state, &cell, &error))
		release_unit_restore(&unit->release, cell);
	else
		log_error("journal: %s: %s", unit->release.name, error.message);
}

static const char *
unit_name(const struct config_service *config)
{
	return config->group != NULL ? config->group : config->name;
}

static void
restore_service(struct releases *releases, struct former_states *former,
	const struct config_service *config)
{
	struct registry_service *service =
		registry_service(releases->registry, config->name);
	struct registry_unit *unit =
		registry_unit(releases->registry, unit_name(config));
	const struct release_config times = {
		.drain_ns = config->drain_ns,
		.rescue_for_ns = config->rescue.for_ns,
	};
	struct release_saved saved;
	const json_t *state;
	struct error error;

	if (releases->journal == NULL || service->release.own_unit != NULL)
		return;
	state = find_state(
		releases, former, unit->release.name, config->name);
	if (state == NULL)
		return;
	if (release_state_read_service(state, config->name, &saved, &error))
		release_restore(&service->release, &unit->release, &times,
			&saved);
	else
		log_error("journal: service %s: %s; its release begins anew "
			  "from the config",
			config->name, error.message);
	release_saved_free(&saved);
}

/* To the release of the unit that the service was in. */
static void
note_move(struct releases *releases, const char *service,
	const struct release_unit *before)
{
	const struct registry_unit *unit = table_find(
		&releases->registry->units_by_name,
		slice_from_string(before->name));
	char why[2 * RELEASE_NAME_MAX + 32];

	if (unit == NULL || unit->judge == NULL)
		return;
	snprintf(why, sizeof(why), "%s left %s", service, before->name);
	judge_note_config(unit->judge, why);
}

static void
adopt_service(struct releases *releases, const struct config_service *config)
{
	struct registry_service *service =
		registry_service(releases->registry, config->name);
	struct registry_unit *unit =
		registry_unit(releases->registry, unit_name(config));
	struct release_config release_config = {
		.stable = config->stable,
		.n_versions = config->n_versions,
		.drain_ns = config->drain_ns,
		.rescue_for_ns = config->rescue.for_ns,
	};
	const char **names =
		memory_zalloc_array(config->n_versions, sizeof(*names));
	struct error note = {""};
	const struct release_unit *unit_before = service->release.own_unit;

	for (size_t i = 0; i < config->n_versions; i++)
		names[i] = config->versions[i].name;
	release_config.versions = names;
	release_adopt(&service->release, &unit->release, &release_config,
		clock_wall_ns(), &note);
	if (note.message[0] != '\0') {
		log_warn("service %s: %s", config->name, note.message);
		if (unit_before != NULL && unit_before != &unit->release)
			note_move(releases, config->name, unit_before);
		if (unit->judge != NULL)
			judge_note_config(unit->judge, note.message);
	}
	free(names);
}

static bool
is_configured(const struct config *config, const char *service)
{
	for (size_t i = 0; i < config->n_services; i++)
		if (strcmp(config->services[i].name, service) == 0)
			return true;
	return false;
}

/* A service that the config names no more can't be released. */
static void
abandon_services(struct releases *releases, const struct config *config)
{
	char why[RELEASE_NAME_MAX + 32];
	struct judge *judge;

	for (judge = releases->judges; judge != NULL; judge = judge->next)
		for (size_t i = 0; judge_is_active(judge) && i < judge->n_sides;
			i++) {
			struct registry_service *service =
				judge->sides[i].service;

			if (is_configured(config, service->name) ||
				!release_abandon(
					&service->release, clock_wall_ns()))
				continue;
			log_warn("service %s: it is no longer configured: its "
				 "release is rolled back",
				service->name);
			snprintf(why, sizeof(why), "%s left the configuration",
				service->name);
			judge_note_config(judge, why);
		}
}

void
releases_adopt(struct releases *releases, const struct config *config)
{
	struct former_states former = {.is_gathered = false};

	table_init(&former.by_service);
	for (size_t i = 0; i < config->n_services; i++)
		restore_unit(
			releases, registry_unit(releases->registry,
					  unit_name(&config->services[i])));
	for (size_t i = 0; i < config->n_services; i++)
		restore_service(releases, &former, &config->services[i]);
	for (size_t i = 0; i < config->n_services; i++)
		adopt_service(releases, &config->services[i]);
	table_free(&former.by_service);
	abandon_services(releases, config);
}
