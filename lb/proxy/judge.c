#include "proxy/judge_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "proxy/health.h"
#include "proxy/judge_json.h"
#include "proxy/releases.h"
#include "release/release_state.h"

/*
 * What the plan asks for is done in this order: a rollback first of all; then
 * the record is written; then people are told. A share or a promotion comes
 * from the plan only once its record is on disk. Every change of share ends the
 * crowd's tick and begins a step of it under the epoch that the cell is about to
 * have, so that no client is counted on a side that it is no longer on.
 */

struct judge *
judge_new(struct releases *releases, struct registry_unit *unit)
{
	struct judge *judge = memory_zalloc(sizeof(*judge));

	judge->releases = releases;
	judge->unit = unit;
	return judge;
}

void
judge_free(struct judge *judge)
{
	free(judge->sides);
	free(judge);
}

bool
judge_is_active(const struct judge *judge)
{
	return plan_is_active(&judge->plan) ||
	       judge->plan.pending.act != PLAN_ACT_NONE;
}

static bool
is_running(const struct judge *judge)
{
	return release_unit_cell(&judge->unit->release).state ==
	       RELEASE_RUNNING;
}

/* Has the config ended the release, and the plan is still to be told? */
static bool
is_ended(const struct judge *judge)
{
	return plan_is_active(&judge->plan) && !is_running(judge);
}

/* By the config: all that is missing is the record. */
static bool
is_being_completed(const struct judge *judge)
{
	return judge->plan.pending.act == PLAN_ACT_PROMOTE &&
	       judge_are_candidates_stable(judge);
}

static const char *
why_ended(const struct judge *judge)
{
	return judge->ended_because[0] != '\0'
		       ? judge->ended_because
		       : "the configuration has changed";
}

void
judge_set_word(struct judge *judge, const char *who, const char *why)
{
	snprintf(judge->who, sizeof(judge->who), "%s", who);
	snprintf(judge->why, sizeof(judge->why), "%s", why);
}

/* --- whom it counts ---------------------------------------------------------- */

static void
set_watches(struct judge *judge, bool is_on)
{
	const struct evidence_config *config = &judge->evidence.config;

	for (unsigned i = 0; i < config->n_watches; i++)
		registry_set_watch(registry_service(judge->releases->registry,
					   config->watches[i]),
			&(struct registry_watch){.unit = judge->unit,
				.index = i,
				.member = is_on ? judge->sides[0].service
						: NULL});
}

static void
stop_counting(struct judge *judge)
{
	if (judge->crowd == NULL)
		return;
	set_watches(judge, false);
	crowd_publish(
		&judge->unit->release.crowd, NULL, judge->releases->stamp + 1);
	judge->crowd = NULL;
}

/* For a release whose cell will have this generation and epoch. */
void
judge_start_counting(struct judge *judge, uint32_t generation, uint16_t epoch)
{
	stop_counting(judge);
	judge->crowd =
		crowd_new(generation, judge->releases->registry->n_workers,
			judge->evidence.config.n_watches);
	if (judge->crowd == NULL) {
		log_error("release of %s: no memory to count its clients in: "
			  "it will not be judged",
			judge->unit->release.name);
		return;
	}
	crowd_begin_step(judge->crowd, epoch);
	crowd_publish(&judge->unit->release.crowd, judge->crowd,
		judge->releases->stamp + 1);
	set_watches(judge, true);
}

static void
take_counts(struct judge *judge, uint64_t now_ns)
{
	struct evidence_tick tick;
	struct histogram_counts stable;
	struct evidence_lines lines = {.is_known = false};

	if (judge->crowd == NULL)
		return;
	crowd_read(judge->crowd, &tick);
	evidence_add(&judge->evidence, &tick, now_ns);
	crowd_totals(judge->crowd, &judge->totals);
	if (judge->evidence.window != judge->window)
		crowd_begin_window(judge->crowd);
	judge->window = judge->evidence.window;
	crowd_stable_samples(judge->crowd, &stable);
	evidence_draw_lines(&judge->evidence.config, &stable, &lines);
	if (lines.is_known)
		crowd_set_lines(judge->crowd, &lines);
}

/* --- doing what the plan says ------------------------------------------------- */

static void
start_release(struct judge *judge, uint16_t share_bp)
{
	struct release_unit *unit = &judge->unit->release;
	struct release_choice *choices =
		memory_zalloc_array(judge->n_sides, sizeof(*choices));
	struct error error;

	for (size_t i = 0; i < judge->n_sides; i++)
		choices[i] = (struct release_choice){
			&judge->sides[i].service->release,
			judge->sides[i].candidate};
	judge_start_counting(judge, *unit->last_generation + 1,
		(uint16_t)(release_unit_cell(unit).epoch + 1));
	/* What was checked when it was asked for can have changed since. */
	if (!release_start(unit, choices, judge->n_sides, share_bp, judge->seed,
		    clock_wall_ns(), &error))
		log_error("release of %s: %s", unit->name, error.message);
	free(choices);
}

void
judge_begin_step(struct judge *judge, uint16_t share_bp, uint64_t now_ns)
{
	evidence_begin_step(&judge->evidence, share_bp);
	judge_forget_hurt(judge);
	judge->step_ns = now_ns;
	judge->window = judge->evidence.window;
}

void
judge_put_share(struct judge *judge, uint16_t share_bp, uint64_t now_ns)
{
	struct release_unit *unit = &judge->unit->release;
	struct release_cell cell = release_unit_cell(unit);
	struct error error;

	/* As it is: the step goes on. */
	if (cell.state == RELEASE_RUNNING && cell.share_bp == share_bp)
		return;
	if (cell.state != RELEASE_RUNNING) {
		start_release(judge, share_bp);
	} else {
		take_counts(judge, now_ns);
		if (judge->crowd != NULL)
			crowd_begin_step(
				judge->crowd, (uint16_t)(cell.epoch + 1));
		if (!release_set_share(unit, share_bp, &error))
			log_error(
				"release of %s: %s", unit->name, error.message);
	}
	judge_begin_step(judge, share_bp, now_ns);
}

void
judge_act(struct judge *judge, const struct plan_output *out, uint64_t now_ns)
{
	struct release_unit *unit = &judge->unit->release;
	struct error error;

	/* A release that runs no more was ended by the config. */
	switch (out->act) {
	case PLAN_ACT_NONE:
		return;
	case PLAN_ACT_SHARE:
		judge_put_share(judge, out->share_bp, now_ns);
		return;
	case PLAN_ACT_ROLLBACK:
		if (is_running(judge) &&
			!release_rollback(unit, clock_wall_ns(), &error))
			log_error(
				"release of %s: %s", unit->name, error.message);
		break;
	case PLAN_ACT_PROMOTE:
		if (is_running(judge) &&
			!release_promote(unit, clock_wall_ns(), &error))
			log_error(
				"release of %s: %s", unit->name, error.message);
		break;
	}
	stop_counting(judge);
}

/* What people call what has just happened. */
static const char *
name_event(const struct plan_output *out, const struct plan *plan,
	enum plan_state before, uint16_t before_bp)
{
	switch (out->act) {
	case PLAN_ACT_SHARE:
		if (before == PLAN_IDLE)
			return "started";
		if (plan->share_bp < before_bp && plan->n_retreats > 0)
			return "retreated";
		return plan->state == PLAN_RUNNING ? "advanced" : "share_set";
	case PLAN_ACT_ROLLBACK:
		return "rolled_back";
	case PLAN_ACT_PROMOTE:
		return "promoted";
	case PLAN_ACT_NONE:
		break;
	}
	switch (plan->state) {
	case PLAN_RUNNING:
		return before == PLAN_PAUSED ? "resumed" : "running";
	case PLAN_PAUSED:
		return "paused";
	case PLAN_FROZEN:
		return "frozen";
	default:
		return "held";
	}
}

struct written {
	struct judge *judge;
	unsigned run;
	struct plan_record record;
	enum plan_act act; /* that has been done already */
	bool is_in_force; /* it awaited no record */
	judge_ack_fn *ack;
	void *arg;
};

static void ask_plan(struct judge *judge, uint64_t now_ns);

static void
acknowledge(const struct written *written, enum judge_answer answer,
	const char *why)
{
	if (written->ack != NULL)
		written->ack(answer, why, written->arg);
}

/* What to tell whoever said the word that a record on disk came of. */
static void
acknowledge_written(const struct written *written)
{
	const struct judge *judge = written->judge;

	if (judge->run != written->run)
		acknowledge(written, JUDGE_REFUSED, "another release has begun");
	else if (!written->is_in_force &&
		 judge->plan.settled_seq != written->record.seq)
		/* Something was quicker than the word that awaited its record:
		 * harm, or the config. */
		acknowledge(written, JUDGE_REFUSED, judge->plan.reason);
	else if (!written->is_in_force && is_ended(judge))
		acknowledge(written, JUDGE_REFUSED, why_ended(judge));
	else
		acknowledge(written, JUDGE_DONE, "");
}

static void
acknowledge_unwritten(const struct written *written, const char *why)
{
	char text[300];

	if (written->act == PLAN_ACT_ROLLBACK || written->is_in_force)
		snprintf(text, sizeof(text),
			"%s, but that would not survive a restart: %s",
			written->act == PLAN_ACT_ROLLBACK ? "rolled back"
							  : "in force",
			why);
	else
		snprintf(text, sizeof(text),
			"not done, as it can't be written down: %s", why);
	acknowledge(written, JUDGE_UNWRITTEN, text);
}

static void
on_written(bool is_on_disk, const char *why, void *arg)
{
	struct written *written = arg;
	struct judge *judge = written->judge;
	uint64_t seq = written->record.seq;
	bool is_mine = judge->run == written->run;

	judge->n_unwritten--;
	if (judge->releases->is_closing) {
		free(written);
		return;
	}
	if (is_on_disk && is_mine && seq > judge->durable_seq) {
		judge->durable_seq = seq;
		if (seq > judge->record.seq)
			judge->record = written->record;
		ask_plan(judge, clock_monotonic_ns());
	} else if (!is_on_disk && is_mine) {
		/* It is proposed anew, or must be said anew. */
		plan_cancel(&judge->plan, seq);
	}
	if (is_on_disk)
		acknowledge_written(written);
	else
		acknowledge_unwritten(written, why);
	free(written);
}

static void
write_record(struct judge *judge, const struct plan_output *out,
	const char *what, const struct judge_word *word)
{
	struct written *written = memory_zalloc(sizeof(*written));

	written->judge = judge;
	written->run = judge->run;
	written->record = out->record;
	written->act = out->act;
	written->is_in_force = judge->plan.pending.act == PLAN_ACT_NONE;
	if (written->is_in_force)
		judge->record = out->record;
	if (word != NULL) {
		written->ack = word->ack;
		written->arg = word->arg;
	}
	judge->n_unwritten++;
	releases_write(judge->releases,
		judge_json_entry(judge, what, &out->record), on_written,
		written);
}

/* What the judge has done by itself, as if it had been told to: a record may be
 * written before it is so. */
static const char *
name_own_word(const struct plan *plan, const struct plan_output *out)
{
	switch (plan->pending.act != PLAN_ACT_NONE ? plan->pending.act
						   : out->act) {
	case PLAN_ACT_SHARE:
		return plan->pending.act != PLAN_ACT_NONE ? "advance"
							  : "retreat";
	case PLAN_ACT_PROMOTE:
		return "promote";
	case PLAN_ACT_ROLLBACK:
		return "rollback";
	case PLAN_ACT_NONE:
		break;
	}
	switch (plan->state) {
	case PLAN_RUNNING:
		return "continue";
	case PLAN_FROZEN:
		return "freeze";
	default:
		return "hold";
	}
}

/* What an output came of. */
struct cause {
	enum plan_state before;
	uint16_t before_bp;
	const char *said; /* in a word; NULL: nothing was */
	const struct judge_word *word; /* NULL likewise */
};

static void
carry_out(struct judge *judge, const struct plan_output *out,
	const struct cause *cause, uint64_t now_ns)
{
	const char *event =
		name_event(out, &judge->plan, cause->before, cause->before_bp);
	const char *what = cause->said != NULL
				   ? cause->said
				   : name_own_word(&judge->plan, out);
	json_t *told = NULL;

	judge_act(judge, out, now_ns);
	if (out->act != PLAN_ACT_NONE)
		releases_watch(judge->releases, judge->unit);
	/* What awaited its record has changed more than that said. */
	if (out->act != PLAN_ACT_NONE && !out->has_record)
		releases_write_state(judge->releases, judge->unit);
	judge->n_promoted += out->act == PLAN_ACT_PROMOTE;
	judge->n_rolled_back += out->act == PLAN_ACT_ROLLBACK;
	if (out->has_event)
		told = judge_json_event(judge, event, cause->before_bp);
	/* The record may bring the next turn at once: told is of this one. */
	if (told != NULL)
		releases_emit(judge->releases, told);
	if (out->has_record)
		write_record(judge, out, what, cause->word);
}

/* --- each tick ------------------------------------------------------------------ */

static const struct snapshot_version *
version_of(const struct judge *judge, const struct judge_side *side,
	const char *name)
{
	const struct snapshot *snapshot = judge->releases->snapshot;
	const struct snapshot_service *service = snapshot_find_service(
		snapshot, slice_from_string(side->service->name));
	int version;

	if (service == NULL)
		return NULL;
	version = snapshot_find_version(service, slice_from_string(name));
	return version < 0 ? NULL : &service->versions[version];
}

static bool
has_healthy_stable(const struct judge *judge, const struct judge_side *side,
	uint64_t now_ns)
{
	const struct snapshot_version *stable =
		version_of(judge, side, judge_side_stable(side));

	return stable == NULL || health_fraction_up(stable, now_ns) > 0;
}

/* Of a group the service that is worst off. */
static const struct judge_side *
count_healthy(
	const struct judge *judge, uint64_t now_ns, struct plan_input *input)
{
	const struct judge_side *found = &judge->sides[0];
	const struct snapshot_version *version;
	double worst = 2, part;

	input->n_endpoints = 1;
	input->n_healthy = 1;
	for (size_t i = 0; i < judge->n_sides; i++) {
		version = version_of(
			judge, &judge->sides[i], judge->sides[i].candidate);
		part = version != NULL ? health_fraction_up(version, now_ns)
				       : 0;
		/* Where stable has none either, it isn't the candidate. */
		if (part >= worst ||
			(part == 0 && !has_healthy_stable(
					      judge, &judge->sides[i], now_ns)))
			continue;
		worst = part;
		found = &judge->sides[i];
		input->n_endpoints =
			version != NULL ? (unsigned)version->n_endpoints : 1;
		input->n_healthy = (unsigned)(part * input->n_endpoints + 0.5);
	}
	return found;
}

/* Is an operator's word still being written down? */
static bool
awaits_word(const struct judge *judge)
{
	return judge->plan.pending.act != PLAN_ACT_NONE &&
	       judge->plan.pending.is_by_word;
}

static void
ask_plan(struct judge *judge, uint64_t now_ns)
{
	struct plan_input input = {
		.now_ns = now_ns,
		.evidence = &judge->evidence,
		.clients = judge->totals.candidate_clients,
		.is_blind = judge->crowd == NULL,
		.is_exhausted = judge->totals.is_exhausted,
		.is_journal_failing = judge->releases->is_journal_failing,
		.durable_seq = judge->durable_seq,
	};
	const struct cause cause = {
		.before = judge->plan.state,
		.before_bp = judge->plan.share_bp,
	};
	bool is_by_word = awaits_word(judge);
	struct plan_names healthy, hurt[EVIDENCE_SIGNALS];
	const struct judge_side *worst;
	struct plan_output out;

	/* Of one that is over no service may be left to look at; and what it
	 * still awaits would begin it anew. */
	if (!judge_is_active(judge) ||
		(is_ended(judge) && !is_being_completed(judge)))
		return;
	worst = count_healthy(judge, now_ns, &input);
	if (judge_is_of_group(judge)) {
		judge_name_side(worst, &healthy);
		judge_name_hurt(judge, hurt);
		input.healthy = &healthy;
		input.hurt = hurt;
	}
	plan_tick(&judge->plan, &input, &out);
	if (out.act == PLAN_ACT_NONE && !out.has_record && !out.has_event)
		return;
	/* What an operator asked for is still theirs when it comes about. */
	if (!is_by_word && cause.before != PLAN_IDLE)
		judge_set_word(judge, JUDGE_SELF, "");
	carry_out(judge, &out, &cause, now_ns);
}

static void
tell_untrusted(struct judge *judge)
{
	struct evidence_summary summary;

	evidence_summarize(&judge->evidence, &summary);
	if ((summary.untrusted & ~judge->untrusted) == 0)
		return;
	judge->untrusted = summary.untrusted;
	log_warn("release of %s: stable's own clients differ among themselves "
		 "by more than chance: a signal is no longer trusted",
		judge->unit->release.name);
	releases_emit(judge->releases,
		judge_json_event(judge, "untrusted", judge->plan.share_bp));
}

static void
tell_held(struct judge *judge)
{
	if (judge->is_held_untold && judge->plan.state == PLAN_HELD)
		releases_emit(judge->releases,
			judge_json_event(judge, "held", judge->plan.share_bp));
	judge->is_held_untold = false;
}

void
judge_tick(struct judge *judge, uint64_t now_ns)
{
	if (!judge_is_active(judge))
		return;
	if (is_ended(judge)) {
		/* Since perch was down, or since the journal failed. */
		judge_note_config(judge, why_ended(judge));
		return;
	}
	tell_held(judge);
	take_counts(judge, now_ns);
	tell_untrusted(judge);
	ask_plan(judge, now_ns);
}

/* --- beginnings and words --------------------------------------------------------- */

void
judge_begin(struct judge *judge, const struct judge_start *start,
	const struct judge_word *word)
{
	uint64_t now_ns = clock_monotonic_ns();
	const struct cause cause = {
		.before = PLAN_IDLE, .said = "start", .word = word};
	struct plan_config config;
	struct plan_output out;

	judge->run++;
	judge->ended_because[0] = '\0';
	judge->is_held_untold = false;
	judge_take_sides(judge, start->sides, start->n_sides);
	snprintf(judge->plan_name, sizeof(judge->plan_name), "%s",
		start->plan->name);
	judge->seed = start->seed;
	judge->began_wall_ns = clock_wall_ns();
	judge->untrusted = 0;
	memset(&judge->totals, 0, sizeof(judge->totals));
	judge_configure_evidence(judge, start->plan);
	judge_configure_plan(
		judge, start->plan, start->share_bp, start->is_auto, &config);
	judge_set_word(judge, word->who, word->why);
	judge->durable_seq = judge->plan.seq;
	plan_begin(&judge->plan, &config, judge->plan.seq, now_ns, &out);
	carry_out(judge, &out, &cause, now_ns);
}

void
judge_say(struct judge *judge, const struct plan_word *what,
	const struct judge_word *word)
{
	uint64_t now_ns = clock_monotonic_ns();
	const struct cause cause = {
		.before = judge->plan.state,
		.before_bp = judge->plan.share_bp,
		.said = plan_word_name(what->kind),
		.word = word,
	};
	struct plan_output out;
	struct error error;

	/* Only the config itself has a word about what it has ended. */
	if (word->ack != NULL && is_ended(judge)) {
		word->ack(JUDGE_REFUSED, why_ended(judge), word->arg);
		return;
	}
	/* Each word that is acknowledged has acted: none may undo another one
	 * that is still being written down, but for the way back. */
	if (word->ack != NULL && awaits_word(judge) &&
		what->kind != PLAN_ROLLBACK) {
		word->ack(JUDGE_REFUSED,
			"another word is being written down: say it again",
			word->arg);
		return;
	}
	if (!plan_say(&judge->plan, what, now_ns, &out, &error)) {
		if (word->ack != NULL)
			word->ack(JUDGE_REFUSED, error.message, word->arg);
		return;
	}
	judge_set_word(judge, word->who, word->why);
	carry_out(judge, &out, &cause, now_ns);
}

void
judge_note_config(struct judge *judge, const char *why)
{
	const struct judge_word word = {.who = "config", .why = why};
	struct plan_word what = {.kind = PLAN_ROLLBACK, .because = why};

	if (!is_ended(judge) || is_being_completed(judge))
		return;
	if (judge->releases->is_journal_failing) {
		/* It is said as soon as it can be written. */
		if (why != judge->ended_because)
			snprintf(judge->ended_because,
				sizeof(judge->ended_because), "%s", why);
		return;
	}
	if (judge_are_candidates_stable(judge))
		what.kind = PLAN_PROMOTE;
	judge_say(judge, &what, &word);
}
