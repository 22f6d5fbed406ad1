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
drop_targeted(struct forward_head *head)
{
	const struct message *response = head->message;

	if (!message_has(response, FIELD_TARGETED_CACHE_CONTROL))
		return;
	for (unsigned i = 0; i < response->n_fields; i++)
		if (response->fields[i].id == FIELD_TARGETED_CACHE_CONTROL)
			forward_drop(head, i);
}

static void
make_uncacheable(struct forward_head *head)
{
	const struct message *response = head->message;
	unsigned i;

	drop_targeted(head);
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
	if (options->drops_targeted)
		drop_targeted(head);
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
is_forbidding(struct slice directive)
{
	return slice_equal_nocase(directive, SLICE("private")) ||
	       slice_equal_nocase(directive, SLICE("no-store"));
}

/* What a field of that id says of sharing, of all its lines together. */
struct sharing {
	bool is_forbidden;
	bool is_unchecked; /* no-cache: kept, but asked about each time */
	bool is_public;
	bool has_age;
	bool is_fresh; /* an age above 0 */
};

static struct sharing
read_sharing(const struct message *response, enum field_id id)
{
	struct sharing sharing = {false, false, false, false, false};
	struct slice value, directive;
	uint64_t age, shared_age;

	if (!message_has(response, id))
		return sharing;
	for (unsigned i = 0; i < response->n_fields; i++) {
		if (response->fields[i].id != id)
			continue;
		value = message_field_value(response, &response->fields[i]);
		while (field_list_next(&value, &directive)) {
			age = shared_age = 0;
			sharing.is_forbidden |= is_forbidding(directive);
			sharing.is_unchecked |= slice_equal_nocase(
				directive, SLICE("no-cache"));
			sharing.is_public |=
				slice_equal_nocase(directive, SLICE("public"));
			sharing.has_age |=
				is_age(directive, SLICE("max-age"), &age) ||
				is_age(directive, SLICE("s-maxage"),
					&shared_age);
			sharing.is_fresh |= age > 0 || shared_age > 0;
		}
	}
	return sharing;
}

bool
forward_forbids_sharing(const struct message *response)
{
	return read_sharing(response, FIELD_CACHE_CONTROL).is_forbidden;
}

bool
forward_is_shared_cacheable(const struct message *response)
{
	struct slice expires = message_find(response, FIELD_EXPIRES);
	struct slice targeted =
		message_find(response, FIELD_TARGETED_CACHE_CONTROL);
	struct sharing sharing;

	if (targeted.ptr != NULL && !slice_equal(targeted, SLICE("0")) &&
		!read_sharing(response, FIELD_TARGETED_CACHE_CONTROL)
			 .is_forbidden)
		return true;
	sharing = read_sharing(response, FIELD_CACHE_CONTROL);
	if (sharing.is_forbidden || sharing.is_unchecked)
		return false;
	if (sharing.is_public || sharing.is_fresh)
		return true;
	/* An age overrules Expires (RFC 9111 5.3); what is no date is past. */
	return !sharing.has_age && expires.len > 20;
}

bool
forward_is_html(const struct message *response)
{
	struct slice type = message_find(response, FIELD_CONTENT_TYPE);
	const char *semicolon =
		type.len > 0 ? memchr(type.ptr, ';', type.len) : NULL;

	if (semicolon != NULL)
		type.len = (size_t)(semicolon - type.ptr);
	type = slice_trim(type);
	return slice_equal_nocase(type, SLICE("text/html")) ||
	       slice_equal_nocase(type, SLICE("application/xhtml+xml"));
}
