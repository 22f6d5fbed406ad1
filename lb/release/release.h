/*
 * release: a service's move from its stable version to a candidate.
 *
 * Control starts, moves and ends it; workers read it on each request. Two
 * things cross: the cell, one atomic word, and an immutable record for each
 * generation, published before the first cell that names it. So a worker never
 * sees half a change, and a change of share is one store. Versions and records
 * stay until release_free(), so a pointer to one never goes stale. Nothing here
 * reads a clock or does I/O: times (wall clock, ns since 1970) come from the
 * caller.
 */
#ifndef PERCH_RELEASE_RELEASE_H
#define PERCH_RELEASE_RELEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RELEASE_NAME_MAX 64 /* bytes of a version's or service's name */
#define RELEASE_SHARE_FULL 10000 /* shares are in hundredths of a percent */

/* Where a version stands, seen from new requests. */
enum release_standing {
	STANDING_IDLE,        /* configured, not released: override only */
	STANDING_ACTIVE,      /* stable, or the running release's candidate */
	STANDING_DRAINING,    /* pinned clients only */
	STANDING_ASSETS_ONLY, /* rescue only */
};
const char *release_standing_name(enum release_standing standing);
/* False if no standing has that name. */
bool release_standing_parse(const char *name, enum release_standing *out);

/* [A-Za-z0-9._-]{1,64}? */
bool release_is_name(const char *name);

struct release_version {
	char name[RELEASE_NAME_MAX + 1];
	/* An enum release_standing, but never ACTIVE: that follows from record
	 * and cell, by release_standing_of(). */
	_Atomic uint8_t standing;
	/* Control only. */
	uint64_t until_wall_ns; /* end of draining or assets only */
	bool is_configured;
	struct release_version *next;
};

/* Immutable. previous: the generation before, NULL for the first. */
struct release_record {
	uint32_t generation;
	uint64_t seed;
	const struct release_version *stable;
	/* NULL if the generation began without one. Means nothing unless the
	 * cell's state is running. */
	const struct release_version *candidate;
	const struct release_record *previous;
};

enum release_state {
	RELEASE_NONE,
	RELEASE_RUNNING,
	/* The cell has room for two more. */
};

/* The cell unpacked: generation:32 epoch:16 share:14 state:2. */
struct release_cell {
	uint32_t generation; /* names the record */
	uint16_t epoch;      /* rises by one with each change; wraps */
	uint16_t share_bp;   /* 0 to RELEASE_SHARE_FULL */
	enum release_state state;
};

struct release {
	_Atomic uint64_t cell;
	_Atomic(const struct release_record *) record; /* the newest */
	/* Control only. */
	char service[RELEASE_NAME_MAX + 1];
	char config_stable[RELEASE_NAME_MAX + 1]; /* the config's word, last seen */
	uint64_t drain_ns;
	uint64_t rescue_for_ns;
	struct release_version *versions;
};

/* What of the config matters here. */
struct release_config {
	const char *stable; /* one of versions */
	const char *const *versions;
	size_t n_versions;
	uint64_t drain_ns;      /* old stable version after a promotion */
	uint64_t rescue_for_ns; /* then, and after a rollback: assets only */
};

/* What survives a restart; to and from a file by release/state_file. */
struct release_saved_version {
	char name[RELEASE_NAME_MAX + 1];
	enum release_standing standing;
	uint64_t until_wall_ns;
};

struct release_saved {
	char service[RELEASE_NAME_MAX + 1];
	char stable[RELEASE_NAME_MAX + 1];
	char config_stable[RELEASE_NAME_MAX + 1];
	char candidate[RELEASE_NAME_MAX + 1]; /* "" unless a release runs */
	uint32_t generation;
	uint16_t epoch;
	uint16_t share_bp;
	bool is_running;
	uint64_t seed;
	struct release_saved_version *versions; /* draining or assets only */
	size_t n_versions;
};

static inline uint64_t
release_cell_pack(struct release_cell cell)
{
	return (uint64_t)cell.generation << 32 | (uint64_t)cell.epoch << 16 |
	       (uint64_t)(cell.share_bp & 0x3fff) << 2 |
	       ((uint64_t)cell.state & 3);
}

static inline struct release_cell
release_cell_unpack(uint64_t packed)
{
	return (struct release_cell){
		.generation = (uint32_t)(packed >> 32),
		.epoch = (uint16_t)(packed >> 16),
		.share_bp = (uint16_t)(packed >> 2 & 0x3fff),
		.state = (enum release_state)(packed & 3),
	};
}

/* --- any thread ------------------------------------------------------------ */

/* The cell, and the record it names: what one request decides by. Only after
 * the first release_adopt(). */
static inline const struct release_record *
release_read(const struct release *release, struct release_cell *out)
{
	const struct release_record *record;

	*out = release_cell_unpack(
		atomic_load_explicit(&release->cell, memory_order_acquire));
	record = atomic_load_explicit(&release->record, memory_order_acquire);
	/* A newer one may have been published since the cell was read. */
	while (record->generation != out->generation)
		record = record->previous;
	return record;
}

/* Where a version stands by what release_read() gave. */
static inline enum release_standing
release_standing_of(const struct release_version *version,
	const struct release_record *record, const struct release_cell *cell)
{
	if (version == record->stable)
		return STANDING_ACTIVE;
	if (cell->state != RELEASE_NONE && version == record->candidate)
		return STANDING_ACTIVE;
	return (enum release_standing)atomic_load_explicit(
		&version->standing, memory_order_acquire);
}

/* --- the control thread ---------------------------------------------------- */

/* service: a name that release_is_name(). */
void release_init(struct release *release, const char *service);
/* When no worker runs any more. */
void release_free(struct release *release);

/* Finds a version or makes it, idle. name must be one that release_is_name(). */
struct release_version *release_version_by_name(
	struct release *release, const char *name);

/*
 * Takes a config over, at the start and at each reload. saved: what was
 * running before a restart, or NULL; looked at the first time only. The stable
 * version at hand (saved, promoted) stays, unless the config's word has changed
 * since or it is no longer configured: then the config's becomes stable, and a
 * running release ends. A release whose candidate is no longer configured is
 * rolled back. note says what an operator should know of this; "" if nothing.
 */
void release_adopt(struct release *release, const struct release_config *config,
	const struct release_saved *saved, uint64_t now_wall_ns,
	struct error *note);

/*
 * The operator's (and later the judge's) words. False, with nothing changed,
 * if the word makes no sense now; error says why and what would.
 */

/* Another candidate's running release is rolled back first. seed decides whose
 * turn comes first; a fresh random number. */
bool release_start(struct release *release, const char *candidate,
	uint16_t share_bp, uint64_t seed, uint64_t now_wall_ns,
	struct error *error) __attribute__((warn_unused_result));
bool release_set_share(struct release *release, uint16_t share_bp,
	struct error *error) __attribute__((warn_unused_result));
/* The candidate becomes stable; the old version drains, then assets only. */
bool release_promote(struct release *release, uint64_t now_wall_ns,
	struct error *error) __attribute__((warn_unused_result));
/* The candidate is assets only at once: pins to it are void. */
bool release_rollback(struct release *release, uint64_t now_wall_ns,
	struct error *error) __attribute__((warn_unused_result));

/* Moves versions whose time is over on: draining, assets only, idle. True if
 * there were any (the state is to be saved). Call it about once a second. */
bool release_expire(struct release *release, uint64_t now_wall_ns);

/* out is overwritten; release_saved_free() it. */
void release_save(const struct release *release, struct release_saved *out);
void release_saved_free(struct release_saved *saved);

#endif
