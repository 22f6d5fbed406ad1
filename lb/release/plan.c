#include "release/plan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/*
 * Three roads lead on. What harms is acted on at once, in every state, and
 * written down afterwards: roll_back(), freeze(), retreat(). What goes forward
 * is written down first: propose() leaves it pending, and settle() makes it so
 * once its record is on disk. What only changes the state is written down as it
 * happens: move().
 */

#define RETREAT_BP 5000 /* where there is no step below 100 % */

static const char *const state_names[] = {
	[PLAN_IDLE] = "idle",
	[PLAN_RUNNING] = "running",
	[PLAN_HELD] = "held",
	[PLAN_PAUSED] = "paused",
	[PLAN_FROZEN] = "frozen",
	[PLAN_DONE] = "done",
	[PLAN_ROLLED_BACK] = "rolled_back",
};
#define N_STATES (sizeof(state_names) / sizeof(state_names[0]))

const char *
plan_state_name(enum plan_state state)
{
	return (size_t)state < N_STATES ? state_names[state] : "unknown";
}

bool
plan_state_parse(const char *name, enum plan_state *out)
{
	for (size_t i = 0; i < N_STATES; i++) {
		if (strcmp(name, state_names[i]) != 0)
			continue;
		*out = (enum plan_state)i;
		return true;
	}
	return false;
}

const char *
plan_word_name(enum plan_word_kind kind)
{
	static const char *const names[] = {
		[PLAN_ADVANCE] = "advance",
		[PLAN_PAUSE] = "pause",
		[PLAN_RESUME] = "resume",
		[PLAN_SHARE] = "share",
		[PLAN_PROMOTE] = "promote",
		[PLAN_ROLLBACK] = "rollback",
	};

	assert((size_t)kind < sizeof(names) / sizeof(names[0]));
	return names[kind];
}

void
plan_config_init(struct plan_config *config)
{
	*config = (struct plan_config){
		.steps_bp = {100, 500, 1000, 2000, 5000, 8000, 10000},
		.n_steps = 7,
		.hold_ns = 60 * CLOCK_NS_PER_S,
		.min_clients = 50,
		.is_auto = true,
		.on_harm = PLAN_HARM_ROLLBACK,
	};
}

bool
plan_is_active(const struct plan *plan)
{
	return plan->state == PLAN_RUNNING || plan->state == PLAN_HELD ||
	       plan->state == PLAN_PAUSED || plan->state == PLAN_FROZEN;
}

/* --- words ---------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void
explain(struct plan *plan, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(plan->reason, sizeof(plan->reason), format, args);
	va_end(args);
}

struct share_text {
	char text[16];
};

/* "5 %" or "0.25 %". */
static struct share_text
share_text(uint16_t share_bp)
{
	struct share_text out;

	if (share_bp % 100 == 0)
		snprintf(out.text, sizeof(out.text), "%u %%", share_bp / 100u);
	else
		snprintf(out.text, sizeof(out.text), "%u.%02u %%",
			share_bp / 100u, share_bp % 100u);
	return out;
}

static void
announce(const struct plan *plan, struct plan_output *out)
{
	out->has_event = true;
	memcpy(out->event, plan->reason, sizeof(out->event));
}

/* --- moving --------------------------------------------------------------- */

static unsigned
step_of(const struct plan *plan, uint16_t share_bp)
{
	unsigned step = 0;

	for (unsigned i = 0; i < plan->config.n_steps; i++)
		if (plan->config.steps_bp[i] <= share_bp)
			step = i;
	return step;
}

/* What is to be on disk: state and share, for the reason at hand. */
static void
record(struct plan *plan, enum plan_state state, uint16_t share_bp,
	struct plan_output *out)
{
	out->has_record = true;
	out->record = (struct plan_record){
		.seq = ++plan->seq,
		.state = state,
		.step = step_of(plan, share_bp),
		.share_bp = share_bp,
		.is_promotion = state == PLAN_DONE,
	};
	memcpy(out->record.reason, plan->reason, sizeof(out->record.reason));
}

/* To another state at the share in force. */
static void
move(struct plan *plan, enum plan_state state, struct plan_output *out)
{
	plan->state = state;
	plan->pending.act = PLAN_ACT_NONE;
	record(plan, state, plan->share_bp, out);
	announce(plan, out);
}

static void
put_share(struct plan *plan, uint16_t share_bp, uint64_t now_ns,
	struct plan_output *out)
{
	plan->share_bp = share_bp;
	plan->step = step_of(plan, share_bp);
	plan->step_ns = now_ns;
	plan->is_restarted = false;
	plan->lack = PLAN_LACKS_TIME;
	out->act = PLAN_ACT_SHARE;
	out->share_bp = share_bp;
}

static void
roll_back(struct plan *plan, struct plan_output *out)
{
	out->act = PLAN_ACT_ROLLBACK;
	plan->share_bp = 0;
	move(plan, PLAN_ROLLED_BACK, out);
}

/* The reason, which says why, is there already. */
static void
propose(struct plan *plan, enum plan_act act, enum plan_state state,
	uint16_t share_bp, struct plan_output *out)
{
	record(plan, state, share_bp, out);
	plan->pending.act = act;
	plan->pending.state = state;
	plan->pending.share_bp = share_bp;
	plan->pending.seq = plan->seq;
	plan->pending.is_by_word = false;
}

static void
settle(struct plan *plan, uint64_t now_ns, struct plan_output *out)
{
	enum plan_act act = plan->pending.act;
	struct share_text share = share_text(plan->pending.share_bp);

	plan->pending.act = PLAN_ACT_NONE;
	plan->settled_seq = plan->pending.seq;
	plan->state = plan->pending.state;
	if (act == PLAN_ACT_SHARE) {
		put_share(plan, plan->pending.share_bp, now_ns, out);
		explain(plan, "%s: %s at %s", plan_state_name(plan->state),
			plan->config.names.candidate, share.text);
	} else {
		out->act = act;
		explain(plan, "done: %s is stable now",
			plan->config.names.candidate);
	}
	announce(plan, out);
}

/* --- harm ----------------------------------------------------------------- */

static void
tell_evidence(const struct plan *plan, const struct plan_input *input,
	unsigned signal, char *out, size_t size)
{
	const struct plan_names *names = input->hurt != NULL
						 ? &input->hurt[signal]
						 : &plan->config.names;

	evidence_explain(input->evidence, signal, names->candidate,
		names->stable, out, size);
}

static const char *
name_healthy(const struct plan *plan, const struct plan_input *input)
{
	return input->healthy != NULL ? input->healthy->candidate
				      : plan->config.names.candidate;
}

static void
explain_evidence(struct plan *plan, const struct plan_input *input,
	const char *state, unsigned signal)
{
	char text[PLAN_TEXT_MAX - 32];

	tell_evidence(plan, input, signal, text, sizeof(text));
	explain(plan, "%s: %s", state, text);
}

/* Back to where stable has clients to compare with. */
static void
retreat(struct plan *plan, const struct plan_input *input,
	struct plan_output *out)
{
	uint16_t share_bp = 0;
	char text[PLAN_TEXT_MAX - 64];

	for (unsigned i = 0; i < plan->config.n_steps; i++)
		if (plan->config.steps_bp[i] < EVIDENCE_SHARE_FULL)
			share_bp = plan->config.steps_bp[i];
	if (share_bp == 0)
		share_bp = RETREAT_BP;
	plan->n_retreats++;
	if (plan->n_retreats > 1)
		plan->state = PLAN_PAUSED;
	tell_evidence(plan, input, EVIDENCE_LIMIT, text, sizeof(text));
	explain(plan, "%s: back to %s to compare: %s",
		plan_state_name(plan->state), share_text(share_bp).text, text);
	put_share(plan, share_bp, input->now_ns, out);
	move(plan, plan->state, out);
}

/* True if something was done. */
static bool
react(struct plan *plan, const struct plan_input *input,
	const struct evidence_summary *evidence, struct plan_output *out)
{
	bool is_freezing = plan->config.on_harm == PLAN_HARM_FREEZE;

	if (input->n_healthy == 0) {
		/* Nobody is served there: on_harm has nothing to keep. */
		explain(plan, "rolled back: no endpoint of %s is healthy",
			name_healthy(plan, input));
		roll_back(plan, out);
		return true;
	}
	if (plan->state == PLAN_FROZEN)
		return false;
	if (evidence->score <= 0) {
		explain_evidence(plan, input,
			is_freezing ? "frozen" : "rolled back",
			evidence->reason);
		if (is_freezing)
			move(plan, PLAN_FROZEN, out);
		else
			roll_back(plan, out);
		return true;
	}
	if (!evidence->is_over_limit || plan->share_bp < EVIDENCE_SHARE_FULL)
		return false;
	if (is_freezing) {
		explain_evidence(plan, input, "frozen", EVIDENCE_LIMIT);
		move(plan, PLAN_FROZEN, out);
	} else {
		retreat(plan, input, out);
	}
	return true;
}

/* --- going on ------------------------------------------------------------- */

/* The next share in the plan; 0 if there is none above. */
static uint16_t
next_bp(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->config.n_steps; i++)
		if (plan->config.steps_bp[i] > plan->share_bp)
			return plan->config.steps_bp[i];
	return 0;
}

static enum plan_lack
find_lack(const struct plan *plan, const struct plan_input *input,
	const struct evidence_summary *evidence)
{
	const struct plan_config *config = &plan->config;
	bool is_full = plan->share_bp == EVIDENCE_SHARE_FULL;

	if (evidence->e >= EVIDENCE_HELD_AT)
		return PLAN_LACKS_CALM;
	if (input->now_ns - plan->step_ns < config->hold_ns)
		return plan->is_restarted ? PLAN_LACKS_RESTART
					  : PLAN_LACKS_TIME;
	if (input->is_blind)
		return PLAN_LACKS_CROWD;
	if (input->is_exhausted)
		return PLAN_LACKS_CELLS;
	if (input->clients < config->min_clients)
		return PLAN_LACKS_CLIENTS;
	if (input->n_healthy * 2 < input->n_endpoints)
		return PLAN_LACKS_HEALTH;
	/* At 100 % there is nobody left to prove it by. */
	if (config->needs_proof && !is_full &&
		evidence->e_safe < EVIDENCE_SAFE_AT)
		return PLAN_LACKS_PROOF;
	if (input->is_journal_failing)
		return PLAN_LACKS_JOURNAL;
	if (next_bp(plan) == 0 && !is_full)
		return PLAN_LACKS_STEP;
	if (!config->is_auto)
		return PLAN_LACKS_WORD;
	return PLAN_LACKS_NOTHING;
}

static void
explain_time(struct plan *plan, const struct plan_input *input)
{
	unsigned long long hold_s = plan->config.hold_ns / CLOCK_NS_PER_S;
	unsigned long long passed_s =
		(input->now_ns - plan->step_ns) / CLOCK_NS_PER_S;
	struct share_text share = share_text(plan->share_bp);

	if (plan->is_restarted)
		explain(plan, "held: at %s for %llu s after a restart",
			share.text, hold_s);
	else
		explain(plan, "running: %s at %s for %llu of %llu s",
			plan->config.names.candidate, share.text, passed_s,
			hold_s);
}

static void
explain_lack(struct plan *plan, const struct plan_input *input,
	const struct evidence_summary *evidence)
{
	const char *candidate = plan->config.names.candidate;
	char seen[EVIDENCE_NUMBER_SIZE], needed[EVIDENCE_NUMBER_SIZE];

	switch (plan->lack) {
	case PLAN_LACKS_NOTHING:
		break;
	case PLAN_LACKS_CALM:
		explain_evidence(plan, input, "held", evidence->reason);
		break;
	case PLAN_LACKS_TIME:
	case PLAN_LACKS_RESTART:
		explain_time(plan, input);
		break;
	case PLAN_LACKS_CROWD:
		explain(plan, "held: there is no memory to count its clients "
			      "in: it isn't judged");
		break;
	case PLAN_LACKS_CELLS:
		explain(plan, "held: exhausted: more than half of the clients "
			      "have been hurt, on either version");
		break;
	case PLAN_LACKS_CLIENTS:
		explain(plan, "waiting: %s of %s clients seen in this step",
			evidence_number(input->clients, seen),
			evidence_number(plan->config.min_clients, needed));
		break;
	case PLAN_LACKS_HEALTH:
		explain(plan, "waiting: %u of %u endpoints of %s are healthy",
			input->n_healthy, input->n_endpoints,
			name_healthy(plan, input));
		break;
	case PLAN_LACKS_PROOF:
		explain(plan,
			"waiting: not yet proven that %s is not much worse "
			"(%.1f of %.0f)",
			candidate, evidence->e_safe, EVIDENCE_SAFE_AT);
		break;
	case PLAN_LACKS_JOURNAL:
		explain(plan, "held: the journal can't be written");
		break;
	case PLAN_LACKS_WORD:
		explain(plan, "waiting: for the word to advance");
		break;
	case PLAN_LACKS_STEP:
		explain(plan,
			"waiting: the last step is at %s; promote or roll back",
			share_text(plan->share_bp).text);
		break;
	}
}

/* To the step after, or from the last to stable. */
static void
propose_next(struct plan *plan, struct plan_output *out)
{
	const char *candidate = plan->config.names.candidate;
	const char *state = plan_state_name(plan->state);
	uint16_t share_bp = next_bp(plan);

	if (plan->share_bp == EVIDENCE_SHARE_FULL) {
		explain(plan, "%s: %s is to become stable", state, candidate);
		propose(plan, PLAN_ACT_PROMOTE, PLAN_DONE, EVIDENCE_SHARE_FULL,
			out);
		return;
	}
	explain(plan, "%s: %s is to get %s", state, candidate,
		share_text(share_bp).text);
	propose(plan, PLAN_ACT_SHARE, PLAN_RUNNING, share_bp, out);
}

/* While running or held. */
static void
consider(struct plan *plan, const struct plan_input *input,
	const struct evidence_summary *evidence, struct plan_output *out)
{
	enum plan_lack lack = find_lack(plan, input, evidence);
	enum plan_state state =
		lack == PLAN_LACKS_TIME || lack == PLAN_LACKS_NOTHING
			? PLAN_RUNNING
			: PLAN_HELD;
	bool is_new = lack != plan->lack;

	plan->lack = lack;
	explain_lack(plan, input, evidence);
	if (lack == PLAN_LACKS_NOTHING) {
		plan->state = state;
		propose_next(plan, out);
	} else if (state != plan->state) {
		move(plan, state, out);
	} else if (is_new) {
		announce(plan, out);
	}
}

static void
await_record(struct plan *plan, const struct plan_input *input,
	const struct evidence_summary *evidence, struct plan_output *out)
{
	enum plan_lack lack = find_lack(plan, input, evidence);
	bool is_firm = plan->pending.is_by_word || plan->state == PLAN_IDLE;

	if (!is_firm && lack != PLAN_LACKS_NOTHING &&
		lack != PLAN_LACKS_JOURNAL) {
		/* Called off: what is on disk must say so. */
		plan->lack = lack;
		explain_lack(plan, input, evidence);
		move(plan, PLAN_HELD, out);
	} else if (input->durable_seq >= plan->pending.seq) {
		settle(plan, input->now_ns, out);
	} else if (input->is_journal_failing &&
		   plan->lack != PLAN_LACKS_JOURNAL) {
		plan->lack = PLAN_LACKS_JOURNAL;
		explain_lack(plan, input, evidence);
		announce(plan, out);
	}
}

void
plan_tick(struct plan *plan, const struct plan_input *input,
	struct plan_output *out)
{
	struct evidence_summary evidence;
	bool is_pending = plan->pending.act != PLAN_ACT_NONE;

	memset(out, 0, sizeof(*out));
	if (!plan_is_active(plan) && !is_pending)
		return;
	evidence_summarize(input->evidence, &evidence);
	if (react(plan, input, &evidence, out))
		return;
	if (is_pending)
		await_record(plan, input, &evidence, out);
	else if (plan->state == PLAN_RUNNING || plan->state == PLAN_HELD)
		consider(plan, input, &evidence, out);
}

void
plan_cancel(struct plan *plan, uint64_t seq)
{
	if (plan->pending.act == PLAN_ACT_NONE || plan->pending.seq != seq)
		return;
	plan->pending.act = PLAN_ACT_NONE;
	if (plan_is_active(plan))
		explain(plan, "%s: at %s; a change could not be written down",
			plan_state_name(plan->state),
			share_text(plan->share_bp).text);
	else
		explain(plan, "idle: the start could not be written down");
}

/* --- beginnings ----------------------------------------------------------- */

static void
take_config(struct plan *plan, const struct plan_config *config)
{
	assert(config->n_steps >= 1 && config->n_steps <= PLAN_STEPS_MAX);
	memset(plan, 0, sizeof(*plan));
	plan->config = *config;
}

void
plan_begin(struct plan *plan, const struct plan_config *config,
	uint64_t last_seq, uint64_t now_ns, struct plan_output *out)
{
	struct share_text share = share_text(config->steps_bp[0]);

	memset(out, 0, sizeof(*out));
	take_config(plan, config);
	plan->seq = last_seq;
	plan->step_ns = now_ns;
	explain(plan, "starting: %s is to get %s", config->names.candidate,
		share.text);
	propose(plan, PLAN_ACT_SHARE, PLAN_RUNNING, config->steps_bp[0], out);
}

void
plan_resume(struct plan *plan, const struct plan_config *config,
	const struct plan_record *from, uint64_t now_ns,
	struct plan_output *out)
{
	memset(out, 0, sizeof(*out));
	take_config(plan, config);
	plan->seq = from->seq;
	plan->state = from->state;
	plan->share_bp = from->share_bp;
	plan->step = step_of(plan, from->share_bp);
	plan->step_ns = now_ns;
	memcpy(plan->reason, from->reason, sizeof(plan->reason));
	if (from->state == PLAN_DONE) {
		/* The record was written before it was. */
		explain(plan, "done: %s is stable now",
			config->names.candidate);
		out->act = PLAN_ACT_PROMOTE;
	}
	if (from->state == PLAN_ROLLED_BACK)
		out->act = PLAN_ACT_ROLLBACK;
	if (from->state != PLAN_RUNNING && from->state != PLAN_HELD)
		return;
	plan->state = PLAN_HELD;
	plan->lack = PLAN_LACKS_RESTART;
	plan->is_restarted = true;
	explain(plan, "held: at %s for %llu s after a restart",
		share_text(plan->share_bp).text,
		(unsigned long long)(config->hold_ns / CLOCK_NS_PER_S));
	announce(plan, out);
}

/* --- an operator's words -------------------------------------------------- */

static bool
check_word(const struct plan *plan, const struct plan_word *word,
	struct error *error)
{
	const char *state = plan_state_name(plan->state);
	bool is_paused =
		plan->state == PLAN_PAUSED || plan->state == PLAN_FROZEN;

	if (!plan_is_active(plan)) {
		/* One that is only just beginning can be stopped. */
		if (plan->pending.act != PLAN_ACT_NONE &&
			word->kind == PLAN_ROLLBACK)
			return true;
		error_set(error, "no release is running: %s", plan->reason);
		return false;
	}
	if (word->kind == PLAN_PAUSE && is_paused) {
		error_set(error, "the release is %s already", state);
		return false;
	}
	if (word->kind == PLAN_RESUME && plan->state != PLAN_PAUSED) {
		error_set(error, "the release is %s, not paused%s", state,
			plan->state == PLAN_FROZEN ? ": promote or roll back"
						   : "");
		return false;
	}
	if (word->kind == PLAN_ADVANCE && is_paused) {
		error_set(error, "the release is %s: %s first", state,
			plan->state == PLAN_PAUSED ? "resume"
						   : "promote or roll back");
		return false;
	}
	if (word->kind == PLAN_ADVANCE && next_bp(plan) == 0 &&
		plan->share_bp < EVIDENCE_SHARE_FULL) {
		error_set(error, "%s is the last step: promote or roll back",
			share_text(plan->share_bp).text);
		return false;
	}
	if (word->kind == PLAN_SHARE &&
		(word->share_bp == 0 || word->share_bp > EVIDENCE_SHARE_FULL)) {
		error_set(error, "a share is above 0 and up to 100 %%; to "
				 "take it all back, roll back");
		return false;
	}
	return true;
}

static void
say_share(struct plan *plan, const struct plan_word *word,
	struct plan_output *out)
{
	bool is_frozen = plan->state == PLAN_FROZEN;

	explain(plan, "%s: %s is to get %s, by hand",
		is_frozen ? "frozen" : "paused", plan->config.names.candidate,
		share_text(word->share_bp).text);
	propose(plan, PLAN_ACT_SHARE, is_frozen ? PLAN_FROZEN : PLAN_PAUSED,
		word->share_bp, out);
}

static void
say_resume(struct plan *plan, uint64_t now_ns, struct plan_output *out)
{
	plan->step_ns = now_ns;
	plan->lack = PLAN_LACKS_TIME;
	explain(plan, "running: by hand, on from %s",
		share_text(plan->share_bp).text);
	move(plan, PLAN_RUNNING, out);
}

bool
plan_say(struct plan *plan, const struct plan_word *word, uint64_t now_ns,
	struct plan_output *out, struct error *error)
{
	const char *because = word->because != NULL ? word->because : "by hand";

	memset(out, 0, sizeof(*out));
	if (!check_word(plan, word, error))
		return false;
	switch (word->kind) {
	case PLAN_ADVANCE:
		propose_next(plan, out);
		break;
	case PLAN_PAUSE:
		explain(plan, "paused: by hand at %s",
			share_text(plan->share_bp).text);
		move(plan, PLAN_PAUSED, out);
		break;
	case PLAN_RESUME:
		say_resume(plan, now_ns, out);
		break;
	case PLAN_SHARE:
		say_share(plan, word, out);
		break;
	case PLAN_PROMOTE:
		explain(plan, "%s: %s is to become stable%s%s",
			plan_state_name(plan->state),
			plan->config.names.candidate,
			word->because != NULL ? ": " : ", ", because);
		propose(plan, PLAN_ACT_PROMOTE, PLAN_DONE, EVIDENCE_SHARE_FULL,
			out);
		break;
	case PLAN_ROLLBACK:
		explain(plan, "rolled back: %s", because);
		roll_back(plan, out);
		break;
	}
	plan->pending.is_by_word = plan->pending.act != PLAN_ACT_NONE;
	return true;
}
