#include "proxy/judge_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* RFC 9110 15: what is beyond the classes is as good as a 500. */
static bool
is_named(const struct config_statuses *ranges, size_t n, unsigned status)
{
	return config_statuses_have(ranges, n, status) ||
	       (status >= 600 && config_statuses_have(ranges, n, 500));
}

static void
copy_statuses(_Atomic uint64_t *out, const struct config_statuses *ranges,
	size_t n, unsigned also_class)
{
	uint64_t words[REGISTRY_STATUS_WORDS] = {0};

	for (unsigned status = 100; status < 1000; status++)
		if (is_named(ranges, n, status) || status / 100 == also_class)
			words[status / 64] |= UINT64_C(1) << status % 64;
	for (unsigned i = 0; i < REGISTRY_STATUS_WORDS; i++)
		atomic_store_explicit(&out[i], words[i], memory_order_relaxed);
}

void
judge_configure_evidence(struct judge *judge, const struct config_plan *plan)
{
	struct evidence_config config;

	evidence_config_init(&config);
	config.false_rollback = plan->false_rollback;
	config.tolerance = plan->tolerance;
	config.worse = plan->worse;
	config.latency_tolerance = plan->latency.tolerance;
	config.latency_slack_ns = plan->latency.margin_ns;
	config.max_error_rate = plan->max_error_rate_bp / 10000.0;
	for (size_t i = 0;
		i < plan->n_watch && config.n_watches < EVIDENCE_WATCHES_MAX;
		i++)
		snprintf(config.watches[config.n_watches++],
			sizeof(config.watches[0]), "%s", plan->watch[i]);
	evidence_begin(&judge->evidence, &config);
	copy_statuses(judge->unit->error_statuses, plan->error_statuses,
		plan->n_error_statuses, 0);
	copy_statuses(judge->unit->watch_statuses, plan->error_statuses,
		plan->n_error_statuses,
		plan->watch_client_errors == CONFIG_TRUE ? 4 : 0);
}

void
judge_configure_plan(const struct judge *judge, const struct config_plan *from,
	uint16_t share_bp, bool is_auto, struct plan_config *out)
{
	plan_config_init(out);
	out->n_steps = 0;
	if (share_bp > 0)
		out->steps_bp[out->n_steps++] = share_bp;
	for (size_t i = 0; i < from->n_steps && out->n_steps < PLAN_STEPS_MAX;
		i++)
		if (from->steps_bp[i] > share_bp)
			out->steps_bp[out->n_steps++] =
				(uint16_t)from->steps_bp[i];
	out->hold_ns = from->hold_ns;
	out->min_clients = (uint32_t)from->min_clients;
	out->is_auto = is_auto;
	out->needs_proof = from->advance == CONFIG_ADVANCE_PROVEN;
	out->on_harm = from->on_harm == CONFIG_ON_HARM_FREEZE
			       ? PLAN_HARM_FREEZE
			       : PLAN_HARM_ROLLBACK;
	judge_name_all(judge, &out->names);
}

void
judge_take_sides(struct judge *judge, const struct judge_side *sides, size_t n)
{
	free(judge->sides);
	judge->sides = memory_zalloc_array(n, sizeof(*sides));
	memcpy(judge->sides, sides, n * sizeof(*sides));
	judge->n_sides = n;
}
