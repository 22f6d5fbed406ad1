/* Heads: what is taken lies inside its buffer, keeps every rule of a field,
 * and says the same when it is written out plainly and read again. */
#include "fuzz.h"

#include <string.h>

#include "http/authority.h"
#include "http/field.h"
#include "http/h1_parse.h"

static const struct h1_limits limits = {4096, 1024, 40};

static void
check_span(const struct message *message, struct span span)
{
	CHECK(span.start <= message->head_len);
	CHECK(span.len <= message->head_len - span.start);
}

static void
check_fields(const struct message *message)
{
	uint32_t behind = 0;

	CHECK(message->n_fields <= limits.fields);
	for (size_t i = 0; i < message->n_fields; i++) {
		const struct field *field = &message->fields[i];
		struct slice name = message_field_name(message, field);
		struct slice value = message_field_value(message, field);
		struct slice trimmed = slice_trim(value);

		CHECK(field->name >= behind);
		CHECK(field->value > field->name + field->name_len);
		behind = field->value + field->value_len;
		CHECK(behind + 4 <= message->head_len);
		CHECK(field_is_token(name));
		CHECK(field->id == field_identify(name));
		CHECK(field->id == FIELD_OTHER ||
			message_has(message, field->id));
		CHECK(slice_equal(value, trimmed));
		for (size_t j = 0; j < value.len; j++) {
			unsigned char c = (unsigned char)value.ptr[j];

			CHECK(c == '\t' || (c >= ' ' && c != 0x7f));
		}
	}
}

static void
check_framing(const struct message *message)
{
	bool has_coding = message_has(message, FIELD_TRANSFER_ENCODING);
	bool has_length = message_has(message, FIELD_CONTENT_LENGTH);

	CHECK(!(has_coding && has_length));
	CHECK(message->body != BODY_CHUNKED || has_coding);
	CHECK(message->body != BODY_LENGTH || has_length);
	CHECK(message->body != BODY_CHUNKED || message->version_minor == 1);
	CHECK(message->content_length <= INT64_MAX);
	CHECK(message->body != BODY_UNTIL_CLOSE || !message->keep_alive);
}

static void
check_request(const struct message *message)
{
	check_span(message, message->method_name);
	check_span(message, message->target);
	check_span(message, message->path);
	check_span(message, message->host);
	CHECK(field_is_token(message_slice(message, message->method_name)));
	CHECK(message->target.len > 0 && message->target.len <= limits.target);
	CHECK(message->host.len > 0 || message->version_minor == 0);
	CHECK(message->host.len == 0 ||
		authority_is_valid(message_slice(message, message->host),
			AUTHORITY_PORT_OPTIONAL));
	CHECK(message->path.len > 0 || message->method == HTTP_CONNECT);
	CHECK(message->path.len == 0 ||
		message->base[message->path.start] == '/' ||
		message->method == HTTP_OPTIONS);
	CHECK(message->body != BODY_UNTIL_CLOSE);
	for (size_t i = 0; i < message->target.len; i++) {
		unsigned char c =
			(unsigned char)message->base[message->target.start + i];

		CHECK(c > ' ' && c < 0x7f && c != '#');
	}
}

static char *
put(char *out, struct slice text)
{
	if (text.len > 0)
		memcpy(out, text.ptr, text.len);
	return out + text.len;
}

/* The head as we would send it; at most one byte a field longer. */
static size_t
write_plainly(const struct message *message, char *out)
{
	const char *start = out;
	struct slice version =
		message->version_minor ? SLICE("HTTP/1.1") : SLICE("HTTP/1.0");

	if (message->status == 0) {
		out = put(out, message_slice(message, message->method_name));
		*out++ = ' ';
		out = put(out, message_slice(message, message->target));
		*out++ = ' ';
		out = put(out, version);
	} else {
		out = put(out, version);
		out += sprintf(out, " %u ", message->status);
		out = put(out, message_slice(message, message->reason));
	}
	out = put(out, SLICE("\r\n"));
	for (size_t i = 0; i < message->n_fields; i++) {
		const struct field *field = &message->fields[i];

		out = put(out, message_field_name(message, field));
		out = put(out, SLICE(": "));
		out = put(out, message_field_value(message, field));
		out = put(out, SLICE("\r\n"));
	}
	return (size_t)(put(out, SLICE("\r\n")) - start);
}

static void
check_same(const struct message *a, const struct message *b)
{
	CHECK(a->method == b->method);
	CHECK(a->status == b->status);
	CHECK(a->is_absolute_form == b->is_absolute_form);
	CHECK(a->has_upgrade == b->has_upgrade);
	CHECK(a->expects_continue == b->expects_continue);
	CHECK(a->version_minor == b->version_minor);
	CHECK(a->body == b->body);
	CHECK(a->keep_alive == b->keep_alive);
	CHECK(a->n_fields == b->n_fields);
	CHECK(a->content_length == b->content_length);
	CHECK(a->seen == b->seen);
	CHECK(slice_equal(
		message_slice(a, a->path), message_slice(b, b->path)));
	CHECK(slice_equal(
		message_slice(a, a->host), message_slice(b, b->host)));
	for (size_t i = 0; i < a->n_fields; i++)
		CHECK(slice_equal(message_field_value(a, &a->fields[i]),
			message_field_value(b, &b->fields[i])));
}

static enum h1_result
parse(const char *head, size_t len, enum http_method method,
	struct message *message)
{
	static const struct h1_limits wide = {16384, 1024, 40};
	const char *why = NULL;
	enum h1_result result;

	if (method == HTTP_OTHER)
		result = h1_parse_request(head, len, &wide, message, &why);
	else
		result = h1_parse_response(
			head, len, &wide, method, message, &why);
	CHECK(result != H1_PARTIAL);
	CHECK((result == H1_OK) == (why == NULL));
	return result;
}

/* As a response to method; as a request if that is HTTP_OTHER. */
static void
check_head(const char *head, size_t len, enum http_method method)
{
	static struct message message, again;
	static char plain[16384];
	char *exact = malloc(len);
	size_t plain_len;

	CHECK(exact != NULL);
	memcpy(exact, head, len);
	if (parse(exact, len, method, &message) == H1_OK) {
		check_fields(&message);
		check_framing(&message);
		if (method == HTTP_OTHER)
			check_request(&message);
		else
			check_span(&message, message.reason);
		plain_len = write_plainly(&message, plain);
		CHECK(parse(plain, plain_len, method, &again) == H1_OK);
		check_same(&message, &again);
	}
	free(exact);
}

/* The same end must be found however the bytes come. */
static enum h1_result
find_end_bytewise(const char *bytes, size_t size, size_t *head_len)
{
	enum h1_result result = H1_PARTIAL;
	size_t scanned = 0;

	for (size_t len = 0; len <= size && result == H1_PARTIAL; len++)
		result = h1_find_end(
			bytes, len, limits.head, &scanned, head_len);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	size_t scanned = 0, head_len = 0, bytewise_len = 0;
	enum h1_result result;

	result = h1_find_end(bytes, size, limits.head, &scanned, &head_len);
	CHECK(result == find_end_bytewise(bytes, size, &bytewise_len));
	CHECK(head_len == bytewise_len);
	if (result == H1_OK) {
		check_head(bytes, head_len, HTTP_OTHER);
		check_head(bytes, head_len, HTTP_GET);
		check_head(bytes, head_len, HTTP_HEAD);
		check_head(bytes, head_len, HTTP_CONNECT);
	} else if (size > 0 && size <= limits.head) {
		/* Never called so, but it must hold. */
		check_head(bytes, size, HTTP_OTHER);
		check_head(bytes, size, HTTP_GET);
	}
	return 0;
}
