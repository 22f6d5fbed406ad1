#include "release/release_change.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

/*
 * A change is made in this order: what a version becomes once it is no longer
 * active is stored first, then the record, then the cell. As long as a worker
 * reads the old cell, the version is active by the old record; from the new cell
 * on it is what was stored. A candidate's stored standing is assets only while
 * it runs, so that the one store of a rollback says everything.
 */

struct release_version *
release_find_version(const struct release *release, const char *name)
{
	struct release_version *version;

	for (version = release->versions; version != NULL;
		version = version->next)
		if (strcmp(version->name, name) == 0)
			return version;
	return NULL;
}

struct release_present
release_look(const struct release *release)
{
	struct release_present now;
	const struct release_version *candidate;

	now.record = release_read(release, &now.cell);
	now.stable = release_find_version(release, now.record->stable->name);
	now.candidate = NULL;
	candidate = release_candidate(now.record, &now.cell);
	if (candidate != NULL)
		now.candidate = release_find_version(release, candidate->name);
	return now;
}

struct release_cell
release_unit_cell(const struct release_unit *unit)
{
	return release_cell_unpack(
		atomic_load_explicit(&unit->cell, memory_order_relaxed));
}

bool
release_unit_is_running(const struct release_unit *unit)
{
	return release_unit_cell(unit).state == RELEASE_RUNNING;
}

void
release_set_standing(struct release_version *version,
	enum release_standing standing, uint64_t until_wall_ns)
{
	/* Versions of records are never taken from their release. */
	assert(version != NULL);
	version->until_wall_ns = until_wall_ns;
	atomic_store_explicit(
		&version->standing, (uint8_t)standing, memory_order_release);
}

void
release_publish_record(struct release *release, uint32_t generation,
	uint64_t seed, const struct release_version *stable,
	const struct release_version *candidate)
{
	struct release_record *record = memory_zalloc(sizeof(*record));

	record->generation = generation;
	record->seed = seed;
	record->stable = stable;
	record->candidate = candidate;
	record->previous =
		atomic_load_explicit(&release->record, memory_order_relaxed);
	atomic_store_explicit(&release->record, record, memory_order_release);
}

void
release_publish_cell(struct release_unit *unit, struct release_cell cell)
{
	struct release_cell old = release_unit_cell(unit);

	cell.epoch = old.epoch;
	if (release_cell_pack(cell) == release_cell_pack(old))
		return;
	cell.epoch++;
	atomic_store_explicit(
		&unit->cell, release_cell_pack(cell), memory_order_release);
}

/* --- the changes ----------------------------------------------------------- */

static struct release_version *
chosen_version(const struct release *release,
	const struct release_choice *choices, size_t n_choices)
{
	for (size_t i = 0; i < n_choices; i++)
		if (choices[i].release == release)
			return release_find_version(
				release, choices[i].candidate);
	return NULL;
}

void
release_change_begin(struct release_unit *unit,
	const struct release_choice *choices, size_t n_choices,
	uint16_t share_bp, uint64_t seed)
{
	uint32_t generation = ++*unit->last_generation;
	struct release_version *candidate;
	struct release *member;

	for (member = unit->members; member != NULL;
		member = member->next_member)
		release_publish_record(member, generation, seed,
			release_look(member).stable,
			chosen_version(member, choices, n_choices));
	release_publish_cell(
		unit, (struct release_cell){.generation = generation,
			      .share_bp = share_bp,
			      .state = RELEASE_RUNNING});
	for (member = unit->members; member != NULL;
		member = member->next_member) {
		candidate = chosen_version(member, choices, n_choices);
		if (candidate != NULL)
			release_set_standing(
				candidate, STANDING_ASSETS_ONLY, 0);
	}
}

void
release_change_roll_back(struct release_unit *unit, uint64_t now_wall_ns)
{
	struct release_cell cell = release_unit_cell(unit);
	struct release *member;

	release_publish_cell(
		unit, (struct release_cell){.generation = cell.generation,
			      .state = RELEASE_NONE});
	for (member = unit->members; member != NULL;
		member = member->next_member) {
		const struct release_version *candidate =
			release_read(member, &cell)->candidate;

		if (candidate != NULL)
			release_set_standing(
				release_find_version(member, candidate->name),
				STANDING_ASSETS_ONLY,
				now_wall_ns + member->rescue_for_ns);
	}
}

/* Makes a version the stable one in this generation, which the cell is about
 * to reach. */
static void
replace_stable(struct release *release, struct release_version *stable,
	uint32_t generation, uint64_t now_wall_ns)
{
	struct release_present now = release_look(release);

	release_set_standing(
		now.stable, STANDING_DRAINING, now_wall_ns + release->drain_ns);
	release_publish_record(
		release, generation, now.record->seed, stable, NULL);
}

void
release_change_promote(struct release_unit *unit, uint64_t now_wall_ns)
{
	uint32_t generation = ++*unit->last_generation;
	const struct release_record *newest;
	struct release_version *candidate;
	struct release *member;

	for (member = unit->members; member != NULL;
		member = member->next_member) {
		candidate = release_look(member).candidate;
		if (candidate != NULL)
			replace_stable(
				member, candidate, generation, now_wall_ns);
	}
	release_publish_cell(
		unit, (struct release_cell){
			      .generation = generation, .state = RELEASE_NONE});
	for (member = unit->members; member != NULL;
		member = member->next_member) {
		newest = atomic_load_explicit(
			&member->record, memory_order_relaxed);
		if (newest->generation == generation)
			release_set_standing(release_find_version(member,
						     newest->stable->name),
				STANDING_IDLE, 0);
	}
}

/* By the config's word: the unit's release ends before. */
void
release_change_stable(struct release *release, struct release_version *stable,
	uint64_t now_wall_ns)
{
	struct release_unit *unit = release->own_unit;
	uint32_t generation;

	if (release_unit_is_running(unit))
		release_change_roll_back(unit, now_wall_ns);
	generation = ++*unit->last_generation;
	replace_stable(release, stable, generation, now_wall_ns);
	release_publish_cell(
		unit, (struct release_cell){
			      .generation = generation, .state = RELEASE_NONE});
	release_set_standing(stable, STANDING_IDLE, 0);
}
