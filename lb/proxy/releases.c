#include "proxy/releases.h"

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

static json_t *
state_of(const struct registry_unit *unit)
{
	return unit->judge != NULL ? judge_state(unit->judge)
				   : release_state_to_json(&unit->release);
}

/* Where a unit stands, without anything having been said. */
static void
write_state(struct releases *releases, struct registry_unit *unit,
	const char *what, const char *why)
{
	releases_write(releases,
		json_pack("{s:s, s:o, s:s, s:s, s:s, s:o}", "unit",
			unit->release.name, "time", judge_json_now(), "who",
			"perch", "what", what, "why", why, "state",
			state_of(unit)),
		NULL, NULL);
}

/* Is what the journal has of it still so? */
static bool
is_written(const struct releases *releases, const struct registry_unit *unit)
{
	json_t *now = state_of(unit);
	const json_t *then =
		journal_state(releases->journal, unit->release.name);
	bool is_same = then != NULL && json_equal(now, then);

	json_decref(now);
	return is_same;
}

static void
write_changed_states(
	struct releases *releases, const char *what, const char *why)
{
	struct registry_unit *unit;

	if (releases->journal == NULL)
		return;
	for (unit = releases->registry->units; unit != NULL; unit = unit->next)
		if (registry_unit_is_adopted(unit) &&
			!is_written(releases, unit))
			write_state(releases, unit, what, why);
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

static struct judge *
make_judge(struct releases *releases, struct registry_unit *unit)
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
	judge = make_judge(releases, unit);
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
	write_changed_states(releases, "config",
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

void
releases_expire(struct releases *releases)
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
	if (has_changed || releases->is_journal_failing)
		write_changed_states(
			releases, "expired", "a version's time was over");
}

/* --- words ----------------------------------------------------------------------------- */

struct registry_unit *
releases_find_unit(const struct releases *releases, const char *name)
{
	const struct snapshot *snapshot = releases->snapshot;
	const struct snapshot_service *service =
		snapshot_find_service(snapshot, slice_from_string(name));

	if (service != NULL)
		return registry_unit_of(service->registry);
	for (size_t i = 0; i < snapshot->n_services; i++) {
		service = &snapshot->services[i];
		if (service->config->group != NULL &&
			strcmp(service->config->group, name) == 0)
			return registry_unit_of(service->registry);
	}
	return NULL;
}

static void
refuse(const struct judge_word *word, const struct error *error)
{
	word->ack(JUDGE_REFUSED, error->message, word->arg);
}

static bool
has_version(const struct releases *releases, const struct release *release,
	const char *version)
{
	const struct snapshot_service *service = snapshot_find_service(
		releases->snapshot, slice_from_string(release->service));

	return service != NULL &&
	       snapshot_find_version(service, slice_from_string(version)) >= 0;
}

static const char *
wanted_version(const struct releases *releases,
	const struct releases_start *start, const struct release *release)
{
	for (size_t i = 0; i < start->n_pairs; i++)
		if (strcmp(start->services[i], release->service) == 0)
			return start->versions[i];
	if (start->version == NULL)
		return NULL;
	/* A service that stands alone is to say what is wrong with it. */
	if (release->own_unit->members->next_member == NULL ||
		has_version(releases, release, start->version))
		return start->version;
	return NULL;
}

static bool
are_pairs_members(const struct releases_start *start,
	const struct release_unit *unit, struct error *error)
{
	const struct release *member;

	for (size_t i = 0; i < start->n_pairs; i++) {
		for (member = unit->members; member != NULL;
			member = member->next_member)
			if (strcmp(member->service, start->services[i]) == 0)
				break;
		if (member != NULL)
			continue;
		error_set(error, "service \"%s\" isn't released with %s",
			start->services[i], unit->name);
		return false;
	}
	return true;
}

/* Who takes part, in choices and sides. Their number, or 0 with error set. */
static size_t
choose_sides(struct releases *releases, const struct releases_start *start,
	struct registry_unit *unit, struct release_choice *choices,
	struct judge_side *sides, struct error *error)
{
	struct release *member;
	size_t n = 0;

	if (!are_pairs_members(start, &unit->release, error))
		return 0;
	for (member = unit->release.members; member != NULL;
		member = member->next_member) {
		const char *version = wanted_version(releases, start, member);

		if (version == NULL)
			continue;
		choices[n] = (struct release_choice){member, version};
		if (!release_check_start(
			    &unit->release, &choices[n], 1, 0, error))
			return 0;
		sides[n].service =
			registry_service(releases->registry, member->service);
		release_copy_name(sides[n].candidate, version);
		n++;
	}
	if (n == 0)
		error_set(error, "no service of %s has a version \"%s\"",
			unit->release.name,
			start->version != NULL ? start->version : "");
	return n;
}

const struct config_plan *
releases_plan_of(
	const struct releases *releases, const struct registry_unit *unit)
{
	const struct release *member;

	/* A member may have gone from the config. */
	for (member = unit->release.members; member != NULL;
		member = member->next_member) {
		const struct snapshot_service *service = snapshot_find_service(
			releases->snapshot, slice_from_string(member->service));

		if (service != NULL)
			return service->plan;
	}
	return NULL;
}

static const struct config_plan *
plan_of(const struct releases *releases, const struct releases_start *start,
	const struct registry_unit *unit, struct error *error)
{
	const struct config_plan *plan;

	if (start->plan == NULL)
		return releases_plan_of(releases, unit);
	plan = snapshot_find_plan(releases->snapshot, start->plan);
	if (plan == NULL)
		error_set(error, "no plan \"%s\"", start->plan);
	return plan;
}

static size_t
count_members(const struct registry_unit *unit)
{
	const struct release *member;
	size_t n = 0;

	for (member = unit->release.members; member != NULL;
		member = member->next_member)
		n++;
	return n;
}

/* Another one that runs is rolled back first. */
static void
end_running(struct judge *judge, const struct judge_word *word)
{
	const struct plan_word rollback = {.kind = PLAN_ROLLBACK};
	const struct judge_word mine = {
		.who = word->who, .why = "another release begins"};

	if (judge_is_active(judge))
		judge_say(judge, &rollback, &mine);
}

void
releases_start(struct releases *releases, const struct releases_start *start,
	const struct judge_word *word)
{
	struct registry_unit *unit = releases_find_unit(releases, start->unit);
	struct judge_start begin = {.share_bp = start->share_bp};
	struct release_choice *choices;
	struct judge_side *sides;
	struct judge *judge;
	struct error error;
	size_t n_members;

	if (unit == NULL) {
		error_set(&error, "no service \"%s\"", start->unit);
		refuse(word, &error);
		return;
	}
	n_members = count_members(unit);
	choices = memory_zalloc_array(n_members, sizeof(*choices));
	sides = memory_zalloc_array(n_members, sizeof(*sides));
	begin.sides = sides;
	begin.plan = plan_of(releases, start, unit, &error);
	begin.n_sides = begin.plan == NULL ? 0
					   : choose_sides(releases, start, unit,
						     choices, sides, &error);
	if (begin.n_sides == 0 || getrandom(&begin.seed, sizeof(begin.seed),
					  0) != (ssize_t)sizeof(begin.seed)) {
		refuse(word, &error);
		goto out;
	}
	begin.is_auto = start->is_auto < 0 ? begin.plan->is_auto == CONFIG_TRUE
					   : start->is_auto != 0;
	judge = make_judge(releases, unit);
	end_running(judge, word);
	judge_begin(judge, &begin, word);
out:
	free(choices);
	free(sides);
}

void
releases_say(struct releases *releases, const char *name,
	const struct plan_word *what, const struct judge_word *word)
{
	struct registry_unit *unit = releases_find_unit(releases, name);
	struct judge *judge;
	struct error error;

	if (unit == NULL) {
		error_set(&error, "no service \"%s\"", name);
		refuse(word, &error);
		return;
	}
	judge = unit->judge;
	if (judge == NULL || !judge_is_active(judge)) {
		if (release_check_running(&unit->release, &error))
			error_set(&error, "no release of %s is judged", name);
		refuse(word, &error);
		return;
	}
	judge_say(judge, what, word);
}

json_t *
releases_history(const struct releases *releases,
	const struct registry_unit *unit, size_t max)
{
	if (releases->journal == NULL)
		return json_array();
	return journal_history(releases->journal, unit->release.name, max);
}
