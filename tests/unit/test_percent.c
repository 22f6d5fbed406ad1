#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "admin/percent.h"

static struct error error;

static void
test_percentages_become_hundredths(void **state)
{
	static const struct {
		const char *text;
		uint16_t share_bp;
	} cases[] = {
		{"0", 0},
		{"0.01", 1},
		{"0.1", 10},
		{"1", 100},
		{"007", 700},
		{"12.34", 1234},
		{"30%", 3000},
		{"99.99%", 9999},
		{"100", 10000},
		{"100.00", 10000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t share_bp = 55555;

		assert_true(percent_parse(cases[i].text, &share_bp, &error));
		assert_int_equal(share_bp, cases[i].share_bp);
	}
}

static void
test_what_is_no_share_is_refused(void **state)
{
	static const char *const cases[] = {"", "%", "-1", "+1", " 1", "1 ",
		"1%%", ".5", "1.", "0.001", "12.345", "100.01", "101",
		"99999999999999999999", "1e1", "0x1", "nan", "3,5", "ten"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t share_bp = 55555;

		error.message[0] = '\0';
		assert_false(percent_parse(cases[i], &share_bp, &error));
		assert_int_equal(share_bp, 55555);
		assert_non_null(strstr(error.message, "0 to 100"));
	}
}

static void
test_numbers_agree_with_texts(void **state)
{
	for (unsigned bp = 0; bp <= PERCENT_FULL_BP; bp++) {
		char text[PERCENT_TEXT_SIZE];
		uint16_t from_text, from_number;
		size_t len;

		len = percent_format((uint16_t)bp, text);
		assert_int_equal(len, strlen(text));
		assert_true(percent_parse(text, &from_text, &error));
		assert_true(
			percent_from_number(bp / 100.0, &from_number, &error));
		assert_int_equal(from_text, bp);
		assert_int_equal(from_number, bp);
	}
}

static void
test_numbers_that_are_no_share_are_refused(void **state)
{
	static const double cases[] = {
		-0.01, 100.01, 0.001, 33.333, 1e300, NAN, INFINITY, -INFINITY};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t share_bp;

		assert_false(percent_from_number(cases[i], &share_bp, &error));
	}
}

static void
test_a_candidate_has_more_than_nothing(void **state)
{
	assert_true(percent_check_share(1, &error));
	assert_true(percent_check_share(PERCENT_FULL_BP, &error));
	assert_false(percent_check_share(0, &error));
	assert_non_null(strstr(error.message, "roll back"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentages_become_hundredths),
		cmocka_unit_test(test_what_is_no_share_is_refused),
		cmocka_unit_test(test_numbers_agree_with_texts),
		cmocka_unit_test(test_numbers_that_are_no_share_are_refused),
		cmocka_unit_test(test_a_candidate_has_more_than_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
