#include "proxy/forward.h"

#include <string.h>

#include "http/field.h"
#include "proxy/disguise.h"

static struct slice
join_forwarded_for(const struct message *request,
	const struct forward_request_options *options,
	struct forward_text *text)
{
	char address[ADDRESS_TEXT_SIZE];
	size_t address_len = address_format_ip(options->client.peer, address);
	size_t len = 0;
	struct slice value;
	char *out;
	unsigned i;

	/* All of the head's fields and the address fit in this. */
	out = forward_text_take(text, request->head_len + sizeof(address));
	if (out == NULL)
		return SLICE_NONE;
	for (i = 0; i < request->n_fields && options->client.is_trusted; i++) {
		if (request->fields[i].id != FIELD_X_FORWARDED_FOR)
			continue;
		value = message_field_value(request, &request->fields[i]);
		if (value.len == 0)
			continue;
		memcpy(out + len, value.ptr, value.len);
		memcpy(out + len + value.len, ", ", 2);
		len += value.len + 2;
	}
	memcpy(out + len, address, address_len);
	return (struct slice){out, len + address_len};
}

/* What another perch behind this one wrote by the same name is left alone. */
static bool
is_own_cookie(struct slice name, struct slice value,
	const struct forward_request_options *options)
{
	if (!slice_equal(name, options->cookie_name) &&
		!slice_equal(name, options->former_cookie_name))
		return false;
	return options->foreign_cookie.len == 0 ||
	       !slice_equal(value, options->foreign_cookie);
}

static bool
has_own_cookie(
	struct slice value, const struct forward_request_options *options)
{
	struct slice name;
	struct slice cookie;
	struct slice pair;

	while (field_cookie_next(&value, &name, &cookie, &pair))
		if (is_own_cookie(name, cookie, options))
			return true;
	return false;
}

/* Appends the cookies that aren't perch's; out has room for them all. */
static size_t
append_others(char *out, size_t len, struct slice value,
	const struct forward_request_options *options)
{
	struct slice name;
	struct slice cookie;
	struct slice pair;

	while (field_cookie_next(&value, &name, &cookie, &pair)) {
		if (is_own_cookie(name, cookie, options))
			continue;
		if (len > 0) {
			memcpy(out + len, "; ", 2);
			len += 2;
		}
		memcpy(out + len, pair.ptr, pair.len);
		len += pair.len;
	}
	return len;
}

/*
 * Takes perch's own cookies out. All fields that have one become one field,
 * however many they are: the extras are few.
 */
static bool
forward_cookies(struct forward_head *head,
	const struct forward_request_options *options,
	struct forward_text *text)
{
	const struct message *request = head->message;
	struct slice value;
	size_t len = 0;
	char *out = NULL;
	unsigned i;

	if (!message_has(request, FIELD_COOKIE))
		return true;
	for (i = 0; i < request->n_fields; i++) {
		if (request->fields[i].id != FIELD_COOKIE ||
			forward_is_dropped(head, i))
			continue;
		value = message_field_value(request, &request->fields[i]);
		if (!has_own_cookie(value, options))
			continue;
		/* Two bytes between cookies, where one may have parted them:
		 * "a;b" grows by half. */
		if (out == NULL)
			out = forward_text_take(text, 2 * request->head_len);
		if (out == NULL)
			return false;
		forward_drop(head, i);
		len = append_others(out, len, value, options);
	}
	if (len > 0)
		forward_add(head, SLICE("Cookie"), (struct slice){out, len});
	return true;
}

/* Is it the field by which perch names a version, whoever sends it, or does it
 * pass for one that means something? */
static bool
is_forbidden(struct slice name, const struct forward_request_options *options)
{
	if (options->passes_underscores)
		return slice_equal_nocase(name, options->override_header);
	return disguise_is_same(name, options->override_header) ||
	       disguise_is_one(name);
}

static bool
may_claim(struct slice name, const struct forward_request_options *options)
{
	size_t i;

	for (i = 0; i < options->n_claims; i++)
		if (slice_equal_nocase(
			    name, slice_from_string(options->claims[i])))
			return true;
	return false;
}

bool
forward_is_disguised(const struct message *request,
	const struct forward_request_options *options)
{
	unsigned i;

	for (i = 0; i < request->n_fields; i++) {
		const struct field *field = &request->fields[i];
		struct slice name = message_field_name(request, field);

		if (field->id == FIELD_OTHER &&
			!slice_equal_nocase(name, options->override_header) &&
			is_forbidden(name, options))
			return true;
	}
	return false;
}

/* A trailer can say nothing that perch vouches for in the head. */
static bool
may_trail(struct slice name, const struct forward_request_options *options)
{
	switch (field_identify(name)) {
	case FIELD_X_FORWARDED_FOR:
	case FIELD_X_FORWARDED_HOST:
	case FIELD_X_FORWARDED_PROTO:
	case FIELD_X_REQUEST_ID:
		return false;
	case FIELD_CLAIM:
		return may_claim(name, options);
	default:
		return !is_forbidden(name, options);
	}
}

struct slice
forward_trailers(
	struct slice trailers, const struct forward_request_options *options)
{
	struct slice rest = trailers;
	struct slice name;
	const char *end;

	while (rest.len > 0) {
		end = memchr(rest.ptr, ':', rest.len);
		if (end == NULL)
			return SLICE_NONE;
		name = (struct slice){rest.ptr, (size_t)(end - rest.ptr)};
		if (!may_trail(name, options))
			return SLICE_NONE;
		end = memchr(rest.ptr, '\n', rest.len);
		if (end == NULL)
			return SLICE_NONE;
		rest.len -= (size_t)(end + 1 - rest.ptr);
		rest.ptr = end + 1;
	}
	return trailers;
}

/* What only holds for the version that it was learned from. */
static bool
is_condition(unsigned id)
{
	switch ((enum field_id)id) {
	case FIELD_IF_MATCH:
	case FIELD_IF_MODIFIED_SINCE:
	case FIELD_IF_NONE_MATCH:
	case FIELD_IF_RANGE:
	case FIELD_IF_UNMODIFIED_SINCE:
	case FIELD_RANGE:
		return true;
	default:
		return false;
	}
}

static void
forward_request_field(struct forward_head *head, unsigned index,
	const struct forward_request_options *options, bool *has_length)
{
	const struct message *request = head->message;
	const struct field *field = &request->fields[index];
	bool is_trusted = options->client.is_trusted;
	struct slice name;

	switch ((enum field_id)field->id) {
	case FIELD_CONNECTION:
		forward_drop_connection(
			head, message_field_value(request, field));
		forward_drop(head, index);
		break;
	case FIELD_KEEP_ALIVE:
	case FIELD_PROXY_CONNECTION:
	case FIELD_TE:
	case FIELD_TRANSFER_ENCODING:
	case FIELD_X_FORWARDED_FOR:
	case FIELD_X_PERCH_KEY:
		forward_drop(head, index);
		break;
	case FIELD_UPGRADE:
		if (options->upgrade.len == 0 ||
			!slice_equal_nocase(message_field_value(request, field),
				options->upgrade))
			forward_drop(head, index);
		break;
	case FIELD_CONTENT_LENGTH:
		forward_keep_one_length(head, index, has_length);
		break;
	case FIELD_HOST:
		if (request->is_absolute_form)
			forward_drop(head, index);
		break;
	case FIELD_X_FORWARDED_PROTO:
	case FIELD_X_FORWARDED_HOST:
		if (!is_trusted)
			forward_drop(head, index);
		break;
	case FIELD_X_REQUEST_ID:
		if (!options->keeps_request_id)
			forward_drop(head, index);
		break;
	case FIELD_CLAIM:
		name = message_field_name(request, field);
		if (is_forbidden(name, options) ||
			(!is_trusted && !may_claim(name, options)))
			forward_drop(head, index);
		break;
	case FIELD_OTHER:
		if (is_forbidden(message_field_name(request, field), options))
			forward_drop(head, index);
		break;
	default:
		if (options->drops_conditions && is_condition(field->id))
			forward_drop(head, index);
		break;
	}
}

static bool
add_forwarded(struct forward_head *head,
	const struct forward_request_options *options,
	struct forward_text *text)
{
	const struct message *request = head->message;
	bool is_trusted = options->client.is_trusted;
	struct slice hops = join_forwarded_for(request, options, text);

	if (hops.len == 0)
		return false;
	forward_add(head, SLICE("X-Forwarded-For"), hops);
	if (!is_trusted || !message_has(request, FIELD_X_FORWARDED_PROTO))
		forward_add(head, SLICE("X-Forwarded-Proto"),
			options->client.scheme);
	/* Nothing is said of a host that nobody named. */
	if (request->host.len > 0 &&
		(!is_trusted || !message_has(request, FIELD_X_FORWARDED_HOST)))
		forward_add(head, SLICE("X-Forwarded-Host"),
			message_slice(request, request->host));
	return true;
}

bool
forward_request(const struct message *request,
	const struct forward_request_options *options,
	struct forward_text *text, struct forward_head *head)
{
	struct slice te = message_find(request, FIELD_TE);
	bool wants_trailers =
		te.ptr != NULL && field_list_has(te, SLICE("trailers"));
	bool is_upgrade = options->upgrade.len > 0;
	bool has_length = false;
	unsigned i;

	memset(head, 0, offsetof(struct forward_head, extras));
	head->n_extras = 0;
	head->is_overfull = false;
	head->message = request;
	head->method = message_slice(request, request->method_name);
	head->target = message_slice(request, request->path);
	head->body = request->body;
	head->is_bodiless = false;
	for (i = 0; i < request->n_fields; i++)
		forward_request_field(head, i, options, &has_length);
	if (!forward_restore_length(head, text, has_length))
		return false;
	if (request->body == BODY_CHUNKED)
		forward_add(head, SLICE("Transfer-Encoding"), SLICE("chunked"));
	if (request->is_absolute_form || !message_has(request, FIELD_HOST))
		forward_add(head, SLICE("Host"),
			request->host.len > 0
				? message_slice(request, request->host)
				: options->default_host);
	if (wants_trailers)
		forward_add(head, SLICE("TE"), SLICE("trailers"));
	if (is_upgrade || wants_trailers)
		forward_add(head, SLICE("Connection"),
			!wants_trailers ? SLICE("upgrade")
			: is_upgrade    ? SLICE("upgrade, TE")
					: SLICE("TE"));
	if (!forward_cookies(head, options, text) ||
		!add_forwarded(head, options, text))
		return false;
	if (!options->keeps_request_id)
		forward_add(head, SLICE("X-Request-Id"), options->request_id);
	forward_add(head, options->override_header, options->override_value);
	return !head->is_overfull;
}

static bool
parse_hop(struct slice hop, struct address *out)
{
	char host[ADDRESS_HOST_SIZE];
	uint16_t port;

	if (address_parse_ip(hop, 0, out))
		return true;
	return address_split(hop, 0, host, &port) &&
	       address_parse_ip(slice_from_string(host), 0, out);
}

struct address
forward_client_address(const struct message *request,
	const struct address *peer, const struct cidr *trusted,
	size_t n_trusted)
{
	struct address client = *peer;
	struct address hop;
	struct slice value;
	struct slice element;
	size_t end;
	size_t start;
	int i;

	for (i = request->n_fields - 1; i >= 0; i--) {
		if (request->fields[i].id != FIELD_X_FORWARDED_FOR)
			continue;
		value = message_field_value(request, &request->fields[i]);
		for (end = value.len; end > 0;
			end = start > 0 ? start - 1 : 0) {
			if (!cidr_matches_any(trusted, n_trusted, &client))
				return client;
			for (start = end; start > 0; start--)
				if (value.ptr[start - 1] == ',')
					break;
			element = slice_trim(
				(struct slice){value.ptr + start, end - start});
			if (element.len == 0)
				continue;
			if (!parse_hop(element, &hop))
				return client;
			client = hop;
		}
	}
	return client;
}
