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

static void
test_pin_is_taken_apart(void **state)
{
	(void)state;
	assert_true(parse("0f3a2.1c.deadbeef.v1-1afc83c029-fd82"));
	assert_int_equal(cookie.seed, 0x0f3a2);
	assert_true(cookie.is_pin);
	assert_int_equal(cookie.generation, 0x1c);
	assert_true(cookie.has_endpoint);
	assert_true(cookie.endpoint == 0xdeadbeef);
	assert_true(slice_equal(cookie.version, SLICE("v1-1afc83c029-fd82")));
}

static void
test_pin_without_endpoint_is_taken_apart(void **state)
{
	(void)state;
	assert_true(parse("fffff.ffffffff.-.a.b_c-d"));
	assert_int_equal(cookie.seed, COOKIE_CELLS - 1);
	assert_true(cookie.generation == UINT32_MAX);
	assert_false(cookie.has_endpoint);
	assert_true(slice_equal(cookie.version, SLICE("a.b_c-d")));
	assert_true(parse("00000.0.-.-"));
	assert_true(cookie.is_pin);
	assert_int_equal(cookie.generation, 0);
}

static void
test_seed_alone_pins_nothing(void **state)
{
	(void)state;
	assert_true(parse("12345.-.-.-"));
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
		"12345.-.-", "12345.-.-.--", "+2345.1.-.v", "0x345.1.-.v"};

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

static void
test_format_gives_back_what_was_parsed(void **state)
{
	static const char *const values[] = {"12345.-.-.-", "00000.0.-.v",
		"fffff.ffffffff.00000000.a", "0f3a2.10.deadbeef.v1-1afc.b_2",
		"00001.-.-.-", "abcde.1.-.-", "abcde.1.-.a.b.c"};
	char out[COOKIE_VALUE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_true(parse(values[i]));
		assert_int_equal(
			cookie_format(&cookie, out), strlen(values[i]));
		assert_memory_equal(out, values[i], strlen(values[i]));
	}
}

static void
test_longest_value_fits(void **state)
{
	char name[COOKIE_VERSION_MAX];
	char *out = malloc(COOKIE_VALUE_SIZE);
	struct cookie longest = {COOKIE_CELLS - 1, true, UINT32_MAX, true,
		UINT32_MAX, {name, sizeof(name)}};

	(void)state;
	memset(name, 'v', sizeof(name));
	assert_int_equal(cookie_format(&longest, out), 88);
	assert_true(parse_bytes(out, 88));
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, forget)
		T(test_pin_is_taken_apart),
		T(test_pin_without_endpoint_is_taken_apart),
		T(test_seed_alone_pins_nothing),
		T(test_anything_else_is_refused),
		T(test_version_names_have_a_limit),
		T(test_version_names_are_of_their_characters),
		T(test_every_prefix_is_refused_or_a_shorter_version),
		T(test_format_gives_back_what_was_parsed),
		T(test_longest_value_fits),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
