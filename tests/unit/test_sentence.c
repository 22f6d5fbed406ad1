#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "admin/sentence.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void
assert_sentence(const char *json, const char *wanted)
{
	json_error_t problem;
	json_t *event = json_loads(json, 0, &problem);
	struct text text = {0};

	if (event == NULL)
		fail_msg("%s: %s", json, problem.text);
	sentence_write(event, &text);
	text_add(&text, (struct slice){"", 1});
	assert_string_equal(text.data, wanted);
	text_free(&text);
	json_decref(event);
}

#define SHOP "\"unit\": \"shop\", \"candidate\": {\"shop\": \"v2\"}, "

static void
test_each_event_has_its_words(void **state)
{
	static const char *const rows[][2] = {
		{"started", "shop: v2 started at 10 %"},
		{"advanced", "shop: v2 advanced from 0.5 % to 10 %"},
		{"held", "shop: v2 held at 10 %"},
		{"running", "shop: v2 runs again at 10 %"},
		{"paused", "shop: v2 paused at 10 %"},
		{"resumed", "shop: v2 resumed at 10 %"},
		{"share_set", "shop: v2 moved from 0.5 % to 10 %"},
		{"frozen", "shop: v2 frozen at 10 %"},
		{"retreated", "shop: v2 went back from 0.5 % to 10 %"},
		{"rolled_back", "shop: v2 rolled back from 0.5 % to 10 %"},
		{"promoted", "shop: v2 promoted, it is the stable version now"},
		{"untrusted",
			"shop: v2 has a signal that can't be trusted at 10 %"},
		{"journal_failed", "shop: the journal can't be written"},
		{"journal_recovered", "shop: the journal is written again"},
		{"test", "shop: a test of this webhook"},
		{"unheard_of", "shop: unheard_of"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		char json[256];

		snprintf(json, sizeof(json),
			"{\"event\": \"%s\", " SHOP
			"\"share\": 10, \"previous_share\": 0.5}",
			rows[i][0]);
		assert_sentence(json, rows[i][1]);
	}
}

static void
test_the_reason_follows(void **state)
{
	assert_sentence("{\"event\": \"rolled_back\", " SHOP
			"\"share\": 0, \"previous_share\": 10, \"who\": "
			"\"perch\", \"reason\": \"errors: 7 of 210 clients "
			"hurt on v2, 2 of 20,512 on v1\"}",
		"shop: v2 rolled back from 10 % to 0 %: errors: 7 of 210 "
		"clients hurt on v2, 2 of 20,512 on v1");
}

static void
test_the_state_is_said_once(void **state)
{
	assert_sentence("{\"event\": \"rolled_back\", " SHOP
			"\"share\": 0, \"previous_share\": 10, \"who\": "
			"\"perch\", \"reason\": \"rolled back: errors: 7 of "
			"210 clients hurt on v2\"}",
		"shop: v2 rolled back from 10 % to 0 %: errors: 7 of 210 "
		"clients hurt on v2");
	assert_sentence("{\"event\": \"held\", " SHOP
			"\"share\": 5, \"who\": \"perch\", \"reason\": "
			"\"held: too few clients\"}",
		"shop: v2 held at 5 %: too few clients");
}

static void
test_a_person_is_named(void **state)
{
	assert_sentence("{\"event\": \"paused\", " SHOP
			"\"share\": 5, \"who\": \"ann\", \"reason\": "
			"\"lunch\"}",
		"shop: v2 paused at 5 %: lunch (by ann)");
}

static void
test_a_step_is_counted(void **state)
{
	assert_sentence("{\"event\": \"advanced\", " SHOP
			"\"share\": 20, \"previous_share\": 10, \"step\": 4, "
			"\"steps\": [1, 5, 10, 20, 50, 80, 100]}",
		"shop: v2 advanced from 10 % to 20 % (step 4 of 7)");
	assert_sentence("{\"event\": \"advanced\", " SHOP
			"\"share\": 20, \"step\": 4, \"steps\": 7}",
		"shop: v2 advanced at 20 % (step 4 of 7)");
}

static void
test_shares_keep_their_decimals(void **state)
{
	assert_sentence("{\"event\": \"share_set\", " SHOP
			"\"share\": 99.99, \"previous_share\": 0.01}",
		"shop: v2 moved from 0.01 % to 99.99 %");
	assert_sentence("{\"event\": \"held\", " SHOP "\"share\": 100.0}",
		"shop: v2 held at 100 %");
}

static void
test_versions_of_a_group_are_told_apart(void **state)
{
	assert_sentence("{\"event\": \"started\", \"unit\": \"all\", "
			"\"share\": 1, \"candidate\": {\"page\": \"v7\", "
			"\"api\": \"v2\"}}",
		"all: page v7, api v2 started at 1 %");
	assert_sentence("{\"event\": \"started\", \"unit\": \"all\", "
			"\"share\": 1, \"candidate\": {\"page\": \"v7\", "
			"\"api\": \"v7\"}}",
		"all: v7 started at 1 %");
}

static void
test_what_is_missing_is_left_out(void **state)
{
	assert_sentence(
		"{\"event\": \"test\"}", "perch: a test of this webhook");
	assert_sentence("{\"event\": \"started\", \"unit\": \"shop\"}",
		"shop: started");
	assert_sentence("{\"event\": \"rolled_back\", \"unit\": 1, "
			"\"candidate\": {\"a\": 2}, \"share\": \"x\", "
			"\"reason\": [], \"who\": null}",
		"perch: rolled back");
	assert_sentence("{}", "perch: ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_event_has_its_words),
		cmocka_unit_test(test_the_reason_follows),
		cmocka_unit_test(test_the_state_is_said_once),
		cmocka_unit_test(test_a_person_is_named),
		cmocka_unit_test(test_a_step_is_counted),
		cmocka_unit_test(test_shares_keep_their_decimals),
		cmocka_unit_test(test_versions_of_a_group_are_told_apart),
		cmocka_unit_test(test_what_is_missing_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
