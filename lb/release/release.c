#include "release/release.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "release/release_change.h"

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

void
release_copy_name(char out[RELEASE_NAME_MAX + 1], const char *name)
{
	assert(strlen(name) <= RELEASE_NAME_MAX);
	strcpy(out, name);
}

void
release_unit_init(
	struct release_unit *unit, const char *name, uint32_t *last_generation)
{
	memset(unit, 0, sizeof(*unit));
	release_copy_name(unit->name, name);
	unit->last_generation = last_generation;
}

void
release_init(struct release *release, const char *service)
{
	memset(release, 0, sizeof(*release));
	release_copy_name(release->service, service);
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

struct release_version *
release_version_by_name(struct release *release, const char *name)
{
	struct release_version **end = &release->versions;
	struct release_version *version;

	for (; *end != NULL; end = &(*end)->next)
		if (strcmp((*end)->name, name) == 0)
			return *end;
	version = memory_zalloc(sizeof(*version));
	release_copy_name(version->name, name);
	atomic_init(&version->standing, STANDING_IDLE);
	*end = version;
	return version;
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

/* "v1", or "entry v1, page v3". */
static void
name_stables(const struct release_unit *unit, char *out, size_t size)
{
	const struct release *member;
	size_t used = 0;

	out[0] = '\0';
	for (member = unit->members; member != NULL && used < size;
		member = member->next_member)
		used += (size_t)snprintf(out + used, size - used, "%s%s%s%s",
			used > 0 ? ", " : "",
			unit->members->next_member != NULL ? member->service
							   : "",
			unit->members->next_member != NULL ? " " : "",
			release_look(member).stable->name);
}

bool
release_check_running(const struct release_unit *unit, struct error *error)
{
	char stables[400];

	if (release_unit_is_running(unit))
		return true;
	name_stables(unit, stables, sizeof(stables));
	error_set(error, "no release of %s is running; stable: %s", unit->name,
		stables);
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
find_candidate(const struct release *release, const struct release_present *now,
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
	version = release_find_version(release, name);
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
release_check_start(const struct release_unit *unit,
	const struct release_choice *choices, size_t n_choices,
	uint16_t share_bp, struct error *error)
{
	for (size_t i = 0; i < n_choices; i++) {
		const struct release *release = choices[i].release;
		struct release_present now = release_look(release);

		if (release->own_unit != unit) {
			error_set(error, "service %s isn't released with %s",
				release->service, unit->name);
			return false;
		}
		if (find_candidate(
			    release, &now, choices[i].candidate, error) == NULL)
			return false;
	}
	return check_share(share_bp, error);
}

bool
release_start(struct release_unit *unit, const struct release_choice *choices,
	size_t n_choices, uint16_t share_bp, uint64_t seed,
	uint64_t now_wall_ns, struct error *error)
{
	if (!release_check_start(unit, choices, n_choices, share_bp, error))
		return false;
	if (release_unit_is_running(unit))
		release_change_roll_back(unit, now_wall_ns);
	release_change_begin(unit, choices, n_choices, share_bp, seed);
	return true;
}

bool
release_set_share(
	struct release_unit *unit, uint16_t share_bp, struct error *error)
{
	struct release_cell cell = release_unit_cell(unit);

	if (!release_check_running(unit, error) ||
		!check_share(share_bp, error))
		return false;
	cell.share_bp = share_bp;
	release_publish_cell(unit, cell);
	return true;
}

bool
release_promote(
	struct release_unit *unit, uint64_t now_wall_ns, struct error *error)
{
	if (!release_check_running(unit, error))
		return false;
	release_change_promote(unit, now_wall_ns);
	return true;
}

bool
release_rollback(
	struct release_unit *unit, uint64_t now_wall_ns, struct error *error)
{
	if (!release_check_running(unit, error))
		return false;
	release_change_roll_back(unit, now_wall_ns);
	return true;
}
