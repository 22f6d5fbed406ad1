#include "proxy/witness.h"

#include <string.h>

#include "http/cors.h"
#include "proxy/identity.h"
#include "proxy/key.h"

/* Statuses of gRPC that are a failure of the service: UNKNOWN (2),
 * DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS (15). */
#define GRPC_FAILURES (1u << 2 | 1u << 4 | 1u << 13 | 1u << 14 | 1u << 15)

static bool
is_witness(const struct exchange *exchange)
{
	return exchange->ticket.crowd != 0 || exchange->watches != NULL;
}

static struct crowd *
crowd_at(const struct registry_unit *unit)
{
	return crowd_of(&unit->release.crowd);
}

/* --- whose side ------------------------------------------------------------ */

void
witness_begin(struct exchange *exchange, const struct release_cell *cell,
	int candidate)
{
	const struct sticky_decision *decision = &exchange->decision;
	struct registry_unit *unit =
		registry_unit_of(exchange->service->registry);
	struct crowd_facts facts = {
		.generation = cell->generation,
		.epoch = cell->epoch,
		.cell = decision->cell,
		.has_identity = sticky_has_identity(decision),
		/* Its cookie will say this cell. */
		.is_navigation = exchange->is_navigation ||
				 decision->set != STICKY_SET_NOTHING,
		.is_candidate = decision->version == candidate,
		.is_by_bucket = decision->reason == STICKY_BUCKET,
	};

	if (candidate == STICKY_NONE || !decision->is_counted_by_bucket ||
		cors_is_preflight(&exchange->request))
		return;
	exchange->unit = unit;
	crowd_begin(crowd_at(unit), exchange->shard->index, &facts,
		&exchange->ticket);
}

static const struct snapshot_service *
member_of(const struct exchange *exchange, const struct registry_watch *watch)
{
	return snapshot_find_service(exchange->view->snapshot,
		slice_from_string(watch->member->name));
}

/* What the member's perch wrote to its backend, which passed it on. */
static bool
find_by_caller(const struct exchange *exchange,
	const struct snapshot_service *member, uint32_t *cell,
	struct slice *version)
{
	struct slice value;

	if (!exchange->is_trusted)
		return false;
	value = message_find_name(&exchange->request,
		slice_from_string(member->settings->sticky.header));
	return value.ptr != NULL &&
	       sticky_parse_caller(value, member->name, version, cell);
}

/* cookie: the member's, or NULL. */
static bool
find_by_cookie(
	const struct cookie *cookie, uint32_t *cell, struct slice *version)
{
	if (cookie == NULL || !cookie->is_signed)
		return false;
	*cell = cookie->seed;
	if (cookie->is_pin)
		*version = cookie->version;
	return true;
}

/* Not by address: that may be the caller's, and no client's. */
static bool
find_by_key(const struct exchange *exchange,
	const struct snapshot_service *member, uint32_t *cell)
{
	const struct config_sticky *sticky = &member->settings->sticky;
	uint64_t hash;

	for (size_t i = 0; i < sticky->n_key; i++)
		if (sticky->key[i].source != CONFIG_KEY_ADDRESS &&
			key_hash(exchange, &sticky->key[i], 1, &hash)) {
			*cell = sticky_cell(hash);
			return true;
		}
	return false;
}

enum telling { TELLS_NOTHING, TELLS_NO_SIDE, TELLS_SIDE };

/* What a service says of the client's cell and side in its release; no side if
 * its page is another version's than its bucket's. */
static enum telling
ask_member(const struct exchange *exchange,
	const struct snapshot_service *member, const struct cookie *cookie,
	struct crowd_facts *facts)
{
	struct slice version = SLICE_NONE;
	const struct release_record *record;
	const struct release_version *candidate;
	struct release_cell cell;
	const char *name;

	record = release_read(&member->registry->release, &cell);
	candidate = release_candidate(record, &cell);
	if (candidate == NULL ||
		(!find_by_caller(exchange, member, &facts->cell, &version) &&
			!find_by_cookie(cookie, &facts->cell, &version) &&
			!find_by_key(exchange, member, &facts->cell)))
		return TELLS_NOTHING;
	facts->generation = cell.generation;
	facts->epoch = cell.epoch;
	facts->has_identity = true;
	facts->is_candidate =
		sticky_bucket(facts->cell, record->seed) < cell.share_bp;
	name = facts->is_candidate ? candidate->name : record->stable->name;
	return version.len == 0 || slice_equal(version, slice_from_string(name))
		       ? TELLS_SIDE
		       : TELLS_NO_SIDE;
}

/* A group's client may come from any of its services: the first one that knows
 * it has the word. Cookies are read once for all of them. */
static bool
find_side(const struct exchange *exchange, const struct registry_watch *watch,
	struct crowd_facts *facts)
{
	const struct snapshot_service *member = member_of(exchange, watch);
	enum telling telling = TELLS_NOTHING;
	struct identity identity;

	if (member == NULL)
		return false;
	identity_read_cookies(exchange, member, &identity);
	if (member->n_mates == 0)
		return ask_member(exchange, member,
			       identity.has_cookie ? &identity.cookie : NULL,
			       facts) == TELLS_SIDE;
	for (size_t i = 0; i < member->n_mates && telling == TELLS_NOTHING; i++)
		telling = ask_member(exchange, member->mates[i],
			identity.has_group_seed && identity.member == i
				? &identity.member_cookie
				: NULL,
			facts);
	return telling == TELLS_SIDE;
}

static void
begin_watch(struct exchange *exchange, const struct registry_watch *watch)
{
	struct shard *shard = exchange->shard;
	struct crowd *crowd = crowd_at(watch->unit);
	struct crowd_facts facts = {.is_navigation = exchange->is_navigation};
	struct witness_watch *mine;

	if (crowd == NULL || !find_side(exchange, watch, &facts))
		return;
	mine = pool_take(&shard->watches);
	if (mine == NULL)
		return;
	memset(mine, 0, sizeof(*mine));
	crowd_begin_watch(
		crowd, shard->index, watch->index, &facts, &mine->ticket);
	if (mine->ticket.crowd == 0) {
		pool_give(&shard->watches, mine);
		return;
	}
	mine->unit = watch->unit;
	mine->next = exchange->watches;
	exchange->watches = mine;
}

void
witness_begin_watches(struct exchange *exchange)
{
	const struct registry_watchers *watchers = atomic_load_explicit(
		&exchange->service->registry->watchers, memory_order_acquire);

	if (watchers == NULL || exchange->decision.reason == STICKY_OVERRIDE ||
		cors_is_preflight(&exchange->request))
		return;
	for (size_t i = 0; i < watchers->n; i++)
		begin_watch(exchange, &watchers->items[i]);
}

/* --- what became of it ----------------------------------------------------- */

static void
free_watches(struct exchange *exchange)
{
	struct witness_watch *watch;

	while ((watch = exchange->watches) != NULL) {
		exchange->watches = watch->next;
		pool_give(&exchange->shard->watches, watch);
	}
}

void
witness_renounce(struct exchange *exchange)
{
	crowd_drop(&exchange->ticket);
	exchange->ticket.crowd = 0;
	for (struct witness_watch *watch = exchange->watches; watch != NULL;
		watch = watch->next)
		crowd_drop(&watch->ticket);
	free_watches(exchange);
}

/* Tells the judge; of a group it is to know by which service. */
static void
end_ticket(struct exchange *exchange, unsigned bad)
{
	unsigned hurt = crowd_end(crowd_at(exchange->unit),
		exchange->shard->index, &exchange->ticket, bad);

	for (unsigned i = 0; hurt != 0 && i < REGISTRY_HURTS; i++)
		if (hurt >> i & 1)
			atomic_fetch_add_explicit(
				&exchange->service->registry->hurt[i], 1,
				memory_order_relaxed);
}

enum outcome { OUTCOME_BY_STATUS, OUTCOME_FAILED };

static void
testify(struct exchange *exchange, enum outcome outcome, unsigned status)
{
	unsigned worker = exchange->shard->index;
	unsigned bad = 0;
	struct witness_watch *watch;

	if (exchange->ticket.crowd != 0) {
		if (outcome == OUTCOME_FAILED ||
			registry_has_status(
				exchange->unit->error_statuses, status))
			bad |= 1u << EVIDENCE_ERRORS;
		if (!exchange->is_navigation &&
			(status == 404 || status == 410))
			bad |= 1u << EVIDENCE_NOT_FOUND;
		end_ticket(exchange, bad);
	}
	for (watch = exchange->watches; watch != NULL; watch = watch->next) {
		bad = outcome == OUTCOME_FAILED ||
		      registry_has_status(watch->unit->watch_statuses, status);
		crowd_end(crowd_at(watch->unit), worker, &watch->ticket, bad);
	}
	free_watches(exchange);
}

void
witness_sent(struct exchange *exchange)
{
	struct registry_unit *unit = exchange->unit;
	unsigned worker = exchange->shard->index;

	if (exchange->ticket.crowd == 0 || exchange->has_sent)
		return;
	exchange->has_sent = true;
	if (registry_endpoint_is_warming_up(exchange->target,
		    exchange->service->settings->warmup_ns,
		    exchange->shard->now_ns)) {
		crowd_skip_sample(crowd_at(unit), &exchange->ticket);
		return;
	}
	crowd_start_sample(crowd_at(unit), worker,
		&unit->flights[worker].flights, &exchange->ticket,
		exchange->shard->now_ns);
}

static bool
is_grpc_failure(struct slice status)
{
	unsigned code = 0;

	if (status.len == 0 || status.len > 2)
		return false;
	for (size_t i = 0; i < status.len; i++) {
		if (status.ptr[i] < '0' || status.ptr[i] > '9')
			return false;
		code = code * 10 + (unsigned)(status.ptr[i] - '0');
	}
	return code < 32 && (GRPC_FAILURES >> code & 1) != 0;
}

/* Where there is no body the status comes with the head. */
static bool
is_failed_call(const struct message *response)
{
	return slice_starts_with(message_find(response, FIELD_CONTENT_TYPE),
		       SLICE("application/grpc")) &&
	       is_grpc_failure(
		       message_find_name(response, SLICE("grpc-status")));
}

/*
 * What the first head says by its status alone. Only those whom it hurts are
 * told: to the others a 404 isn't the last word, as another version's answer may
 * take its place.
 */
static void
testify_early(struct exchange *exchange, unsigned status)
{
	unsigned worker = exchange->shard->index;
	struct witness_watch **at = &exchange->watches;
	struct witness_watch *watch;

	if (exchange->ticket.crowd != 0 &&
		registry_has_status(exchange->unit->error_statuses, status))
		end_ticket(exchange, 1u << EVIDENCE_ERRORS);
	while ((watch = *at) != NULL) {
		if (!registry_has_status(
			    watch->unit->watch_statuses, status)) {
			at = &watch->next;
			continue;
		}
		*at = watch->next;
		crowd_end(crowd_at(watch->unit), worker, &watch->ticket, 1);
		pool_give(&exchange->shard->watches, watch);
	}
}

void
witness_response(struct exchange *exchange, const struct message *response)
{
	if (!is_witness(exchange) || exchange->has_answered)
		return;
	exchange->has_answered = true;
	if (exchange->ticket.crowd != 0)
		crowd_first_byte(crowd_at(exchange->unit),
			exchange->shard->index, &exchange->ticket,
			exchange->shard->now_ns);
	testify_early(exchange, response->status);
	if (is_failed_call(response))
		testify(exchange, OUTCOME_FAILED, response->status);
}

void
witness_failure(struct exchange *exchange, enum meter_error error)
{
	if (!is_witness(exchange) || exchange->has_answered)
		return;
	if (error == METER_ERROR_CLIENT_ABORT || error == METER_ERROR_REQUEST)
		witness_renounce(exchange);
	else
		testify(exchange, OUTCOME_FAILED, 0);
}

void
witness_trailers(struct exchange *exchange, struct slice trailers)
{
	struct slice name = SLICE("grpc-status:");
	const char *end;
	struct slice line;

	if (trailers.len == 0 || !is_witness(exchange))
		return;
	while (trailers.len > 0) {
		end = memchr(trailers.ptr, '\n', trailers.len);
		line = trailers;
		if (end != NULL)
			line.len = (size_t)(end - trailers.ptr);
		trailers.ptr += line.len + (end != NULL);
		trailers.len -= line.len + (end != NULL);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (line.len <= name.len ||
			!slice_equal_nocase(
				(struct slice){line.ptr, name.len}, name))
			continue;
		line.ptr += name.len;
		line.len -= name.len;
		if (is_grpc_failure(slice_trim(line)))
			testify(exchange, OUTCOME_FAILED, 0);
	}
}

void
witness_end(struct exchange *exchange)
{
	enum meter_error error = exchange->error;

	if (!is_witness(exchange))
		return;
	if (error == METER_ERROR_CLIENT_ABORT || error == METER_ERROR_REQUEST ||
		error == METER_ERROR_ROLLED_BACK)
		witness_renounce(exchange);
	else if (error != METER_ERROR_NONE && exchange->helper == NULL)
		testify(exchange, OUTCOME_FAILED, 0);
	else
		testify(exchange, OUTCOME_BY_STATUS, exchange->status);
}
