#include "http/h1_write.h"

#include <stdbool.h>

#include "http/chars.h"
#include "http/field.h"

size_t
h1_write_chunk_size(char out[20], uint64_t len)
{
	size_t digits = 1;

	while (digits < 16 && len >> 4 * digits != 0)
		digits++;
	for (size_t i = 0; i < digits; i++)
		out[i] = "0123456789abcdef"[len >> 4 * (digits - 1 - i) & 15];
	memcpy(out + digits, "\r\n", 2);
	return digits + 2;
}

/* --- reason phrases: RFC 9110 15 and the IANA registry -------------------- */

static const char *const reasons_1xx[] = {
	"Continue", "Switching Protocols", "Processing", "Early Hints"};

static const char *const reasons_2xx[] = {"OK", "Created", "Accepted",
	"Non-Authoritative Information", "No Content", "Reset Content",
	"Partial Content", "Multi-Status", "Already Reported"};

static const char *const reasons_3xx[] = {"Multiple Choices",
	"Moved Permanently", "Found", "See Other", "Not Modified", "Use Proxy",
	NULL, "Temporary Redirect", "Permanent Redirect"};

static const char *const reasons_4xx[] = {"Bad Request", "Unauthorized",
	"Payment Required", "Forbidden", "Not Found", "Method Not Allowed",
	"Not Acceptable", "Proxy Authentication Required", "Request Timeout",
	"Conflict", "Gone", "Length Required", "Precondition Failed",
	"Content Too Large", "URI Too Long", "Unsupported Media Type",
	"Range Not Satisfiable", "Expectation Failed", NULL, NULL, NULL,
	"Misdirected Request", "Unprocessable Content", "Locked",
	"Failed Dependency", "Too Early", "Upgrade Required", NULL,
	"Precondition Required", "Too Many Requests", NULL,
	"Request Header Fields Too Large"};

static const char *const reasons_5xx[] = {"Internal Server Error",
	"Not Implemented", "Bad Gateway", "Service Unavailable",
	"Gateway Timeout", "HTTP Version Not Supported",
	"Variant Also Negotiates", "Insufficient Storage", "Loop Detected",
	NULL, NULL, "Network Authentication Required"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct slice
h1_status_reason(unsigned status)
{
	static const struct {
		const char *const *reasons;
		size_t n;
	} classes[] = {
		{reasons_1xx, COUNT(reasons_1xx)},
		{reasons_2xx, COUNT(reasons_2xx)},
		{reasons_3xx, COUNT(reasons_3xx)},
		{reasons_4xx, COUNT(reasons_4xx)},
		{reasons_5xx, COUNT(reasons_5xx)},
	};
	unsigned class = status / 100 - 1, index = status % 100;

	if (status == 451)
		return SLICE("Unavailable For Legal Reasons");
	if (status < 100 || class >= COUNT(classes) ||
		index >= classes[class].n ||
		classes[class].reasons[index] == NULL)
		return SLICE("");
	return slice_from_string(classes[class].reasons[index]);
}

/* --- error pages ---------------------------------------------------------- */

/* How much a media type is wanted. */
struct want {
	unsigned weight; /* thousandths */
	unsigned
		specificity; /* of the range that said so: the best one counts */
	size_t position; /* of that range */
};

/* The thousandths of a qvalue (RFC 9110 12.4.2); 0 if malformed. */
static unsigned
parse_weight(struct slice q)
{
	unsigned weight = 0, unit = 1000;

	for (size_t i = 0; i < q.len && i < 5; i++) {
		if (i == 1 && q.ptr[i] == '.')
			continue;
		if (!chars_is_digit(q.ptr[i]) || i == 1)
			return 0;
		weight += (unsigned)(q.ptr[i] - '0') * unit;
		unit /= 10;
	}
	return weight > 1000 ? 1000 : weight;
}

/* Cuts what is behind the first separator out of *s. */
static struct slice
cut_behind(struct slice *s, char separator)
{
	const char *found = s->len ? memchr(s->ptr, separator, s->len) : NULL;
	struct slice behind = {NULL, 0};

	if (found != NULL) {
		behind.ptr = found + 1;
		behind.len = s->len - (size_t)(behind.ptr - s->ptr);
		s->len = (size_t)(found - s->ptr);
	}
	*s = slice_trim(*s);
	return slice_trim(behind);
}

/* Takes a range's parameters off it and gives its weight. */
static unsigned
take_weight(struct slice *range)
{
	struct slice parameters = cut_behind(range, ';');

	while (parameters.len > 0) {
		struct slice parameter = parameters;
		struct slice value;

		parameters = cut_behind(&parameter, ';');
		value = cut_behind(&parameter, '=');
		if (CHARS_EQUAL(parameter, "q"))
			return parse_weight(value);
	}
	return 1000;
}

static void
consider(struct want *want, unsigned weight, unsigned specificity,
	size_t position)
{
	if (specificity > want->specificity)
		*want = (struct want){weight, specificity, position};
}

/* Text unless JSON is wanted more (RFC 9110 12.5.1), or as much but was named
 * more exactly or earlier. */
static bool
prefers_json(struct slice accept)
{
	struct want json = {0, 0, 0}, text = {0, 0, 0};
	struct slice range;

	for (size_t i = 0; field_list_next(&accept, &range); i++) {
		unsigned weight = take_weight(&range);

		if (slice_equal_nocase(range, SLICE("application/json"))) {
			consider(&json, weight, 3, i);
		} else if (slice_equal_nocase(range, SLICE("text/plain"))) {
			consider(&text, weight, 3, i);
		} else if (slice_equal_nocase(range, SLICE("application/*"))) {
			consider(&json, weight, 2, i);
		} else if (slice_equal_nocase(range, SLICE("text/*"))) {
			consider(&text, weight, 2, i);
		} else if (slice_equal(range, SLICE("*/*"))) {
			consider(&json, weight, 1, i);
			consider(&text, weight, 1, i);
		}
	}
	if (json.weight != text.weight)
		return json.weight > text.weight;
	if (json.specificity != text.specificity)
		return json.specificity > text.specificity && json.weight > 0;
	return json.position < text.position && json.weight > 0;
}

/* Text that is cut where out ends; is_full says so. */
struct writer {
	char *out;
	size_t cap;
	size_t len;
	bool is_full;
};

static void
put(struct writer *writer, struct slice text)
{
	if (text.len > writer->cap - writer->len) {
		writer->is_full = true;
		return;
	}
	if (text.len > 0)
		memcpy(writer->out + writer->len, text.ptr, text.len);
	writer->len += text.len;
}

static void
put_status(struct writer *writer, unsigned status)
{
	char digits[3] = {(char)('0' + status / 100 % 10),
		(char)('0' + status / 10 % 10), (char)('0' + status % 10)};

	put(writer, (struct slice){digits, 3});
}

/* A client may have chosen the id: nothing in it may end a JSON string or
 * mean anything to a terminal. */
static void
put_id(struct writer *writer, struct slice id)
{
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];

		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			c = '?';
		put(writer, (struct slice){&c, 1});
	}
}

static void
put_json(struct writer *writer, unsigned status, struct slice request_id)
{
	put(writer, SLICE("{\"status\":"));
	put_status(writer, status);
	put(writer, SLICE(",\"error\":\""));
	put(writer, h1_status_reason(status));
	put(writer, SLICE("\",\"request_id\":\""));
	put_id(writer, request_id);
	put(writer, SLICE("\"}\n"));
}

static void
put_text(struct writer *writer, unsigned status, struct slice request_id)
{
	put_status(writer, status);
	put(writer, SLICE(" "));
	put(writer, h1_status_reason(status));
	if (request_id.len > 0) {
		put(writer, SLICE(" (request "));
		put_id(writer, request_id);
		put(writer, SLICE(")"));
	}
	put(writer, SLICE("\n"));
}

size_t
h1_error_page(unsigned status, struct slice accept, struct slice request_id,
	char *out, size_t cap)
{
	struct writer writer = {out, cap, 0, false};

	if (prefers_json(accept))
		put_json(&writer, status, request_id);
	else
		put_text(&writer, status, request_id);
	return writer.is_full ? 0 : writer.len;
}

struct slice
h1_error_content_type(struct slice accept)
{
	return prefers_json(accept) ? SLICE("application/json")
				    : SLICE("text/plain; charset=utf-8");
}
