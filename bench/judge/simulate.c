#include "simulate.h"

#include <string.h>

#include "base/clock.h"

#define TICK_NS (CLOCK_NS_PER_S / 4)
#define START_NS (1000 * CLOCK_NS_PER_S)

struct run {
	const struct simulate_source *source;
	struct evidence evidence;
	struct plan plan;
	struct plan_input input;
	uint64_t written;
};

static void
act(struct run *run, const struct plan_output *output)
{
	if (output->has_record)
		run->written = output->record.seq;
	if (output->act != PLAN_ACT_SHARE)
		return;
	run->source->set_share(run->source->source, output->share_bp);
	evidence_begin_step(&run->evidence, output->share_bp);
}

static void
tick(struct run *run)
{
	const struct simulate_source *source = run->source;
	struct evidence_tick seen;
	struct plan_output output;
	unsigned window = run->evidence.window;

	run->input.now_ns += TICK_NS;
	if (plan_is_active(&run->plan)) {
		source->tick(source->source, run->input.now_ns, &seen);
		evidence_add(&run->evidence, &seen, run->input.now_ns);
		run->input.clients = seen.candidate_clients;
		if (run->evidence.window != window)
			source->begin_window(source->source);
	}
	/* The journal takes a tick. */
	run->input.durable_seq = run->written;
	plan_tick(&run->plan, &run->input, &output);
	act(run, &output);
}

static void
listen(struct run *run)
{
	struct plan_output output;
	struct plan_word word;
	double time_s = (double)(run->input.now_ns - START_NS) / 1e9;

	if (run->source->say == NULL ||
		!run->source->say(run->source->source, time_s, &word))
		return;
	if (plan_say(&run->plan, &word, run->input.now_ns, &output, NULL))
		act(run, &output);
}

void
simulate_release(const struct simulate_source *source,
	const struct evidence_config *evidence, const struct plan_config *plan,
	double horizon_s, struct outcome *out)
{
	struct run run;
	struct plan_output output;
	struct evidence_summary summary;
	uint64_t end_ns = START_NS + (uint64_t)(horizon_s * 1e9);

	memset(&run, 0, sizeof(run));
	run.source = source;
	run.input.evidence = &run.evidence;
	run.input.n_endpoints = run.input.n_healthy = 2;
	run.input.now_ns = START_NS;
	evidence_begin(&run.evidence, evidence);
	plan_begin(&run.plan, plan, 0, START_NS, &output);
	act(&run, &output);
	do {
		tick(&run);
		listen(&run);
	} while (plan_is_active(&run.plan) && run.input.now_ns < end_ns);
	evidence_summarize(&run.evidence, &summary);
	out->is_rolled_back = run.plan.state == PLAN_ROLLED_BACK;
	out->is_done = run.plan.state == PLAN_DONE;
	out->time_s = (float)((double)(run.input.now_ns - START_NS) / 1e9);
	out->n_retreats = run.plan.n_retreats;
	out->reason = summary.reason;
	out->untrusted = summary.untrusted;
}
