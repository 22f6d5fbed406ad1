#include "proxy/judge_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "proxy/judge_json.h"
#include "proxy/releases.h"
#include "release/release_state.h"

json_t *
judge_state(const struct judge *judge, const struct plan_record *record)
{
	json_t *state = release_state_to_json(&judge->unit->release);
	json_t *candidates = json_object();
	char seed[17];

	if (judge->n_sides == 0 || record->seq == 0) {
		json_decref(candidates);
		return state;
	}
	for (size_t i = 0; i < judge->n_sides; i++)
		json_object_set_new(candidates, judge->sides[i].service->name,
			json_string(judge->sides[i].candidate));
	snprintf(seed, sizeof(seed), "%016" PRIx64, judge->seed);
	json_object_set_new(state, "plan",
		json_pack(
			"{s:s, s:b, s:s, s:I, s:o, s:s, s:I, s:i, s:i, s:s, "
			"s:s}",
			"name", judge->plan_name, "auto",
			judge->plan.config.is_auto, "seed", seed,
			"began_wall_ns", (json_int_t)judge->began_wall_ns,
			"candidates", candidates, "state",
			plan_state_name(record->state), "seq",
			(json_int_t)record->seq, "first_bp",
			(int)judge->plan.config.steps_bp[0], "share_bp",
			(int)record->share_bp, "reason", record->reason, "who",
			judge->who));
	return state;
}

/* A service that the unit has no more. */
static void
note_left(struct judge *judge, const struct snapshot *snapshot,
	const char *service)
{
	bool is_configured = snapshot_find_service(snapshot,
				     slice_from_string(service)) != NULL;

	/* One is enough to say. */
	if (judge->ended_because[0] == '\0')
		snprintf(judge->ended_because, sizeof(judge->ended_because),
			"%s left %s", service,
			is_configured ? judge->unit->release.name
				      : "the configuration");
}

/* Those whom the unit still has; ended_because says if it hasn't all. */
static bool
read_sides(struct judge *judge, const json_t *candidates,
	const struct snapshot *snapshot)
{
	struct judge_side *sides = memory_zalloc_array(
		json_object_size(candidates) + 1, sizeof(*sides));
	const char *service;
	json_t *version;
	bool is_good = true;
	size_t n = 0;

	json_object_foreach((json_t *)(uintptr_t)candidates, service, version)
	{
		const char *name = json_string_value(version);

		if (!release_is_name(service) || name == NULL ||
			!release_is_name(name)) {
			is_good = false;
			break;
		}
		sides[n].service =
			table_find(&judge->releases->registry->by_name,
				slice_from_string(service));
		if (sides[n].service == NULL ||
			sides[n].service->release.own_unit !=
				&judge->unit->release) {
			note_left(judge, snapshot, service);
			continue;
		}
		release_copy_name(sides[n++].candidate, name);
	}
	if (is_good)
		judge_take_sides(judge, sides, n);
	free(sides);
	return is_good;
}

static bool
read_record(const json_t *plan, struct plan_record *out)
{
	const char *state = json_string_value(json_object_get(plan, "state"));
	const char *reason = json_string_value(json_object_get(plan, "reason"));
	json_int_t share_bp =
		json_integer_value(json_object_get(plan, "share_bp"));
	json_int_t seq = json_integer_value(json_object_get(plan, "seq"));

	memset(out, 0, sizeof(*out));
	if (state == NULL || !plan_state_parse(state, &out->state) ||
		reason == NULL || share_bp < 0 ||
		share_bp > RELEASE_SHARE_FULL || seq < 1)
		return false;
	out->seq = (uint64_t)seq;
	out->share_bp = (uint16_t)share_bp;
	out->is_promotion = out->state == PLAN_DONE;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return true;
}

/* The release goes on at the share of its newest record, which a crash may have
 * kept from the cell. */
static void
go_on(struct judge *judge, struct plan_output *out, bool was_running,
	uint64_t now_ns)
{
	struct release_cell cell = release_unit_cell(&judge->unit->release);

	if (!plan_is_active(&judge->plan)) {
		judge_act(judge, out, now_ns);
		return;
	}
	/* Ended by a config that was changed meanwhile, for those who stay, too:
	 * the first tick says so. */
	if (judge->ended_because[0] != '\0' && cell.state == RELEASE_RUNNING)
		(void)!release_rollback(
			&judge->unit->release, clock_wall_ns(), NULL);
	if (judge->ended_because[0] != '\0' ||
		(was_running && cell.state != RELEASE_RUNNING))
		return;
	if (was_running) {
		judge_start_counting(judge, cell.generation, cell.epoch);
		judge_begin_step(judge, cell.share_bp, now_ns);
	}
	if (!was_running || cell.share_bp != judge->plan.share_bp)
		judge_put_share(judge, judge->plan.share_bp, now_ns);
}

/* An earlier perch didn't write that down. */
static uint64_t
began_wall_ns(const json_t *plan)
{
	const json_t *began = json_object_get(plan, "began_wall_ns");

	return json_is_integer(began) ? (uint64_t)json_integer_value(began)
				      : clock_wall_ns();
}

bool
judge_resume(struct judge *judge, const json_t *state,
	const struct snapshot *snapshot, struct error *error)
{
	const json_t *from = json_object_get(state, "plan");
	const char *name = json_string_value(json_object_get(from, "name"));
	const char *seed = json_string_value(json_object_get(from, "seed"));
	json_int_t first_bp =
		json_integer_value(json_object_get(from, "first_bp"));
	uint64_t now_ns = clock_monotonic_ns();
	const struct config_plan *plan;
	struct plan_config config;
	struct plan_output out;

	if (name == NULL || seed == NULL ||
		!read_record(from, &judge->record) || first_bp < 0 ||
		first_bp > RELEASE_SHARE_FULL ||
		!read_sides(
			judge, json_object_get(from, "candidates"), snapshot) ||
		(judge->n_sides == 0 && judge->ended_because[0] == '\0')) {
		error_set(error, "what it says of the plan makes no sense");
		return false;
	}
	plan = snapshot_find_plan(snapshot, name);
	if (plan == NULL)
		plan = config_default_plan();
	judge->run++;
	snprintf(judge->plan_name, sizeof(judge->plan_name), "%s", plan->name);
	judge->seed = strtoull(seed, NULL, 16);
	judge->began_wall_ns = began_wall_ns(from);
	judge->durable_seq = judge->record.seq;
	judge_set_word(judge, JUDGE_SELF, "");
	judge_configure_evidence(judge, plan);
	judge_configure_plan(judge, plan,
		(unsigned)first_bp != plan->steps_bp[0] ? (uint16_t)first_bp
							: 0,
		json_is_true(json_object_get(from, "auto")), &config);
	plan_resume(&judge->plan, &config, &judge->record, now_ns, &out);
	judge->is_held_untold = out.has_event;
	go_on(judge, &out, json_is_true(json_object_get(state, "running")),
		now_ns);
	return true;
}
