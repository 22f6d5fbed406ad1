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
	json_t *text = json_string(reason);

	/* Cut within a character: a path can be that long. */
	if (text == NULL)
		text = json_string("see perch's log");
	releases_emit(
		releases, json_pack("{s:o, s:s, s:o}", "time", judge_json_now(),
				  "event", name, "reason", text));
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

/* Where a unit stands. */
static json_t *
state_of(const struct registry_unit *unit)
{
	const struct judge *judge = unit->judge;

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
		state_of(unit));
}

/* May its state be written without a word? One whose record is on its way to the
 * disk waits: that must stay the newest. */
static bool
is_quiet(const struct registry_unit *unit)
{
	return registry_unit_is_adopted(unit) &&
	       (unit->judge == NULL || unit->judge->n_unwritten == 0);
}

/* Is what the journal has of it still so? */
static bool
is_written(const struct releases *releases, const struct registry_unit *unit)
{
	const json_t *then =
		journal_state(releases->journal, unit->release.name);
	json_t *now = state_of(unit);
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
		if (!is_quiet(unit) || is_written(releases, unit))
			continue;
		append_state(releases, unit->release.name, what, why,
			state_of(unit));
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

static bool
tells_of_moved(const struct releases *releases, const json_t *state,
	const char *unit)
{
	json_t *services = json_object_get(state, "services");
	const char *service;
	json_t *value;

	json_object_foreach(services, service, value)
	{
		if (has_moved(releases, service, unit))
			return true;
	}
	return false;
}

/* What is said of a service under a unit that it has left must not come back
 * when it does. */
static void
forget_moved_services(struct releases *releases, const char *unit)
{
	const json_t *state = journal_state(releases->journal, unit);
	const char *service;
	json_t *kept, *services, *value;
	void *next;

	if (!tells_of_moved(releases, state, unit))
		return;
	kept = json_deep_copy(state);
	services = json_object_get(kept, "services");
	json_object_foreach_safe(services, next, service, value)
	{
		if (has_moved(releases, service, unit))
			json_object_del(services, service);
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
		judge->unit->judge = NULL;
		judge_free(judge);
	}
	free(releases->moving);
	releases->moving = NULL;
	releases->n_moving = 0;
}

/* --- config ----------------------------------------------------------------------- */

struct judge *
releases_make_judge(struct releases *releases, struct registry_unit *unit)
{
	struct judge *judge = unit->judge;

	if (judge != NULL)
		return judge;
	judge = judge_new(releases, unit);
	judge->next = releases->judges;
	releases->judges = judge;
	unit->judge = judge;
	return judge;
}

/* At the start: releases that ran go on, the last ones are remembered. */
static void
resume(struct releases *releases, struct registry_unit *unit)
{
	const json_t *state;
	struct judge *judge;
	struct error error;

	if (!registry_unit_is_adopted(unit) || unit->judge != NULL)
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
	for (unit = releases->registry->units; unit != NULL; unit = unit->next)
		releases_watch(releases, unit);
	forget_all_moved_services(releases);
	(void)write_changed_states(releases, "config",
		is_start ? "perch started" : "the config was reloaded");
}

/* --- time ---------------------------------------------------------------------------- */

/* Has it a version that drains or is there for assets only? */
static bool
has_moving_version(const struct release *release)
{
	const struct release_version *version;

	for (version = release->versions; version != NULL;
		version = version->next)
		switch (atomic_load(&version->standing)) {
		case STANDING_DRAINING:
		case STANDING_ASSETS_ONLY:
			return true;
		default:
			break;
		}
	return false;
}

/* The second's tick has to look at it. */
static void
add_moving(struct releases *releases, struct registry_service *service)
{
	size_t n = releases->n_moving;

	if ((n & (n - 1)) == 0)
		releases->moving = memory_realloc_array(releases->moving,
			n == 0 ? 1 : n * 2, sizeof(struct registry_service *));
	releases->moving[releases->n_moving++] = service;
	service->is_moving = true;
}

void
releases_watch(struct releases *releases, struct registry_unit *unit)
{
	struct registry_service *service;
	const struct release *member;

	for (member = unit->release.members; member != NULL;
		member = member->next_member) {
		if (!has_moving_version(member))
			continue;
		service = registry_service(releases->registry, member->service);
		if (!service->is_moving)
			add_moving(releases, service);
	}
}

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

static bool
expire_moving(struct releases *releases)
{
	uint64_t now_ns = clock_wall_ns();
	bool has_changed = false;
	size_t kept = 0;

	for (size_t i = 0; i < releases->n_moving; i++) {
		struct registry_service *service = releases->moving[i];

		if (release_expire(&service->release, now_ns))
			has_changed = true;
		service->is_moving = has_moving_version(&service->release);
		if (service->is_moving)
			releases->moving[kept++] = service;
	}
	releases->n_moving = kept;
	return has_changed;
}

void
releases_expire(struct releases *releases)
{
	const bool has_changed = expire_moving(releases);
	struct registry_unit *unit = releases->registry->units;

	if (!has_changed && !releases->is_journal_failing)
		return;
	if (write_changed_states(releases, RELEASES_JUST_STATE, "") > 0)
		return;
	/* Where nothing has changed, any state tells whether it works again. */
	while (unit != NULL && !is_quiet(unit))
		unit = unit->next;
	if (releases->is_journal_failing && unit != NULL)
		releases_write_state(releases, unit);
}
