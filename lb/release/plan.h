/*
 * plan: what a release does next. A pure state machine: (state, evidence, now)
 * -> (state, actions).
 *
 *     idle -> running(i) <-> held(i) -> ... -> done
 *             paused(i): by an operator
 *             any of these -> rolled_back | frozen
 *
 * control calls plan_tick() every 250 ms and plan_say() with an operator's
 * words, and does what the output asks for. It does no I/O and reads no clock,
 * so that a simulation drives weeks of it in a second.
 *
 * The journal. A record in the output is to be written and synced; records are
 * numbered from 1, and input.durable_seq says up to which number they are on
 * disk. A raised share or a promotion comes in the output only of the tick that
 * sees its record durable (and the reasons for it still standing); a rollback
 * comes at once, with its record. Words are to be acknowledged when plan_say()'s
 * record is durable.
 *
 * Retreat. At 100 % nobody is left to compare with, so what is over the limit
 * there (evidence: is_over_limit) may be a burst in what both versions need. The
 * share goes back to the step before, at once: there the comparison tells within
 * a second or so. The second time it stays there, paused.
 */
#ifndef PERCH_RELEASE_PLAN_H
#define PERCH_RELEASE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "release/evidence.h"

#define PLAN_STEPS_MAX 32
#define PLAN_TEXT_MAX 512
#define PLAN_NAMES_MAX 160 /* a version's, or those of a group's services */

enum plan_state {
	PLAN_IDLE, /* not begun; or begun, its first record not yet durable */
	PLAN_RUNNING, /* the step's time runs */
	PLAN_HELD, /* something is missing or suspicious: reason says what */
	PLAN_PAUSED, /* by an operator */
	PLAN_FROZEN, /* harm, with on_harm: freeze */
	PLAN_DONE,
	PLAN_ROLLED_BACK,
};
/* "idle", "running", ... */
const char *plan_state_name(enum plan_state state);
/* False if no state has that name. */
bool plan_state_parse(const char *name, enum plan_state *out);

enum plan_on_harm { PLAN_HARM_ROLLBACK, PLAN_HARM_FREEZE };

/* For words. */
struct plan_names {
	char candidate[PLAN_NAMES_MAX + 1];
	char stable[PLAN_NAMES_MAX + 1];
};

struct plan_config {
	uint16_t steps_bp[PLAN_STEPS_MAX]; /* rising, 1 to 10,000 */
	unsigned n_steps; /* >= 1 */
	uint64_t hold_ns;
	uint32_t min_clients; /* of the candidate, in a step */
	bool is_auto; /* else it waits at each step for PLAN_ADVANCE */
	bool needs_proof; /* advance: proven */
	enum plan_on_harm on_harm;
	struct plan_names names;
};

/* 1, 5, 10, 20, 50, 80, 100 %; 60 s; 50 clients; auto; rollback. */
void plan_config_init(struct plan_config *config);

/* What is to be kept on disk, and what a restart gives back. */
struct plan_record {
	uint64_t seq; /* from 1, rising by 1 */
	enum plan_state state;
	unsigned step; /* index into steps */
	uint16_t share_bp; /* what the candidate has once this acts */
	bool is_promotion; /* the candidate is to become stable */
	char reason[PLAN_TEXT_MAX];
};

enum plan_act {
	PLAN_ACT_NONE,
	PLAN_ACT_SHARE, /* the first one begins the release */
	PLAN_ACT_ROLLBACK, /* also before it began */
	PLAN_ACT_PROMOTE,
};

struct plan_output {
	enum plan_act act;
	/* With PLAN_ACT_SHARE. After it: a new epoch and step for the crowd, and
	 * evidence_begin_step(). */
	uint16_t share_bp;
	bool has_record; /* journal record */
	struct plan_record record;
	bool has_event; /* tell people: event says it in words */
	char event[PLAN_TEXT_MAX];
};

struct plan_input {
	uint64_t now_ns; /* monotonic */
	const struct evidence *evidence;
	uint32_t clients; /* of the candidate, seen in this step */
	bool is_blind; /* there is no crowd: nobody is counted */
	bool is_exhausted; /* crowd: too few clients are left at risk */
	unsigned n_endpoints; /* the candidate's */
	unsigned n_healthy; /* of these */
	/* Of a group those versions whose endpoints these are, and those by which
	 * a signal's clients were hurt, by signal; NULL: config.names. */
	const struct plan_names *healthy;
	const struct plan_names *hurt;
	bool is_journal_failing;
	uint64_t durable_seq;
};

enum plan_word_kind {
	PLAN_ADVANCE, /* go to the next step now, whatever is missing */
	PLAN_PAUSE,
	PLAN_RESUME, /* of paused: the step's hold starts anew */
	PLAN_SHARE, /* this share, and paused there */
	PLAN_PROMOTE, /* now */
	PLAN_ROLLBACK,
};

/* "advance", "pause", ... */
const char *plan_word_name(enum plan_word_kind kind);

struct plan_word {
	enum plan_word_kind kind;
	uint16_t share_bp; /* with PLAN_SHARE: 1 to 10,000 */
	/* With PLAN_PROMOTE and PLAN_ROLLBACK, for words; NULL: by hand. */
	const char *because;
};

/* What an advance waits for; in the order of asking. */
enum plan_lack {
	PLAN_LACKS_NOTHING,
	PLAN_LACKS_CALM, /* E is 10 or more */
	PLAN_LACKS_TIME, /* the only one that isn't held */
	PLAN_LACKS_RESTART, /* held for one hold after a restart */
	PLAN_LACKS_CROWD, /* blind */
	PLAN_LACKS_CELLS, /* exhausted */
	PLAN_LACKS_CLIENTS,
	PLAN_LACKS_HEALTH,
	PLAN_LACKS_PROOF,
	PLAN_LACKS_JOURNAL,
	PLAN_LACKS_WORD,
	PLAN_LACKS_STEP, /* the last one is below 100 % */
};

/* Read it, don't write it. */
struct plan {
	struct plan_config config;
	enum plan_state state;
	enum plan_lack lack; /* while running or held */
	unsigned step; /* the last that share_bp has reached, or the first */
	uint16_t share_bp; /* in force */
	uint64_t step_ns; /* when its hold began */
	uint64_t seq; /* of the latest record */
	uint64_t settled_seq; /* of the latest that was waited for, and acted */
	bool is_restarted; /* and the hold after it runs */
	unsigned n_retreats;
	char reason[PLAN_TEXT_MAX]; /* why it is where it is, in words */
	/* A change that awaits its record. */
	struct {
		enum plan_act act; /* PLAN_ACT_NONE: nothing is pending */
		enum plan_state state; /* then */
		uint16_t share_bp;
		uint64_t seq;
		bool is_by_word; /* an operator's: not called off */
	} pending;
};

/* Begins at the first step: gives its record; the share follows from the
 * tick that sees it durable. last_seq: of the records before, 0 if none. */
void plan_begin(struct plan *plan, const struct plan_config *config,
	uint64_t last_seq, uint64_t now_ns, struct plan_output *out);

/*
 * After a restart, from the last durable record: held at its share for one hold,
 * if it was running or held; paused or frozen if it was that. The caller has put
 * the share in force, with fresh evidence. A change whose record is durable
 * counts as made; a promotion and a rollback are asked for once more.
 */
void plan_resume(struct plan *plan, const struct plan_config *config,
	const struct plan_record *record, uint64_t now_ns,
	struct plan_output *out);

void plan_tick(struct plan *plan, const struct plan_input *input,
	struct plan_output *out);

/* False, with nothing changed, where the word makes no sense now; error says
 * why and what would. */
bool plan_say(struct plan *plan, const struct plan_word *word, uint64_t now_ns,
	struct plan_output *out, struct error *error)
	__attribute__((warn_unused_result));

/* The record of that number could not be written: a change that awaits it is
 * off. */
void plan_cancel(struct plan *plan, uint64_t seq);

/* A release is on its way: begun, and neither done nor rolled back. */
bool plan_is_active(const struct plan *plan);

#endif
