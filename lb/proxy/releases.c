#include "proxy/releases_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "proxy/judge_json.h"
#include "proxy/shard.h"
#include "proxy/witness.h"
#include "release/release_state.h"

/* --- the journal ------------------------------------------------------------- */

struct pending {
	struct releases *releases;
	journal_done_fn *done;
	void *arg;
};

static void
emit_plain(struct releases *releases, const char *name, const char *reason)
{
	releases_emit(
		releases, json_pack("{s:o, s:s, s:s}", "time", judge_json_now(),
				  "event", name, "reason", reason));
}

static void
on_written(bool is_on_disk, const char *why, void *arg)
{
	struct pending *pending = arg;
	struct releases *releases = pending->releases;
	bool was_failing = releases->is_journal_failing;

	releases->is_journal_failing = !is_on_disk;
	if (!is_on_disk && !was_failing) {
		log_error("%s", why);
		emit_plain(releases, "journal_failed", why);
	} else if (is_on_disk && was_failing) {
		log_info("the journal can be written again");
		emit_plain(releases, "journal_recovered",
			"the journal can be written again");
	}
	if (pending->done != NULL)
		pending->done(is_on_disk, why, pending->arg);
	free(pending);
}

void
releases_write(struct releases *releases, json_t *entry, journal_done_fn *done,
	void *arg)
{
	struct pending *pending;

	if (releases->journal == NULL) {
		json_decref(entry);
		if (done != NULL)
			done(true, "", arg);
		return;
	}
	pending = memory_zalloc(sizeof(*pending));
	*pending = (struct pending){releases, done, arg};
	journal_append(releases->journal, entry, on_written, pending);
}

void
releases_emit(struct releases *releases, json_t *event)
{
	if (releases->on_event != NULL)
		releases->on_event(event, releases->on_event_arg);
	json_decref(event);
}

/* One that only a coming or refused config knows has no members yet. */
static bool
is_adopted(const struct registry_unit *unit)
{
	return unit->release.members != NULL;
}

struct judge *
releases_find_judge(
	const struct releases *releases, const struct registry_unit *unit)
{
	struct judge *judge;

	for (judge = releases->judges; judge != NULL; judge = judge->next)
		if (judge->unit == unit)
			return judge;
	return NULL;
}

/* Where a unit stands. */
static json_t *
state_of(const struct releases *releases, const struct registry_unit *unit)
{
	const struct judge *judge = releases_find_judge(releases, unit);

	return judge != NULL ? judge_state(judge, &judge->record)
			     : release_state_to_json(&unit->release);
}

/* Takes the state. */
static void
append_state(struct releases *releases, const char *unit, const char *what,
	const char *why, json_t *state)
{
	releases_write(releases,
		json_pack("{s:s, s:o, s:s, s:s, s:s, s:o}", "unit", unit,
			"time", judge_json_now(), "who", "perch", "what", what,
			"why", why, "state", state),
		NULL, NULL);
}

void
releases_write_state(struct releases *releases, struct registry_unit *unit)
{
	append_state(releases, unit->release.name, RELEASES_JUST_STATE, "",
		state_of(releases, unit));
}

/* May its state be written without a word? One whose record is on its way to the
 * disk waits: that must stay the newest. */
static bool
is_quiet(const struct releases *releases, const struct registry_unit *unit)
{
	const struct judge *judge = releases_find_judge(releases, unit);

	return unit->release.members != NULL &&
	       (judge == NULL || judge->n_unwritten == 0);
}

/* Is what the journal has of it still so? */
static bool
is_written(const struct releases *releases, const struct registry_unit *unit)
{
	const json_t *then =
		journal_state(releases->journal, unit->release.name);
	json_t *now = state_of(releases, unit);
	bool is_same = then != NULL && json_equal(now, then);

	json_decref(now);
	return is_same;
}

/* Their number. */
static size_t
write_changed_states(
	struct releases *releases, const char *what, const char *why)
{
	struct registry_unit *unit;
	size_t n = 0;

	if (releases->journal == NULL)
		return 0;
	for (unit = releases->registry->units; unit != NULL;
		unit = unit->next) {
		if (!is_quiet(releases, unit) || is_written(releases, unit))
			continue;
		append_state(releases, unit->release.name, what, why,
			state_of(releases, unit));
		n++;
	}
	return n;
}

/* Does another unit have the service now? */
static bool
has_moved(const struct releases *releases, const char *service,
	const char *unit)
{
	const struct registry_service *known = table_find(
		&releases->registry->by_name, slice_from_string(service));

	return known != NULL && known->release.own_unit != NULL &&
	       strcmp(known->release.own_unit->name, unit) != 0;
}

/* What is said of a service under a unit that it has left must not come back
 * when it does. */
static void
forget_moved_services(struct releases *releases, const char *unit)
{
	const json_t *state = journal_state(releases->journal, unit);
	json_t *kept = json_deep_copy(state);
	json_t *services = json_object_get(kept, "services");
	const char *service;
	json_t *value;
	void *next;
	size_t before = json_object_size(services);

	json_object_foreach_safe(services, next, service, value)
	{
		if (has_moved(releases, service, unit))
			json_object_del(services, service);
	}
	if (json_object_size(services) == before) {
		json_decref(kept);
		return;
	}
	json_object_set_new(kept, "running", json_false());
	json_object_del(kept, "plan");
	append_state(releases, unit, RELEASES_JUST_STATE, "", kept);
}

static void
forget_all_moved_services(struct releases *releases)
{
	const char *unit = NULL;

	if (releases->journal == NULL)
		return;
	while ((unit = journal_next_unit(releases->journal, unit)) != NULL)
		forget_moved_services(releases, unit);
}

/* --- open and close ------------------------------------------------------------ */

bool
releases_open(struct releases *releases, struct registry *registry,
	struct shard **shards, struct event_base *base, const char *dir,
	struct error *error)
{
	releases->registry = registry;
	releases->shards = shards;
	if (dir == NULL)
		return true;
	releases->journal = journal_open(dir, base, error);
	if (releases->journal == NULL)
		return false;
	if (error->message[0] != '\0')
		log_error("%s", error->message);
	return true;
}

void
releases_close(struct releases *releases)
{
	struct judge *judge;

	releases->is_closing = true;
	if (releases->journal != NULL)
		journal_close(releases->journal);
	releases->journal = NULL;
	while ((judge = releases->judges) != NULL) {
		releases->judges = judge->next;
		judge_free(judge);
	}
}

/* --- config ----------------------------------------------------------------------- */

/* The unit's state in the journal that tells of the service: its own, else that
 * of a group that it was in. */
static const json_t *
find_state(
	const struct releases *releases, const char *unit, const char *service)
{
	const json_t *state = journal_state(releases->journal, unit);
	const char *other = NULL;

	if (json_object_get(json_object_get(state, "services"), service))
		return state;
	while ((other = journal_next_unit(releases->journal, other)) != NULL) {
		state = journal_state(releases->journal, other);
		if (json_object_get(
			    json_object_get(state, "services"), service))
			return state;
	}
	return NULL;
}

static void
restore_unit(struct releases *releases, struct registry_unit *unit)
{
	const json_t *state;
	struct release_cell cell;
	struct error error;

	if (releases->journal == NULL || is_adopted(unit))
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
restore_service(struct releases *releases, const struct config_service *config)
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
	state = find_state(releases, unit->release.name, config->name);
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
	struct judge *judge;

	for (size_t i = 0; i < config->n_versions; i++)
		names[i] = config->versions[i].name;
	release_config.versions = names;
	release_adopt(&service->release, &unit->release, &release_config,
		clock_wall_ns(), &note);
	if (note.message[0] != '\0') {
		log_warn("service %s: %s", config->name, note.message);
		judge = releases_find_judge(releases, unit);
		if (judge != NULL)
			judge_note_config(judge, note.message);
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
			judge_note_config(judge, "no longer configured");
		}
}

void
releases_adopt(struct releases *releases, const struct config *config)
{
	for (size_t i = 0; i < config->n_services; i++)
		restore_unit(
			releases, registry_unit(releases->registry,
					  unit_name(&config->services[i])));
	for (size_t i = 0; i < config->n_services; i++)
		restore_service(releases, &config->services[i]);
	for (size_t i = 0; i < config->n_services; i++)
		adopt_service(releases, &config->services[i]);
	abandon_services(releases, config);
}

struct judge *
releases_make_judge(struct releases *releases, struct registry_unit *unit)
{
	struct judge *judge = releases_find_judge(releases, unit);

	if (judge != NULL)
		return judge;
	judge = judge_new(releases, unit);
	judge->next = releases->judges;
	releases->judges = judge;
	return judge;
}

/* At the start: releases that ran go on, the last ones are remembered. */
static void
resume(struct releases *releases, struct registry_unit *unit)
{
	const json_t *state;
	struct judge *judge;
	struct error error;

	if (!is_adopted(unit) || releases_find_judge(releases, unit) != NULL)
		return;
	state = journal_state(releases->journal, unit->release.name);
	if (json_object_get(state, "plan") == NULL)
		return;
	judge = releases_make_judge(releases, unit);
	if (judge_resume(judge, state, releases->snapshot, &error))
		return;
	/* Nobody would watch over it. */
	log_error("journal: %s: %s; a release that ran is rolled back",
		unit->release.name, error.message);
	(void)!release_rollback(&unit->release, clock_wall_ns(), NULL);
}

void
releases_set_snapshot(
	struct releases *releases, const struct snapshot *snapshot)
{
	bool is_start = releases->snapshot == NULL;
	struct registry_unit *unit;

	releases->snapshot = snapshot;
	if (is_start && releases->journal != NULL)
		for (unit = releases->registry->units; unit != NULL;
			unit = unit->next)
			resume(releases, unit);
	forget_all_moved_services(releases);
	(void)write_changed_states(releases, "config",
		is_start ? "perch started" : "the config was reloaded");
}

/* --- time ---------------------------------------------------------------------------- */

struct sweep {
	struct shard *shard;
	struct registry_unit *unit;
	uint64_t stamp;
};

/* On a worker's thread. */
static void
run_sweep(void *arg)
{
	struct sweep *sweep = arg;
	struct shard *shard = sweep->shard;

	crowd_sweep(crowd_of(&sweep->unit->release.crowd), shard->index,
		&sweep->unit->flights[shard->index].flights,
		clock_monotonic_ns());
	atomic_store_explicit(
		&shard->n_swept, sweep->stamp, memory_order_release);
	free(sweep);
}

static void
post_sweeps(struct releases *releases, struct registry_unit *unit)
{
	struct sweep *sweep;

	for (unsigned i = 0; i < releases->registry->n_workers; i++) {
		sweep = memory_zalloc(sizeof(*sweep));
		*sweep = (struct sweep){
			releases->shards[i], unit, releases->stamp};
		worker_post(&releases->shards[i]->worker, run_sweep, sweep);
	}
}

/* The latest sweep that every worker has run. */
static uint64_t
swept_by_all(const struct releases *releases)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < releases->registry->n_workers; i++) {
		uint64_t stamp = atomic_load_explicit(
			&releases->shards[i]->n_swept, memory_order_acquire);

		if (stamp < least)
			least = stamp;
	}
	return least;
}

void
releases_tick(struct releases *releases)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t swept = swept_by_all(releases);
	struct judge *judge;

	releases->stamp++;
	for (judge = releases->judges; judge != NULL; judge = judge->next) {
		struct crowd_handle *crowd = &judge->unit->release.crowd;

		crowd_reclaim(crowd, swept);
		judge_tick(judge, now_ns);
		if (crowd_of(crowd) != NULL || crowd->retired != NULL)
			post_sweeps(releases, judge->unit);
	}
}

void
releases_expire(struct releases *releases)
{
	struct registry_service *service;
	struct registry_unit *unit = releases->registry->units;
	bool has_changed = false;

	for (service = releases->registry->services; service != NULL;
		service = service->next)
		if (service->release.own_unit != NULL &&
			release_expire(&service->release, clock_wall_ns()))
			has_changed = true;
	if (!has_changed && !releases->is_journal_failing)
		return;
	if (write_changed_states(releases, RELEASES_JUST_STATE, "") > 0)
		return;
	/* Where nothing has changed, any state tells whether it works again. */
	while (unit != NULL && !is_quiet(releases, unit))
		unit = unit->next;
	if (releases->is_journal_failing && unit != NULL)
		releases_write_state(releases, unit);
}
