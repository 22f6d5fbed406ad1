/*
 * release_change: how a release is changed under the eyes of the workers. Of
 * this folder only: release.c says who may, release_adopt.c what a config asks
 * for. The control thread's.
 */
#ifndef PERCH_RELEASE_RELEASE_CHANGE_H
#define PERCH_RELEASE_RELEASE_CHANGE_H

#include "release/release.h"

/* The same as a worker sees, the record's versions not const. */
struct release_present {
	struct release_cell cell;
	const struct release_record *record;
	struct release_version *stable;
	struct release_version *candidate; /* NULL unless in a running release */
};

struct release_present release_look(const struct release *release);
bool release_unit_is_running(const struct release_unit *unit);
/* By name; NULL if there is none. */
struct release_version *release_find_version(
	const struct release *release, const char *name);

/* The parts of a change. */
void release_set_standing(struct release_version *version,
	enum release_standing standing, uint64_t until_wall_ns);
void release_publish_record(struct release *release, uint32_t generation,
	uint64_t seed, const struct release_version *stable,
	const struct release_version *candidate);
/* With the next epoch, if it differs. */
void release_publish_cell(struct release_unit *unit, struct release_cell cell);

/* The changes. The unit's release must be running for those that end it. */
void release_change_begin(struct release_unit *unit,
	const struct release_choice *choices, size_t n_choices,
	uint16_t share_bp, uint64_t seed);
void release_change_roll_back(
	struct release_unit *unit, uint64_t now_wall_ns);
void release_change_promote(struct release_unit *unit, uint64_t now_wall_ns);
/* By the config's word: the unit's release ends before. */
void release_change_stable(struct release *release,
	struct release_version *stable, uint64_t now_wall_ns);

#endif
