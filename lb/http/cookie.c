#include "http/cookie.h"

#include <assert.h>

#include "http/chars.h"

#define NUMBER_DIGITS 8 /* the most of a generation; all of an endpoint */

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

bool
cookie_parse(struct slice value, struct cookie *out)
{
	struct slice seed, generation, endpoint;

	*out = (struct cookie){0};
	if (value.len >= COOKIE_VALUE_SIZE || !take_part(&value, &seed) ||
		!cookie_parse_seed(seed, &out->seed))
		return false;
	if (slice_equal(value, SLICE("-.-.-")))
		return true;
	if (!take_part(&value, &generation) ||
		!parse_hex(generation, &out->generation) ||
		(generation.len > 1 && generation.ptr[0] == '0'))
		return false;
	if (!take_part(&value, &endpoint))
		return false;
	out->has_endpoint = !slice_equal(endpoint, SLICE("-"));
	if (out->has_endpoint && (endpoint.len != NUMBER_DIGITS ||
					 !parse_hex(endpoint, &out->endpoint)))
		return false;
	out->is_pin = true;
	out->version = value;
	return is_version_name(value);
}

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

size_t
cookie_format(const struct cookie *cookie, char out[COOKIE_VALUE_SIZE])
{
	char *p;

	assert(cookie->seed < COOKIE_CELLS);
	p = put_hex(out, cookie->seed, COOKIE_SEED_DIGITS);
	*p++ = '.';
	if (!cookie->is_pin) {
		memcpy(p, "-.-.-", 5);
		return (size_t)(p + 5 - out);
	}
	assert(is_version_name(cookie->version));
	p = put_hex(
		p, cookie->generation, count_hex_digits(cookie->generation));
	*p++ = '.';
	if (cookie->has_endpoint)
		p = put_hex(p, cookie->endpoint, NUMBER_DIGITS);
	else
		*p++ = '-';
	*p++ = '.';
	memcpy(p, cookie->version.ptr, cookie->version.len);
	return (size_t)(p + cookie->version.len - out);
}
