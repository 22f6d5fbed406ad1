#include "http/cookie.h"

#include <assert.h>

#include "http/chars.h"

#define NUMBER_DIGITS 8 /* the most of a number; all of an endpoint */
#define MAC_DIGITS 16

/* Takes the part before the next dot off *rest. */
static bool
take_part(struct slice *rest, struct slice *part)
{
	const char *dot;

	if (rest->len == 0)
		return false;
	dot = memchr(rest->ptr, '.', rest->len);
	if (dot == NULL)
		return false;
	*part = (struct slice){rest->ptr, (size_t)(dot - rest->ptr)};
	rest->ptr += part->len + 1;
	rest->len -= part->len + 1;
	return true;
}

/* 1 to 8 lower-case hex digits. */
static bool
parse_hex(struct slice digits, uint32_t *value)
{
	if (digits.len == 0 || digits.len > NUMBER_DIGITS)
		return false;
	*value = 0;
	for (size_t i = 0; i < digits.len; i++) {
		char c = digits.ptr[i];

		if (!chars_is_digit(c) && !(c >= 'a' && c <= 'f'))
			return false;
		*value = *value << 4 | chars_hex_value(c);
	}
	return true;
}

/* The same without leading zeros. */
static bool
parse_number(struct slice digits, uint32_t *value)
{
	return parse_hex(digits, value) &&
	       (digits.len == 1 || digits.ptr[0] != '0');
}

static bool
is_version_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!chars_is(name.ptr[i], CHARS_VERSION))
			return false;
	return name.len > 0 && name.len <= COOKIE_VERSION_MAX;
}

bool
cookie_parse_seed(struct slice value, uint32_t *out)
{
	return value.len == COOKIE_SEED_DIGITS && parse_hex(value, out);
}

/* Takes seed, generation and endpoint off; "-" for what isn't there. */
static bool
take_start(struct slice *rest, struct cookie *out)
{
	struct slice seed, generation, endpoint;

	if (!take_part(rest, &seed) || !cookie_parse_seed(seed, &out->seed) ||
		!take_part(rest, &generation) || !take_part(rest, &endpoint))
		return false;
	out->is_pin = !slice_equal(generation, SLICE("-"));
	if (out->is_pin && !parse_number(generation, &out->generation))
		return false;
	out->has_endpoint = !slice_equal(endpoint, SLICE("-"));
	return !out->has_endpoint ||
	       (endpoint.len == NUMBER_DIGITS &&
		       parse_hex(endpoint, &out->endpoint));
}

/* Takes the MAC off the end. */
static bool
take_mac(struct slice *rest, struct cookie *out)
{
	struct slice high, low;
	uint32_t words[2];
	const char *start;

	if (rest->len < MAC_DIGITS + 1)
		return false;
	start = rest->ptr + rest->len - MAC_DIGITS;
	high = (struct slice){start, NUMBER_DIGITS};
	low = (struct slice){start + NUMBER_DIGITS, NUMBER_DIGITS};
	if (start[-1] != '.' || !parse_hex(high, &words[0]) ||
		!parse_hex(low, &words[1]))
		return false;
	out->mac = (uint64_t)words[0] << 32 | words[1];
	rest->len -= MAC_DIGITS + 1;
	return true;
}

/* What stands behind the start of the present form. */
static bool
parse_signed(struct slice rest, struct cookie *out)
{
	struct slice issued, moved;

	if (!take_mac(&rest, out) || !take_part(&rest, &issued) ||
		!parse_number(issued, &out->issued_min) ||
		!take_part(&rest, &moved))
		return false;
	if (!out->is_pin)
		return slice_equal(moved, SLICE("-")) &&
		       slice_equal(rest, SLICE("-"));
	out->version = rest;
	return parse_number(moved, &out->moved_min) && is_version_name(rest);
}

static bool
parse_former(struct slice rest, struct cookie *out)
{
	if (!out->is_pin)
		return !out->has_endpoint && slice_equal(rest, SLICE("-"));
	out->version = rest;
	return is_version_name(rest);
}

bool
cookie_parse(struct slice value, struct cookie *out)
{
	struct slice rest = value;

	*out = (struct cookie){0};
	if (value.len >= COOKIE_VALUE_SIZE || !take_start(&rest, out))
		return false;
	out->is_signed = parse_signed(rest, out);
	if (out->is_signed) {
		out->text =
			(struct slice){value.ptr, value.len - (MAC_DIGITS + 1)};
		return true;
	}
	out->issued_min = out->moved_min = 0;
	out->mac = 0;
	return parse_former(rest, out);
}

/* --- the MAC ---------------------------------------------------------------- */

static uint64_t
mac_of(const struct siphash_key *key, struct slice service, struct slice text)
{
	char bytes[COOKIE_SCOPE_MAX + 1 + COOKIE_VALUE_SIZE];
	char *end;

	assert(service.len <= COOKIE_SCOPE_MAX &&
		text.len <= COOKIE_VALUE_SIZE);
	end = slice_append(bytes, service);
	*end++ = '\0';
	end = slice_append(end, text);
	return siphash(key, bytes, (size_t)(end - bytes));
}

bool
cookie_is_genuine(const struct cookie *cookie, struct slice service,
	const struct cookie_keys *keys)
{
	if (!cookie->is_signed)
		return false;
	/* One word against another: no prefix of it can be tried. */
	for (unsigned i = 0; i < keys->n; i++)
		if (mac_of(&keys->keys[i], service, cookie->text) ==
			cookie->mac)
			return true;
	return false;
}

/* --- to text ---------------------------------------------------------------- */

static char *
put_hex(char *p, uint32_t value, int digits)
{
	while (digits-- > 0)
		*p++ = "0123456789abcdef"[value >> 4 * digits & 15];
	return p;
}

static int
count_hex_digits(uint32_t value)
{
	int digits = 1;

	while (value >>= 4)
		digits++;
	return digits;
}

static char *
put_number(char *p, uint32_t value)
{
	return put_hex(p, value, count_hex_digits(value));
}

static char *
put_fields(char *p, const struct cookie *cookie)
{
	p = put_hex(p, cookie->seed, COOKIE_SEED_DIGITS);
	*p++ = '.';
	if (cookie->is_pin)
		p = put_number(p, cookie->generation);
	else
		*p++ = '-';
	*p++ = '.';
	if (cookie->has_endpoint)
		p = put_hex(p, cookie->endpoint, NUMBER_DIGITS);
	else
		*p++ = '-';
	*p++ = '.';
	p = put_number(p, cookie->issued_min);
	if (!cookie->is_pin)
		return slice_append(p, SLICE(".-.-"));
	*p++ = '.';
	p = put_number(p, cookie->moved_min);
	*p++ = '.';
	return slice_append(p, cookie->version);
}

size_t
cookie_format(const struct cookie *cookie, struct slice service,
	const struct cookie_keys *keys, char out[COOKIE_VALUE_SIZE])
{
	struct slice text = {out, 0};
	uint64_t mac;
	char *p;

	assert(cookie->seed < COOKIE_CELLS && keys->n > 0);
	assert(!cookie->is_pin || is_version_name(cookie->version));
	p = put_fields(out, cookie);
	text.len = (size_t)(p - out);
	mac = mac_of(&keys->keys[0], service, text);
	*p++ = '.';
	p = put_hex(p, (uint32_t)(mac >> 32), NUMBER_DIGITS);
	p = put_hex(p, (uint32_t)mac, NUMBER_DIGITS);
	return (size_t)(p - out);
}
