#include "relay.h"

#include <string.h>

#include "http/field.h"
#include "http/h1_frame.h"

const struct h1_limits relay_limits = {
	RELAY_HEAD_MAX, 8192, MESSAGE_FIELDS_MAX - FORWARD_EXTRAS_MAX};
const struct h1_limits relay_limits_out = {
	RELAY_SCRATCH, RELAY_SCRATCH, MESSAGE_FIELDS_MAX};

/* --- fields ------------------------------------------------------------------ */

bool
relay_is_one_of(struct slice name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (slice_equal_nocase(name, slice_from_string(*names)))
			return true;
	return false;
}

static char
fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '_' ? '-' : c;
}

bool
relay_looks_like(struct slice name, struct slice other)
{
	if (name.len != other.len)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (fold(name.ptr[i]) != fold(other.ptr[i]))
			return false;
	return true;
}

bool
relay_is_named(const struct message *message, struct slice name)
{
	for (size_t i = 0; i < message->n_fields; i++) {
		const struct field *field = &message->fields[i];
		struct slice rest = message_field_value(message, field);
		struct slice option;

		if (!slice_equal_nocase(message_field_name(message, field),
			    SLICE("connection")))
			continue;
		while (field_list_next(&rest, &option))
			if (slice_equal_nocase(option, name))
				return true;
	}
	return false;
}

/* The n-th field of that name; NULL if there are fewer. */
static const struct field *
find_nth(const struct message *message, struct slice name, unsigned n)
{
	for (size_t i = 0; i < message->n_fields; i++) {
		const struct field *field = &message->fields[i];

		if (slice_equal_nocase(
			    message_field_name(message, field), name) &&
			n-- == 0)
			return field;
	}
	return NULL;
}

unsigned
relay_count(const struct message *message, const char *name)
{
	unsigned n = 0;

	while (find_nth(message, slice_from_string(name), n) != NULL)
		n++;
	return n;
}

void
relay_check_single(
	const struct message *message, const char *name, struct slice value)
{
	const struct field *field =
		find_nth(message, slice_from_string(name), 0);

	CHECK(relay_count(message, name) == 1);
	CHECK(slice_equal(message_field_value(message, field), value));
}

void
relay_check_none(const struct message *message, const char *name)
{
	CHECK(relay_count(message, name) == 0);
}

static void
check_same_field(const struct message *in, const struct field *a,
	const struct message *out, const struct field *b)
{
	CHECK(slice_equal(
		message_field_name(in, a), message_field_name(out, b)));
	CHECK(slice_equal(
		message_field_value(in, a), message_field_value(out, b)));
}

void
relay_check_same(
	const struct message *in, const struct message *out, const char *name)
{
	unsigned n = relay_count(in, name);

	CHECK(relay_count(out, name) == n);
	while (n-- > 0)
		check_same_field(in, find_nth(in, slice_from_string(name), n),
			out, find_nth(out, slice_from_string(name), n));
}

void
relay_check_kept(const struct message *in, relay_claim stays,
	const struct message *out, relay_claim is_added)
{
	size_t j = 0;

	for (size_t i = 0; i < in->n_fields; i++) {
		if (!stays(in, &in->fields[i]))
			continue;
		while (j < out->n_fields && is_added(out, &out->fields[j]))
			j++;
		CHECK(j < out->n_fields);
		check_same_field(in, &in->fields[i], out, &out->fields[j]);
		j++;
	}
	while (j < out->n_fields && is_added(out, &out->fields[j]))
		j++;
	CHECK(j == out->n_fields);
}

/* --- the way through --------------------------------------------------------- */

void
relay_append(struct relay_bytes *bytes, struct slice more)
{
	if (more.len == 0)
		return;
	bytes->ptr = realloc(bytes->ptr, bytes->len + more.len);
	CHECK(bytes->ptr != NULL);
	memcpy(bytes->ptr + bytes->len, more.ptr, more.len);
	bytes->len += more.len;
}

struct slice
relay_slice(const struct relay_bytes *bytes)
{
	return (struct slice){bytes->ptr, bytes->len};
}

/* Sends a piece, behind the head if that is still to go. */
static void
send_piece(const struct relay_plan *plan, struct slice *head,
	const struct h1_frame *frame, struct relay_result *result)
{
	/* No byte more than h1_frame.h asks for. */
	char *scratch = malloc(head->len + H1_FRAME_ROOM);
	struct h1_frame sent = *frame;
	struct iovec iov[3];
	int n;

	CHECK(scratch != NULL);
	if (head->len > 0)
		memcpy(scratch, head->ptr, head->len);
	sent.is_chunked = plan->is_chunked_out;
	if (plan->is_bodiless_out) {
		sent.is_chunked = false;
		sent.body.len = 0;
	}
	n = h1_frame(&sent, scratch, head->len, iov);
	CHECK(n <= 3 && (n > 0 || head->len == 0));
	for (int i = 0; i < n; i++)
		relay_append(&result->wire,
			(struct slice){iov[i].iov_base, iov[i].iov_len});
	head->len = 0;
	free(scratch);
}

/* Decodes what is there of the body and sends it on; how much was used. */
static size_t
pass_piece(const struct relay_plan *plan, struct h1_body *body,
	struct slice *head, struct slice raw, struct relay_result *result)
{
	char *copy = malloc(raw.len > 0 ? raw.len : 1);
	struct h1_frame frame = {{NULL, 0}, {NULL, 0}, false, false};
	size_t consumed, produced;

	CHECK(copy != NULL);
	if (raw.len > 0)
		memcpy(copy, raw.ptr, raw.len);
	result->result = h1_body_decode(
		body, copy, raw.len, &consumed, &produced, &frame.trailers);
	if (result->result != H1_BAD) {
		if (plan->filter_trailers != NULL && frame.trailers.len > 0)
			frame.trailers = plan->filter_trailers(frame.trailers);
		frame.body = (struct slice){copy, produced};
		frame.is_end = result->result == H1_OK;
		relay_append(&result->data, frame.body);
		relay_append(&result->trailers, frame.trailers);
		send_piece(plan, head, &frame, result);
	}
	free(copy);
	return consumed;
}

void
relay_body(const struct relay_plan *plan, struct slice head, struct slice raw,
	struct relay_result *result)
{
	uint32_t random = plan->seed;
	size_t start = 0, end = 0;
	struct h1_body body;

	memset(result, 0, sizeof(*result));
	h1_body_start(&body, plan->body, plan->content_length);
	do {
		random = random * 1664525 + 1013904223;
		end += plan->seed % 2 ? (random >> 24) % (1 + plan->seed)
				      : raw.len;
		if (end > raw.len)
			end = raw.len;
		start += pass_piece(plan, &body, &head,
			(struct slice){raw.ptr + start, end - start}, result);
	} while (result->result == H1_PARTIAL && end < raw.len);
	if (plan->body == BODY_UNTIL_CLOSE) {
		struct h1_frame last = {{NULL, 0}, {NULL, 0}, false, true};

		send_piece(plan, &head, &last, result);
		result->result = H1_OK;
	}
}

void
relay_check_body(const struct relay_result *result, size_t head_len,
	enum body_kind kind, uint64_t content_length)
{
	size_t len = result->wire.len - head_len;
	char *copy = malloc(len > 0 ? len : 1);
	size_t consumed, produced;
	struct slice trailers;
	struct h1_body body;
	enum h1_result again;

	CHECK(copy != NULL);
	memcpy(copy, result->wire.ptr + head_len, len);
	h1_body_start(&body, kind, content_length);
	again = h1_body_decode(
		&body, copy, len, &consumed, &produced, &trailers);
	/* Nothing behind its end, and no end where there was none. */
	CHECK(consumed == len);
	if (kind != BODY_UNTIL_CLOSE)
		CHECK((again == H1_OK) == (result->result == H1_OK));
	CHECK(again != H1_BAD);
	CHECK(slice_equal((struct slice){copy, produced},
		relay_slice(&result->data)));
	if (kind == BODY_CHUNKED)
		CHECK(slice_equal(trailers, relay_slice(&result->trailers)));
	free(copy);
}

void
relay_free(struct relay_result *result)
{
	free(result->data.ptr);
	free(result->trailers.ptr);
	free(result->wire.ptr);
}
