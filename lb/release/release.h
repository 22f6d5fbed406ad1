/*
 * release: the move of a service, or of a group of them, from the stable
 * version to a candidate.
 *
 * What moves together is a unit: it has the cell, one atomic word that says the
 * share for all its services at once. Each service has its part: the versions,
 * and an immutable record for each generation in which something changed for
 * it, published before the first cell that counts as far. So a worker never
 * sees half a change, and a change of share is one store. Generations are
 * numbered through all units, so that records keep their order when a service
 * comes to another unit.
 *
 * Control starts, moves and ends releases; workers read them on each request.
 * Versions and records stay until release_free(), so a pointer to one never
 * goes stale. Nothing here reads a clock or does I/O: times (wall clock, ns
 * since 1970) come from the caller.
 */
#ifndef PERCH_RELEASE_RELEASE_H
#define PERCH_RELEASE_RELEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "release/crowd.h"

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
/* One that is. */
void release_copy_name(char out[RELEASE_NAME_MAX + 1], const char *name);

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

/* Immutable. previous: an earlier generation's, NULL for the first. */
struct release_record {
	uint32_t generation;
	uint64_t seed;
	const struct release_version *stable;
	/* NULL if this service took no part in that generation's release. Means
	 * nothing unless the cell's state is running. */
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

struct release_unit {
	_Atomic uint64_t cell;
	struct crowd_handle crowd; /* whom the judge counts */
	char name[RELEASE_NAME_MAX + 1]; /* the service's or the group's */
	/* Control only. */
	uint32_t *last_generation; /* of all units; the caller's */
	struct release *members;   /* in the order in which they came */
};

/* A service's part. */
struct release {
	_Atomic(const struct release_unit *) unit;
	_Atomic(const struct release_record *) record; /* the newest */
	/* Control only. */
	char service[RELEASE_NAME_MAX + 1];
	char config_stable[RELEASE_NAME_MAX + 1]; /* the config's word, last seen */
	uint64_t drain_ns;
	uint64_t rescue_for_ns;
	struct release_version *versions;
	struct release_unit *own_unit; /* the same as unit, not const */
	struct release *next_member;
};

/* What of the config matters here. */
struct release_config {
	const char *stable; /* one of versions */
	const char *const *versions;
	size_t n_versions;
	uint64_t drain_ns;      /* old stable version after a promotion */
	uint64_t rescue_for_ns; /* then, and after a rollback: assets only */
};

/* What survives a restart; to and from JSON by release/release_state. */
struct release_saved_version {
	char name[RELEASE_NAME_MAX + 1];
	enum release_standing standing;
	uint64_t until_wall_ns;
};

struct release_saved {
	char service[RELEASE_NAME_MAX + 1];
	char stable[RELEASE_NAME_MAX + 1];
	char config_stable[RELEASE_NAME_MAX + 1];
	char candidate[RELEASE_NAME_MAX + 1]; /* "" if it takes no part */
	uint32_t generation; /* of its record */
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
	const struct release_unit *unit =
		atomic_load_explicit(&release->unit, memory_order_acquire);
	const struct release_record *record;

	*out = release_cell_unpack(
		atomic_load_explicit(&unit->cell, memory_order_acquire));
	record = atomic_load_explicit(&release->record, memory_order_acquire);
	/* A newer one may have been published since the cell was read. */
	while (record->generation > out->generation && record->previous != NULL)
		record = record->previous;
	return record;
}

/* The running release's candidate; NULL if there is none. */
static inline const struct release_version *
release_candidate(const struct release_record *record,
	const struct release_cell *cell)
{
	return cell->state == RELEASE_RUNNING ? record->candidate : NULL;
}

/* Where a version stands by what release_read() gave. */
static inline enum release_standing
release_standing_of(const struct release_version *version,
	const struct release_record *record, const struct release_cell *cell)
{
	if (version == record->stable)
		return STANDING_ACTIVE;
	if (version == release_candidate(record, cell))
		return STANDING_ACTIVE;
	return (enum release_standing)atomic_load_explicit(
		&version->standing, memory_order_acquire);
}

/* --- the control thread ---------------------------------------------------- */

/* Names are such that release_is_name(). last_generation stays the caller's;
 * all units have the same one. */
void release_unit_init(struct release_unit *unit, const char *name,
	uint32_t *last_generation);
void release_init(struct release *release, const char *service);
/* When no worker runs any more. */
void release_free(struct release *release);

/* What was running before a restart, before its services are adopted. */
void release_unit_restore(struct release_unit *unit, struct release_cell cell);

/* Finds a version or makes it, idle. name must be one that release_is_name(). */
struct release_version *release_version_by_name(
	struct release *release, const char *name);

/* What was before a restart, in the unit that the service is in now. To be done
 * for all of a group before any of them is adopted. */
void release_restore(struct release *release, struct release_unit *unit,
	const struct release_config *config,
	const struct release_saved *saved);

/*
 * Takes a config over, at the start and at each reload. unit: the service's or
 * its group's; if it had another one, both have their releases rolled back.
 * The stable version at hand (saved, promoted) stays, unless the config's word has
 * changed since or it is no longer configured: then the config's becomes
 * stable, and a running release ends. A release whose candidate is no longer
 * configured is rolled back. note says what an operator should know of this; ""
 * if nothing.
 */
void release_adopt(struct release *release, struct release_unit *unit,
	const struct release_config *config, uint64_t now_wall_ns,
	struct error *note);

/* The service is no longer configured: a release that it takes part in is
 * rolled back. False if there was none. */
bool release_abandon(struct release *release, uint64_t now_wall_ns);

/* Which version is to be whose candidate. */
struct release_choice {
	struct release *release; /* one of the unit's */
	const char *candidate;
};

/*
 * The operator's and the judge's words. False, with nothing changed, if the
 * word makes no sense now; error says why and what would.
 */

/* A unit's other running release is rolled back first. seed decides whose turn
 * comes first; a fresh random number. */
bool release_start(struct release_unit *unit,
	const struct release_choice *choices, size_t n_choices,
	uint16_t share_bp, uint64_t seed, uint64_t now_wall_ns,
	struct error *error) __attribute__((warn_unused_result));
bool release_set_share(struct release_unit *unit, uint16_t share_bp,
	struct error *error) __attribute__((warn_unused_result));
/* The candidates become stable; the old versions drain, then assets only. */
bool release_promote(struct release_unit *unit, uint64_t now_wall_ns,
	struct error *error) __attribute__((warn_unused_result));
/* The candidates are assets only at once: pins to them are void. */
bool release_rollback(struct release_unit *unit, uint64_t now_wall_ns,
	struct error *error) __attribute__((warn_unused_result));

/* The checks of release_start() alone, for a word that is written down before
 * it acts. */
bool release_check_start(const struct release_unit *unit,
	const struct release_choice *choices, size_t n_choices,
	uint16_t share_bp, struct error *error)
	__attribute__((warn_unused_result));
/* Is one running? If not, error says so. */
bool release_check_running(const struct release_unit *unit,
	struct error *error) __attribute__((warn_unused_result));

struct release_cell release_unit_cell(const struct release_unit *unit);

/* Moves versions whose time is over on: draining, assets only, idle. True if
 * there were any (the state is to be saved). Call it about once a second. */
bool release_expire(struct release *release, uint64_t now_wall_ns);

/* out is overwritten; release_saved_free() it. */
void release_save(const struct release *release, struct release_saved *out);
void release_saved_free(struct release_saved *saved);

#endif
