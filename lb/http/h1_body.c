#include "http/h1_body.h"

#include <assert.h>

#include "http/chars.h"
#include "http/field.h"
#include "http/h1_line.h"

/*
 * A chunked body (RFC 9112 7.1) is read by one byte-wise machine for the
 * size lines and by memmove for the data between them:
 *
 *	SIZE_FIRST -> SIZE -> [EXT_...] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF
 *	    ^                                |                             |
 *	    +--------------------------------|-----------------------------+
 *	                                     +-> TRAILERS -> ENDED
 *
 * No number of digits over 16 is taken, so a size can't overflow. The white
 * space that RFC 9112 allows around ";" and "=" is taken, no other.
 */
enum state {
	SIZE_FIRST,
	SIZE,
	EXT_GAP, /* white space; ";" must come */
	EXT_START, /* behind ";" */
	EXT_NAME,
	EXT_NAME_GAP, /* white space behind a name */
	EXT_VALUE_START, /* behind "=" */
	EXT_VALUE,
	EXT_QUOTED,
	EXT_ESCAPE, /* behind a backslash */
	EXT_UNQUOTED, /* behind the closing quote */
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILERS,
	ENDED,
	MALFORMED,
};

#define SIZE_DIGITS_MAX 16

/* One call's progress over its buffer: data up to out, raw bytes from in. */
struct cursor {
	char *buf;
	size_t len;
	size_t in;
	size_t out;
};

void
h1_body_start(struct h1_body *body, enum body_kind kind, uint64_t length)
{
	memset(body, 0, sizeof(*body));
	body->kind = (uint8_t)kind;
	body->state = SIZE_FIRST;
	if (kind == BODY_LENGTH)
		body->remaining = length;
}

static bool
is_white(char c)
{
	return c == ' ' || c == '\t';
}

/* What may follow a whole extension, or the size itself. */
static enum state
after_element(char c)
{
	if (c == '\r')
		return SIZE_LF;
	if (c == ';')
		return EXT_START;
	return is_white(c) ? EXT_GAP : MALFORMED;
}

/* The state behind byte c of the chunk extensions (RFC 9112 7.1.1). */
static enum state
step_extension(enum state state, char c)
{
	bool is_token = chars_is(c, CHARS_TOKEN);

	switch (state) {
	case EXT_GAP:
		if (is_white(c))
			return state;
		return c == ';' ? EXT_START : MALFORMED;
	case EXT_START:
		if (is_white(c))
			return state;
		return is_token ? EXT_NAME : MALFORMED;
	case EXT_NAME:
		if (is_token)
			return state;
		if (c == '=')
			return EXT_VALUE_START;
		return is_white(c) ? EXT_NAME_GAP : after_element(c);
	case EXT_NAME_GAP:
		if (is_white(c))
			return state;
		if (c == '=')
			return EXT_VALUE_START;
		return c == ';' ? EXT_START : MALFORMED;
	case EXT_VALUE_START:
		if (is_white(c))
			return state;
		if (c == '"')
			return EXT_QUOTED;
		return is_token ? EXT_VALUE : MALFORMED;
	case EXT_VALUE:
		return is_token ? state : after_element(c);
	case EXT_QUOTED:
		if (c == '"')
			return EXT_UNQUOTED;
		if (c == '\\')
			return EXT_ESCAPE;
		return chars_is(c, CHARS_TEXT) ? state : MALFORMED;
	case EXT_ESCAPE:
		return chars_is(c, CHARS_TEXT) ? EXT_QUOTED : MALFORMED;
	default: /* EXT_UNQUOTED */
		return after_element(c);
	}
}

/* The state behind byte c of a size line. */
static enum state
step_size_line(struct h1_body *body, char c)
{
	switch (body->state) {
	case SIZE_FIRST:
	case SIZE:
		if (chars_is(c, CHARS_HEX)) {
			if (body->line_len > SIZE_DIGITS_MAX)
				return MALFORMED;
			body->remaining =
				body->remaining << 4 | chars_hex_value(c);
			return SIZE;
		}
		return body->state == SIZE ? after_element(c) : MALFORMED;
	case SIZE_LF:
		if (c != '\n')
			return MALFORMED;
		body->line_len = 0;
		return body->remaining > 0 ? DATA : TRAILERS;
	default:
		return step_extension(body->state, c);
	}
}

static void
read_size_line(struct h1_body *body, struct cursor *cursor)
{
	while (body->state < DATA && cursor->in < cursor->len) {
		if (++body->line_len > H1_CHUNK_LINE_MAX) {
			body->state = MALFORMED;
			return;
		}
		body->state = (uint8_t)step_size_line(
			body, cursor->buf[cursor->in++]);
	}
}

static void
read_data(struct h1_body *body, struct cursor *cursor)
{
	size_t n = cursor->len - cursor->in;

	if (n > body->remaining)
		n = (size_t)body->remaining;
	if (cursor->in != cursor->out)
		memmove(cursor->buf + cursor->out, cursor->buf + cursor->in, n);
	cursor->in += n;
	cursor->out += n;
	body->remaining -= n;
	body->run_left = 0;
	if (body->remaining == 0)
		body->state = DATA_CR;
}

static void
read_data_end(struct h1_body *body, struct cursor *cursor)
{
	char c = cursor->buf[cursor->in++];

	if (body->state == DATA_CR)
		body->state = c == '\r' ? DATA_LF : MALFORMED;
	else
		body->state = c == '\n' ? SIZE_FIRST : MALFORMED;
}

/* What a recipient might act on before it is done with the content, or must
 * have had before it: RFC 9110 6.5.1. */
static bool
is_forbidden_in_trailers(enum field_id id, struct slice name)
{
	static const uint64_t ids =
		UINT64_C(1) << FIELD_CACHE_CONTROL |
		UINT64_C(1) << FIELD_CONNECTION |
		UINT64_C(1) << FIELD_CONTENT_LENGTH |
		UINT64_C(1) << FIELD_CONTENT_TYPE |
		UINT64_C(1) << FIELD_COOKIE | UINT64_C(1) << FIELD_EXPECT |
		UINT64_C(1) << FIELD_HOST | UINT64_C(1) << FIELD_IF_MATCH |
		UINT64_C(1) << FIELD_IF_MODIFIED_SINCE |
		UINT64_C(1) << FIELD_IF_NONE_MATCH |
		UINT64_C(1) << FIELD_IF_RANGE |
		UINT64_C(1) << FIELD_IF_UNMODIFIED_SINCE |
		UINT64_C(1) << FIELD_KEEP_ALIVE |
		UINT64_C(1) << FIELD_PROXY_CONNECTION |
		UINT64_C(1) << FIELD_RANGE | UINT64_C(1) << FIELD_SET_COOKIE |
		UINT64_C(1) << FIELD_TE | UINT64_C(1) << FIELD_TRAILER |
		UINT64_C(1) << FIELD_TRANSFER_ENCODING |
		UINT64_C(1) << FIELD_UPGRADE |
		UINT64_C(1) << FIELD_X_FORWARDED_FOR |
		UINT64_C(1) << FIELD_X_FORWARDED_HOST |
		UINT64_C(1) << FIELD_X_FORWARDED_PROTO |
		UINT64_C(1) << FIELD_X_REQUEST_ID;

	if (id != FIELD_OTHER && id != FIELD_CLAIM)
		return ids >> id & 1;
	return CHARS_EQUAL(name, "authorization") ||
	       CHARS_EQUAL(name, "content-encoding") ||
	       CHARS_EQUAL(name, "content-range") ||
	       CHARS_EQUAL(name, "forwarded") ||
	       CHARS_EQUAL(name, "location") ||
	       CHARS_EQUAL(name, "max-forwards") ||
	       CHARS_EQUAL(name, "proxy-authenticate") ||
	       CHARS_EQUAL(name, "proxy-authorization") ||
	       CHARS_EQUAL(name, "www-authenticate");
}

static bool
are_trailers_good(const char *section, size_t len)
{
	uint32_t pos = 0;

	while (pos < len) {
		struct field field;
		const char *why;

		if (!h1_line_parse(section, (uint32_t)len, &pos, &field, &why))
			return false;
		if (is_forbidden_in_trailers(
			    field.id, (struct slice){section + field.name,
					      field.name_len}))
			return false;
	}
	return true;
}

/* The section is left where it is until it is whole; line_len remembers how
 * far it was looked through. */
static void
read_trailers(
	struct h1_body *body, struct cursor *cursor, struct slice *trailers)
{
	const char *section = cursor->buf + cursor->in;
	size_t scanned = body->line_len;
	size_t section_len;
	enum h1_result result;

	result = h1_find_end(section, cursor->len - cursor->in, H1_TRAILERS_MAX,
		&scanned, &section_len);
	body->line_len = (uint16_t)scanned;
	if (result == H1_PARTIAL)
		return;
	body->state = MALFORMED;
	if (result != H1_OK || !are_trailers_good(section, section_len - 2))
		return;
	body->state = ENDED;
	cursor->in += section_len;
	*trailers = (struct slice){section, section_len - 2};
}

static enum h1_result
decode_chunked(
	struct h1_body *body, struct cursor *cursor, struct slice *trailers)
{
	while (cursor->in < cursor->len && body->state < TRAILERS) {
		if (body->state == DATA)
			read_data(body, cursor);
		else if (body->state > DATA)
			read_data_end(body, cursor);
		else
			read_size_line(body, cursor);
	}
	if (body->state == TRAILERS && cursor->in < cursor->len)
		read_trailers(body, cursor, trailers);
	if (body->state == MALFORMED)
		return H1_BAD;
	return body->state == ENDED ? H1_OK : H1_PARTIAL;
}

static enum h1_result
decode_length(struct h1_body *body, struct cursor *cursor)
{
	read_data(body, cursor);
	return body->remaining == 0 ? H1_OK : H1_PARTIAL;
}

enum h1_result
h1_body_decode(struct h1_body *body, char *buf, size_t len, size_t *consumed,
	size_t *produced, struct slice *trailers)
{
	struct cursor cursor = {buf, len, 0, 0};
	enum h1_result result;

	*trailers = (struct slice){NULL, 0};
	switch (body->kind) {
	case BODY_CHUNKED:
		result = decode_chunked(body, &cursor, trailers);
		break;
	case BODY_LENGTH:
		result = decode_length(body, &cursor);
		break;
	case BODY_UNTIL_CLOSE:
		cursor.in = len;
		cursor.out = len;
		result = H1_PARTIAL;
		break;
	default:
		result = H1_OK;
		break;
	}
	*consumed = cursor.in;
	*produced = cursor.out;
	return result;
}

uint64_t
h1_body_passable(const struct h1_body *body)
{
	if (body->run_left > 0)
		return body->run_left;
	if (body->kind != BODY_LENGTH &&
		(body->kind != BODY_CHUNKED || body->state != DATA))
		return 0;
	if (body->remaining < H1_RUN_MIN)
		return 0;
	return body->remaining < H1_RUN_MAX ? body->remaining : H1_RUN_MAX;
}

struct h1_run
h1_body_pass(struct h1_body *body, uint64_t n)
{
	uint64_t left = h1_body_passable(body);
	struct h1_run run = {
		.n = n,
		.length = body->run_left > 0 ? 0 : left,
		.is_end = n == left,
	};

	assert(n > 0 && n <= left);
	body->run_left = (uint32_t)(left - n);
	body->remaining -= n;
	if (body->remaining == 0)
		body->state = DATA_CR;
	run.is_body_end = body->kind == BODY_LENGTH && body->remaining == 0;
	return run;
}
