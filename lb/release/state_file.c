#include "release/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

/*
 *	{"format": 1, "services": {"frontend": {
 *		"stable": "v1", "config_stable": "v1", "generation": 3,
 *		"epoch": 7, "share_bp": 500, "seed": "00c0ffee00c0ffee",
 *		"candidate": "v2", "running": true,
 *		"versions": [{"name": "v0", "standing": "draining",
 *			"until": 1700000000000000000}]}}}
 *
 * candidate is null unless a release runs; until is wall-clock ns. JSON's
 * integers have a sign, hence the seed as text.
 */
#define FORMAT 1
#define FILE_NAME "state.json"
#define TEMPORARY_NAME FILE_NAME ".tmp"
#define DAMAGED_NAME FILE_NAME ".damaged"
#define SEED_DIGITS 16

struct state_file {
	char *dir;
	int dir_fd;
	json_t *services; /* by name; every one has been checked */
};

static json_t *
check(json_t *value)
{
	if (value == NULL) {
		fputs("perch: out of memory\n", stderr);
		exit(1);
	}
	return value;
}

/* --- from JSON: each false with error set if the value is not as it should be */

static bool
read_name(const json_t *object, const char *key, char out[RELEASE_NAME_MAX + 1],
	struct error *error)
{
	const char *name = json_string_value(json_object_get(object, key));

	if (name == NULL || !release_is_name(name)) {
		error_set(error, "\"%s\" is missing or no name", key);
		return false;
	}
	strcpy(out, name);
	return true;
}

static bool
read_number(const json_t *object, const char *key, uint64_t max, uint64_t *out,
	struct error *error)
{
	const json_t *value = json_object_get(object, key);
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number > max) {
		error_set(error,
			"\"%s\" is missing or not a number from 0 to %" PRIu64,
			key, max);
		return false;
	}
	*out = (uint64_t)number;
	return true;
}

static bool
read_seed(const json_t *object, uint64_t *out, struct error *error)
{
	const char *text = json_string_value(json_object_get(object, "seed"));

	if (text == NULL || strlen(text) != SEED_DIGITS ||
		strspn(text, "0123456789abcdef") != SEED_DIGITS) {
		error_set(error, "\"seed\" is missing or not %d hex digits",
			SEED_DIGITS);
		return false;
	}
	*out = strtoull(text, NULL, 16);
	return true;
}

static bool
read_version(const json_t *object, struct release_saved_version *out,
	struct error *error)
{
	const char *standing =
		json_string_value(json_object_get(object, "standing"));

	if (!read_name(object, "name", out->name, error) ||
		!read_number(
			object, "until", INT64_MAX, &out->until_wall_ns, error))
		return false;
	if (standing == NULL ||
		!release_standing_parse(standing, &out->standing) ||
		(out->standing != STANDING_DRAINING &&
			out->standing != STANDING_ASSETS_ONLY)) {
		error_set(error, "\"standing\" is neither \"draining\" nor "
				 "\"assets_only\"");
		return false;
	}
	return true;
}

static bool
read_versions(
	const json_t *object, struct release_saved *out, struct error *error)
{
	const json_t *list = json_object_get(object, "versions");

	if (!json_is_array(list)) {
		error_set(error, "\"versions\" is missing or no list");
		return false;
	}
	out->versions = memory_zalloc_array(
		json_array_size(list), sizeof(*out->versions));
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!read_version(
			    json_array_get(list, i), &out->versions[i], error))
			return false;
		out->n_versions++;
	}
	return true;
}

static bool
read_candidate(
	const json_t *object, struct release_saved *out, struct error *error)
{
	const json_t *running = json_object_get(object, "running");

	if (!json_is_boolean(running)) {
		error_set(error, "\"running\" is missing or not true or false");
		return false;
	}
	out->is_running = json_is_true(running);
	if (!out->is_running)
		return true;
	if (!read_name(object, "candidate", out->candidate, error))
		return false;
	if (strcmp(out->candidate, out->stable) == 0) {
		error_set(error, "\"candidate\" is the stable version");
		return false;
	}
	return true;
}

static bool
read_numbers(
	const json_t *object, struct release_saved *out, struct error *error)
{
	uint64_t generation, epoch, share_bp;

	if (!read_number(
		    object, "generation", UINT32_MAX, &generation, error) ||
		!read_number(object, "epoch", UINT16_MAX, &epoch, error) ||
		!read_number(object, "share_bp", RELEASE_SHARE_FULL, &share_bp,
			error))
		return false;
	out->generation = (uint32_t)generation;
	out->epoch = (uint16_t)epoch;
	out->share_bp = (uint16_t)share_bp;
	return true;
}

/* out is to be freed either way. */
static bool
read_service(const char *name, const json_t *object, struct release_saved *out,
	struct error *error)
{
	memset(out, 0, sizeof(*out));
	if (!release_is_name(name)) {
		error_set(error, "that is no service's name");
		return false;
	}
	strcpy(out->service, name);
	return read_name(object, "stable", out->stable, error) &&
	       read_name(object, "config_stable", out->config_stable, error) &&
	       read_numbers(object, out, error) &&
	       read_seed(object, &out->seed, error) &&
	       read_candidate(object, out, error) &&
	       read_versions(object, out, error);
}

static bool
check_services(json_t *services, struct error *error)
{
	const char *name;
	json_t *service;

	if (!json_is_object(services)) {
		error_set(error, "\"services\" is missing or no object");
		return false;
	}
	json_object_foreach(services, name, service)
	{
		struct release_saved saved;
		struct error inner = {""};
		bool is_good = read_service(name, service, &saved, &inner);

		release_saved_free(&saved);
		if (is_good)
			continue;
		error_set(error, "service \"%.64s\": %.400s", name,
			inner.message);
		return false;
	}
	return true;
}

/* --- to JSON --------------------------------------------------------------- */

static json_t *
versions_to_json(const struct release_saved *saved)
{
	json_t *list = check(json_array());

	for (size_t i = 0; i < saved->n_versions; i++) {
		const struct release_saved_version *version =
			&saved->versions[i];

		json_array_append_new(list,
			check(json_pack("{s:s, s:s, s:I}", "name",
				version->name, "standing",
				release_standing_name(version->standing),
				"until", (json_int_t)version->until_wall_ns)));
	}
	return list;
}

static json_t *
service_to_json(const struct release_saved *saved)
{
	char seed[SEED_DIGITS + 1];

	snprintf(seed, sizeof(seed), "%0*" PRIx64, SEED_DIGITS, saved->seed);
	return check(json_pack("{s:s, s:s, s:I, s:i, s:i, s:s, s:s?, s:b, s:o}",
		"stable", saved->stable, "config_stable", saved->config_stable,
		"generation", (json_int_t)saved->generation, "epoch",
		(int)saved->epoch, "share_bp", (int)saved->share_bp, "seed",
		seed, "candidate", saved->is_running ? saved->candidate : NULL,
		"running", (int)saved->is_running, "versions",
		versions_to_json(saved)));
}

/* --- the file -------------------------------------------------------------- */

static bool
fail(struct error *error, const struct state_file *file, const char *what)
{
	error_set(error, "%s/%s: can't %s: %s", file->dir, FILE_NAME, what,
		strerror(errno));
	return false;
}

/* NULL with error set if it is no state file of ours. */
static json_t *
parse(int fd, struct error *error)
{
	json_error_t where;
	json_t *services = NULL;
	json_t *root = json_loadfd(fd, JSON_REJECT_DUPLICATES, &where);
	uint64_t format;

	if (root == NULL) {
		error_set(error, "line %d, column %d: %s", where.line,
			where.column, where.text);
		return NULL;
	}
	if (!read_number(root, "format", FORMAT, &format, error))
		goto out;
	if (!check_services(json_object_get(root, "services"), error))
		goto out;
	services = json_incref(json_object_get(root, "services"));
out:
	json_decref(root);
	return services;
}

/* Puts a file that makes no sense aside, for a person to look at. */
static bool
set_aside(struct state_file *file, const char *reason, struct error *error)
{
	if (renameat(file->dir_fd, FILE_NAME, file->dir_fd, DAMAGED_NAME) != 0)
		return fail(error, file, "rename the damaged file");
	error_set(error,
		"%s/%s is damaged (%.600s); it is kept as %s, and "
		"releases begin anew from the config",
		file->dir, FILE_NAME, reason, DAMAGED_NAME);
	file->services = check(json_object());
	return true;
}

static bool
load(struct state_file *file, struct error *error)
{
	struct error reason = {""};
	struct stat status;
	int fd = openat(file->dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		file->services = check(json_object());
		return true;
	}
	if (fd < 0)
		return fail(error, file, "open it");
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		close(fd);
		error_set(error, "%s/%s is not a plain file", file->dir,
			FILE_NAME);
		return false;
	}
	file->services = parse(fd, &reason);
	close(fd);
	if (file->services == NULL)
		return set_aside(file, reason.message, error);
	return true;
}

struct state_file *
state_file_open(const char *dir, struct error *error)
{
	struct state_file *file = memory_zalloc(sizeof(*file));

	error_set(error, "%s", "");
	file->dir = memory_strdup(dir);
	if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
		error_set(error, "state_dir %s: can't make it: %s", dir,
			strerror(errno));
		goto free_file;
	}
	file->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->dir_fd < 0) {
		error_set(error, "state_dir %s: can't open it: %s", dir,
			strerror(errno));
		goto free_file;
	}
	if (!load(file, error))
		goto close_dir;
	return file;

close_dir:
	close(file->dir_fd);
free_file:
	free(file->dir);
	free(file);
	return NULL;
}

void
state_file_close(struct state_file *file)
{
	if (file == NULL)
		return;
	json_decref(file->services);
	close(file->dir_fd);
	free(file->dir);
	free(file);
}

bool
state_file_get(const struct state_file *file, const char *service,
	struct release_saved *out)
{
	const json_t *object = json_object_get(file->services, service);

	if (object == NULL)
		return false;
	if (read_service(service, object, out, NULL))
		return true;
	release_saved_free(out);
	return false;
}

void
state_file_put(struct state_file *file, const struct release_saved *saved)
{
	if (json_object_set_new(file->services, saved->service,
		    service_to_json(saved)) != 0)
		check(NULL);
}

static bool
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static char *
to_text(const struct state_file *file)
{
	json_t *root = check(json_pack(
		"{s:i, s:O}", "format", FORMAT, "services", file->services));
	char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);

	json_decref(root);
	return text;
}

static bool
write_temporary(
	const struct state_file *file, const char *text, struct error *error)
{
	int fd = openat(file->dir_fd, TEMPORARY_NAME,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0)
		return fail(error, file, "make a temporary file for it");
	if (!write_all(fd, text, strlen(text)) || !write_all(fd, "\n", 1) ||
		fsync(fd) != 0) {
		fail(error, file, "write it");
		close(fd);
		return false;
	}
	if (close(fd) != 0)
		return fail(error, file, "write it");
	return true;
}

bool
state_file_write(struct state_file *file, struct error *error)
{
	char *text = to_text(file);
	bool is_written;

	if (text == NULL) {
		error_set(error, "%s/%s: out of memory", file->dir, FILE_NAME);
		return false;
	}
	is_written = write_temporary(file, text, error);
	free(text);
	if (!is_written)
		goto remove_temporary;
	if (renameat(file->dir_fd, TEMPORARY_NAME, file->dir_fd, FILE_NAME) !=
		0) {
		fail(error, file, "replace it");
		goto remove_temporary;
	}
	/* The name in the folder must survive a power cut, too. */
	if (fsync(file->dir_fd) != 0)
		return fail(error, file, "sync its folder");
	return true;

remove_temporary:
	unlinkat(file->dir_fd, TEMPORARY_NAME, 0);
	return false;
}
