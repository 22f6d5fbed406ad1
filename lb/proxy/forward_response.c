#include "proxy/forward.h"

#include <string.h>

#include "http/field.h"

static bool
is_shared_directive(struct slice directive)
{
	return slice_equal_nocase(directive, SLICE("public")) ||
	       slice_equal_nocase(directive, SLICE("proxy-revalidate")) ||
	       (directive.len >= 8 &&
		       strncasecmp(directive.ptr, "s-maxage", 8) == 0);
}

/* Drops Cache-Control and adds one that only the client's own cache heeds. */
static bool
make_private(struct forward_head *head, struct forward_text *text)
{
	const struct message *response = head->message;
	/* "a,b" grows by half. */
	char *out = forward_text_take(text, 2 * response->head_len + 16);
	struct slice value;
	struct slice directive;
	size_t len = 7;
	unsigned i;

	if (out == NULL)
		return false;
	memcpy(out, "private", 7);
	for (i = 0; i < response->n_fields; i++) {
		if (response->fields[i].id != FIELD_CACHE_CONTROL)
			continue;
		forward_drop(head, i);
		value = message_field_value(response, &response->fields[i]);
		while (field_list_next(&value, &directive)) {
			if (is_shared_directive(directive))
				continue;
			memcpy(out + len, ", ", 2);
			memcpy(out + len + 2, directive.ptr, directive.len);
			len += 2 + directive.len;
		}
	}
	forward_add(head, SLICE("Cache-Control"), (struct slice){out, len});
	return true;
}

static void
make_uncacheable(struct forward_head *head)
{
	const struct message *response = head->message;
	unsigned i;

	for (i = 0; i < response->n_fields; i++)
		if (response->fields[i].id == FIELD_CACHE_CONTROL ||
			response->fields[i].id == FIELD_EXPIRES)
			forward_drop(head, i);
	forward_add(head, SLICE("Cache-Control"), SLICE("no-store"));
}

/* RFC 9110 8.6: none in 1xx and 204. Beside a coding it counts for nothing (RFC
 * 9112 6.3), which only an answer without a body gets through with. */
static bool
may_have_length(const struct message *response)
{
	return response->status >= 200 && response->status != 204 &&
	       !message_has(response, FIELD_TRANSFER_ENCODING);
}

static void
forward_response_field(struct forward_head *head, unsigned index,
	struct slice upgrade, bool *has_length)
{
	const struct message *response = head->message;
	const struct field *field = &response->fields[index];

	switch ((enum field_id)field->id) {
	case FIELD_CONNECTION:
		forward_drop_connection(
			head, message_field_value(response, field));
		forward_drop(head, index);
		break;
	case FIELD_KEEP_ALIVE:
	case FIELD_PROXY_CONNECTION:
	case FIELD_TE:
	case FIELD_TRANSFER_ENCODING:
		forward_drop(head, index);
		break;
	case FIELD_UPGRADE:
		if (upgrade.len == 0 ||
			!slice_equal_nocase(
				message_field_value(response, field), upgrade))
			forward_drop(head, index);
		break;
	case FIELD_CONTENT_LENGTH:
		if (!may_have_length(response))
			forward_drop(head, index);
		else
			forward_keep_one_length(head, index, has_length);
		break;
	default:
		break;
	}
}

/* Names the version that answered in another one's place, if any. */
static void
mark(struct forward_head *head, struct slice name, struct slice version)
{
	if (version.len == 0)
		return;
	forward_drop_named(head, name);
	forward_add(head, name, version);
}

bool
forward_response(const struct message *response,
	const struct forward_response_options *options,
	struct forward_text *text, struct forward_head *head)
{
	bool has_length = false;
	unsigned i;

	memset(head, 0, offsetof(struct forward_head, extras));
	head->n_extras = 0;
	head->is_overfull = false;
	head->message = response;
	head->status = response->status;
	head->reason = message_slice(response, response->reason);
	head->body = response->body;
	head->is_bodiless = response->body == BODY_NONE;
	for (i = 0; i < response->n_fields; i++)
		forward_response_field(
			head, i, options->upgrade, &has_length);
	if (may_have_length(response) &&
		!forward_restore_length(head, text, has_length))
		return false;
	if (options->upgrade.len > 0)
		forward_add(head, SLICE("Connection"), SLICE("upgrade"));
	if (options->set_cookie.len > 0)
		forward_add(head, SLICE("Set-Cookie"), options->set_cookie);
	mark(head, SLICE("X-Perch-Rescued"), options->rescued_by);
	mark(head, SLICE("X-Perch-Shielded"), options->shielded_by);
	if (options->makes_uncacheable)
		make_uncacheable(head);
	else if (options->makes_private && !make_private(head, text))
		return false;
	return !head->is_overfull;
}

/* "max-age=60" by its name; the number in *seconds. */
static bool
is_age(struct slice directive, struct slice name, uint64_t *seconds)
{
	struct slice start = {directive.ptr, name.len};
	size_t i;

	if (directive.len <= name.len || directive.ptr[name.len] != '=' ||
		!slice_equal_nocase(start, name))
		return false;
	*seconds = 0;
	for (i = name.len + 1; i < directive.len; i++)
		if (directive.ptr[i] >= '1' && directive.ptr[i] <= '9')
			*seconds = 1;
	return true;
}

static bool
forbids_sharing(struct slice directive)
{
	return slice_equal_nocase(directive, SLICE("private")) ||
	       slice_equal_nocase(directive, SLICE("no-store")) ||
	       slice_equal_nocase(directive, SLICE("no-cache"));
}

bool
forward_is_shared_cacheable(const struct message *response)
{
	struct slice expires = message_find(response, FIELD_EXPIRES);
	bool is_public = false;
	bool has_age = false;
	uint64_t age = 0;
	uint64_t shared_age = 0;
	struct slice value;
	struct slice directive;
	unsigned i;

	for (i = 0; i < response->n_fields; i++) {
		if (response->fields[i].id != FIELD_CACHE_CONTROL)
			continue;
		value = message_field_value(response, &response->fields[i]);
		while (field_list_next(&value, &directive)) {
			if (forbids_sharing(directive))
				return false;
			if (slice_equal_nocase(directive, SLICE("public")))
				is_public = true;
			if (is_age(directive, SLICE("max-age"), &age) ||
				is_age(directive, SLICE("s-maxage"),
					&shared_age))
				has_age = true;
		}
	}
	if (is_public || age > 0 || shared_age > 0)
		return true;
	/* An age overrules Expires (RFC 9111 5.3); what is no date is past. */
	return !has_age && expires.len > 20;
}
