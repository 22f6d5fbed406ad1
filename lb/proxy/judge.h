/*
 * judge: the release of a unit, as control conducts it.
 *
 * Each tick it reads what workers have counted, weighs it (release/evidence),
 * asks the plan what is to be done (release/plan), and does it: a share, a
 * rollback, a promotion; writes it down and tells people. One for each unit that
 * was ever released, of the control thread; proxy/releases owns it and hands it
 * an operator's words.
 */
#ifndef PERCH_PROXY_JUDGE_H
#define PERCH_PROXY_JUDGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "proxy/snapshot.h"
#include "release/evidence.h"
#include "release/plan.h"

struct releases;

#define JUDGE_TEXT_MAX 200 /* bytes of who and why */

/* What became of a word. */
enum judge_answer {
	JUDGE_DONE,      /* in force, and on disk where there is a state_dir */
	JUDGE_REFUSED,   /* it makes no sense now */
	JUDGE_UNWRITTEN, /* the journal failed; a rollback is in force anyway */
};
/* why: "" or what to tell the operator. Called once, perhaps at once. */
typedef void judge_ack_fn(enum judge_answer answer, const char *why, void *arg);

/* Who said something, why, and who is to hear what became of it. */
struct judge_word {
	const char *who;
	const char *why; /* "" if nothing was said */
	judge_ack_fn *ack; /* or NULL */
	void *arg;
};

/* A service's part in a release. */
struct judge_side {
	struct registry_service *service;
	char candidate[RELEASE_NAME_MAX + 1];
	/* What the service had counted of each when the step began. */
	uint64_t hurt_before[REGISTRY_HURTS];
};

struct judge {
	struct releases *releases;
	struct registry_unit *unit;
	struct judge *next;

	/* The release that runs, or the last one. */
	unsigned run; /* which: what still comes of an earlier one is stale */
	struct judge_side *sides;
	size_t n_sides;
	char plan_name[RELEASE_NAME_MAX + 1];
	uint64_t seed;
	struct plan plan;
	struct plan_record record; /* the newest that is in force */
	unsigned n_unwritten;      /* records on their way to the disk */
	uint64_t durable_seq;
	struct evidence evidence;
	struct crowd *crowd; /* NULL: nobody is counted */
	unsigned window;     /* of the evidence, that the crowd was told */
	struct crowd_totals totals;
	uint64_t began_wall_ns;
	uint64_t step_ns;  /* since when evidence adds up */
	uint64_t n_promoted; /* releases, since perch started */
	uint64_t n_rolled_back;
	uint32_t untrusted; /* signals that people were told of */
	/* Who the newest record goes back to. */
	char who[JUDGE_TEXT_MAX + 1];
	char why[JUDGE_TEXT_MAX + 1];
	/* A restart has held it, of which people are still to be told: at the
	 * start nobody listens yet. */
	bool is_held_untold;
	/* What of the config has ended it, if people are still to be told. */
	char ended_because[JUDGE_TEXT_MAX + 1];
};

/* The version that is stable in a side's service now. */
const char *judge_side_stable(const struct judge_side *side);

struct judge *judge_new(struct releases *releases, struct registry_unit *unit);
/* When no worker runs any more. */
void judge_free(struct judge *judge);

/* What a release is begun with. */
struct judge_start {
	const struct judge_side *sides; /* copied */
	size_t n_sides;
	const struct config_plan *plan;
	uint16_t share_bp; /* to begin at; 0: the plan's first step */
	bool is_auto;
	uint64_t seed;
};

/* All checks have been made. */
void judge_begin(struct judge *judge, const struct judge_start *start,
	const struct judge_word *word);
/* After a restart, from the state in the journal; the release cell stands as it
 * says. False, with error set, if it makes no sense. */
bool judge_resume(struct judge *judge, const json_t *state,
	const struct snapshot *snapshot, struct error *error)
	__attribute__((warn_unused_result));
void judge_say(struct judge *judge, const struct plan_word *what,
	const struct judge_word *word);
/* The config has ended its release, or completed it. */
void judge_note_config(struct judge *judge, const char *why);

/* Does a release run, or is one about to? */
bool judge_is_active(const struct judge *judge);

/* Every 250 ms. */
void judge_tick(struct judge *judge, uint64_t now_ns);

/* What the journal is to know of the unit, with this record: a new reference. */
json_t *judge_state(
	const struct judge *judge, const struct plan_record *record);

#endif
