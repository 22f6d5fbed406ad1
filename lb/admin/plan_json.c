#include "admin/plan_json.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"

/* Less of a step says nothing. */
#define STEP_MIN_S 1.0
#define WINDOW_MIN_S 0.1

/* Numbers beyond are as good as nothing, or as never. */
#define NUMBER_MIN 1e-300
#define NUMBER_MAX 1e300

/* What a release goes by, or would. */
struct goes_by {
	const char *name;
	uint16_t steps_bp[PLAN_STEPS_MAX];
	size_t n_steps;
	uint64_t hold_ns;
	double false_rollback;
};

/* Of the judge if a release runs, else of the config. */
static void
find_plan(const struct service_source *source, const struct registry_unit *unit,
	const struct judge *judge, struct goes_by *out)
{
	const struct config_plan *plan;

	*out = (struct goes_by){.n_steps = 0};
	if (judge != NULL) {
		out->name = judge->plan_name;
		out->hold_ns = judge->plan.config.hold_ns;
		out->false_rollback = judge->evidence.config.false_rollback;
		for (; out->n_steps < judge->plan.config.n_steps;
			out->n_steps++)
			out->steps_bp[out->n_steps] =
				judge->plan.config.steps_bp[out->n_steps];
		return;
	}
	plan = releases_plan_of(source->releases, unit);
	out->name = plan->name;
	out->hold_ns = plan->hold_ns;
	out->false_rollback = plan->false_rollback;
	for (; out->n_steps < plan->n_steps && out->n_steps < PLAN_STEPS_MAX;
		out->n_steps++)
		out->steps_bp[out->n_steps] =
			(uint16_t)plan->steps_bp[out->n_steps];
}

/* --- traffic --------------------------------------------------------------- */

/* What the judge has counted in the step that runs. */
static bool
measure_release(const struct judge *judge, uint64_t now_ns,
	struct plan_json_traffic *out)
{
	const struct evidence_signal *errors;
	double age_s;

	if (judge == NULL || judge->crowd == NULL)
		return false;
	age_s = (double)(now_ns - judge->step_ns) / (double)CLOCK_NS_PER_S;
	errors = &judge->evidence.signals[EVIDENCE_ERRORS];
	if (age_s < STEP_MIN_S || errors->stable.n == 0)
		return false;
	out->clients_per_s =
		(double)(errors->stable.n + errors->candidate.n) / age_s;
	out->error_rate = (double)errors->stable.x / (double)errors->stable.n;
	return true;
}

/* Each request of the stats' window taken for a client. */
static void
measure_requests(const struct service_source *source,
	const struct registry_unit *unit, struct plan_json_traffic *out)
{
	const struct snapshot *snapshot = source->releases->snapshot;
	double seconds = stats_window_s(source->stats, source->now_ns);
	uint64_t requests = 0, failures = 0;

	for (size_t i = 0; i < snapshot->n_services; i++) {
		const struct snapshot_service *service = &snapshot->services[i];

		if (registry_unit_of(service->registry) != unit)
			continue;
		for (size_t j = 0; j < service->n_versions; j++) {
			const struct registry_version *version =
				service->versions[j].registry;
			struct meter_counts counts, window;

			registry_sum_version(
				source->registry, version, &counts);
			stats_version_window(
				source->stats, version, &counts, &window);
			requests += window.requests;
			failures += meter_counts_failures(&window);
		}
	}
	*out = (struct plan_json_traffic){0, NAN};
	if (seconds >= WINDOW_MIN_S)
		out->clients_per_s = (double)requests / seconds;
	if (requests > 0)
		out->error_rate = (double)failures / (double)requests;
}

/* --- writing --------------------------------------------------------------- */

/* Three digits that matter; null for what isn't known, or never is. */
static json_t *
number(double value)
{
	double unit;

	if (isnan(value))
		return json_null();
	if (value < NUMBER_MIN)
		return json_real(0);
	value = fmin(value, NUMBER_MAX);
	unit = pow(10, floor(log10(value)) - 2);
	return json_real(round(value / unit) * unit);
}

/* Why a step never sees so many times the errors; NULL if it does. */
static const char *
why_not(uint16_t share_bp, const struct plan_json_traffic *traffic,
	double ratio)
{
	if (share_bp >= RELEASE_SHARE_FULL)
		return "nobody_to_compare";
	if (traffic->clients_per_s <= 0)
		return "no_clients";
	if (isnan(traffic->error_rate))
		return "errors_unknown";
	if (traffic->error_rate <= 0)
		return "no_errors";
	if (traffic->error_rate * ratio > 1)
		return "more_than_all";
	return NULL;
}

static void
add_seconds(json_t *step, const struct goes_by *plan, uint16_t share_bp,
	const struct plan_json_traffic *traffic, int ratio)
{
	const char *reason = why_not(share_bp, traffic, ratio);
	double seconds = NAN;
	char key[32];

	if (reason == NULL)
		seconds = evidence_seconds_to_see(traffic->clients_per_s,
			(double)share_bp / RELEASE_SHARE_FULL,
			traffic->error_rate, ratio, plan->false_rollback);
	snprintf(key, sizeof(key), "seconds_%dx", ratio);
	json_object_set_new(step, key, number(seconds));
	snprintf(key, sizeof(key), "why_not_%dx", ratio);
	json_object_set_new(
		step, key, reason != NULL ? json_string(reason) : json_null());
}

static json_t *
step_json(const struct goes_by *plan, uint16_t share_bp,
	const struct plan_json_traffic *traffic)
{
	json_t *step = json_pack("{s:f, s:f}", "share", share_bp / 100.0,
		"hold_s", (double)plan->hold_ns / (double)CLOCK_NS_PER_S);

	add_seconds(step, plan, share_bp, traffic, 2);
	add_seconds(step, plan, share_bp, traffic, 10);
	return step;
}

json_t *
plan_json(const struct service_source *source, const struct registry_unit *unit,
	const struct plan_json_traffic *given)
{
	const struct judge *judge = unit->judge;
	bool has_clients = !isnan(given->clients_per_s);
	bool has_errors = !isnan(given->error_rate);
	struct plan_json_traffic traffic;
	const char *by = "release";
	struct goes_by plan;
	json_t *steps = json_array();

	if (judge != NULL && !judge_is_active(judge))
		judge = NULL;
	find_plan(source, unit, judge, &plan);
	if (!measure_release(judge, source->now_ns, &traffic)) {
		measure_requests(source, unit, &traffic);
		by = "requests";
	}
	if (has_clients)
		traffic.clients_per_s = given->clients_per_s;
	if (has_errors)
		traffic.error_rate = given->error_rate;
	for (size_t i = 0; i < plan.n_steps; i++)
		json_array_append_new(
			steps, step_json(&plan, plan.steps_bp[i], &traffic));
	return json_pack("{s:s, s:o, s:o, s:o, s:b, s:s, s:s}", "plan",
		plan.name, "steps", steps, "clients_per_s",
		number(traffic.clients_per_s), "error_rate",
		number(traffic.error_rate), "measured",
		!has_clients || !has_errors, "clients_by",
		has_clients ? "given" : by, "error_rate_by",
		has_errors ? "given" : by);
}
