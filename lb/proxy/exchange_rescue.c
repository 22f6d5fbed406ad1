#include "proxy/exchange_private.h"

#include "proxy/rescue.h"
#include "proxy/upstream.h"
#include "proxy/upstream_pool.h"

/*
 * Another version is asked for help, once for each request: for what the
 * chosen one lacks. The first answer is held meanwhile, unread from its head
 * on; if the other one's isn't better, it goes out after all.
 */

void
exchange_arm_help(struct exchange *exchange)
{
	const struct snapshot_version *other;

	if (!rescue_is_eligible(exchange))
		return;
	exchange->may_rescue = true;
	other = rescue_recall(exchange);
	if (other == NULL)
		return;
	/* It had it the last time: ask it at once. */
	exchange->version = other;
	exchange->is_recalled = true;
}

/* Where the version that is helped is counted. */
static struct meter *
meter_of(const struct exchange *exchange,
	const struct snapshot_version *version,
	const struct registry_endpoint *target)
{
	struct meter *meters =
		target != NULL ? target->meters : version->registry->meters;

	return &meters[exchange->shard->index];
}

static void
leave_version(struct exchange *exchange)
{
	exchange_leave_endpoint(exchange);
	exchange->endpoint = NULL;
	exchange->target = NULL;
	exchange->tried = NULL;
	exchange->has_retried = false;
}

/* It can't be asked now: back to the version that was chosen. */
static void
ask_chosen(struct exchange *exchange)
{
	exchange->is_recalled = false;
	leave_version(exchange);
	exchange->version =
		&exchange->service->versions[exchange->decision.version];
	exchange_rewind(exchange);
	exchange_dispatch(exchange);
}

/* Does a version's answer call for another one's? */
static bool
wants_help(struct exchange *exchange, const struct message *response)
{
	/* What is still to be sent there can't be held with the answer. */
	if (conn_is_blocked(&exchange->upstream->conn))
		return false;
	if (!exchange->may_rescue || !rescue_is_missing(exchange, response))
		return false;
	exchange->other_version = rescue_pick(exchange);
	if (exchange->other_version == NULL)
		return false;
	exchange->help = HELP_RESCUE;
	return true;
}

enum exchange_verdict
exchange_weigh(struct exchange *exchange, const struct message *response)
{
	switch (exchange->help) {
	case HELP_NONE:
		return wants_help(exchange, response) ? VERDICT_HOLD
						      : VERDICT_PASS_ON;
	case HELP_RESCUE:
		return rescue_is_good(exchange, response) ? VERDICT_PASS_ON
							  : VERDICT_REFUSE;
	case HELP_IN_VAIN:
		break;
	}
	return VERDICT_PASS_ON;
}

void
exchange_ask_other(struct exchange *exchange)
{
	exchange->held = exchange->upstream;
	exchange->upstream = NULL;
	upstream_hold(exchange->held);
	meter_add(&meter_of(exchange, exchange->version, exchange->target)
			   ->rescues,
		1);
	exchange->first_version = exchange->version;
	exchange->first_endpoint = exchange->endpoint;
	exchange->first_target = exchange->target;
	exchange->is_recalled = false;
	leave_version(exchange);
	exchange->version = exchange->other_version;
	exchange_rewind(exchange);
	exchange_dispatch(exchange);
}

bool
exchange_find_help(struct exchange *exchange)
{
	if (exchange->help == HELP_RESCUE) {
		exchange_settle(exchange);
		return true;
	}
	if (exchange->is_recalled) {
		ask_chosen(exchange);
		return true;
	}
	return false;
}

/* The held answer's connection, which has had all of the request. */
static void
take_back(struct exchange *exchange, struct upstream *held)
{
	exchange->held = NULL;
	exchange->upstream = held;
	exchange->body = SLICE_NONE;
	exchange->is_body_sent = true;
	exchange->bytes_in = exchange->whole_body.len;
	exchange->is_upstream_deaf = held->has_failed_send;
	exchange->state = EXCHANGE_WAITING;
}

void
exchange_settle(struct exchange *exchange)
{
	struct upstream *held = exchange->held;

	upstream_leave_queue(exchange);
	if (exchange->upstream != NULL)
		upstream_discard(exchange->upstream);
	leave_version(exchange);
	exchange->version = exchange->first_version;
	exchange_enter_endpoint(exchange, exchange->first_endpoint);
	exchange->help = HELP_IN_VAIN;
	take_back(exchange, held);
	upstream_revive(held);
}

void
exchange_conclude_help(struct exchange *exchange)
{
	struct meter *meter;

	if (exchange->help == HELP_RESCUE) {
		rescue_remember(exchange);
		meter = meter_of(exchange, exchange->first_version,
			exchange->first_target);
	} else if (exchange->is_recalled) {
		meter = meter_of(exchange, exchange->version, exchange->target);
		meter_add(&meter->rescues, 1);
	} else {
		return;
	}
	meter_add(&meter->rescued, 1);
	exchange->helper = exchange->version;
}

void
exchange_drop_held(struct exchange *exchange)
{
	struct upstream *held = exchange->held;

	if (held == NULL)
		return;
	exchange->held = NULL;
	upstream_discard(held);
}
