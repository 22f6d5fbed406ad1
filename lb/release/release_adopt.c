#include "release/release_change.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

__attribute__((format(printf, 2, 3))) static void
add_note(struct error *note, const char *format, ...)
{
	size_t used;
	va_list args;

	if (note == NULL)
		return;
	used = strlen(note->message);
	if (used > 0 && used + 2 < sizeof(note->message)) {
		memcpy(note->message + used, "; ", 3);
		used += 2;
	}
	va_start(args, format);
	vsnprintf(note->message + used, sizeof(note->message) - used, format,
		args);
	va_end(args);
}

void
release_unit_restore(struct release_unit *unit, struct release_cell cell)
{
	if (cell.state != RELEASE_RUNNING) {
		cell.state = RELEASE_NONE;
		cell.share_bp = 0;
	}
	if (cell.generation > *unit->last_generation)
		*unit->last_generation = cell.generation;
	atomic_store_explicit(
		&unit->cell, release_cell_pack(cell), memory_order_release);
}

static void
restore(struct release *release, const struct release_saved *saved)
{
	const struct release_unit *unit = release->own_unit;
	struct release_version *stable, *candidate = NULL;
	uint32_t generation = saved->generation;

	for (size_t i = 0; i < saved->n_versions; i++) {
		const struct release_saved_version *from = &saved->versions[i];
		struct release_version *version =
			release_version_by_name(release, from->name);

		release_set_standing(
			version, from->standing, from->until_wall_ns);
	}
	stable = release_version_by_name(release, saved->stable);
	release_set_standing(stable, STANDING_IDLE, 0);
	/* It may have been in another unit, and taken part there. */
	if (generation > release_unit_cell(unit).generation)
		generation = 0;
	else if (release_unit_is_running(unit) && saved->candidate[0] != '\0')
		candidate = release_version_by_name(release, saved->candidate);
	if (candidate != NULL)
		release_set_standing(candidate, STANDING_ASSETS_ONLY, 0);
	release_publish_record(
		release, generation, saved->seed, stable, candidate);
	release_copy_name(release->config_stable, saved->config_stable);
}

static void
begin_from_config(struct release *release, const struct release_config *config)
{
	release_publish_record(release, 0, 0,
		release_version_by_name(release, config->stable), NULL);
	release_copy_name(release->config_stable, config->stable);
}

static void
mark_configured(struct release *release, const struct release_config *config)
{
	struct release_version *version;

	for (version = release->versions; version != NULL;
		version = version->next)
		version->is_configured = false;
	for (size_t i = 0; i < config->n_versions; i++)
		release_version_by_name(release, config->versions[i])
			->is_configured = true;
}

static void
leave_unit(struct release *release)
{
	struct release **at = &release->own_unit->members;

	while (*at != release)
		at = &(*at)->next_member;
	*at = release->next_member;
	release->next_member = NULL;
}

static void
join_unit(struct release *release, struct release_unit *unit)
{
	struct release **end = &unit->members;

	while (*end != NULL)
		end = &(*end)->next_member;
	*end = release;
	release->own_unit = unit;
}

/* From one group to another, or to itself: neither is then what its release
 * was begun with. */
static void
change_unit(struct release *release, struct release_unit *unit,
	uint64_t now_wall_ns, struct error *note)
{
	struct release_unit *units[] = {release->own_unit, unit};
	struct release_cell cell;
	uint32_t generation;

	for (size_t i = 0; i < 2; i++) {
		if (!release_unit_is_running(units[i]))
			continue;
		release_change_roll_back(units[i], now_wall_ns);
		add_note(note,
			"the services of %s have changed, so its release is "
			"rolled back",
			units[i]->name);
	}
	generation = ++*unit->last_generation;
	release_publish_record(
		release, generation, 0, release_look(release).stable, NULL);
	cell = (struct release_cell){.generation = generation};
	release_publish_cell(unit, cell);
	leave_unit(release);
	join_unit(release, unit);
	atomic_store_explicit(&release->unit, unit, memory_order_release);
}

/* Does it alone take part in its unit's release? */
static bool
is_alone(const struct release *release)
{
	const struct release *member;

	for (member = release->own_unit->members; member != NULL;
		member = member->next_member)
		if (member != release && release_look(member).candidate != NULL)
			return false;
	return true;
}

/* The config's stable version becomes the stable one. */
static void
take_word(struct release *release, const struct release_present *now,
	struct release_version *word, uint64_t now_wall_ns, struct error *note)
{
	if (now->candidate == word && is_alone(release)) {
		add_note(note, "that completes its release");
		release_change_promote(release->own_unit, now_wall_ns);
		return;
	}
	if (release_unit_is_running(release->own_unit))
		add_note(note, "the release of %s is rolled back",
			now->candidate != NULL ? now->candidate->name
					       : release->own_unit->name);
	release_change_stable(release, word, now_wall_ns);
}

/* Ends what the config's words leave no room for. */
static void
merge(struct release *release, const struct release_config *config,
	uint64_t now_wall_ns, struct error *note)
{
	struct release_present now = release_look(release);
	struct release_version *word =
		release_version_by_name(release, config->stable);
	bool is_word_new = strcmp(release->config_stable, config->stable) != 0;

	if (now.stable != word && is_word_new) {
		add_note(note,
			"%s is stable now, as the config has been changed to "
			"say; it was %s",
			word->name, now.stable->name);
		take_word(release, &now, word, now_wall_ns, note);
	} else if (now.stable != word && !now.stable->is_configured) {
		add_note(note,
			"%s is stable now, by the config: %s, which was, is "
			"no longer configured",
			word->name, now.stable->name);
		take_word(release, &now, word, now_wall_ns, note);
	} else if (now.candidate != NULL && !now.candidate->is_configured) {
		add_note(note,
			"%s is no longer configured, so its release is rolled "
			"back",
			now.candidate->name);
		release_change_roll_back(release->own_unit, now_wall_ns);
	}
	release_copy_name(release->config_stable, config->stable);
}

/* Last: from here on it can be read. */
static void
publish_unit(struct release *release)
{
	atomic_store_explicit(
		&release->unit, release->own_unit, memory_order_release);
}

static void
take_times(struct release *release, const struct release_config *config)
{
	release->drain_ns = config->drain_ns;
	release->rescue_for_ns = config->rescue_for_ns;
}

void
release_restore(struct release *release, struct release_unit *unit,
	const struct release_config *config, const struct release_saved *saved)
{
	take_times(release, config);
	join_unit(release, unit);
	restore(release, saved);
	publish_unit(release);
}

void
release_adopt(struct release *release, struct release_unit *unit,
	const struct release_config *config, uint64_t now_wall_ns,
	struct error *note)
{
	if (note != NULL)
		note->message[0] = '\0';
	take_times(release, config);
	mark_configured(release, config);
	if (release->own_unit == NULL) {
		join_unit(release, unit);
		begin_from_config(release, config);
		publish_unit(release);
	} else if (release->own_unit != unit) {
		change_unit(release, unit, now_wall_ns, note);
	}
	merge(release, config, now_wall_ns, note);
	(void)release_expire(release, now_wall_ns);
}

bool
release_abandon(struct release *release, uint64_t now_wall_ns)
{
	if (release->own_unit == NULL ||
		release_look(release).candidate == NULL)
		return false;
	release_change_roll_back(release->own_unit, now_wall_ns);
	return true;
}

/* --- time, and what to keep ------------------------------------------------ */

/* The time at each stage counts from the end of the one before, so that a
 * version whose time ran out while perch was down is not kept for longer. */
static bool
expire_version(struct release *release, struct release_version *version,
	uint64_t now_wall_ns)
{
	bool has_changed = false;

	while (version->until_wall_ns <= now_wall_ns) {
		enum release_standing standing = atomic_load_explicit(
			&version->standing, memory_order_relaxed);

		if (standing == STANDING_DRAINING) {
			release_set_standing(version, STANDING_ASSETS_ONLY,
				version->until_wall_ns +
					release->rescue_for_ns);
		} else if (standing == STANDING_ASSETS_ONLY) {
			release_set_standing(version, STANDING_IDLE, 0);
		} else {
			break;
		}
		has_changed = true;
	}
	return has_changed;
}

bool
release_expire(struct release *release, uint64_t now_wall_ns)
{
	struct release_present now = release_look(release);
	struct release_version *version;
	bool has_changed = false;

	for (version = release->versions; version != NULL;
		version = version->next) {
		if (version == now.stable || version == now.candidate)
			continue;
		if (expire_version(release, version, now_wall_ns))
			has_changed = true;
	}
	return has_changed;
}

static void
save_versions(const struct release *release, const struct release_present *now,
	struct release_saved *out)
{
	const struct release_version *version;

	for (version = release->versions; version != NULL;
		version = version->next) {
		struct release_saved_version *saved;
		enum release_standing standing =
			release_standing_of(version, now->record, &now->cell);

		if (standing != STANDING_DRAINING &&
			standing != STANDING_ASSETS_ONLY)
			continue;
		out->versions = memory_realloc_array(out->versions,
			out->n_versions + 1, sizeof(*out->versions));
		saved = &out->versions[out->n_versions++];
		release_copy_name(saved->name, version->name);
		saved->standing = standing;
		saved->until_wall_ns = version->until_wall_ns;
	}
}

void
release_save(const struct release *release, struct release_saved *out)
{
	struct release_present now = release_look(release);

	memset(out, 0, sizeof(*out));
	release_copy_name(out->service, release->service);
	release_copy_name(out->stable, now.stable->name);
	release_copy_name(out->config_stable, release->config_stable);
	if (now.candidate != NULL)
		release_copy_name(out->candidate, now.candidate->name);
	out->generation = now.record->generation;
	out->seed = now.record->seed;
	save_versions(release, &now, out);
}

void
release_saved_free(struct release_saved *saved)
{
	free(saved->versions);
	saved->versions = NULL;
	saved->n_versions = 0;
}
