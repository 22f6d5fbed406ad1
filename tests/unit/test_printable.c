/* What of others' text is shown, and what is told instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/printable.h"

static void
assert_shown(const char *text, const char *expected)
{
	char out[256];
	char *printed;
	size_t len;
	FILE *file = open_memstream(&printed, &len);

	assert_non_null(file);
	assert_int_equal(printable_copy(out, sizeof(out), text, strlen(text)),
		strlen(expected));
	assert_string_equal(out, expected);
	printable_print(file, text);
	fclose(file);
	assert_string_equal(printed, expected);
	free(printed);
}

static void
test_what_people_write_is_as_it_came(void **state)
{
	static const char *const texts[] = {"", "plain \\ \"quoted\" ~",
		"caf\xc3\xa9", "\xe2\x82\xac",
		"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xe6\xbc\xa2\xe5\xad\x97",
		"\xf0\x9f\x9a\x80", "\xe2\x9d\xa4\xef\xb8\x8f", "\xc2\xa0",
		"\xc2\xae", "\xe2\x80\xaf", "\xe2\x80\xa7", "\xef\xbf\xbd",
		"\xf4\x8f\xbf\xbd"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_shown(texts[i], texts[i]);
}

static void
test_what_acts_or_hides_is_told(void **state)
{
	static const char *const cases[][2] = {
		{"a\x1b[31mb", "a\\u001b[31mb"},
		{"a\nb\r\t", "a\\u000ab\\u000d\\u0009"},
		{"\x7f", "\\u007f"},
		{"\xc2\x80\xc2\x9b\xc2\x9f", "\\u0080\\u009b\\u009f"},
		{"\xc2\xad", "\\u00ad"},
		{"\xd8\x9c", "\\u061c"},
		{"\xe2\x80\x8b\xe2\x80\x8e\xe2\x80\x8f",
			"\\u200b\\u200e\\u200f"},
		{"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xae",
			"\\u2028\\u2029\\u202a\\u202e"},
		{"\xe2\x81\xa0\xe2\x81\xa6\xe2\x81\xa9",
			"\\u2060\\u2066\\u2069"},
		{"\xef\xbb\xbf", "\\ufeff"},
		{"\xef\xbf\xb9\xef\xbf\xbb", "\\ufff9\\ufffb"},
		{"\xf3\xa0\x80\x81\xf3\xa0\x81\xbf",
			"\\udb40\\udc01\\udb40\\udc7f"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_shown(cases[i][0], cases[i][1]);
}

static void
test_what_is_no_utf8_is_told_by_its_bytes(void **state)
{
	static const char *const cases[][2] = {
		{"a\x9b"
		 "b",
			"a\\x9bb"},
		{"\xff", "\\xff"},
		{"\xc3", "\\xc3"},
		{"\xc3(", "\\xc3("},
		{"\xe2\x80", "\\xe2\\x80"},
		{"\xe2\x80(", "\\xe2\\x80("},
		{"\xf0\x9f\x9a", "\\xf0\\x9f\\x9a"},
		/* Too long for what they say; a surrogate; too large. */
		{"\xc0\x9b", "\\xc0\\x9b"},
		{"\xc1\xbf", "\\xc1\\xbf"},
		{"\xe0\x80\x9b", "\\xe0\\x80\\x9b"},
		{"\xf0\x80\x80\x9b", "\\xf0\\x80\\x80\\x9b"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_shown(cases[i][0], cases[i][1]);
}

static void
test_it_is_cut_between_characters(void **state)
{
	static const char text[] = "a\xc3\xa9\x1b";
	char out[16];

	assert_int_equal(printable_copy(out, 1, text, 4), 0);
	assert_string_equal(out, "");
	assert_int_equal(printable_copy(out, 3, text, 4), 1);
	assert_string_equal(out, "a");
	assert_int_equal(printable_copy(out, 9, text, 4), 3);
	assert_string_equal(out, "a\xc3\xa9");
	assert_int_equal(printable_copy(out, 10, text, 4), 9);
	assert_string_equal(out, "a\xc3\xa9\\u001b");
	/* A NUL is a character too. */
	assert_int_equal(printable_copy(out, sizeof(out), "a\0b", 3), 8);
	assert_string_equal(out, "a\\u0000b");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_people_write_is_as_it_came),
		cmocka_unit_test(test_what_acts_or_hides_is_told),
		cmocka_unit_test(test_what_is_no_utf8_is_told_by_its_bytes),
		cmocka_unit_test(test_it_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
