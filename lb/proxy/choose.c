#include "proxy/choose.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/prefetch.h"
#include "proxy/balance.h"
#include "proxy/key.h"
#include "proxy/witness.h"

/* Room for a Set-Cookie value, but for name, Domain and the cookie itself. */
#define ATTRIBUTES_MAX 128

static int
find_override(const struct exchange *exchange)
{
	const struct snapshot_service *service = exchange->service;
	const struct config_sticky *sticky = &service->settings->sticky;
	struct slice value;
	struct slice name;
	int version;

	if (!exchange->is_trusted &&
		sticky->override == CONFIG_OVERRIDE_TRUSTED)
		return STICKY_NONE;
	value = message_find_name(
		&exchange->request, slice_from_string(sticky->header));
	if (value.ptr == NULL)
		return STICKY_NONE;
	name = sticky_parse_override(value, service->name);
	if (name.len == 0)
		return STICKY_NONE;
	version = snapshot_find_version(service, name);
	if (version < 0 || !balance_has_usable(exchange->shard,
				   &service->versions[version]))
		return STICKY_NONE;
	return version;
}

static void
fill_key(const struct exchange *exchange, struct sticky_input *input)
{
	const struct config_sticky *sticky =
		&exchange->service->settings->sticky;

	/* The cookie's seed wins anyway: spare the hashing. */
	if (input->has_cookie && !input->is_identity_by_key)
		return;
	input->has_key = key_hash(
		exchange, sticky->key, sticky->n_key, &input->key_hash);
}

static int
index_of(const struct snapshot_service *service,
	const struct release_version *version)
{
	size_t i;

	for (i = 0; i < service->n_versions; i++)
		if (service->versions[i].release == version)
			return (int)i;
	return STICKY_NONE;
}

/* While a reload spreads, a worker's snapshot may not know the version that
 * has just become stable: the last one that it knows serves on. */
static int
former_stable(const struct snapshot_service *service,
	const struct release_record *record)
{
	int stable = STICKY_NONE;

	while (stable == STICKY_NONE && record->previous != NULL) {
		record = record->previous;
		stable = index_of(service, record->stable);
	}
	return stable != STICKY_NONE ? stable : 0;
}

/* Entry and page are to move as one: all services of a group go by one
 * seed. */
static void
fill_group_seed(const struct exchange *exchange, struct sticky_input *input)
{
	const struct snapshot_service *service = exchange->service;
	struct cookie cookie;
	struct slice value;

	for (size_t i = 0; i < service->n_mates; i++) {
		value = message_find_cookie(
			&exchange->request, service->mates[i]->cookie_name);
		if (value.ptr == NULL || !cookie_parse(value, &cookie))
			continue;
		input->has_group_seed = true;
		input->group_seed = cookie.seed;
		return;
	}
}

static void
fill_cookie(const struct exchange *exchange,
	const struct release_record *record, const struct release_cell *cell,
	struct sticky_input *input)
{
	const struct snapshot_service *service = exchange->service;
	const struct snapshot_version *version;
	struct slice value =
		message_find_cookie(&exchange->request, service->cookie_name);

	/* The name changes when a second service comes to the host, or goes:
	 * that must neither draw anybody anew nor break a page that is open. */
	if (value.ptr == NULL)
		value = message_find_cookie(
			&exchange->request, service->former_cookie_name);
	fill_group_seed(exchange, input);
	if (value.ptr == NULL || !cookie_parse(value, &input->cookie))
		return;
	input->has_cookie = true;
	if (!input->cookie.is_pin)
		return;
	input->pinned = snapshot_find_version(service, input->cookie.version);
	if (input->pinned == STICKY_NONE)
		return;
	version = &service->versions[input->pinned];
	input->pinned_standing =
		release_standing_of(version->release, record, cell);
	input->is_pinned_usable = balance_has_usable(exchange->shard, version);
}

static enum sticky_pin
pin_mode(const struct config_sticky *sticky)
{
	switch (sticky->pin) {
	case CONFIG_PIN_SESSION:
		return STICKY_PIN_SESSION;
	case CONFIG_PIN_NONE:
		return STICKY_PIN_NONE;
	default:
		return STICKY_PIN_DOCUMENT;
	}
}

/* Who answers what a release's candidate fails: the version that was stable
 * when the request came, whatever becomes of the release meanwhile. */
static const struct snapshot_version *
stand_in(const struct exchange *exchange, const struct sticky_input *input)
{
	const struct sticky_decision *decision = &exchange->decision;

	if (!input->is_running || decision->version != input->candidate ||
		decision->reason == STICKY_OVERRIDE)
		return NULL;
	return &exchange->service->versions[input->stable];
}

/*
 * All that will be read of the service, with the endpoint if there is but one.
 * What is a version's is most likely the first one's.
 */
static void
prefetch_service(const struct exchange *exchange)
{
	const struct snapshot_service *service = exchange->service;
	const struct snapshot_version *version = service->versions;

	prefetch(service->registry);
	prefetch(service->unit);
	prefetch_object(version, sizeof(*version) + MEMORY_LINE);
	prefetch(&service->cookie_name);
	prefetch(exchange->local);
	prefetch(&version->registry->loads[exchange->shard->index]);
	prefetch(version->name.ptr);
	if (version->n_endpoints == 1)
		balance_prefetch(exchange->shard, version->endpoints);
}

void
choose_version(struct exchange *exchange)
{
	const struct snapshot_service *service = exchange->service;
	const struct config_sticky *sticky = &service->settings->sticky;
	const struct message *request = &exchange->request;
	const struct release_record *record;
	struct sticky_input input;
	struct release_cell cell;

	prefetch_service(exchange);
	record = release_read(&service->registry->release, &cell);
	memset(&input, 0, sizeof(input));
	input.stable = index_of(service, record->stable);
	input.candidate = STICKY_NONE;
	if (release_candidate(record, &cell) != NULL)
		input.candidate = index_of(service, record->candidate);
	if (input.stable == STICKY_NONE)
		input.stable = former_stable(service, record);
	input.is_running = input.candidate != STICKY_NONE;
	input.generation = record->generation;
	input.share_bp = cell.share_bp;
	input.release_seed = record->seed;
	input.pin = pin_mode(sticky);
	input.is_identity_by_key = sticky->identity == CONFIG_IDENTITY_KEY;
	input.is_navigation = sticky_is_navigation(request);
	input.has_fetch_metadata = sticky_has_fetch_metadata(request);
	input.override = find_override(exchange);
	input.pinned = STICKY_NONE;
	fill_cookie(exchange, record, &cell, &input);
	fill_key(exchange, &input);
	input.random = (uint32_t)(shard_random(exchange->shard) % COOKIE_CELLS);
	sticky_decide(&input, &exchange->decision);

	exchange->version = &service->versions[exchange->decision.version];
	exchange->stand_in = stand_in(exchange, &input);
	exchange->has_affinity = input.has_cookie && input.cookie.is_pin &&
				 input.cookie.has_endpoint &&
				 input.pinned == exchange->decision.version;
	exchange->affinity_hash = input.cookie.endpoint;
	exchange->generation = record->generation;
	exchange->is_navigation = input.is_navigation;
	exchange->is_release_running = input.is_running;
	/* Of reads only: a conditional write must stay one. */
	exchange->drops_conditions =
		(request->method == HTTP_GET || request->method == HTTP_HEAD) &&
		input.has_cookie && input.cookie.is_pin &&
		!slice_equal(input.cookie.version, exchange->version->name);
	if (input.is_running)
		witness_begin(exchange, &cell, input.candidate);
	witness_begin_watches(exchange);
}

bool
choose_makes_private(
	const struct exchange *exchange, const struct message *response)
{
	return exchange->is_release_running && exchange->is_navigation &&
	       exchange->service->settings->sticky.cacheable ==
		       CONFIG_CACHEABLE_PRIVATE &&
	       forward_is_shared_cacheable(response);
}

/* Affinity writes the endpoint down as well: it may have changed alone. */
static bool
is_endpoint_new(const struct exchange *exchange)
{
	return exchange->version->hashes != NULL &&
	       (!exchange->has_affinity ||
		       exchange->affinity_hash != exchange->target->name_hash);
}

static enum sticky_set
cookie_to_set(const struct exchange *exchange)
{
	const struct config_sticky *sticky =
		&exchange->service->settings->sticky;

	if (exchange->decision.set == STICKY_SET_NOTHING &&
		exchange->is_navigation && sticky->pin != CONFIG_PIN_NONE &&
		exchange->decision.reason != STICKY_OVERRIDE &&
		is_endpoint_new(exchange))
		return STICKY_SET_PIN;
	return exchange->decision.set;
}

static bool
may_set(const struct exchange *exchange, const struct message *response,
	bool is_made_private)
{
	switch (cookie_to_set(exchange)) {
	case STICKY_SET_NOTHING:
		return false;
	case STICKY_SET_PIN:
		if (response->status >= 400)
			return false;
		break;
	case STICKY_SET_SEED:
		if (response->status >= 300)
			return false;
		break;
	}
	return is_made_private || !forward_is_shared_cacheable(response);
}

static char *
append_attributes(char *out, const struct config_sticky *sticky, bool is_secure)
{
	out = slice_append(out, SLICE("; Path=/"));
	if (sticky->domain != NULL) {
		out = slice_append(out, SLICE("; Domain="));
		out = slice_append(out, slice_from_string(sticky->domain));
	}
	if (sticky->lifetime_ns > 0)
		out += sprintf(out, "; Max-Age=%llu",
			(unsigned long long)(sticky->lifetime_ns /
					     CLOCK_NS_PER_S));
	out = slice_append(out, SLICE("; HttpOnly; SameSite=Lax"));
	return is_secure ? slice_append(out, SLICE("; Secure")) : out;
}

struct slice
choose_set_cookie(const struct exchange *exchange,
	const struct message *response, bool is_made_private,
	struct forward_text *text)
{
	const struct config_sticky *sticky =
		&exchange->service->settings->sticky;
	struct slice name = exchange->service->cookie_name;
	struct cookie cookie = {.seed = exchange->decision.cell};
	size_t domain_len = sticky->domain != NULL ? strlen(sticky->domain) : 0;
	char *room;
	char *out;

	if (!may_set(exchange, response, is_made_private))
		return (struct slice){NULL, 0};
	room = forward_text_take(text,
		name.len + COOKIE_VALUE_SIZE + domain_len + ATTRIBUTES_MAX);
	if (room == NULL)
		return (struct slice){NULL, 0};
	if (cookie_to_set(exchange) == STICKY_SET_PIN) {
		cookie.is_pin = true;
		cookie.has_endpoint = exchange->version->hashes != NULL;
		if (cookie.has_endpoint)
			cookie.endpoint = exchange->target->name_hash;
		cookie.generation = exchange->generation;
		cookie.version = exchange->version->name;
	}
	out = slice_append(room, name);
	out = slice_append(out, SLICE("="));
	out += cookie_format(&cookie, out);
	out = append_attributes(
		out, sticky, slice_equal(exchange->scheme, SLICE("https")));
	return (struct slice){room, (size_t)(out - room)};
}
