#include "proxy/exchange_private.h"

#include "proxy/rescue.h"
#include "proxy/upstream.h"
#include "proxy/upstream_pool.h"
#include "proxy/witness.h"

void
exchange_arm_rescue(struct exchange *exchange)
{
	const struct snapshot_version *other;

	if (!rescue_is_eligible(exchange))
		return;
	exchange->rescue = RESCUE_ARMED;
	other = rescue_recall(exchange);
	if (other == NULL)
		return;
	/* It had it the last time: ask it at once. */
	exchange->version = other;
	exchange->is_recalled = true;
	witness_renounce(exchange);
}

/* It can't be asked now: back to the version that was chosen. */
void
exchange_ask_chosen(struct exchange *exchange)
{
	exchange->is_recalled = false;
	exchange->version =
		&exchange->service->versions[exchange->decision.version];
	exchange->tried = NULL;
	exchange_dispatch(exchange);
}

enum exchange_verdict
exchange_weigh(struct exchange *exchange, const struct message *response)
{
	witness_response(exchange, response);
	if (exchange->rescue == RESCUE_ASKING)
		return rescue_is_good(exchange, response) ? VERDICT_PASS_ON
							  : VERDICT_REFUSE;
	if (exchange->rescue != RESCUE_ARMED ||
		!rescue_is_missing(exchange, response))
		return VERDICT_PASS_ON;
	exchange->other_version = rescue_pick(exchange);
	return exchange->other_version != NULL ? VERDICT_HOLD : VERDICT_PASS_ON;
}

void
exchange_ask_other(struct exchange *exchange)
{
	struct meter *meter = &exchange->target->meters[exchange->shard->index];

	meter_add(&meter->rescues, 1);
	exchange->held = exchange->upstream;
	exchange->upstream = NULL;
	exchange->first_version = exchange->version;
	exchange->first_endpoint = exchange->endpoint;
	exchange->first_target = exchange->target;
	upstream_hold(exchange->held);
	exchange->rescue = RESCUE_ASKING;
	exchange->version = exchange->other_version;
	exchange->tried = NULL;
	exchange->is_recalled = false;
	exchange_dispatch(exchange);
}

void
exchange_settle(struct exchange *exchange)
{
	struct upstream *held = exchange->held;

	upstream_leave_queue(exchange);
	if (exchange->upstream != NULL)
		upstream_discard(exchange->upstream);
	exchange_leave_endpoint(exchange);
	exchange->version = exchange->first_version;
	exchange->endpoint = exchange->first_endpoint;
	exchange->target = NULL;
	exchange_enter_endpoint(exchange, exchange->endpoint);
	exchange->rescue = RESCUE_OFF;
	exchange->held = NULL;
	exchange->upstream = held;
	exchange->state = EXCHANGE_WAITING;
	upstream_revive(held);
}

/* Is it another version's answer that is used? The held one is let go at the
 * end. */
void
exchange_conclude_rescue(struct exchange *exchange)
{
	struct registry_endpoint *first = exchange->first_target;
	unsigned index = exchange->shard->index;

	if (exchange->rescue == RESCUE_ASKING) {
		exchange->rescue = RESCUE_DONE;
		rescue_remember(exchange);
		meter_add(&first->meters[index].rescued, 1);
	} else if (exchange->is_recalled) {
		exchange->rescue = RESCUE_DONE;
		meter_add(&exchange->target->meters[index].rescues, 1);
		meter_add(&exchange->target->meters[index].rescued, 1);
	}
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
