#include "proxy/choose.h"

#include <string.h>

#include "base/clock.h"
#include "base/prefetch.h"
#include "proxy/balance.h"
#include "proxy/identity.h"
#include "proxy/key.h"
#include "proxy/set_cookie.h"
#include "proxy/witness.h"

static bool
may_override(const struct exchange *exchange)
{
	const struct config_sticky *sticky =
		&exchange->service->settings->sticky;
	struct slice key;

	switch (sticky->override) {
	case CONFIG_OVERRIDE_OFF:
		return false;
	case CONFIG_OVERRIDE_TRUSTED:
		return exchange->is_trusted;
	case CONFIG_OVERRIDE_ANY:
		return true;
	case CONFIG_OVERRIDE_KEY:
		key = message_find(&exchange->request, FIELD_X_PERCH_KEY);
		return key.ptr != NULL &&
		       secrets_have(&sticky->override_secrets, key);
	}
	return false;
}

static int
find_override(const struct exchange *exchange)
{
	const struct snapshot_service *service = exchange->service;
	struct slice value;
	struct slice name;
	int version;

	if (!may_override(exchange))
		return STICKY_NONE;
	value = message_find_name(&exchange->request,
		slice_from_string(service->settings->sticky.header));
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

static void
fill_cookie(const struct exchange *exchange, const struct identity *identity,
	const struct release_record *record, const struct release_cell *cell,
	struct sticky_input *input)
{
	const struct snapshot_service *service = exchange->service;
	const struct snapshot_version *version;

	/* Entry and page are to move as one: all services of a group go by one
	 * seed. */
	if (identity->has_group_seed &&
		(identity->is_group_seed_signed ||
			input->request.kind != STICKY_NAVIGATION)) {
		input->has_group_seed = true;
		input->is_group_seed_signed = identity->is_group_seed_signed;
		input->group_seed = identity->member_cookie.seed;
	}
	if (!identity->has_cookie)
		return;
	input->has_cookie = true;
	input->cookie = identity->cookie;
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

/* What of this service stands where the group's version of that name does in its
 * own; STICKY_NONE if nothing does. */
static int
counterpart_of(const struct exchange *exchange,
	const struct snapshot_service *mate, const struct cookie *cookie,
	const struct release_record *record, const struct sticky_input *input)
{
	const struct snapshot_service *service = exchange->service;
	const struct release_version *candidate;
	const struct release_record *mates;
	struct release_cell cell;

	mates = release_read(&mate->registry->release, &cell);
	candidate = release_candidate(mates, &cell);
	if (candidate != NULL && cookie->generation == mates->generation &&
		slice_equal(cookie->version, slice_from_string(candidate->name)))
		return input->candidate;
	if (slice_equal(cookie->version, slice_from_string(mates->stable->name)))
		return input->stable;
	if (mates->previous != NULL && record->previous != NULL &&
		slice_equal(cookie->version,
			slice_from_string(mates->previous->stable->name)))
		return index_of(service, record->previous->stable);
	return STICKY_NONE;
}

/* The page that asks may be another service's of the group: then its pin, of the
 * one navigated to last, speaks for this service too. */
static void
follow_group_pin(const struct exchange *exchange,
	const struct identity *identity, const struct release_record *record,
	const struct release_cell *cell, struct sticky_input *input)
{
	const struct snapshot_service *service = exchange->service;
	const struct cookie *pin = &identity->pin_cookie;
	const struct snapshot_version *version;
	int index;

	if (!identity->has_group_pin ||
		input->request.kind == STICKY_NAVIGATION ||
		service->mates[identity->pin_member] == service ||
		(input->has_cookie && input->cookie.is_signed &&
			input->cookie.is_pin &&
			input->cookie.issued_min >= pin->issued_min))
		return;
	index = counterpart_of(exchange, service->mates[identity->pin_member],
		pin, record, input);
	if (index == STICKY_NONE)
		return;
	version = &service->versions[index];
	input->has_cookie = true;
	input->cookie = *pin;
	input->cookie.has_endpoint = false;
	input->cookie.version = version->name;
	input->pinned = index;
	input->pinned_standing =
		release_standing_of(version->release, record, cell);
	input->is_pinned_usable = balance_has_usable(exchange->shard, version);
}

/*
 * The page that asks may be another service's: then nothing of it comes from this
 * one, and what keeps a page whole would keep a service to which nobody ever
 * navigates from being released. The client is who that service knows it as.
 */
static void
follow_page(const struct exchange *exchange, struct sticky_input *input)
{
	const struct snapshot_service *service = exchange->service;
	const struct snapshot_service *page;
	struct identity identity;

	if (!input->is_running || !input->request.is_same_origin ||
		input->has_cookie || input->has_group_seed ||
		input->request.kind == STICKY_NAVIGATION)
		return;
	page = identity_find_page(exchange);
	if (page == NULL || page == service ||
		(page->n_mates > 0 && page->mates == service->mates))
		return;
	input->request.is_same_origin = false;
	identity_read_cookies(exchange, page, &identity);
	if (!identity.has_cookie || !identity.cookie.is_signed)
		return;
	input->has_group_seed = true;
	input->is_group_seed_signed = true;
	input->group_seed = identity.cookie.seed;
}

static void
fill_key(const struct exchange *exchange, struct sticky_input *input)
{
	const struct config_sticky *sticky =
		&exchange->service->settings->sticky;

	/* The cookie's seed wins anyway: spare the hashing. */
	if (input->has_cookie && input->cookie.is_signed &&
		!input->is_identity_by_key)
		return;
	input->has_key = key_hash(
		exchange, sticky->key, sticky->n_key, &input->key_hash);
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

static enum sticky_anonymous
anonymous_mode(const struct config_sticky *sticky)
{
	switch (sticky->anonymous) {
	case CONFIG_ANONYMOUS_RANDOM:
		return STICKY_ANONYMOUS_RANDOM;
	case CONFIG_ANONYMOUS_STABLE:
		return STICKY_ANONYMOUS_STABLE;
	default:
		return STICKY_ANONYMOUS_ADDRESS;
	}
}

static void
fill_release(const struct exchange *exchange,
	const struct release_record *record, const struct release_cell *cell,
	struct sticky_input *input)
{
	const struct snapshot_service *service = exchange->service;

	input->stable = index_of(service, record->stable);
	input->candidate = STICKY_NONE;
	if (release_candidate(record, cell) != NULL)
		input->candidate = index_of(service, record->candidate);
	if (input->stable == STICKY_NONE)
		input->stable = former_stable(service, record);
	input->is_running = input->candidate != STICKY_NONE;
	input->generation = record->generation;
	input->share_bp = cell->share_bp;
	input->release_seed = record->seed;
}

static void
fill_config(const struct exchange *exchange, struct sticky_input *input)
{
	const struct settings *settings = exchange->service->settings;
	const struct config_sticky *sticky = &settings->sticky;

	input->pin = pin_mode(sticky);
	input->anonymous = anonymous_mode(sticky);
	input->is_identity_by_key = sticky->identity == CONFIG_IDENTITY_KEY;
	input->wants_cookie = exchange->service->wants_cookie;
	input->has_affinity = settings->balance.affinity == CONFIG_TRUE;
	input->keeps_cacheable = sticky->cacheable == CONFIG_CACHEABLE_KEEP;
	input->is_kept_elsewhere = sticky->same_site == CONFIG_SAME_SITE_NONE &&
				   set_cookie_is_secure(exchange);
	input->lifetime_s = sticky->lifetime_ns / CLOCK_NS_PER_S;
	if (input->lifetime_s > 0)
		input->now_min = clock_wall_min();
}

static bool
has_conditions(const struct message *request)
{
	return message_has(request, FIELD_IF_NONE_MATCH) ||
	       message_has(request, FIELD_IF_MODIFIED_SINCE) ||
	       message_has(request, FIELD_IF_MATCH) ||
	       message_has(request, FIELD_IF_UNMODIFIED_SINCE) ||
	       message_has(request, FIELD_RANGE) ||
	       message_has(request, FIELD_IF_RANGE);
}

/* May a cache hold a page of another version than the chosen one? */
static bool
has_other_pages(const struct exchange *exchange,
	const struct release_record *record, const struct release_cell *cell)
{
	const struct snapshot_service *service = exchange->service;

	for (size_t i = 0; i < service->n_versions; i++)
		if (&service->versions[i] != exchange->version &&
			release_standing_of(service->versions[i].release,
				record, cell) != STANDING_IDLE)
			return true;
	return false;
}

/*
 * Reads are asked anew where the client may hold another version's answer: a 304
 * would confirm it. Without a pin nobody knows whose its pages are; its other
 * things are stable's, most likely, from before the release. Of reads only: a
 * conditional write must stay one.
 */
static bool
drops_conditions(const struct exchange *exchange,
	const struct sticky_input *input, const struct release_record *record,
	const struct release_cell *cell)
{
	const struct message *request = &exchange->request;

	if ((request->method != HTTP_GET && request->method != HTTP_HEAD) ||
		!has_conditions(request))
		return false;
	if (input->has_cookie && input->cookie.is_pin)
		return !slice_equal(
			input->cookie.version, exchange->version->name);
	if (exchange->is_page)
		return has_other_pages(exchange, record, cell);
	return input->is_running &&
	       exchange->decision.version == input->candidate;
}

/* What of the cookie goes into the next one. */
static void
keep_cookie(struct exchange *exchange, const struct sticky_input *input)
{
	bool is_own = input->has_cookie && input->cookie.is_signed;

	exchange->has_pin = is_own && input->cookie.is_pin &&
			    input->pinned == exchange->decision.version;
	exchange->moved_min = exchange->has_pin ? input->cookie.moved_min : 0;
	exchange->has_affinity = is_own && input->cookie.has_endpoint &&
				 (exchange->has_pin || !input->cookie.is_pin);
	exchange->affinity_hash = input->cookie.endpoint;
	/* A page that was left without a cookie, or with one of the former form,
	 * stays so. */
	exchange->may_set_endpoint =
		is_own && !input->request.is_asset &&
		exchange->decision.reason != STICKY_OVERRIDE;
}

void
choose_version(struct exchange *exchange)
{
	const struct snapshot_service *service = exchange->service;
	const struct message *request = &exchange->request;
	const struct release_record *record;
	struct identity identity;
	struct sticky_input input;
	struct release_cell cell;

	prefetch_service(exchange);
	record = release_read(&service->registry->release, &cell);
	memset(&input, 0, sizeof(input));
	fill_release(exchange, record, &cell, &input);
	fill_config(exchange, &input);
	sticky_read_request(request, &input.request);
	input.override = find_override(exchange);
	input.pinned = STICKY_NONE;
	identity_read_cookies(exchange, service, &identity);
	fill_cookie(exchange, &identity, record, &cell, &input);
	follow_group_pin(exchange, &identity, record, &cell, &input);
	follow_page(exchange, &input);
	fill_key(exchange, &input);
	if (sticky_needs_address(&input))
		input.has_address =
			identity_hash_address(exchange, &input.address_hash);
	input.random = (uint32_t)(shard_random(exchange->shard) % COOKIE_CELLS);
	sticky_decide(&input, &exchange->decision);

	exchange->version = &service->versions[exchange->decision.version];
	exchange->stand_in = stand_in(exchange, &input);
	exchange->generation = record->generation;
	exchange->is_navigation = input.request.kind == STICKY_NAVIGATION;
	exchange->is_page = input.request.kind != STICKY_OTHER;
	exchange->is_release_running = input.is_running;
	exchange->drops_conditions =
		drops_conditions(exchange, &input, record, &cell);
	if (identity.foreign.len > 0)
		exchange->foreign_cookie = (struct span){
			(uint32_t)(identity.foreign.ptr - request->base),
			(uint32_t)identity.foreign.len};
	keep_cookie(exchange, &input);
	identity_count(exchange);
	if (input.is_running)
		witness_begin(exchange, &cell, input.candidate);
	witness_begin_watches(exchange);
}
