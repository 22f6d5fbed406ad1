#include "config/value.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#include "config/config.h"
#include "config/report.h"
#include "config/suggest.h"
#include "config/words.h"

/* Values are whole numbers of the last decimal. */
#define PERCENT_DECIMALS 2
#define REAL_DECIMALS 6
#define REAL_FACTOR 1e6

struct unit {
	const char *name;
	uint64_t factor;
};

/* Nanoseconds. */
static const struct unit duration_units[] = {
	{"us", UINT64_C(1000)},
	{"ms", UINT64_C(1000000)},
	{"s", UINT64_C(1000000000)},
	{"m", 60 * UINT64_C(1000000000)},
	{"h", 3600 * UINT64_C(1000000000)},
	{NULL, 0},
};

/* Bytes. */
static const struct unit size_units[] = {
	{"", 1},
	{"B", 1},
	{"KB", UINT64_C(1000)},
	{"MB", UINT64_C(1000000)},
	{"GB", UINT64_C(1000000000)},
	{"TB", UINT64_C(1000000000000)},
	{"KiB", UINT64_C(1) << 10},
	{"MiB", UINT64_C(1) << 20},
	{"GiB", UINT64_C(1) << 30},
	{"TiB", UINT64_C(1) << 40},
	{NULL, 0},
};

static const struct unit no_units[] = {
	{"", 1},
	{NULL, 0},
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits and one of the units; 0 needs no unit. */
static bool
parse_amount(struct slice text, const struct unit *units, uint64_t *out)
{
	struct slice unit = text;
	uint64_t value = 0;

	while (unit.len > 0 && is_digit(unit.ptr[0])) {
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(
				value, (uint64_t)(unit.ptr[0] - '0'), &value))
			return false;
		unit.ptr++;
		unit.len--;
	}
	if (unit.len == text.len)
		return false;
	*out = 0;
	if (value == 0 && unit.len == 0)
		return true;
	for (; units->name != NULL; units++) {
		if (slice_equal(unit, slice_from_string(units->name)))
			return !__builtin_mul_overflow(
				value, units->factor, out);
	}
	return false;
}

/* Digits, and at most so many behind a point, as a number of the last ones. */
static bool
parse_decimal(struct slice text, unsigned n_decimals, uint64_t *out)
{
	bool has_point = false, has_digit = false;
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '.' && has_digit && !has_point) {
			has_point = true;
			has_digit = false;
			continue;
		}
		if (!is_digit(c) || (has_point && n_decimals == 0) ||
			__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(
				value, (uint64_t)(c - '0'), &value))
			return false;
		has_digit = true;
		n_decimals -= has_point;
	}
	for (; n_decimals > 0; n_decimals--) {
		if (__builtin_mul_overflow(value, 10, &value))
			return false;
	}
	*out = value;
	return has_digit;
}

static const struct unit *
units_of(enum schema_type type)
{
	switch (type) {
	case SCHEMA_DURATION:
		return duration_units;
	case SCHEMA_SIZE:
		return size_units;
	default:
		return no_units;
	}
}

/* The number that a text of this type stands for, in its smallest unit. */
static bool
parse_any_number(enum schema_type type, struct slice text, uint64_t *out)
{
	switch (type) {
	case SCHEMA_PERCENT:
		return parse_decimal(text, PERCENT_DECIMALS, out);
	case SCHEMA_REAL:
		return parse_decimal(text, REAL_DECIMALS, out);
	default:
		return parse_amount(text, units_of(type), out);
	}
}

unsigned long long
value_number(const struct schema_key *key, const char *text)
{
	uint64_t value = 0;
	bool ok = parse_any_number(key->type, slice_from_string(text), &value);

	assert(ok || strcmp(text, "auto") == 0);
	return value;
}

/* An amount inside of the key's range. */
static bool
parse_number(const struct schema_key *key, struct slice text, uint64_t *out,
	struct error *error)
{
	uint64_t value;

	if (!parse_any_number(key->type, text, &value))
		return false;
	if (key->min != NULL && value < value_number(key, key->min)) {
		error_set(error, "%.*s is less than the least value, %s",
			REPORT_QUOTE(text), key->min);
		return false;
	}
	if (key->max != NULL && value > value_number(key, key->max)) {
		error_set(error, "%.*s is more than the largest value, %s",
			REPORT_QUOTE(text), key->max);
		return false;
	}
	*out = value;
	return true;
}

static bool
parse_u64(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	return parse_number(key, text, out, error);
}

static bool
parse_unsigned(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	uint64_t value;

	if (!parse_number(key, text, &value, error))
		return false;
	assert(value <= UINT32_MAX);
	*(unsigned *)out = (unsigned)value;
	return true;
}

static bool
parse_real(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	uint64_t value;

	if (!parse_number(key, text, &value, error))
		return false;
	*(double *)out = (double)value / REAL_FACTOR;
	return true;
}

/* "404" or "500-599". */
static bool
parse_statuses(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	const char *dash =
		text.len > 0 ? memchr(text.ptr, '-', text.len) : NULL;
	struct slice first = text, last = text;
	struct config_statuses range;

	if (dash != NULL) {
		first.len = (size_t)(dash - text.ptr);
		last.ptr = dash + 1;
		last.len = text.len - first.len - 1;
	}
	if (!parse_unsigned(key, first, &range.first, error) ||
		!parse_unsigned(key, last, &range.last, error))
		return false;
	if (range.first > range.last) {
		error_set(error, "%.*s ends before it begins",
			REPORT_QUOTE(text));
		return false;
	}
	*(struct config_statuses *)out = range;
	return true;
}

static bool
parse_workers(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	if (!slice_equal(text, SLICE("auto")))
		return parse_unsigned(key, text, out, error);
	*(unsigned *)out = 0;
	return true;
}

/* All enums in config.h begin at 0, in the order of the choices. */
static bool
parse_choice(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	char word[SUGGEST_MAX_LEN + 1], list[256] = "";
	const char *near = NULL;
	size_t n, len = 0;

	for (n = 0; key->choices[n] != NULL; n++) {
		const char *choice = key->choices[n];

		if (slice_equal(text, slice_from_string(choice))) {
			*(unsigned *)out = (unsigned)n;
			return true;
		}
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
			n > 0 ? ", " : "", choice);
		assert(len < sizeof(list));
	}
	if (text.len < sizeof(word)) {
		memcpy(word, text.ptr, text.len);
		word[text.len] = '\0';
		near = suggest_word(word, key->choices, n);
	}
	if (near != NULL)
		error_set(error,
			"unknown value \"%.*s\", did you mean \"%s\"? (one of "
			"%s)",
			REPORT_QUOTE(text), near, list);
	else
		error_set(error, "unknown value \"%.*s\", expected one of %s",
			REPORT_QUOTE(text), list);
	return false;
}

struct type {
	const char *name;
	const char *expected;
	const char *pattern;
	bool (*parse)(const struct schema_key *key, struct slice text,
		void *out, struct error *error);
	void (*release)(void *value); /* NULL: it points at nothing */
	size_t size;
	enum value_kind kind;
};

#define TOKEN "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
#define IP_PORT "([0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}"

#define NUMBER .kind = VALUE_INTEGER, .size = sizeof(uint64_t)
#define SMALL_NUMBER .kind = VALUE_INTEGER, .size = sizeof(unsigned)
#define STRING .release = words_release_string, .size = sizeof(char *)
#define KEY .release = words_release_key, .size = sizeof(struct config_key)

static const struct type types[SCHEMA_N_TYPES] = {
	[SCHEMA_DURATION] = {"duration", "a duration (250ms, 10s, 5m, 1h)",
		"0|[0-9]+(us|ms|s|m|h)", parse_u64, .size = sizeof(uint64_t)},
	[SCHEMA_SIZE] = {"size", "a size (16KiB, 1MiB, or bytes)",
		"[0-9]+([KMGT]i?B|B)?", parse_u64, NUMBER},
	[SCHEMA_COUNT] = {"number", "a whole number", "[0-9]+", parse_u64,
		NUMBER},
	[SCHEMA_PERCENT] = {"percentage",
		"a percentage (5, 0.25; at most two decimals)",
		"[0-9]+(\\.[0-9]{1,2})?", parse_unsigned, .kind = VALUE_DECIMAL,
		.size = sizeof(unsigned)},
	[SCHEMA_REAL] = {"decimal number",
		"a number (2, 1.5; at most six decimals)",
		"[0-9]+(\\.[0-9]{1,6})?", parse_real, .kind = VALUE_DECIMAL,
		.size = sizeof(double)},
	[SCHEMA_STATUSES] = {"status or range",
		"a status or range (404, 500-599)", "[0-9]{3}(-[0-9]{3})?",
		parse_statuses, .kind = VALUE_INTEGER,
		.size = sizeof(struct config_statuses)},
	[SCHEMA_WORKERS] = {"number or auto", "a whole number or auto",
		"auto|[0-9]+", parse_workers, SMALL_NUMBER},
	[SCHEMA_WEIGHT] = {"number", "a whole number", "[0-9]+", parse_unsigned,
		SMALL_NUMBER},
	[SCHEMA_CHOICE] = {"choice", "a word", NULL, parse_choice,
		.size = sizeof(unsigned)},
	[SCHEMA_NAME] = {"name",
		"a name (letters, digits, \".\", \"_\" and \"-\"; at most 64)",
		"(?=.*[A-Za-z0-9])[A-Za-z0-9._-]{1,64}", words_parse_name,
		STRING},
	[SCHEMA_USER] = {"user", "a user's name", "[A-Za-z_][A-Za-z0-9_.$-]*",
		words_parse_user, STRING},
	[SCHEMA_PATH] = {"path", "a path", ".+", words_parse_path, STRING},
	[SCHEMA_LOG_TARGET] = {"path or word",
		"stderr, syslog or a path with a \"/\" in it",
		"stderr|syslog|.*/.*", words_parse_log_target, STRING},
	[SCHEMA_ACCESS_FILE] = {"path or word",
		"stdout or a path with a \"/\" in it", "stdout|.*/.*",
		words_parse_access_file, STRING},
	[SCHEMA_FIELD_NAME] = {"field name", "the name of a header field",
		TOKEN, words_parse_field_name, STRING},
	[SCHEMA_PROTOCOL] = {"protocol",
		"a protocol of Upgrade (websocket, SPDY/3.1)",
		"[!#$%&'*+.^_`|~0-9A-Za-z-]+(/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?",
		words_parse_protocol, STRING},
	[SCHEMA_COOKIE_NAME] = {"cookie name", "the name of a cookie", TOKEN,
		words_parse_cookie_name, STRING},
	[SCHEMA_DOMAIN] = {"domain", "a domain name (example.com)",
		"[A-Za-z0-9_.-]+", words_parse_domain, STRING},
	[SCHEMA_HOST] = {"host",
		"a host name (www.example.com, *.example.com, *)",
		"\\*|(\\*\\.)?[A-Za-z0-9_.-]+|\\[?[0-9A-Fa-f:.]+\\]?",
		words_parse_host, STRING},
	[SCHEMA_AUTHORITY] = {"host, with port or without",
		"a host name, with a port or without (www.example.com, "
		"app.local:8080)",
		"[A-Za-z0-9_.-]+(:[0-9]{1,5})?|"
		"\\[?[0-9A-Fa-f:.]+\\]?(:[0-9]{1,5})?",
		words_parse_authority, STRING},
	[SCHEMA_PREFIX] = {"path prefix",
		"a path that begins with \"/\", without \"?\", \"#\" or space",
		"/[!\"$->@-~]*", words_parse_prefix, STRING},
	[SCHEMA_TARGET] = {"path with query",
		"a path that begins with \"/\", without \"#\" or space",
		"/[!\"$-~]*", words_parse_target, STRING},
	[SCHEMA_CIDR] = {"address block",
		"an address or block (10.0.0.0/8, ::1; no bit set past the "
		"prefix)",
		"[0-9A-Fa-f:.]+(/[0-9]{1,3})?", words_parse_cidr,
		.size = sizeof(struct cidr)},
	[SCHEMA_BIND] = {"address", "IP:PORT, [IPV6]:PORT or *:PORT",
		"\\*:[0-9]{1,5}|" IP_PORT, words_parse_bind,
		.size = sizeof(struct address)},
	[SCHEMA_ADMIN_BIND] = {"address", "IP:PORT, [IPV6]:PORT or unix:PATH",
		"unix:.+|" IP_PORT, words_parse_admin_bind, STRING},
	[SCHEMA_ENDPOINT] = {"endpoint", "HOST:PORT or [IPV6]:PORT",
		"([A-Za-z0-9_.-]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}",
		words_parse_endpoint, .release = words_release_endpoint,
		.size = sizeof(struct config_endpoint)},
	[SCHEMA_URL] = {"URL", "a URL (https://host/path)",
		"https?://[^@\\s]+(/.*)?", words_parse_url, STRING},
	[SCHEMA_CLIENT_KEY] = {"client key",
		"header NAME, cookie NAME or address",
		"address|(header|cookie) +" TOKEN, words_parse_key, KEY},
	[SCHEMA_BALANCE_KEY] = {"balance key",
		"header NAME, cookie NAME, address, client or path",
		"address|client|path|(header|cookie) +" TOKEN, words_parse_key,
		KEY},
};

bool
value_parse(const struct schema_key *key, struct slice text, void *out,
	struct error *error)
{
	struct error reason = {.message = ""};
	const struct type *type = &types[key->type];

	if (type->parse(key, text, out, &reason))
		return true;
	if (reason.message[0] != '\0')
		error_set(error, "%s", reason.message);
	else
		error_set(error, "expected %s, not \"%.*s\"", type->expected,
			REPORT_QUOTE(text));
	return false;
}

void
value_release(enum schema_type type, void *value)
{
	if (types[type].release != NULL)
		types[type].release(value);
	memset(value, 0, types[type].size);
}

size_t
value_size(enum schema_type type)
{
	return types[type].size;
}

const char *
value_expected(enum schema_type type)
{
	return types[type].expected;
}

const char *
value_type_name(enum schema_type type)
{
	return types[type].name;
}

const char *
value_pattern(enum schema_type type)
{
	return types[type].pattern;
}

enum value_kind
value_kind(enum schema_type type)
{
	return types[type].kind;
}
