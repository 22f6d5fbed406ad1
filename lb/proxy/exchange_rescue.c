#include "proxy/exchange_private.h"

#include "proxy/balance.h"
#include "proxy/rescue.h"
#include "proxy/shield.h"
#include "proxy/upstream.h"
#include "proxy/upstream_pool.h"
#include "proxy/witness.h"

/*
 * Another version is asked for help, once for each request: for what the
 * chosen one lacks (rescue), or because it is a candidate that has failed
 * (shield). The first answer, if there is one, is held meanwhile, unread from
 * its head on; if the other one's isn't better, it goes out after all.
 *
 * A rescue must not cost the client more than the asset is worth: it takes a
 * connection that can be had now, and the other version's answer must begin in
 * rescue.timeout.
 *
 * No help is what those get who still wait for a candidate when it is rolled
 * back: from then on they are the stable version's, as if they came now.
 */

/* From now on the version that is asked has rescue.timeout. */
static void
begin_brief_help(struct exchange *exchange)
{
	struct shard *shard = exchange->shard;

	exchange->wont_queue = true;
	exchange->heads_before =
		exchange->version->registry->loads[shard->index].n_heads;
	exchange->is_help_timed = true;
	timeout_init(&exchange->help_timeout);
	timeouts_set(&shard->worker.timeouts, &exchange->help_timeout,
		exchange->local->help, shard->now_ns);
}

static void
end_brief_help(struct exchange *exchange)
{
	exchange_stop_help_timer(exchange);
	exchange->wont_queue = false;
}

void
exchange_arm_help(struct exchange *exchange)
{
	struct shield *shield = exchange->local->shield;
	const struct snapshot_version *other;

	if (shield != NULL)
		shield_count(shield, exchange->shard->now_ns);
	if (!rescue_is_eligible(exchange))
		return;
	exchange->may_rescue = true;
	other = rescue_recall(exchange);
	if (other == NULL)
		return;
	/* It had it the last time: ask it at once. */
	exchange->version = other;
	exchange->is_recalled = true;
	begin_brief_help(exchange);
	witness_renounce(exchange);
}

/* Where the version that is helped is counted. */
static struct meter *
meter_of(const struct exchange *exchange,
	const struct snapshot_version *version,
	struct registry_endpoint *target)
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
	exchange->connect_until_ns = 0;
}

/* It can't be asked now: back to the version that was chosen, whose answer it
 * will be. */
static void
ask_chosen(struct exchange *exchange)
{
	end_brief_help(exchange);
	exchange->is_recalled = false;
	exchange->may_rescue = false;
	leave_version(exchange);
	exchange->version =
		&exchange->service->versions[exchange->decision.version];
	exchange_rewind(exchange);
	exchange_dispatch(exchange);
}

static enum http_method
method_of(const struct exchange *exchange)
{
	return (enum http_method)exchange->request.method;
}

static bool
is_read(const struct exchange *exchange)
{
	return method_of(exchange) == HTTP_GET ||
	       method_of(exchange) == HTTP_HEAD;
}

/* Would a request that comes now not be sent there? */
static bool
is_rolled_back(const struct exchange *exchange)
{
	struct release_cell cell;
	const struct release_record *record =
		release_read(&exchange->service->registry->release, &cell);
	enum release_standing standing = release_standing_of(
		exchange->version->registry->release, record, &cell);

	return standing != STANDING_ACTIVE && standing != STANDING_DRAINING;
}

/* The client's validators may be the candidate's: a 304 of another version's
 * would confirm its page. */
static void
drop_conditions(struct exchange *exchange)
{
	if (is_read(exchange))
		exchange->drops_conditions = true;
}

bool
exchange_leave_candidate(struct exchange *exchange)
{
	if (exchange->stand_in == NULL || exchange->help != HELP_NONE ||
		!is_rolled_back(exchange))
		return false;
	witness_renounce(exchange);
	leave_version(exchange);
	exchange->version = exchange->stand_in;
	exchange->stand_in = NULL;
	drop_conditions(exchange);
	exchange_dispatch(exchange);
	return true;
}

/* What can't be sent twice isn't, and a tunnel would outlast the answer. */
static bool
may_be_shielded(const struct exchange *exchange)
{
	const struct shield *shield = exchange->local->shield;

	return shield != NULL && exchange->stand_in != NULL &&
	       exchange->help == HELP_NONE && !exchange->is_recalled &&
	       !exchange->is_upgrade && exchange->is_replayable &&
	       shield_may_repeat(shield, method_of(exchange));
}

/* The candidate has failed: may the stable version be asked? */
static bool
wants_shield(struct exchange *exchange)
{
	struct shard *shard = exchange->shard;

	if (!may_be_shielded(exchange) ||
		!balance_has_usable(shard, exchange->stand_in) ||
		!shield_take(exchange->local->shield, shard->now_ns))
		return false;
	exchange->other_version = exchange->stand_in;
	exchange->help = HELP_SHIELD;
	return true;
}

static bool
wants_rescue(struct exchange *exchange)
{
	exchange->other_version = rescue_pick(exchange);
	if (exchange->other_version == NULL)
		return false;
	exchange->help = HELP_RESCUE;
	return true;
}

/* Does a version's answer call for another one's? */
static bool
wants_help(struct exchange *exchange, const struct message *response)
{
	/* What is still to be sent there can't be held with the answer. */
	if (conn_is_blocked(&exchange->upstream->conn))
		return false;
	if (shield_is_failure(method_of(exchange), response->status))
		return wants_shield(exchange);
	return exchange->may_rescue && rescue_is_missing(exchange, response) &&
	       wants_rescue(exchange);
}

/* What was remembered holds as long as its own version doesn't have it: one that
 * fails it is asked from now on. */
static void
end_test(struct exchange *exchange, const struct message *response)
{
	if (!exchange->is_rescue_test || rescue_is_missing(exchange, response))
		return;
	exchange->is_rescue_test = false;
	rescue_forget(exchange);
}

/* Of other answers, as 412 or 416, it is the request that they are about. */
static enum exchange_verdict
weigh_recalled(struct exchange *exchange, const struct message *response)
{
	if (rescue_is_good(exchange, response))
		return VERDICT_PASS_ON;
	if (rescue_is_missing(exchange, response) || response->status >= 500)
		rescue_forget(exchange);
	return VERDICT_REFUSE;
}

static enum exchange_verdict
weigh_rescue(struct exchange *exchange, const struct message *response)
{
	if (rescue_is_good(exchange, response)) {
		rescue_note_found(exchange, response);
		return VERDICT_PASS_ON;
	}
	rescue_note_missing(exchange, response);
	return VERDICT_REFUSE;
}

/* What is asked for here, stable doesn't have: it can't say how long it takes. */
static bool
is_unknown(unsigned status)
{
	return status == 404 || status == 405 || status == 410;
}

/* Stable has answered what its candidate had hung on: if it took as long, it is
 * what was asked for that takes long, as with long polls. */
static void
conclude_hang(struct exchange *exchange, unsigned status)
{
	exchange->has_hung = false;
	if (!is_unknown(status) && exchange->shard->now_ns - exchange->sent_ns <
					   exchange->hung_for_ns)
		witness_failure(exchange, METER_ERROR_RESPONSE_TIMEOUT);
	else
		witness_renounce(exchange);
}

enum exchange_verdict
exchange_weigh(struct exchange *exchange, const struct message *response)
{
	struct registry_version *version = exchange->version->registry;

	version->loads[exchange->shard->index].n_heads++;
	exchange_end_hang_watch(exchange);
	if (exchange->has_hung)
		conclude_hang(exchange, response->status);
	witness_response(exchange, response);
	exchange_stop_help_timer(exchange);
	if (exchange->is_recalled)
		return weigh_recalled(exchange, response);
	switch (exchange->help) {
	case HELP_NONE:
		end_test(exchange, response);
		return wants_help(exchange, response) ? VERDICT_HOLD
						      : VERDICT_PASS_ON;
	case HELP_RESCUE:
		return weigh_rescue(exchange, response);
	case HELP_SHIELD:
		return shield_is_failure(method_of(exchange), response->status)
			       ? VERDICT_REFUSE
			       : VERDICT_PASS_ON;
	case HELP_IN_VAIN:
		break;
	}
	return VERDICT_PASS_ON;
}

static void
count_asked(const struct exchange *exchange)
{
	struct meter *meter =
		meter_of(exchange, exchange->version, exchange->target);

	meter_add(exchange->help == HELP_SHIELD ? &meter->shields
						: &meter->rescues,
		1);
}

static void
ask(struct exchange *exchange)
{
	count_asked(exchange);
	exchange->first_version = exchange->version;
	exchange->first_endpoint = exchange->endpoint;
	exchange->first_target = exchange->target;
	leave_version(exchange);
	exchange->version = exchange->other_version;
	if (exchange->help == HELP_SHIELD)
		drop_conditions(exchange);
	else
		begin_brief_help(exchange);
	exchange_rewind(exchange);
	exchange_dispatch(exchange);
}

void
exchange_ask_other(struct exchange *exchange)
{
	exchange->held = exchange->upstream;
	exchange->upstream = NULL;
	upstream_hold(exchange->held);
	ask(exchange);
}

bool
exchange_find_help(struct exchange *exchange, enum meter_error error)
{
	if (exchange->help == HELP_RESCUE || exchange->help == HELP_SHIELD) {
		exchange_settle(exchange);
		return true;
	}
	if (exchange->is_recalled) {
		rescue_forget(exchange);
		ask_chosen(exchange);
		return true;
	}
	if (exchange->is_rescue_test)
		rescue_forget(exchange);
	if (!wants_shield(exchange))
		return false;
	exchange->first_error = error;
	ask(exchange);
	return true;
}

/* Of reads alone: anything else may be under way where it seems to hang, and
 * would be done twice. */
void
exchange_watch_for_hang(struct exchange *exchange)
{
	struct timeouts *timeouts = &exchange->shard->worker.timeouts;
	struct view_service *local = exchange->local;
	uint64_t patience_ns =
		atomic_load_explicit(&exchange->service->registry->patience_ns,
			memory_order_relaxed);

	if (exchange->is_hang_watched || exchange->is_recalled ||
		!is_read(exchange) || patience_ns == 0 ||
		patience_ns >= local->response->length_ns ||
		!may_be_shielded(exchange))
		return;
	if (local->hang == NULL || local->hang->length_ns != patience_ns)
		local->hang = timeouts_list(
			timeouts, patience_ns, exchange_hang_expired);
	if (local->hang == NULL)
		return;
	exchange->is_hang_watched = true;
	timeout_init(&exchange->hang_timeout);
	timeouts_set(timeouts, &exchange->hang_timeout, local->hang,
		exchange->shard->now_ns);
}

void
exchange_end_hang_watch(struct exchange *exchange)
{
	if (!exchange->is_hang_watched)
		return;
	exchange->is_hang_watched = false;
	timeout_stop(&exchange->hang_timeout);
}

/* What becomes of it as far as the judge is concerned is known when stable has
 * answered. */
void
exchange_hang_expired(struct timeout *timeout)
{
	struct exchange *exchange =
		list_entry(timeout, struct exchange, hang_timeout);

	shard_touch_clock(exchange->shard);
	exchange->is_hang_watched = false;
	if (!wants_shield(exchange))
		return;
	exchange->has_hung = true;
	exchange->hung_for_ns = exchange->shard->now_ns - exchange->sent_ns;
	exchange->first_error = METER_ERROR_RESPONSE_TIMEOUT;
	upstream_cancel(exchange->upstream);
	ask(exchange);
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
	enum meter_error error = exchange->first_error;

	upstream_leave_queue(exchange);
	if (exchange->upstream != NULL)
		upstream_discard(exchange->upstream);
	if (exchange->is_recalled) {
		ask_chosen(exchange);
		return;
	}
	end_brief_help(exchange);
	leave_version(exchange);
	exchange->version = exchange->first_version;
	if (exchange->first_endpoint != NULL)
		exchange_enter_endpoint(exchange, exchange->first_endpoint);
	exchange->help = HELP_IN_VAIN;
	if (held == NULL) {
		exchange->first_error = METER_ERROR_NONE;
		exchange_answer_failure(exchange, error);
		return;
	}
	take_back(exchange, held);
	upstream_revive(held);
}

void
exchange_help_expired(struct timeout *timeout)
{
	struct exchange *exchange =
		list_entry(timeout, struct exchange, help_timeout);

	shard_touch_clock(exchange->shard);
	exchange->is_help_timed = false;
	rescue_note_late(exchange);
	if (exchange->is_recalled)
		rescue_forget(exchange);
	if (exchange->upstream != NULL)
		upstream_cancel(exchange->upstream);
	exchange_settle(exchange);
}

/* Where what was known to be elsewhere is counted: it came to no endpoint. */
static struct meter *
meter_of_chosen(const struct exchange *exchange)
{
	return meter_of(exchange,
		&exchange->service->versions[exchange->decision.version], NULL);
}

void
exchange_conclude_help(struct exchange *exchange)
{
	struct meter *helper =
		meter_of(exchange, exchange->version, exchange->target);
	struct meter *meter;

	if (exchange->is_recalled) {
		meter = meter_of_chosen(exchange);
		meter_add(&meter->rescues, 1);
	} else if (exchange->help == HELP_RESCUE ||
		   exchange->help == HELP_SHIELD) {
		meter = meter_of(exchange, exchange->first_version,
			exchange->first_target);
	} else {
		return;
	}
	exchange->helper = exchange->version;
	if (exchange->help == HELP_SHIELD) {
		meter_add(&meter->shielded, 1);
		return;
	}
	meter_add(&meter->rescued, 1);
	meter_add(&helper->helped, 1);
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
