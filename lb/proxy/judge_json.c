#include "proxy/judge_json.h"

#include <math.h>

#include "base/clock.h"

/* JSON knows no infinity, and few of its readers more than this. */
#define NUMBER_MAX 1e300

static json_t *
real(double value)
{
	if (isnan(value))
		return json_null();
	return json_real(value > NUMBER_MAX ? NUMBER_MAX : value);
}

static json_t *
percent(uint16_t share_bp)
{
	return json_real(share_bp / 100.0);
}

static json_t *
seconds(uint64_t from_ns, uint64_t now_ns)
{
	double s = now_ns > from_ns
			   ? (double)(now_ns - from_ns) / (double)CLOCK_NS_PER_S
			   : 0;

	return json_real(round(s * 10) / 10);
}

json_t *
judge_json_now(void)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(clock_wall_ns(), text);
	return json_string(text);
}

/* --- signals ---------------------------------------------------------------- */

/* hurt of clients: as the reason says it in words. exposure is what evidence is
 * weighed by. */
static json_t *
part(struct evidence_sum counts, uint32_t clients)
{
	return json_pack("{s:I, s:I, s:o, s:I}", "hurt", (json_int_t)counts.x,
		"clients", (json_int_t)clients, "rate",
		clients > 0 ? json_real((double)counts.x / clients)
			    : json_null(),
		"exposure", (json_int_t)counts.n);
}

static json_t *
signal_json(const struct judge *judge, unsigned index)
{
	const struct evidence *evidence = &judge->evidence;
	const struct evidence_signal *signal = &evidence->signals[index];
	const struct evidence_clients clients =
		evidence_signal_clients(evidence, index);
	char name[EVIDENCE_NAME_MAX + 16];

	return json_pack("{s:s, s:f, s:o, s:o, s:b, s:b, s:o, s:o}", "name",
		evidence_signal_name(evidence, index, name, sizeof(name)),
		"weight", signal->weight, "evidence",
		real(evidence_signal_e(evidence, index)), "threshold",
		real(1 / evidence->config.false_rollback), "trusted",
		!signal->is_untrusted, "exhausted",
		judge->totals.is_exhausted && index == EVIDENCE_ERRORS,
		"stable", part(signal->stable, clients.stable), "candidate",
		part(signal->candidate, clients.candidate));
}

static json_t *
signals_json(const struct judge *judge)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < EVIDENCE_SIGNALS; i++)
		if (judge->evidence.signals[i].is_on)
			json_array_append_new(list, signal_json(judge, i));
	return list;
}

/* --- the release -------------------------------------------------------------- */

static void
set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static void
add_evidence(json_t *object, const struct judge *judge)
{
	struct evidence_summary summary;

	evidence_summarize(&judge->evidence, &summary);
	set(object, "score", json_real(round(summary.score * 10) / 10));
	set(object, "evidence", real(summary.e));
	set(object, "threshold",
		real(1 / judge->evidence.config.false_rollback));
	set(object, "safe", real(summary.e_safe));
	set(object, "signals", signals_json(judge));
}

static json_t *
steps_json(const struct plan_config *config)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < config->n_steps; i++)
		json_array_append_new(list, percent(config->steps_bp[i]));
	return list;
}

/* The step that a share belongs to, from 1; 0 below the first one. */
static unsigned
step_number(const struct plan *plan)
{
	return plan->share_bp < plan->config.steps_bp[0] ? 0 : plan->step + 1;
}

json_t *
judge_json_release(const struct judge *judge, uint64_t now_ns)
{
	const struct plan *plan = &judge->plan;
	const struct crowd_totals *totals = &judge->totals;
	uint32_t n = totals->candidate_clients + totals->stable_clients;
	json_t *object = json_object();

	set(object, "state", json_string(plan_state_name(plan->state)));
	set(object, "plan", json_string(judge->plan_name));
	set(object, "auto", json_boolean(plan->config.is_auto));
	set(object, "step", json_integer(step_number(plan)));
	set(object, "steps", steps_json(&plan->config));
	set(object, "step_age_s", seconds(plan->step_ns, now_ns));
	set(object, "age_s", seconds(judge->began_wall_ns, clock_wall_ns()));
	set(object, "share_actual",
		n > 0 ? json_real(round(1e4 * totals->candidate_clients / n) /
				  100)
		      : json_null());
	set(object, "clients",
		json_pack("{s:I, s:I}", "stable",
			(json_int_t)totals->stable_clients, "candidate",
			(json_int_t)totals->candidate_clients));
	set(object, "reason", json_string(plan->reason));
	set(object, "who", json_string(judge->who));
	add_evidence(object, judge);
	return object;
}

/* --- events and entries --------------------------------------------------------- */

static json_t *
names_of(const struct judge *judge, bool is_candidate)
{
	json_t *object = json_object();

	for (size_t i = 0; i < judge->n_sides; i++) {
		const struct judge_side *side = &judge->sides[i];

		set(object, side->service->name,
			json_string(is_candidate ? side->candidate
						 : judge_side_stable(side)));
	}
	return object;
}

static json_t *
services_of(const struct judge *judge)
{
	json_t *list = json_array();

	for (size_t i = 0; i < judge->n_sides; i++)
		json_array_append_new(
			list, json_string(judge->sides[i].service->name));
	return list;
}

json_t *
judge_json_event(
	const struct judge *judge, const char *name, uint16_t previous_bp)
{
	const struct plan *plan = &judge->plan;
	json_t *event = json_object();

	set(event, "time", judge_json_now());
	set(event, "event", json_string(name));
	set(event, "unit", json_string(judge->unit->release.name));
	set(event, "services", services_of(judge));
	set(event, "stable", names_of(judge, false));
	set(event, "candidate", names_of(judge, true));
	set(event, "share", percent(plan->share_bp));
	set(event, "previous_share", percent(previous_bp));
	set(event, "step", json_integer(step_number(plan)));
	set(event, "steps", steps_json(&plan->config));
	set(event, "who", json_string(judge->who));
	if (judge->why[0] != '\0')
		set(event, "why", json_string(judge->why));
	set(event, "reason", json_string(plan->reason));
	add_evidence(event, judge);
	return event;
}

json_t *
judge_json_entry(const struct judge *judge, const char *what,
	const struct plan_record *record)
{
	json_t *entry = json_object();
	json_t *evidence = json_object();

	add_evidence(evidence, judge);
	set(entry, "unit", json_string(judge->unit->release.name));
	set(entry, "time", judge_json_now());
	set(entry, "who", json_string(judge->who));
	set(entry, "what", json_string(what));
	set(entry, "why",
		json_string(
			judge->why[0] != '\0' ? judge->why : record->reason));
	set(entry, "reason", json_string(record->reason));
	set(entry, "share", percent(record->share_bp));
	set(entry, "candidate", names_of(judge, true));
	set(entry, "evidence", evidence);
	set(entry, "state", judge_state(judge, record));
	return entry;
}
