#include "proxy/forward.h"

#include <stdio.h>
#include <string.h>

#include "http/field.h"

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

bool
forward_is_dropped(const struct forward_head *head, unsigned index)
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

/* --- what both directions lose --------------------------------------------- */

void
forward_drop_named(struct forward_head *head, struct slice name)
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
void
forward_drop_connection(struct forward_head *head, struct slice value)
{
	struct slice name;

	while (field_list_next(&value, &name)) {
		if (slice_equal_nocase(name, SLICE("close")) ||
			slice_equal_nocase(name, SLICE("keep-alive")))
			continue;
		if (is_nameable(name))
			forward_drop_named(head, name);
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
void
forward_keep_one_length(
	struct forward_head *head, unsigned index, bool *has_length)
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
		return SLICE_NONE;
	return (struct slice){out,
		(size_t)snprintf(out, 24, "%llu", (unsigned long long)number)};
}

bool
forward_restore_length(
	struct forward_head *head, struct forward_text *text, bool has_length)
{
	struct slice number;

	if (has_length || !message_has(head->message, FIELD_CONTENT_LENGTH))
		return true;
	number = format_number(text, head->message->content_length);
	forward_add(head, SLICE("Content-Length"), number);
	return number.len > 0;
}

bool
forward_is_upgrade(
	struct slice upgrade, char *const *protocols, size_t n_protocols)
{
	size_t i;

	for (i = 0; i < n_protocols; i++)
		if (slice_equal_nocase(
			    upgrade, slice_from_string(protocols[i])))
			return true;
	return false;
}

/* --- writing --------------------------------------------------------------- */

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
		if (forward_is_dropped(head, i)) {
			i++;
			continue;
		}
		first = i;
		while (i < message->n_fields && !forward_is_dropped(head, i))
			i++;
		put(writer, (struct slice){
				    message->base + message->fields[first].name,
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
forward_write_response(const struct forward_head *head, struct slice connection,
	char *out, size_t cap)
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
				(size_t)snprintf(length, sizeof(length), "%llu",
					(unsigned long long)
						head->content_length)});
	return put_fields(&writer, head, out);
}
