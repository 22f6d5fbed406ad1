#include "proxy/forward.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "http/field.h"

static const struct slice NOTHING = {NULL, 0};

char *
forward_text_take(struct forward_text *text, size_t len)
{
	char *taken = text->ptr + text->len;

	if (text->cap - text->len < len)
		return NULL;
	text->len += len;
	return taken;
}

void
forward_drop(struct forward_head *head, unsigned index)
{
	head->dropped[index / 64] |= UINT64_C(1) << (index % 64);
}

static bool
is_dropped(const struct forward_head *head, unsigned index)
{
	return head->dropped[index / 64] >> (index % 64) & 1;
}

void
forward_add(struct forward_head *head, struct slice name, struct slice value)
{
	if (head->n_extras == FORWARD_EXTRAS_MAX) {
		head->is_overfull = true;
		return;
	}
	head->extras[head->n_extras++] = (struct forward_field){name, value};
}

/* --- what both directions lose ----------------------------------------------- */

static void
drop_named(struct forward_head *head, struct slice name)
{
	const struct message *message = head->message;
	const struct field *field;
	unsigned i;

	for (i = 0; i < message->n_fields; i++) {
		field = &message->fields[i];
		if (field->name_len == name.len &&
			slice_equal_nocase(
				message_field_name(message, field), name))
			forward_drop(head, i);
	}
}

/* May Connection name it? Never what frames the message, nor Host, nor what
 * perch says itself; Upgrade has a rule of its own. */
static bool
is_nameable(struct slice name)
{
	switch (field_identify(name)) {
	case FIELD_CONTENT_LENGTH:
	case FIELD_TRANSFER_ENCODING:
	case FIELD_HOST:
	case FIELD_EXPECT: /* its 100 is waited for */
	case FIELD_UPGRADE:
	case FIELD_X_FORWARDED_FOR:
	case FIELD_X_FORWARDED_HOST:
	case FIELD_X_FORWARDED_PROTO:
	case FIELD_X_REQUEST_ID:
		return false;
	default:
		return true;
	}
}

/* RFC 9110 7.6.1. */
static void
drop_connection_named(struct forward_head *head, struct slice value)
{
	struct slice name;

	while (field_list_next(&value, &name)) {
		if (slice_equal_nocase(name, SLICE("close")) ||
			slice_equal_nocase(name, SLICE("keep-alive")))
			continue;
		if (is_nameable(name))
			drop_named(head, name);
	}
}

static bool
is_plain_number(struct slice value)
{
	size_t i;

	for (i = 0; i < value.len; i++)
		if ((unsigned char)(value.ptr[i] - '0') > 9)
			return false;
	return value.len > 0;
}

/* One plain Content-Length goes through as it is; a list of equal ones, or
 * several fields, were folded by the parser: the first plain one stands. */
static void
keep_one_length(struct forward_head *head, unsigned index, bool *has_length)
{
	struct slice value = message_field_value(
		head->message, &head->message->fields[index]);

	if (*has_length || !is_plain_number(value))
		forward_drop(head, index);
	else
		*has_length = true;
}

static struct slice
format_number(struct forward_text *text, uint64_t number)
{
	char *out = forward_text_take(text, 24);

	if (out == NULL)
		return NOTHING;
	return (struct slice){
		out, (size_t)snprintf(out, 24, "%llu",
			     (unsigned long long)number)};
}

static bool
restore_length(struct forward_head *head, struct forward_text *text,
	bool has_length)
{
	struct slice number;

	if (has_length || !message_has(head->message, FIELD_CONTENT_LENGTH))
		return true;
	number = format_number(text, head->message->content_length);
	forward_add(head, SLICE("Content-Length"), number);
	return number.len > 0;
}

/* --- requests ------------------------------------------------------------------ */

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
		return NOTHING;
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

static bool
is_own_cookie(struct slice name, const struct forward_request_options *options)
{
	return slice_equal(name, options->cookie_name) ||
	       slice_equal(name, options->former_cookie_name);
}

static bool
has_own_cookie(
	struct slice value, const struct forward_request_options *options)
{
	struct slice name;
	struct slice cookie;
	struct slice pair;

	while (field_cookie_next(&value, &name, &cookie, &pair))
		if (is_own_cookie(name, options))
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
		if (is_own_cookie(name, options))
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
			is_dropped(head, i))
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

static int
fold(char c)
{
	return c == '_' ? '-' : tolower((unsigned char)c);
}

/* Is name the other one, if "_" counts as "-"? Backends that make variables of
 * fields (CGI) can't tell them apart. */
static bool
is_folded_name(struct slice name, struct slice other)
{
	size_t i;

	if (name.len != other.len)
		return false;
	for (i = 0; i < name.len; i++)
		if (fold(name.ptr[i]) != fold(other.ptr[i]))
			return false;
	return true;
}

/* A field that only this proxy may send, by whatever spelling. */
static bool
is_vouched_for(struct slice name, struct slice override_header)
{
	return is_folded_name(name, override_header) ||
	       is_folded_name(name, SLICE("X-Forwarded-For")) ||
	       is_folded_name(name, SLICE("X-Forwarded-Proto")) ||
	       is_folded_name(name, SLICE("X-Forwarded-Host")) ||
	       is_folded_name(name, SLICE("X-Request-Id"));
}

static bool
is_disguised(struct slice name, struct slice override_header)
{
	return memchr(name.ptr, '_', name.len) != NULL &&
	       is_vouched_for(name, override_header);
}

struct slice
forward_trailers(struct slice trailers, struct slice override_header)
{
	struct slice rest = trailers;
	struct slice name;
	const char *end;

	while (rest.len > 0) {
		end = memchr(rest.ptr, ':', rest.len);
		if (end == NULL)
			return NOTHING;
		name = (struct slice){rest.ptr, (size_t)(end - rest.ptr)};
		if (is_vouched_for(name, override_header))
			return NOTHING;
		end = memchr(rest.ptr, '\n', rest.len);
		if (end == NULL)
			return NOTHING;
		rest.len -= (size_t)(end + 1 - rest.ptr);
		rest.ptr = end + 1;
	}
	return trailers;
}

/* Of a list to choose from, an endpoint could take what nobody asked about. */
static bool
is_websocket(const struct message *message, const struct field *field)
{
	return slice_equal_nocase(
		message_field_value(message, field), SLICE("websocket"));
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
		drop_connection_named(
			head, message_field_value(request, field));
		forward_drop(head, index);
		break;
	case FIELD_KEEP_ALIVE:
	case FIELD_PROXY_CONNECTION:
	case FIELD_TE:
	case FIELD_TRANSFER_ENCODING:
	case FIELD_X_FORWARDED_FOR:
		forward_drop(head, index);
		break;
	case FIELD_UPGRADE:
		if (!options->is_upgrade || !is_websocket(request, field))
			forward_drop(head, index);
		break;
	case FIELD_CONTENT_LENGTH:
		keep_one_length(head, index, has_length);
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
	case FIELD_IF_MATCH:
	case FIELD_IF_MODIFIED_SINCE:
	case FIELD_IF_NONE_MATCH:
	case FIELD_IF_RANGE:
	case FIELD_IF_UNMODIFIED_SINCE:
	case FIELD_RANGE:
		if (options->drops_conditions)
			forward_drop(head, index);
		break;
	case FIELD_OTHER:
		name = message_field_name(request, field);
		if (is_folded_name(name, options->override_header) ||
			is_disguised(name, options->override_header))
			forward_drop(head, index);
		break;
	default:
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
	if (!is_trusted || !message_has(request, FIELD_X_FORWARDED_HOST))
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
	if (!restore_length(head, text, has_length))
		return false;
	if (request->body == BODY_CHUNKED)
		forward_add(head, SLICE("Transfer-Encoding"),
			SLICE("chunked"));
	if (request->is_absolute_form || !message_has(request, FIELD_HOST))
		forward_add(head, SLICE("Host"),
			message_slice(request, request->host));
	if (wants_trailers)
		forward_add(head, SLICE("TE"), SLICE("trailers"));
	if (options->is_upgrade || wants_trailers)
		forward_add(head, SLICE("Connection"),
			!wants_trailers        ? SLICE("upgrade")
			: options->is_upgrade ? SLICE("upgrade, TE")
					      : SLICE("TE"));
	if (!forward_cookies(head, options, text) ||
		!add_forwarded(head, options, text))
		return false;
	if (!options->keeps_request_id)
		forward_add(head, SLICE("X-Request-Id"), options->request_id);
	forward_add(head, options->override_header, options->override_value);
	return !head->is_overfull;
}

/* --- responses ------------------------------------------------------------------- */

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

static void
forward_response_field(struct forward_head *head, unsigned index,
	bool is_upgrade, bool *has_length)
{
	const struct message *response = head->message;
	const struct field *field = &response->fields[index];

	switch ((enum field_id)field->id) {
	case FIELD_CONNECTION:
		drop_connection_named(
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
		if (!is_upgrade || !is_websocket(response, field))
			forward_drop(head, index);
		break;
	case FIELD_CONTENT_LENGTH:
		/* RFC 9110 8.6: none in 1xx and 204. */
		if (response->status < 200 || response->status == 204)
			forward_drop(head, index);
		else
			keep_one_length(head, index, has_length);
		break;
	default:
		break;
	}
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
			head, i, options->is_upgrade, &has_length);
	if (response->status >= 200 && response->status != 204 &&
		!restore_length(head, text, has_length))
		return false;
	if (options->is_upgrade)
		forward_add(head, SLICE("Connection"), SLICE("upgrade"));
	if (options->set_cookie.len > 0)
		forward_add(head, SLICE("Set-Cookie"), options->set_cookie);
	if (options->rescued_by.len > 0) {
		drop_named(head, SLICE("X-Perch-Rescued"));
		forward_add(head, SLICE("X-Perch-Rescued"),
			options->rescued_by);
	}
	if (options->makes_uncacheable)
		make_uncacheable(head);
	else if (options->makes_private && !make_private(head, text))
		return false;
	return !head->is_overfull;
}

/* --- writing ------------------------------------------------------------------------ */

struct writer {
	char *out;
	char *end;
	bool is_full;
};

static inline void
put(struct writer *writer, struct slice bytes)
{
	if ((size_t)(writer->end - writer->out) < bytes.len) {
		writer->is_full = true;
		return;
	}
	if (bytes.len > 0)
		memcpy(writer->out, bytes.ptr, bytes.len);
	writer->out += bytes.len;
}

/* Where the line behind the i-th begins. */
static uint32_t
line_end(const struct message *message, unsigned i)
{
	if (i + 1 < message->n_fields)
		return message->fields[i + 1].name;
	return message->head_len - 2;
}

/* Lines that stay stand side by side: one copy for each run of them. */
static void
put_kept(struct writer *writer, const struct forward_head *head)
{
	const struct message *message = head->message;
	unsigned i = 0;
	unsigned first;

	while (i < message->n_fields) {
		if (is_dropped(head, i)) {
			i++;
			continue;
		}
		first = i;
		while (i < message->n_fields && !is_dropped(head, i))
			i++;
		put(writer, (struct slice){
				    message->base +
					    message->fields[first].name,
				    line_end(message, i - 1) -
					    message->fields[first].name});
	}
}

static void
put_field(struct writer *writer, struct slice name, struct slice value)
{
	put(writer, name);
	put(writer, SLICE(": "));
	put(writer, value);
	put(writer, SLICE("\r\n"));
}

static size_t
put_fields(struct writer *writer, const struct forward_head *head, char *start)
{
	unsigned i;

	if (head->message != NULL)
		put_kept(writer, head);
	for (i = 0; i < head->n_extras; i++)
		put_field(writer, head->extras[i].name, head->extras[i].value);
	put(writer, SLICE("\r\n"));
	return writer->is_full ? 0 : (size_t)(writer->out - start);
}

size_t
forward_write_request(const struct forward_head *head, char *out, size_t cap)
{
	struct writer writer = {out, out + cap, head->is_overfull};

	put(&writer, head->method);
	put(&writer, SLICE(" "));
	put(&writer, head->target);
	put(&writer, SLICE(" HTTP/1.1\r\n"));
	return put_fields(&writer, head, out);
}

size_t
forward_write_response(const struct forward_head *head,
	struct slice connection, char *out, size_t cap)
{
	struct writer writer = {out, out + cap, head->is_overfull};
	char status[4] = {
		(char)('0' + head->status / 100),
		(char)('0' + head->status / 10 % 10),
		(char)('0' + head->status % 10),
		' ',
	};
	char length[24];

	put(&writer, SLICE("HTTP/1.1 "));
	put(&writer, (struct slice){status, sizeof(status)});
	put(&writer, head->reason);
	put(&writer, SLICE("\r\n"));
	if (connection.len > 0)
		put_field(&writer, SLICE("Connection"), connection);
	if (head->message == NULL)
		put_field(&writer, SLICE("Content-Length"),
			(struct slice){length,
				(size_t)snprintf(length, sizeof(length),
					"%llu",
					(unsigned long long)
						head->content_length)});
	return put_fields(&writer, head, out);
}

/* --- facts -------------------------------------------------------------------------- */

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
		for (end = value.len; end > 0; end = start > 0 ? start - 1 : 0) {
			if (!cidr_matches_any(trusted, n_trusted, &client))
				return client;
			for (start = end; start > 0; start--)
				if (value.ptr[start - 1] == ',')
					break;
			element = slice_trim((struct slice){
				value.ptr + start, end - start});
			if (element.len == 0)
				continue;
			if (!parse_hop(element, &hop))
				return client;
			client = hop;
		}
	}
	return client;
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
