#include "release/release_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define SEED_DIGITS 16

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
	if (json_is_null(json_object_get(object, "candidate")))
		return true;
	if (!read_name(object, "candidate", out->candidate, error))
		return false;
	if (strcmp(out->candidate, out->stable) == 0) {
		error_set(error, "\"candidate\" is the stable version");
		return false;
	}
	return true;
}

bool
release_state_read_service(const json_t *state, const char *service,
	struct release_saved *out, struct error *error)
{
	const json_t *object =
		json_object_get(json_object_get(state, "services"), service);
	uint64_t generation;

	memset(out, 0, sizeof(*out));
	if (!json_is_object(object)) {
		error_set(error, "it says nothing of service %s", service);
		return false;
	}
	release_copy_name(out->service, service);
	if (!read_name(object, "stable", out->stable, error) ||
		!read_name(
			object, "config_stable", out->config_stable, error) ||
		!read_number(
			object, "generation", UINT32_MAX, &generation, error) ||
		!read_seed(object, &out->seed, error) ||
		!read_candidate(object, out, error) ||
		!read_versions(object, out, error))
		return false;
	out->generation = (uint32_t)generation;
	return true;
}

bool
release_state_read_cell(
	const json_t *state, struct release_cell *out, struct error *error)
{
	const json_t *running = json_object_get(state, "running");
	uint64_t generation, epoch, share_bp;

	if (!read_number(state, "generation", UINT32_MAX, &generation, error) ||
		!read_number(state, "epoch", UINT16_MAX, &epoch, error) ||
		!read_number(state, "share_bp", RELEASE_SHARE_FULL, &share_bp,
			error))
		return false;
	if (!json_is_boolean(running)) {
		error_set(error, "\"running\" is missing or not true or false");
		return false;
	}
	*out = (struct release_cell){
		.generation = (uint32_t)generation,
		.epoch = (uint16_t)epoch,
		.share_bp = (uint16_t)share_bp,
		.state = json_is_true(running) ? RELEASE_RUNNING : RELEASE_NONE,
	};
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
service_to_json(const struct release *release)
{
	struct release_saved saved;
	char seed[SEED_DIGITS + 1];
	json_t *object;

	release_save(release, &saved);
	snprintf(seed, sizeof(seed), "%0*" PRIx64, SEED_DIGITS, saved.seed);
	object = check(json_pack("{s:s, s:s, s:I, s:s, s:s?, s:o}", "stable",
		saved.stable, "config_stable", saved.config_stable,
		"generation", (json_int_t)saved.generation, "seed", seed,
		"candidate",
		saved.candidate[0] != '\0' ? saved.candidate : NULL, "versions",
		versions_to_json(&saved)));
	release_saved_free(&saved);
	return object;
}

json_t *
release_state_to_json(const struct release_unit *unit)
{
	struct release_cell cell = release_unit_cell(unit);
	json_t *services = check(json_object());
	const struct release *member;

	for (member = unit->members; member != NULL;
		member = member->next_member)
		json_object_set_new(
			services, member->service, service_to_json(member));
	return check(json_pack("{s:I, s:i, s:i, s:b, s:o}", "generation",
		(json_int_t)cell.generation, "epoch", (int)cell.epoch,
		"share_bp", (int)cell.share_bp, "running",
		(int)(cell.state == RELEASE_RUNNING), "services", services));
}
