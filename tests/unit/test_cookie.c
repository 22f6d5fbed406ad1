/* perch's cookie: exactly its form, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exact.h"
#include "http/cookie.h"

/* The value that cookie was parsed from; kept, as version points into it. */
static char *text;
static struct cookie cookie;

static int
forget(void **state)
{
	(void)state;
	free(text);
	text = NULL;
	return 0;
}

static bool
parse_bytes(const char *value, size_t len)
{
	free(text);
	text = exact_copy(value, len);
	return cookie_parse((struct slice){text, len}, &cookie);
}

static bool
parse(const char *value)
{
	return parse_bytes(value, strlen(value));
}

#define MAC ".0123456789abcdef"

static void
test_pin_is_taken_apart(void **state)
{
	(void)state;
	assert_true(parse("0f3a2.1c.deadbeef.1c8c381.1c8c37f.v1.1-fd82" MAC));
	assert_true(cookie.is_signed);
	assert_int_equal(cookie.seed, 0x0f3a2);
	assert_true(cookie.is_pin);
	assert_int_equal(cookie.generation, 0x1c);
	assert_true(cookie.has_endpoint);
	assert_true(cookie.endpoint == 0xdeadbeef);
	assert_int_equal(cookie.issued_min, 0x1c8c381);
	assert_int_equal(cookie.moved_min, 0x1c8c37f);
	assert_true(slice_equal(cookie.version, SLICE("v1.1-fd82")));
	assert_true(cookie.mac == UINT64_C(0x0123456789abcdef));
	assert_true(slice_equal(cookie.text,
		SLICE("0f3a2.1c.deadbeef.1c8c381.1c8c37f.v1.1-fd82")));
}

static void
test_seed_alone_pins_nothing(void **state)
{
	(void)state;
	assert_true(parse("12345.-.-.1.-.-" MAC));
	assert_true(cookie.is_signed);
	assert_int_equal(cookie.seed, 0x12345);
	assert_false(cookie.is_pin);
	assert_false(cookie.has_endpoint);
	assert_int_equal(cookie.issued_min, 1);
	/* It may say where, too. */
	assert_true(parse("12345.-.deadbeef.1.-.-" MAC));
	assert_false(cookie.is_pin);
	assert_true(cookie.endpoint == 0xdeadbeef);
}

static void
test_pin_of_the_former_form_is_taken_apart(void **state)
{
	(void)state;
	assert_true(parse("0f3a2.1c.deadbeef.v1-1afc83c029-fd82"));
	assert_false(cookie.is_signed);
	assert_int_equal(cookie.seed, 0x0f3a2);
	assert_true(cookie.is_pin);
	assert_int_equal(cookie.generation, 0x1c);
	assert_true(cookie.has_endpoint);
	assert_true(cookie.endpoint == 0xdeadbeef);
	assert_true(slice_equal(cookie.version, SLICE("v1-1afc83c029-fd82")));
	assert_int_equal(cookie.issued_min, 0);
	assert_int_equal(cookie.moved_min, 0);
	assert_true(parse("fffff.ffffffff.-.a.b_c-d"));
	assert_int_equal(cookie.seed, COOKIE_CELLS - 1);
	assert_true(cookie.generation == UINT32_MAX);
	assert_false(cookie.has_endpoint);
	assert_true(slice_equal(cookie.version, SLICE("a.b_c-d")));
	assert_true(parse("00000.0.-.-"));
	assert_true(cookie.is_pin);
	assert_int_equal(cookie.generation, 0);
	/* What looks like a part of the present one. */
	assert_true(parse("00000.0.-.1.2.v"));
	assert_false(cookie.is_signed);
	assert_true(slice_equal(cookie.version, SLICE("1.2.v")));
}

static void
test_seed_of_the_former_form_pins_nothing(void **state)
{
	(void)state;
	assert_true(parse("12345.-.-.-"));
	assert_false(cookie.is_signed);
	assert_int_equal(cookie.seed, 0x12345);
	assert_false(cookie.is_pin);
	assert_false(cookie.has_endpoint);
}

static void
test_anything_else_is_refused(void **state)
{
	static const char *const values[] = {"", ".", "...", "12345", "12345.",
		"12345.1", "12345.1.-", "12345.1.-.", "1234.1.-.v",
		"123456.1.-.v", "1234g.1.-.v", "1234A.1.-.v", "12345..-.v",
		"12345.01.-.v", "12345.00.-.v", "12345.A.-.v", "12345.g.-.v",
		"12345.123456789.-.v", "12345.-.-.v", "12345.-.deadbeef.-",
		"12345.1..v", "12345.1.deadbee.v", "12345.1.deadbeef0.v",
		"12345.1.DEADBEEF.v", "12345.1.deadbeeg.v", "12345.1.--.v",
		"12345.1.-.v/", "12345.1.-.v v", " 12345.1.-.v", "12345.1.-.v ",
		"12345.1.-.v\303\274", "\"12345.1.-.v\"", "12345.-.-.-.",
		"12345.-.-", "12345.-.-.--", "+2345.1.-.v", "0x345.1.-.v",
		"12345.-.-.1.-.-", "12345.-.-.1.-.v" MAC, "12345.-.-.1.1.-" MAC,
		"12345.-.-.-.-.-" MAC, "12345.-.-.01.-.-" MAC,
		"12345.-.-.1.-.-.0123456789abcde",
		"12345.-.-.1.-.-.0123456789abcdeG",
		"12345.-.-.1.-.-.0123456789ABCDEF",
		"12345.-.-.1.-.-0123456789abcdef", ".0123456789abcdef",
		"12345.-.-.123456789.-.-" MAC, "12345.1.-.1.1.v/" MAC};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (parse(values[i]))
			fail_msg("taken: \"%s\"", values[i]);
	assert_false(parse_bytes("12345.1.-.v\0", 12));
	assert_false(cookie_parse((struct slice){NULL, 0}, &cookie));
}

static void
test_version_names_have_a_limit(void **state)
{
	char value[COOKIE_VALUE_SIZE * 2] = "12345.ffffffff.deadbeef.";
	size_t start = strlen(value);

	(void)state;
	memset(value + start, 'v', COOKIE_VERSION_MAX);
	assert_true(parse_bytes(value, start + COOKIE_VERSION_MAX));
	value[start + COOKIE_VERSION_MAX] = 'v';
	assert_false(parse_bytes(value, start + COOKIE_VERSION_MAX + 1));
	memset(value + start, 'v', COOKIE_VALUE_SIZE);
	assert_false(parse_bytes(value, start + COOKIE_VALUE_SIZE));
}

/* What each byte does as a version's name. */
static void
test_version_names_are_of_their_characters(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char value[] = "12345.1.-.v?v";
		bool expected = (c >= '0' && c <= '9') ||
				(c >= 'a' && c <= 'z') ||
				(c >= 'A' && c <= 'Z') || c == '.' ||
				c == '_' || c == '-';

		value[11] = (char)c;
		assert_int_equal(parse(value), expected);
	}
}

static void
test_every_prefix_is_refused_or_a_shorter_version(void **state)
{
	static const char value[] = "12345.1.deadbeef.ver";

	(void)state;
	for (size_t len = 0; len <= strlen(value); len++)
		assert_int_equal(parse_bytes(value, len), len >= 18);
}

/* --- the MAC ------------------------------------------------------------------ */

static const struct cookie_keys keys = {.n = 2, .keys = {{{1, 2}}, {{3, 4}}}};
static const struct cookie_keys turned = {.n = 2, .keys = {{{5, 6}}, {{1, 2}}}};
static const struct cookie_keys others = {.n = 1, .keys = {{{3, 4}}}};

static void
write_cookie(const struct cookie *from)
{
	char out[COOKIE_VALUE_SIZE];
	size_t len = cookie_format(from, SLICE("shop"), &keys, out);

	assert_true(len < COOKIE_VALUE_SIZE);
	assert_true(parse_bytes(out, len));
	assert_true(cookie.is_signed);
}

static void
test_what_is_written_is_read_and_genuine(void **state)
{
	const struct cookie pin = {.seed = 0xabcde,
		.is_pin = true,
		.generation = 0x10,
		.has_endpoint = true,
		.endpoint = 1,
		.issued_min = 0x1c8c381,
		.moved_min = 0,
		.version = SLICE("v.1")};
	const struct cookie seed = {.seed = 1, .issued_min = UINT32_MAX};

	(void)state;
	write_cookie(&pin);
	assert_int_equal(cookie.seed, 0xabcde);
	assert_true(cookie.is_pin);
	assert_int_equal(cookie.generation, 0x10);
	assert_true(cookie.has_endpoint);
	assert_int_equal(cookie.endpoint, 1);
	assert_int_equal(cookie.issued_min, 0x1c8c381);
	assert_int_equal(cookie.moved_min, 0);
	assert_true(slice_equal(cookie.version, SLICE("v.1")));
	assert_true(cookie_is_genuine(&cookie, SLICE("shop"), &keys));
	write_cookie(&seed);
	assert_int_equal(cookie.seed, 1);
	assert_false(cookie.is_pin);
	assert_true(cookie.issued_min == UINT32_MAX);
	assert_true(cookie_is_genuine(&cookie, SLICE("shop"), &keys));
}

static void
test_mac_is_of_one_service_and_one_key(void **state)
{
	const struct cookie seed = {.seed = 0x12345};

	(void)state;
	write_cookie(&seed);
	assert_false(cookie_is_genuine(&cookie, SLICE("sho"), &keys));
	assert_false(cookie_is_genuine(&cookie, SLICE("shop2"), &keys));
	assert_false(cookie_is_genuine(&cookie, SLICE("shop"), &others));
	assert_true(cookie_is_genuine(&cookie, SLICE("shop"), &turned));
}

static void
test_every_changed_byte_is_noticed(void **state)
{
	const struct cookie pin = {
		.seed = 0x12345, .is_pin = true, .version = SLICE("v1")};
	char out[COOKIE_VALUE_SIZE];
	size_t len = cookie_format(&pin, SLICE("shop"), &keys, out);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		char was = out[i];

		out[i] = was == '1' ? '2' : '1';
		if (parse_bytes(out, len))
			assert_false(cookie_is_genuine(
				&cookie, SLICE("shop"), &keys));
		out[i] = was;
	}
}

static void
test_former_form_is_never_genuine(void **state)
{
	(void)state;
	assert_true(parse("12345.1.-.v1"));
	assert_false(cookie_is_genuine(&cookie, SLICE("shop"), &keys));
}

static void
test_longest_value_fits(void **state)
{
	char name[COOKIE_VERSION_MAX];
	char *out = malloc(COOKIE_VALUE_SIZE);
	struct cookie longest = {.seed = COOKIE_CELLS - 1,
		.is_pin = true,
		.generation = UINT32_MAX,
		.has_endpoint = true,
		.endpoint = UINT32_MAX,
		.issued_min = UINT32_MAX,
		.moved_min = UINT32_MAX,
		.version = {name, sizeof(name)}};
	struct slice service = {name, sizeof(name)};

	(void)state;
	memset(name, 'v', sizeof(name));
	assert_int_equal(cookie_format(&longest, service, &keys, out), 123);
	assert_true(parse_bytes(out, 123));
	assert_true(cookie_is_genuine(&cookie, service, &keys));
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, forget)
		T(test_pin_is_taken_apart),
		T(test_seed_alone_pins_nothing),
		T(test_pin_of_the_former_form_is_taken_apart),
		T(test_seed_of_the_former_form_pins_nothing),
		T(test_anything_else_is_refused),
		T(test_version_names_have_a_limit),
		T(test_version_names_are_of_their_characters),
		T(test_every_prefix_is_refused_or_a_shorter_version),
		T(test_what_is_written_is_read_and_genuine),
		T(test_mac_is_of_one_service_and_one_key),
		T(test_every_changed_byte_is_noticed),
		T(test_former_form_is_never_genuine),
		T(test_longest_value_fits),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
