#include "proxy/releases.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "release/state_file.h"

static bool
save_service(struct releases *releases, const struct registry_service *service,
	struct error *error)
{
	struct release_saved saved;

	if (releases->file == NULL)
		return true;
	release_save(&service->release, &saved);
	state_file_put(releases->file, &saved);
	release_saved_free(&saved);
	return state_file_write(releases->file, error);
}

/* One that only a coming or refused config knows has no state yet. */
static bool
is_adopted(const struct registry_service *service)
{
	return service->release.config_stable[0] != '\0';
}

void
releases_save(struct releases *releases)
{
	struct registry_service *service;
	struct release_saved saved;
	struct error error;

	if (releases->file == NULL)
		return;
	for (service = releases->registry->services; service != NULL;
		service = service->next) {
		if (!is_adopted(service))
			continue;
		release_save(&service->release, &saved);
		state_file_put(releases->file, &saved);
		release_saved_free(&saved);
	}
	if (!state_file_write(releases->file, &error))
		log_error("%s", error.message);
}

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

/* Its standings may have changed: does the second's tick have to look at it? */
static void
watch(struct releases *releases, struct registry_service *service)
{
	size_t n = releases->n_moving;

	if (service->is_moving || !has_moving_version(&service->release))
		return;
	if ((n & (n - 1)) == 0)
		releases->moving = memory_realloc_array(releases->moving,
			n == 0 ? 1 : n * 2, sizeof(struct registry_service *));
	releases->moving[releases->n_moving++] = service;
	service->is_moving = true;
}

bool
releases_open(struct releases *releases, struct registry *registry,
	const char *dir, struct error *error)
{
	releases->registry = registry;
	releases->file = NULL;
	releases->moving = NULL;
	releases->n_moving = 0;
	if (dir == NULL)
		return true;
	error->message[0] = '\0';
	releases->file = state_file_open(dir, error);
	if (releases->file == NULL)
		return false;
	if (error->message[0] != '\0')
		log_error("%s", error->message);
	return true;
}

void
releases_close(struct releases *releases)
{
	if (releases->file != NULL)
		state_file_close(releases->file);
	releases->file = NULL;
	free(releases->moving);
	releases->moving = NULL;
	releases->n_moving = 0;
}

void
releases_expire(struct releases *releases)
{
	uint64_t now_ns = clock_wall_ns();
	bool has_changed = false;
	size_t kept = 0;
	size_t i;

	for (i = 0; i < releases->n_moving; i++) {
		struct registry_service *service = releases->moving[i];

		if (release_expire(&service->release, now_ns))
			has_changed = true;
		service->is_moving = has_moving_version(&service->release);
		if (service->is_moving)
			releases->moving[kept++] = service;
	}
	releases->n_moving = kept;
	if (has_changed)
		releases_save(releases);
}

void
releases_adopt(struct releases *releases, const struct config_service *config)
{
	struct registry_service *service =
		registry_service(releases->registry, config->name);
	struct release_config release_config = {
		.stable = config->stable,
		.n_versions = config->n_versions,
		.drain_ns = config->drain_ns,
		.rescue_for_ns = config->rescue.for_ns,
	};
	const char **names =
		memory_zalloc_array(config->n_versions, sizeof(*names));
	struct release_saved saved;
	struct error note = {""};
	bool has_saved;
	size_t i;

	for (i = 0; i < config->n_versions; i++)
		names[i] = config->versions[i].name;
	release_config.versions = names;
	has_saved = releases->file != NULL &&
		    state_file_get(releases->file, config->name, &saved);
	release_adopt(&service->release, &release_config,
		has_saved ? &saved : NULL, clock_wall_ns(), &note);
	watch(releases, service);
	if (note.message[0] != '\0')
		log_warn("service %s: %s", config->name, note.message);
	if (has_saved)
		release_saved_free(&saved);
	free(names);
}

static const struct snapshot_service *
find_service(
	const struct snapshot *snapshot, const char *name, struct error *error)
{
	const struct snapshot_service *service =
		snapshot_find_service(snapshot, slice_from_string(name));

	if (service == NULL)
		error_set(error, "no service \"%s\"", name);
	return service;
}

static bool
has_version(const struct snapshot_service *service, const char *name,
	struct error *error)
{
	char known[512] = "";
	size_t len = 0;
	size_t i;

	if (snapshot_find_version(service, slice_from_string(name)) >= 0)
		return true;
	for (i = 0; i < service->n_versions && len < sizeof(known) - 70; i++)
		len += (size_t)snprintf(known + len, sizeof(known) - len,
			"%s%.*s", i > 0 ? ", " : "",
			(int)service->versions[i].name.len,
			service->versions[i].name.ptr);
	error_set(error, "service %.*s has no version \"%s\" (it has: %s)",
		(int)service->name.len, service->name.ptr, name, known);
	return false;
}

/* The word is in force; it must also outlive a restart. */
static bool
conclude(struct releases *releases, const struct snapshot_service *service,
	const char *word, struct error *error)
{
	struct release_cell cell;
	const struct release_record *record =
		release_read(&service->registry->release, &cell);
	struct error cause;

	watch(releases, service->registry);
	log_info("service %s: %s: stable %s, candidate %s, share %u.%02u %%",
		service->registry->name, word, record->stable->name,
		cell.state == RELEASE_RUNNING ? record->candidate->name : "-",
		cell.share_bp / 100, cell.share_bp % 100);
	if (save_service(releases, service->registry, &cause))
		return true;
	log_error("%s", cause.message);
	error_set(error, "in force, but would not survive a restart: %s",
		cause.message);
	return false;
}

bool
releases_start(struct releases *releases,
	const struct snapshot *snapshot, const char *service_name,
	const char *version, uint16_t share_bp, struct error *error)
{
	const struct snapshot_service *service =
		find_service(snapshot, service_name, error);
	uint64_t seed;

	if (service == NULL || !has_version(service, version, error))
		return false;
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
		error_set(error, "no random numbers to be had");
		return false;
	}
	return release_start(&service->registry->release, version, share_bp,
		       seed, clock_wall_ns(), error) &&
	       conclude(releases, service, "release started", error);
}

bool
releases_set_share(struct releases *releases,
	const struct snapshot *snapshot, const char *service_name,
	uint16_t share_bp, struct error *error)
{
	const struct snapshot_service *service =
		find_service(snapshot, service_name, error);

	return service != NULL &&
	       release_set_share(
		       &service->registry->release, share_bp, error) &&
	       conclude(releases, service, "share set", error);
}

bool
releases_promote(struct releases *releases,
	const struct snapshot *snapshot, const char *service_name,
	struct error *error)
{
	const struct snapshot_service *service =
		find_service(snapshot, service_name, error);

	return service != NULL &&
	       release_promote(&service->registry->release, clock_wall_ns(),
		       error) &&
	       conclude(releases, service, "promoted", error);
}

bool
releases_rollback(struct releases *releases,
	const struct snapshot *snapshot, const char *service_name,
	struct error *error)
{
	const struct snapshot_service *service =
		find_service(snapshot, service_name, error);

	return service != NULL &&
	       release_rollback(&service->registry->release, clock_wall_ns(),
		       error) &&
	       conclude(releases, service, "rolled back", error);
}
