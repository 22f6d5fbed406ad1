#include "proxy/releases_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/memory.h"

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
	const struct plan_word rollback = {
		.kind = PLAN_ROLLBACK, .because = "another release begins"};
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
	judge = unit->judge;
	/* The one that runs ends only where this one can begin. */
	if (releases->is_journal_failing && judge != NULL &&
		judge_is_active(judge)) {
		word->ack(JUDGE_UNWRITTEN,
			"not done, as the journal can't be written", word->arg);
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
	judge = releases_make_judge(releases, unit);
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

/* Of the entries those that tell of something done. */
static json_t *
leave_out_states(json_t *entries, size_t max)
{
	json_t *told = json_array();
	const json_t *entry;
	const char *what;
	size_t i;

	json_array_foreach(entries, i, entry)
	{
		what = json_string_value(json_object_get(entry, "what"));
		if (what != NULL && strcmp(what, RELEASES_JUST_STATE) == 0)
			continue;
		if (json_array_size(told) < max)
			json_array_append(told, (json_t *)(uintptr_t)entry);
	}
	json_decref(entries);
	return told;
}

json_t *
releases_history(const struct releases *releases,
	const struct registry_unit *unit, size_t max)
{
	if (releases->journal == NULL)
		return json_array();
	return leave_out_states(
		journal_history(releases->journal, unit->release.name,
			JOURNAL_HISTORY_MAX),
		max);
}
