#include "release/release.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/*
 * A change is made in this order: what a version becomes once it is no longer
 * active is stored first, then the record, then the cell. As long as a worker
 * reads the old cell, the version is active by the old record; from the new cell
 * on it is what was stored. A candidate's stored standing is assets only while
 * it runs, so that the one store of a rollback says everything.
 */

static const char *const standing_names[] = {
	[STANDING_IDLE] = "idle",
	[STANDING_ACTIVE] = "active",
	[STANDING_DRAINING] = "draining",
	[STANDING_ASSETS_ONLY] = "assets_only",
};
#define N_STANDINGS (sizeof(standing_names) / sizeof(standing_names[0]))

const char *
release_standing_name(enum release_standing standing)
{
	return (size_t)standing < N_STANDINGS ? standing_names[standing]
					      : "unknown";
}

bool
release_standing_parse(const char *name, enum release_standing *out)
{
	for (size_t i = 0; i < N_STANDINGS; i++) {
		if (strcmp(name, standing_names[i]) != 0)
			continue;
		*out = (enum release_standing)i;
		return true;
	}
	return false;
}

bool
release_is_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t len = strspn(name, allowed);

	return len >= 1 && len <= RELEASE_NAME_MAX && name[len] == '\0';
}

static void
copy_name(char out[RELEASE_NAME_MAX + 1], const char *name)
{
	assert(strlen(name) <= RELEASE_NAME_MAX);
	strcpy(out, name);
}

void
release_init(struct release *release, const char *service)
{
	memset(release, 0, sizeof(*release));
	copy_name(release->service, service);
}

void
release_free(struct release *release)
{
	const struct release_record *record = atomic_load(&release->record);

	while (record != NULL) {
		const struct release_record *previous = record->previous;

		/* Const for all but their maker. */
		free((void *)(uintptr_t)record);
		record = previous;
	}
	while (release->versions != NULL) {
		struct release_version *next = release->versions->next;

		free(release->versions);
		release->versions = next;
	}
	atomic_store(&release->record, NULL);
}

static struct release_version *
find_version(const struct release *release, const char *name)
{
	struct release_version *version;

	for (version = release->versions; version != NULL;
		version = version->next)
		if (strcmp(version->name, name) == 0)
			return version;
	return NULL;
}

struct release_version *
release_version_by_name(struct release *release, const char *name)
{
	struct release_version **end = &release->versions;
	struct release_version *version;

	for (; *end != NULL; end = &(*end)->next)
		if (strcmp((*end)->name, name) == 0)
			return *end;
	version = memory_zalloc(sizeof(*version));
	copy_name(version->name, name);
	atomic_init(&version->standing, STANDING_IDLE);
	*end = version;
	return version;
}

/* --- what is now, seen from the control thread ----------------------------- */

/* The same as a worker sees, the record's versions not const. */
struct present {
	struct release_cell cell;
	const struct release_record *record;
	struct release_version *stable;
	struct release_version *candidate; /* NULL unless a release runs */
};

static struct present
look(const struct release *release)
{
	struct present now;

	now.record = release_read(release, &now.cell);
	now.stable = find_version(release, now.record->stable->name);
	now.candidate = NULL;
	if (now.cell.state != RELEASE_NONE)
		now.candidate =
			find_version(release, now.record->candidate->name);
	return now;
}

static void
set_standing(struct release_version *version, enum release_standing standing,
	uint64_t until_wall_ns)
{
	version->until_wall_ns = until_wall_ns;
	atomic_store_explicit(
		&version->standing, (uint8_t)standing, memory_order_release);
}

static void
publish_record(struct release *release, uint32_t generation, uint64_t seed,
	const struct release_version *stable,
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

static void
publish_cell(struct release *release, struct release_cell cell)
{
	uint64_t old =
		atomic_load_explicit(&release->cell, memory_order_relaxed);

	cell.epoch = release_cell_unpack(old).epoch;
	if (release_cell_pack(cell) == old)
		return;
	cell.epoch++;
	atomic_store_explicit(
		&release->cell, release_cell_pack(cell), memory_order_release);
}

/* --- the four changes ------------------------------------------------------ */

static void
begin(struct release *release, struct release_version *candidate,
	uint16_t share_bp, uint64_t seed)
{
	struct present now = look(release);
	uint32_t generation = now.cell.generation + 1;

	publish_record(release, generation, seed, now.stable, candidate);
	publish_cell(release, (struct release_cell){.generation = generation,
				      .share_bp = share_bp,
				      .state = RELEASE_RUNNING});
	set_standing(candidate, STANDING_ASSETS_ONLY, 0);
}

static void
roll_back(struct release *release, uint64_t now_wall_ns)
{
	struct present now = look(release);

	publish_cell(release,
		(struct release_cell){.generation = now.cell.generation,
			.state = RELEASE_NONE});
	set_standing(now.candidate, STANDING_ASSETS_ONLY,
		now_wall_ns + release->rescue_for_ns);
}

/* Makes a version stable and ends the release, if it runs. */
static void
move_stable(struct release *release, struct release_version *stable,
	uint64_t now_wall_ns)
{
	struct present now = look(release);
	uint32_t generation = now.cell.generation + 1;

	if (now.candidate != NULL && now.candidate != stable)
		roll_back(release, now_wall_ns);
	set_standing(
		now.stable, STANDING_DRAINING, now_wall_ns + release->drain_ns);
	publish_record(release, generation, now.record->seed, stable, NULL);
	publish_cell(release, (struct release_cell){.generation = generation,
				      .state = RELEASE_NONE});
	set_standing(stable, STANDING_IDLE, 0);
}

/* --- config and state ------------------------------------------------------ */

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

static void
restore(struct release *release, const struct release_saved *saved)
{
	struct release_version *stable, *candidate = NULL;

	for (size_t i = 0; i < saved->n_versions; i++) {
		const struct release_saved_version *from = &saved->versions[i];
		struct release_version *version =
			release_version_by_name(release, from->name);

		set_standing(version, from->standing, from->until_wall_ns);
	}
	stable = release_version_by_name(release, saved->stable);
	set_standing(stable, STANDING_IDLE, 0);
	if (saved->is_running) {
		candidate = release_version_by_name(release, saved->candidate);
		set_standing(candidate, STANDING_ASSETS_ONLY, 0);
	}
	publish_record(
		release, saved->generation, saved->seed, stable, candidate);
	atomic_store_explicit(&release->cell,
		release_cell_pack((struct release_cell){
			.generation = saved->generation,
			.epoch = saved->epoch,
			.share_bp = saved->is_running ? saved->share_bp : 0,
			.state = saved->is_running ? RELEASE_RUNNING
						   : RELEASE_NONE,
		}),
		memory_order_release);
	copy_name(release->config_stable, saved->config_stable);
}

static void
begin_from_config(struct release *release, const struct release_config *config)
{
	publish_record(release, 0, 0,
		release_version_by_name(release, config->stable), NULL);
	copy_name(release->config_stable, config->stable);
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

/* Ends what the config's words leave no room for. */
static void
merge(struct release *release, const struct release_config *config,
	uint64_t now_wall_ns, struct error *note)
{
	struct present now = look(release);
	struct release_version *word =
		release_version_by_name(release, config->stable);
	bool is_word_new = strcmp(release->config_stable, config->stable) != 0;

	if (now.stable != word && (is_word_new || !now.stable->is_configured)) {
		if (is_word_new)
			add_note(note,
				"%s is stable now, as the config has "
				"been changed to say; it was %s",
				word->name, now.stable->name);
		else
			add_note(note,
				"%s is stable now, by the config: %s, "
				"which was, is no longer configured",
				word->name, now.stable->name);
		if (now.candidate == word)
			add_note(note, "that completes its release");
		else if (now.candidate != NULL)
			add_note(note, "the release of %s is rolled back",
				now.candidate->name);
		move_stable(release, word, now_wall_ns);
	} else if (now.candidate != NULL && !now.candidate->is_configured) {
		add_note(note,
			"the release of %s is rolled back: "
			"it is no longer configured",
			now.candidate->name);
		roll_back(release, now_wall_ns);
	}
	copy_name(release->config_stable, config->stable);
}

void
release_adopt(struct release *release, const struct release_config *config,
	const struct release_saved *saved, uint64_t now_wall_ns,
	struct error *note)
{
	if (note != NULL)
		note->message[0] = '\0';
	release->drain_ns = config->drain_ns;
	release->rescue_for_ns = config->rescue_for_ns;
	mark_configured(release, config);
	if (atomic_load_explicit(&release->record, memory_order_relaxed) ==
		NULL) {
		if (saved != NULL)
			restore(release, saved);
		else
			begin_from_config(release, config);
	}
	merge(release, config, now_wall_ns, note);
	(void)release_expire(release, now_wall_ns);
}

/* --- the operator's words -------------------------------------------------- */

/* A share for a message: "5" or "0.25". */
static void
format_share(uint16_t share_bp, char out[16])
{
	if (share_bp % 100 == 0)
		snprintf(out, 16, "%u", share_bp / 100u);
	else
		snprintf(out, 16, "%u.%02u", share_bp / 100u, share_bp % 100u);
}

static bool
check_share(uint16_t share_bp, struct error *error)
{
	char text[16];

	if (share_bp <= RELEASE_SHARE_FULL)
		return true;
	format_share(share_bp, text);
	error_set(error, "a share is 0 to 100 %%, not %s %%", text);
	return false;
}

static bool
check_running(const struct release *release, const struct present *now,
	struct error *error)
{
	if (now->candidate != NULL)
		return true;
	error_set(error, "no release of service %s is running; %s is stable",
		release->service, now->stable->name);
	return false;
}

static void
refuse_unknown(
	const struct release *release, const char *name, struct error *error)
{
	const struct release_version *version;
	char known[600];
	size_t used = 0;

	known[0] = '\0';
	for (version = release->versions; version != NULL;
		version = version->next) {
		if (!version->is_configured)
			continue;
		if (used + strlen(version->name) + 3 > sizeof(known))
			break;
		used += (size_t)snprintf(known + used, sizeof(known) - used,
			"%s%s", used > 0 ? ", " : "", version->name);
	}
	error_set(error, "service %s has no version \"%s\"; it has: %s",
		release->service, name, known);
}

/* The configured version of that name; NULL if it can't be released. */
static struct release_version *
find_candidate(const struct release *release, const struct present *now,
	const char *name, struct error *error)
{
	struct release_version *version;
	char share[16];

	if (!release_is_name(name)) {
		error_set(error,
			"that is no version's name: a name is 1 to "
			"%d of A-Z a-z 0-9 . _ -",
			RELEASE_NAME_MAX);
		return NULL;
	}
	version = find_version(release, name);
	if (version == NULL || !version->is_configured) {
		refuse_unknown(release, name, error);
		return NULL;
	}
	if (version == now->stable) {
		error_set(error,
			"%s is the stable version of service %s "
			"already",
			name, release->service);
		return NULL;
	}
	if (version == now->candidate) {
		format_share(now->cell.share_bp, share);
		error_set(error,
			"the release of %s is running already, at "
			"%s %%: change its share instead",
			name, share);
		return NULL;
	}
	return version;
}

bool
release_start(struct release *release, const char *candidate, uint16_t share_bp,
	uint64_t seed, uint64_t now_wall_ns, struct error *error)
{
	struct present now = look(release);
	struct release_version *version;

	version = find_candidate(release, &now, candidate, error);
	if (version == NULL || !check_share(share_bp, error))
		return false;
	if (now.candidate != NULL)
		roll_back(release, now_wall_ns);
	begin(release, version, share_bp, seed);
	return true;
}

bool
release_set_share(
	struct release *release, uint16_t share_bp, struct error *error)
{
	struct present now = look(release);

	if (!check_running(release, &now, error) ||
		!check_share(share_bp, error))
		return false;
	publish_cell(release,
		(struct release_cell){.generation = now.cell.generation,
			.share_bp = share_bp,
			.state = now.cell.state});
	return true;
}

bool
release_promote(
	struct release *release, uint64_t now_wall_ns, struct error *error)
{
	struct present now = look(release);

	if (!check_running(release, &now, error))
		return false;
	move_stable(release, now.candidate, now_wall_ns);
	return true;
}

bool
release_rollback(
	struct release *release, uint64_t now_wall_ns, struct error *error)
{
	struct present now = look(release);

	if (!check_running(release, &now, error))
		return false;
	roll_back(release, now_wall_ns);
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
			set_standing(version, STANDING_ASSETS_ONLY,
				version->until_wall_ns +
					release->rescue_for_ns);
		} else if (standing == STANDING_ASSETS_ONLY) {
			set_standing(version, STANDING_IDLE, 0);
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
	struct present now = look(release);
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
save_versions(const struct release *release, const struct present *now,
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
		copy_name(saved->name, version->name);
		saved->standing = standing;
		saved->until_wall_ns = version->until_wall_ns;
	}
}

void
release_save(const struct release *release, struct release_saved *out)
{
	struct present now = look(release);

	memset(out, 0, sizeof(*out));
	copy_name(out->service, release->service);
	copy_name(out->stable, now.stable->name);
	copy_name(out->config_stable, release->config_stable);
	if (now.candidate != NULL)
		copy_name(out->candidate, now.candidate->name);
	out->generation = now.cell.generation;
	out->epoch = now.cell.epoch;
	out->share_bp = now.cell.share_bp;
	out->is_running = now.candidate != NULL;
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
