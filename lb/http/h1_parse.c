#include "http/h1_parse.h"

#include "http/authority.h"
#include "http/chars.h"
#include "http/field.h"
#include "http/h1_framing.h"
#include "http/h1_line.h"
#include "http/h1_target.h"

/* "HTTP/1.1" */
#define VERSION_LEN 8

/* A head while it is read: what is left of it, and what the fields said. */
struct reader {
	const char *buf;
	uint32_t pos;
	uint32_t end;
	const char *why;
	struct message *message;
	struct h1_framing framing;
	struct span host; /* of the Host field */
	bool has_host;
	bool says_close;
	bool says_keep_alive;
	bool says_upgrade;
};

enum h1_result
h1_find_end(const char *buf, size_t len, size_t limit, size_t *scanned,
	size_t *head_len)
{
	size_t end = len < limit ? len : limit;

	while (*scanned < end) {
		const char *newline =
			memchr(buf + *scanned, '\n', end - *scanned);
		size_t i;

		if (newline == NULL) {
			/* A lone CR may begin the empty line to be skipped. */
			if (end > 1 || buf[0] != '\r')
				*scanned = end;
			break;
		}
		i = (size_t)(newline - buf);
		if (i == 0 || buf[i - 1] != '\r')
			return H1_BAD;
		*scanned = i + 1;
		if (i == 1 || (i >= 3 && buf[i - 2] == '\n')) {
			*head_len = i + 1;
			return H1_OK;
		}
	}
	if (len < limit)
		return H1_PARTIAL;
	/* A request line that doesn't end is its target's fault. */
	return limit == 0 || memchr(buf, '\n', limit) ? H1_HEAD_LONG
						      : H1_TARGET_LONG;
}

size_t
h1_skip_empty_lines(const char *buf, size_t len)
{
	return len >= 2 && buf[0] == '\r' && buf[1] == '\n' ? 2 : 0;
}

static enum h1_result
fail(struct reader *reader, enum h1_result result, const char *why)
{
	reader->why = why;
	return result;
}

static struct span
span_until(const struct reader *reader, const char *start, const char *end)
{
	return (struct span){
		(uint32_t)(start - reader->buf), (uint32_t)(end - start)};
}

static void
start(struct reader *reader, const char *buf, size_t head_len,
	struct message *message)
{
	memset(message, 0, offsetof(struct message, fields));
	message->base = buf;
	message->head_len = (uint32_t)head_len;
	memset(reader, 0, sizeof(*reader));
	reader->buf = buf;
	reader->end = (uint32_t)head_len;
	reader->message = message;
}

/* --- the start line ------------------------------------------------------ */

/* Takes "HTTP/1.x" off. HTTP/1.2 and up are read as 1.1 (RFC 9110 2.5). */
static enum h1_result
take_version(struct reader *reader)
{
	const char *p = reader->buf + reader->pos;

	if (reader->end - reader->pos < VERSION_LEN ||
		memcmp(p, "HTTP/", 5) != 0 || !chars_is_digit(p[5]) ||
		p[6] != '.' || !chars_is_digit(p[7]))
		return fail(reader, H1_BAD, "malformed HTTP version");
	if (p[5] != '1')
		return fail(reader, H1_BAD_VERSION, "not HTTP/1.x");
	reader->message->version_minor = p[7] == '0' ? 0 : 1;
	reader->pos += VERSION_LEN;
	return H1_OK;
}

static bool
take_crlf(struct reader *reader)
{
	if (reader->end - reader->pos < 2 ||
		memcmp(reader->buf + reader->pos, "\r\n", 2) != 0)
		return false;
	reader->pos += 2;
	return true;
}

/* RFC 9110 9.1: case counts. */
static enum http_method
identify_method(struct slice name)
{
	static const struct {
		struct slice name;
		enum http_method method;
	} methods[] = {
		{{"GET", 3}, HTTP_GET},
		{{"POST", 4}, HTTP_POST},
		{{"HEAD", 4}, HTTP_HEAD},
		{{"PUT", 3}, HTTP_PUT},
		{{"DELETE", 6}, HTTP_DELETE},
		{{"OPTIONS", 7}, HTTP_OPTIONS},
		{{"PATCH", 5}, HTTP_PATCH},
		{{"CONNECT", 7}, HTTP_CONNECT},
		{{"TRACE", 5}, HTTP_TRACE},
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (slice_equal(name, methods[i].name))
			return methods[i].method;
	return HTTP_OTHER;
}

static enum h1_result
take_method(struct reader *reader)
{
	struct message *message = reader->message;
	const char *line = reader->buf, *end = reader->buf + reader->end;
	const char *p = line;

	while (p < end && chars_is(*p, CHARS_TOKEN))
		p++;
	if (p == line || p == end || *p != ' ')
		return fail(reader, H1_BAD, "malformed method");
	message->method_name = span_until(reader, line, p);
	message->method = (uint8_t)identify_method(
		message_slice(message, message->method_name));
	reader->pos = message->method_name.len + 1;
	return H1_OK;
}

/* The first byte from p on that can't stand in a target. */
static const char *
skip_target(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t word = chars_word_load(p);
		uint64_t found = chars_word_below(word, '!') |
				 chars_word_equal(word, '#') |
				 chars_word_equal(word, 0x7f) |
				 (word & CHARS_ONES * 0x80);

		if (found != 0)
			return p + chars_word_first(found);
		p += 8;
	}
	while (p < end && chars_is(*p, CHARS_TARGET))
		p++;
	return p;
}

static enum h1_result
take_target(struct reader *reader, uint32_t limit)
{
	const char *target = reader->buf + reader->pos;
	const char *end = reader->buf + reader->end;
	const char *p = skip_target(target, end);

	if (p - target > (ptrdiff_t)limit)
		return fail(reader, H1_TARGET_LONG, "target over its limit");
	if (p == target)
		return fail(reader, H1_BAD, "empty target");
	if (p == end || *p == '\r')
		return fail(reader, H1_BAD, "no HTTP version (HTTP/0.9)");
	if (*p == '#')
		return fail(reader, H1_BAD, "fragment in the target");
	if (*p != ' ')
		return fail(reader, H1_BAD, "bad byte in the target");
	reader->message->target = span_until(reader, target, p);
	reader->pos = (uint32_t)(p + 1 - reader->buf);
	return H1_OK;
}

static enum h1_result
take_request_line(struct reader *reader, uint32_t target_limit)
{
	enum h1_result result = take_method(reader);

	if (result == H1_OK)
		result = take_target(reader, target_limit);
	if (result == H1_OK)
		result = take_version(reader);
	if (result != H1_OK)
		return result;
	if (!take_crlf(reader))
		return fail(reader, H1_BAD, "no CRLF after the HTTP version");
	reader->why = h1_target_split(reader->message);
	return reader->why == NULL ? H1_OK : H1_BAD;
}

/* The reason may be empty, and even its space be absent: both are seen. */
static enum h1_result
take_status_line(struct reader *reader)
{
	struct message *message = reader->message;
	const char *end = reader->buf + reader->end;
	enum h1_result result = take_version(reader);
	const char *p, *reason;

	if (result != H1_OK)
		return result;
	p = reader->buf + reader->pos;
	if (end - p < 4 || p[0] != ' ' || !chars_is_digit(p[1]) ||
		!chars_is_digit(p[2]) || !chars_is_digit(p[3]))
		return fail(reader, H1_BAD, "malformed status");
	message->status = (uint16_t)((p[1] - '0') * 100 + (p[2] - '0') * 10 +
				     (p[3] - '0'));
	/* RFC 9110 15: from 600 on none is valid, and each is as good as a 500;
	 * but its meaning is for the client to know. */
	if (message->status < 100)
		return fail(reader, H1_BAD, "status below 100");
	p += 4;
	reason = p;
	if (p < end && *p == ' ') {
		reason++;
		p = h1_line_skip_text(reason, end);
	}
	message->reason = span_until(reader, reason, p);
	reader->pos = (uint32_t)(p - reader->buf);
	if (!take_crlf(reader))
		return fail(reader, H1_BAD, "malformed reason phrase");
	return H1_OK;
}

/* --- the fields ---------------------------------------------------------- */

static void
note_connection(struct reader *reader, struct slice options)
{
	struct slice option;

	while (field_list_next(&options, &option)) {
		if (CHARS_EQUAL(option, "keep-alive"))
			reader->says_keep_alive = true;
		else if (CHARS_EQUAL(option, "close"))
			reader->says_close = true;
		else if (CHARS_EQUAL(option, "upgrade"))
			reader->says_upgrade = true;
	}
}

/* Looks at a field that the framing or the connection hangs on. */
static enum h1_result
note_field(struct reader *reader, const struct field *field)
{
	struct slice value = message_field_value(reader->message, field);

	switch (field->id) {
	case FIELD_HOST:
		if (reader->has_host)
			return fail(reader, H1_BAD, "two Hosts");
		reader->has_host = true;
		reader->host = (struct span){field->value, field->value_len};
		return H1_OK;
	case FIELD_CONTENT_LENGTH:
		if (!h1_framing_add_length(&reader->framing, value))
			return fail(reader, H1_BAD,
				"malformed or differing Content-Length");
		return H1_OK;
	case FIELD_TRANSFER_ENCODING:
		h1_framing_add_coding(&reader->framing, value);
		return H1_OK;
	case FIELD_CONNECTION:
		note_connection(reader, value);
		return H1_OK;
	default:
		return H1_OK;
	}
}

static enum h1_result
take_fields(struct reader *reader, uint32_t limit)
{
	struct message *message = reader->message;

	if (limit > MESSAGE_FIELDS_MAX)
		limit = MESSAGE_FIELDS_MAX;
	while (reader->pos < reader->end && reader->buf[reader->pos] != '\r') {
		struct field *field = &message->fields[message->n_fields];
		enum h1_result result;

		if (message->n_fields >= limit)
			return fail(reader, H1_HEAD_LONG, "too many fields");
		if (!h1_line_parse(reader->buf, reader->end, &reader->pos,
			    field, &reader->why))
			return H1_BAD;
		message->n_fields++;
		if (field->id == FIELD_OTHER)
			continue;
		message->seen |= UINT64_C(1) << field->id;
		result = note_field(reader, field);
		if (result != H1_OK)
			return result;
	}
	if (!take_crlf(reader) || reader->pos != reader->end)
		return fail(reader, H1_BAD, "bare CR or no end of the head");
	return H1_OK;
}

/* RFC 9112 9.3. */
static bool
is_kept_alive(const struct reader *reader)
{
	if (reader->says_close)
		return false;
	return reader->message->version_minor > 0 || reader->says_keep_alive;
}

/* --- requests ------------------------------------------------------------ */

/* RFC 9112 3.2: exactly one valid Host, though an absolute target wins. */
static enum h1_result
settle_host(struct reader *reader)
{
	struct message *message = reader->message;

	if (!reader->has_host) {
		if (message->version_minor > 0)
			return fail(reader, H1_BAD, "no Host");
		return H1_OK;
	}
	if (!authority_is_valid(message_slice(message, reader->host),
		    AUTHORITY_PORT_OPTIONAL))
		return fail(reader, H1_BAD, "malformed Host");
	if (message->host.len == 0)
		message->host = reader->host;
	return H1_OK;
}

static void
settle_request_body(struct reader *reader)
{
	struct message *message = reader->message;

	message->body = BODY_NONE;
	if (reader->framing.has_coding)
		message->body = BODY_CHUNKED;
	else if (reader->framing.has_length)
		message->body = BODY_LENGTH;
	message->content_length = reader->framing.length;
}

/* Whether it expects 100 (Continue): RFC 9110 10.1.1. */
static bool
is_continue_expected(const struct message *message)
{
	if (!message_has(message, FIELD_EXPECT) || message->version_minor == 0)
		return false;
	if (message->body == BODY_NONE ||
		(message->body == BODY_LENGTH && message->content_length == 0))
		return false;
	return field_list_has(
		message_find(message, FIELD_EXPECT), SLICE("100-continue"));
}

static enum h1_result
read_request(struct reader *reader, const struct h1_limits *limits)
{
	struct message *message = reader->message;
	enum h1_result result = take_request_line(reader, limits->target);

	if (result == H1_OK)
		result = take_fields(reader, limits->fields);
	if (result == H1_OK)
		result = settle_host(reader);
	if (result == H1_OK)
		result = h1_framing_check(
			&reader->framing, message->version_minor, &reader->why);
	if (result != H1_OK)
		return result;
	settle_request_body(reader);
	message->keep_alive = is_kept_alive(reader);
	message->has_upgrade = reader->says_upgrade &&
			       message_has(message, FIELD_UPGRADE) &&
			       message->version_minor > 0;
	message->expects_continue = is_continue_expected(message);
	return H1_OK;
}

bool
h1_may_begin(char first)
{
	return chars_is(first, CHARS_TOKEN) || first == '\r' || first == '\n';
}

enum h1_result
h1_check_request_line(const char *buf, size_t len,
	const struct h1_limits *limits, struct message *message,
	const char **why)
{
	struct reader reader;
	enum h1_result result;

	start(&reader, buf, len, message);
	result = take_request_line(&reader, limits->target);
	if (result != H1_OK)
		*why = reader.why;
	return result;
}

enum h1_result
h1_parse_request(const char *buf, size_t head_len,
	const struct h1_limits *limits, struct message *message,
	const char **why)
{
	struct reader reader;
	enum h1_result result;

	if (head_len > limits->head) {
		if (why != NULL)
			*why = "head over its limit";
		return H1_HEAD_LONG;
	}
	start(&reader, buf, head_len, message);
	result = read_request(&reader, limits);
	if (result != H1_OK && why != NULL)
		*why = reader.why;
	return result;
}

static size_t
find_blank_or_end(const char *buf, size_t from, size_t len)
{
	while (from < len && buf[from] != ' ' && buf[from] != '\r' &&
		buf[from] != '\n')
		from++;
	return from;
}

void
h1_glimpse_request(const char *buf, size_t len, struct message *message)
{
	size_t method_len = find_blank_or_end(buf, 0, len);
	size_t end;

	memset(message, 0, offsetof(struct message, fields));
	message->base = buf;
	if (method_len == len || buf[method_len] != ' ' ||
		!field_is_token((struct slice){buf, method_len}))
		return;
	end = find_blank_or_end(buf, method_len + 1, len);
	message->method_name = (struct span){0, (uint32_t)method_len};
	message->target = (struct span){(uint32_t)method_len + 1,
		(uint32_t)(end - method_len - 1)};
}

/* --- responses ----------------------------------------------------------- */

/* RFC 9112 6.3: these end with the head, whatever their fields say. */
static bool
ends_with_head(const struct message *message, enum http_method method)
{
	return message->status < 200 || message->status == 204 ||
	       message->status == 304 || method == HTTP_HEAD;
}

/*
 * Frameworks put fields into such answers that don't belong there. The fields
 * are no reason to refuse one, but a body may follow: where they say so though
 * they must not, or contradict each other, *is_sound is false.
 */
static enum h1_result
settle_head_alone(struct reader *reader, bool *is_sound)
{
	const struct h1_framing *framing = &reader->framing;
	struct message *message = reader->message;
	bool may_tell = message->status >= 200 && message->status != 204;
	const char *why;

	/* Its body would be read as the final response. */
	if (message->status < 200 && message->status != 101 &&
		framing->length > 0)
		return fail(reader, H1_BAD, "Content-Length in a 1xx");
	message->body = BODY_NONE;
	if (may_tell)
		*is_sound = h1_framing_check(framing, message->version_minor,
				    &why) == H1_OK;
	else
		*is_sound = !framing->has_coding && framing->length == 0;
	return H1_OK;
}

/* The rest of RFC 9112 6.3, in its order. */
static enum h1_result
settle_response_body(struct reader *reader, enum http_method method)
{
	const struct h1_framing *framing = &reader->framing;
	struct message *message = reader->message;
	enum h1_result result =
		h1_framing_check(framing, message->version_minor, &reader->why);

	if (result != H1_OK)
		return result;
	if (method == HTTP_CONNECT && message->status < 300)
		message->body = BODY_UNTIL_CLOSE;
	else if (framing->has_coding)
		message->body = BODY_CHUNKED;
	else if (framing->has_length)
		message->body = BODY_LENGTH;
	else
		message->body = BODY_UNTIL_CLOSE;
	return H1_OK;
}

static enum h1_result
read_response(struct reader *reader, const struct h1_limits *limits,
	enum http_method method)
{
	struct message *message = reader->message;
	enum h1_result result = take_status_line(reader);
	bool is_sound = true;

	if (result == H1_OK)
		result = take_fields(reader, limits->fields);
	if (result != H1_OK)
		return result;
	message->content_length = reader->framing.length;
	if (ends_with_head(message, method))
		result = settle_head_alone(reader, &is_sound);
	else
		result = settle_response_body(reader, method);
	if (result != H1_OK)
		return result;
	message->keep_alive = is_kept_alive(reader) && is_sound &&
			      message->body != BODY_UNTIL_CLOSE;
	return H1_OK;
}

enum h1_result
h1_parse_response(const char *buf, size_t head_len,
	const struct h1_limits *limits, enum http_method request_method,
	struct message *message, const char **why)
{
	struct reader reader;
	enum h1_result result;

	if (head_len > limits->head) {
		if (why != NULL)
			*why = "head over its limit";
		return H1_HEAD_LONG;
	}
	start(&reader, buf, head_len, message);
	result = read_response(&reader, limits, request_method);
	if (result != H1_OK && why != NULL)
		*why = reader.why;
	return result;
}
