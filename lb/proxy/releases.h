/*
 * releases: every unit's release, kept over restarts, and an operator's words
 * about them.
 *
 * Control's. Words are answered when they are on disk (where there is a
 * state_dir) and in force. Units are services, or groups of them; a word may
 * name a service of a group for the group.
 */
#ifndef PERCH_PROXY_RELEASES_H
#define PERCH_PROXY_RELEASES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "proxy/judge.h"
#include "proxy/snapshot.h"
#include "release/journal.h"

struct event_base;
struct shard;

#define RELEASES_TICK_MS 250

/* A change of state; takes nothing. */
typedef void releases_event_fn(const json_t *event, void *arg);

struct releases {
	struct registry *registry;
	const struct snapshot *snapshot; /* the one in force; NULL at the start */
	struct journal *journal;         /* NULL: no state_dir */
	bool is_journal_failing;
	bool is_closing; /* what comes of the journal is of no use any more */
	struct judge *judges;
	/* Those with a version that time moves on: few, of however many. */
	struct registry_service **moving;
	size_t n_moving;
	struct shard **shards; /* the workers', for sweeps */
	uint64_t stamp;        /* of the latest sweep */
	releases_event_fn *on_event;
	void *on_event_arg;
};

/* dir NULL: nothing is kept. shards: n_workers of the registry's, owned by
 * control. */
bool releases_open(struct releases *releases, struct registry *registry,
	struct shard **shards, struct event_base *base, const char *dir,
	struct error *error);
/* When no worker runs any more. */
void releases_close(struct releases *releases);

/* Takes over what a config says; see release_adopt(). The snapshot is the one
 * that will be in force. */
void releases_adopt(struct releases *releases, const struct config *config);
void releases_set_snapshot(
	struct releases *releases, const struct snapshot *snapshot);

/* Every RELEASES_TICK_MS. */
void releases_tick(struct releases *releases);
/* Moves versions whose time is over on, and tries a failing journal again;
 * once a second. */
void releases_expire(struct releases *releases);

/* By the name of a service, a group, or a service of a group. NULL if the
 * config in force has none. */
struct registry_unit *releases_find_unit(
	const struct releases *releases, const char *name);
/* What its releases go by, unless they say otherwise; NULL if none of its
 * services is in the config in force. */
const struct config_plan *releases_plan_of(
	const struct releases *releases, const struct registry_unit *unit);

struct releases_start {
	const char *unit;
	/* Either one name for all services that have such a version, or pairs. */
	const char *version;
	const char *const *services;
	const char *const *versions;
	size_t n_pairs;
	const char *plan;  /* NULL: the config's */
	uint16_t share_bp; /* 0: the plan's first step */
	int is_auto;       /* -1: as the plan says */
};

/* Each answers through word->ack. */
void releases_start(struct releases *releases,
	const struct releases_start *start, const struct judge_word *word);
void releases_say(struct releases *releases, const char *unit,
	const struct plan_word *what, const struct judge_word *word);

/* The newest entries about a unit, newest first: a new reference. */
json_t *releases_history(const struct releases *releases,
	const struct registry_unit *unit, size_t max);

/* --- for judges -------------------------------------------------------------- */

/* Writes an entry down: takes it. done as journal_append(); at once where there
 * is no journal. */
void releases_write(struct releases *releases, json_t *entry,
	journal_done_fn *done, void *arg);
/* Where a unit stands, after something was done. */
void releases_write_state(
	struct releases *releases, struct registry_unit *unit);
/* Tells people: takes the event. */
void releases_emit(struct releases *releases, json_t *event);
/* Where the unit's versions stand may have changed. */
void releases_watch(struct releases *releases, struct registry_unit *unit);

#endif
