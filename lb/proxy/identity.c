#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif
#include "proxy/identity.h"

#include <string.h>

#include "base/hash.h"
#include "http/field.h"

/* --- cookies ------------------------------------------------------------------ */

enum value_kind {
	VALUE_OURS,
	VALUE_FORMER, /* of the former form, by whomever */
	VALUE_FOREIGN, /* signed, but not by this perch for this service */
	VALUE_NONE,
};

struct reading {
	const struct snapshot_service *service;
	const struct cookie_keys *keys;
	struct identity *out;
	unsigned n_checks;
	bool is_best_former_name; /* of the best one so far */
};

static enum value_kind
read_value(struct reading *reading, struct slice service, struct slice value,
	struct cookie *cookie)
{
	if (!cookie_parse(value, cookie))
		return VALUE_NONE;
	if (!cookie->is_signed)
		return VALUE_FORMER;
	if (reading->n_checks++ >= IDENTITY_CHECKS_MAX)
		return VALUE_NONE;
	return cookie_is_genuine(cookie, service, reading->keys)
		       ? VALUE_OURS
		       : VALUE_FOREIGN;
}

static bool
is_better(const struct reading *reading, const struct cookie *cookie,
	bool is_former_name)
{
	const struct cookie *best = &reading->out->cookie;

	if (!reading->out->has_cookie)
		return true;
	if (cookie->is_signed != best->is_signed)
		return cookie->is_signed;
	if (cookie->generation != best->generation)
		return cookie->generation > best->generation;
	if (cookie->issued_min != best->issued_min)
		return cookie->issued_min > best->issued_min;
	return reading->is_best_former_name && !is_former_name;
}

/* One by the service's own name, or by the one that it has when services come to
 * its host, or go. */
static void
read_own(struct reading *reading, struct slice value, bool is_former_name)
{
	struct identity *out = reading->out;
	struct cookie cookie;

	switch (read_value(reading, reading->service->name, value, &cookie)) {
	case VALUE_OURS:
	case VALUE_FORMER:
		if (!is_better(reading, &cookie, is_former_name))
			break;
		out->has_cookie = true;
		out->cookie = cookie;
		reading->is_best_former_name = is_former_name;
		break;
	case VALUE_FOREIGN:
		if (out->foreign.len == 0)
			out->foreign = value;
		break;
	case VALUE_NONE:
		break;
	}
}

static bool
is_younger_pin(const struct identity *out, const struct cookie *cookie)
{
	const struct cookie *best = &out->pin_cookie;

	return !out->has_group_pin || cookie->generation > best->generation ||
	       (cookie->generation == best->generation &&
		       cookie->issued_min > best->issued_min);
}

/* One by the name of a service of the group. */
static void
read_member(struct reading *reading, unsigned member, struct slice value)
{
	struct identity *out = reading->out;
	struct cookie cookie;
	enum value_kind kind = read_value(
		reading, reading->service->mates[member]->name, value, &cookie);

	if (kind == VALUE_NONE || kind == VALUE_FOREIGN)
		return;
	if (kind == VALUE_OURS && cookie.is_pin && is_younger_pin(out, &cookie)) {
		out->has_group_pin = true;
		out->pin_member = member;
		out->pin_cookie = cookie;
	}
	if (out->has_group_seed &&
		(out->is_group_seed_signed != cookie.is_signed
				? out->is_group_seed_signed
				: out->member <= member))
		return;
	out->has_group_seed = true;
	out->is_group_seed_signed = cookie.is_signed;
	out->member = member;
	out->member_cookie = cookie;
}

static void
read_pair(struct reading *reading, struct slice name, struct slice value)
{
	const struct snapshot_service *service = reading->service;
	uintptr_t member;

	if (slice_equal(name, service->cookie_name))
		read_own(reading, value, false);
	else if (slice_equal(name, service->former_cookie_name))
		read_own(reading, value, true);
	if (service->n_mates == 0)
		return;
	member = (uintptr_t)table_find(service->mates_by_cookie, name);
	if (member != 0)
		read_member(reading, (unsigned)(member - 1), value);
}

void
identity_read_cookies(const struct exchange *exchange,
	const struct snapshot_service *service, struct identity *out)
{
	const struct message *request = &exchange->request;
	struct reading reading = {.service = service,
		.keys = &exchange->view->snapshot->cookie_keys,
		.out = out};
	struct slice name, value, pair, rest;

	out->has_cookie = false;
	out->has_group_seed = false;
	out->has_group_pin = false;
	out->foreign = SLICE_NONE;
	if (!message_has(request, FIELD_COOKIE))
		return;
	for (size_t i = 0; i < request->n_fields; i++) {
		if (request->fields[i].id != FIELD_COOKIE)
			continue;
		rest = message_field_value(request, &request->fields[i]);
		while (field_cookie_next(&rest, &name, &value, &pair))
			read_pair(&reading, name, value);
	}
}

/* --- the page ------------------------------------------------------------------- */

const struct snapshot_service *
identity_find_page(const struct exchange *exchange)
{
	const struct snapshot *snapshot = exchange->view->snapshot;
	const struct message *request = &exchange->request;
	const struct snapshot_service *service = NULL;
	struct slice host = message_slice(request, request->host);
	struct slice rest = message_find(request, FIELD_REFERER);
	struct shard *shard = exchange->shard;
	const char *at;

	at = rest.len > 0 ? memmem(rest.ptr, rest.len, "://", 3) : NULL;
	if (at == NULL)
		return NULL;
	rest.len -= (size_t)(at + 3 - rest.ptr);
	rest.ptr = at + 3;
	at = memchr(rest.ptr, '/', rest.len);
	if (at == NULL)
		return NULL;
	rest.len -= (size_t)(at - rest.ptr);
	rest.ptr = at;
	if (rest.len > shard->text_size)
		return NULL;
	return snapshot_route(snapshot, host, rest, shard->text, &service) ==
			       NULL
		       ? service
		       : NULL;
}

/* --- the address ---------------------------------------------------------------- */

bool
identity_hash_address(const struct exchange *exchange, uint64_t *hash)
{
	const struct snapshot *snapshot = exchange->view->snapshot;
	const struct config *config = snapshot->config;
	struct registry_clients *clients =
		registry_clients_of(exchange->service->registry);
	struct slice agent = message_find(&exchange->request, FIELD_USER_AGENT);
	struct address client = forward_client_address(&exchange->request,
		&exchange->peer, config->trusted_proxies,
		config->n_trusted_proxies);
	uint8_t bytes[ADDRESS_LASTING_SIZE];
	size_t len = address_lasting(&client, bytes);

	*hash = siphash(&snapshot->cookie_keys.keys[0], bytes, len);
	return clients == NULL ||
	       !shared_address_count(
		       &clients[exchange->shard->index].addresses,
		       (uint32_t)(*hash >> 32),
		       hash_bytes(agent.ptr, agent.len, 0),
		       exchange->shard->now_ns);
}

void
identity_count(const struct exchange *exchange)
{
	struct registry_clients *clients =
		registry_clients_of(exchange->service->registry);

	if (clients != NULL)
		meter_add(&clients[exchange->shard->index]
				   .known[exchange->decision.known],
			1);
}
