#include "journal_folder.h"

#include <inttypes.h>

#include "base/hash.h"
#include "release/journal_store.h"

static struct error error;

static void
add(struct journal_store *store, const char *json)
{
	json_t *entry = json_loads(json, 0, NULL);

	assert_non_null(entry);
	journal_store_add(store, entry);
}

/* What a line has before its JSON. */
static void
seal(const char *json, char *line, size_t size)
{
	snprintf(line, size, "%016" PRIx64 " %s",
		hash_bytes(json, strlen(json), 0), json);
}

static json_t *
read_sealed(const char *json)
{
	size_t size = strlen(json) + 32;
	char *line = malloc(size);
	json_t *entry;

	assert_non_null(line);
	seal(json, line, size);
	entry = journal_line_read(line, strlen(line));
	free(line);
	return entry;
}

/* Writes a store and reads what was written into a new one. */
static struct journal_store *
written_and_read(const struct journal_store *store, size_t *n_lines)
{
	struct journal_store *again = journal_store_new();
	struct journal_text text = {0};
	const char *line, *end;

	*n_lines = 0;
	journal_store_write(store, &text);
	for (line = text.bytes; line < text.bytes + text.len; line = end + 1) {
		json_t *entry;

		end = memchr(
			line, '\n', text.len - (size_t)(line - text.bytes));
		assert_non_null(end);
		entry = journal_line_read(line, (size_t)(end - line));
		assert_non_null(entry);
		journal_store_add(again, entry);
		++*n_lines;
	}
	free(text.bytes);
	return again;
}

/* --- lines ---------------------------------------------------------------------- */

static void
test_line_has_the_checksum_of_its_json(void **state)
{
	json_t *entry = json_pack("{s:s, s:i}", "unit", "shop", "n", 1);
	json_t *copy;
	struct journal_text text = {0};
	/* XXH3_64bits() of the JSON, without a seed. */
	const char *expected = "fb1cf208813d3101 {\"unit\":\"shop\",\"n\":1}\n";

	(void)state;
	copy = journal_line_write(entry, &text, &error);
	assert_true(json_equal(copy, entry));
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.bytes, expected, text.len);
	json_decref(copy);
	copy = journal_line_read(text.bytes, text.len - 1);
	assert_true(json_equal(copy, entry));
	json_decref(copy);
	json_decref(entry);
	free(text.bytes);
}

static void
test_line_with_another_checksum_is_damaged(void **state)
{
	char line[64];

	(void)state;
	seal("{\"unit\":\"abc\"}", line, sizeof(line));
	for (size_t i = 0; i < strlen(line); i++) {
		line[i] ^= 1;
		assert_null(journal_line_read(line, strlen(line)));
		line[i] ^= 1;
		assert_null(journal_line_read(line, i));
	}
	for (size_t i = 0; i < 16; i++)
		if (line[i] >= 'a')
			line[i] -= 'a' - 'A';
	assert_null(journal_line_read(line, strlen(line)));
}

static void
test_line_must_be_an_object_that_names_its_unit(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "7", "\"unit\"", "{}",
		"{\"unit\":7}", "{\"unit\":\"\"}", "{\"unit\":null}",
		"{\"unit\":\"a\"} x", "{\"unit\":\"a\",\"unit\":\"b\"}",
		"{\"unit\":\"a\",\"x\":\"\\u0000\"}",
		"{\"unit\":\"a\",\"x\":\"\xff\"}"};
	json_t *entry;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if ((entry = read_sealed(bad[i])) != NULL)
			fail_msg("%s", bad[i]);
	entry = read_sealed(" { \"unit\" : \"a\" } ");
	assert_non_null(entry);
	json_decref(entry);
}

static void
test_entry_that_could_not_be_read_back_is_refused(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} bad[] = {
		{"[]", "no unit"},
		{"{}", "no unit"},
		{"{\"unit\":\"\"}", "no unit"},
		{"{\"unit\":\"a\",\"x\":\"\\u0000\"}", "read back"},
	};
	struct journal_text text = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *entry = json_loads(bad[i].text, JSON_ALLOW_NUL, NULL);

		assert_non_null(entry);
		assert_null(journal_line_write(entry, &text, &error));
		assert_non_null(strstr(error.message, bad[i].reason));
		json_decref(entry);
	}
	assert_int_equal(text.len, 0);
}

static void
test_entry_may_have_1_mib_and_no_more(void **state)
{
	struct journal_text text = {0};
	json_t *entry = an_entry("shop", 1, 0);
	size_t padding = JOURNAL_ENTRY_MAX - json_dumpb(entry, NULL, 0, JSON_COMPACT);
	json_t *copy;

	(void)state;
	json_decref(entry);
	entry = an_entry("shop", 1, padding);
	copy = journal_line_write(entry, &text, &error);
	assert_non_null(copy);
	assert_int_equal(text.len, JOURNAL_LINE_MAX);
	json_decref(copy);
	json_decref(entry);
	entry = an_entry("shop", 1, padding + 1);
	assert_null(journal_line_write(entry, &text, &error));
	assert_non_null(strstr(error.message, "1048577"));
	assert_int_equal(text.len, JOURNAL_LINE_MAX);
	json_decref(entry);
	free(text.bytes);
}

/* So many times 0.1 are short enough, but not when they were written again. */
static void
test_line_that_would_get_too_long_is_damaged(void **state)
{
	static char json[JOURNAL_ENTRY_MAX];

	(void)state;
	strcpy(json, "{\"unit\":\"a\",\"x\":[0.1");
	for (size_t i = strlen(json); i < JOURNAL_ENTRY_MAX / 2; i += 4)
		strcpy(json + i, ",0.1");
	strcat(json, "]}");
	assert_null(read_sealed(json));
}

/* --- the store -------------------------------------------------------------------- */

static void
test_newest_state_counts(void **state)
{
	struct journal_store *store = journal_store_new();
	const json_t *got;

	(void)state;
	assert_null(journal_store_state(store, "shop"));
	add(store, "{\"unit\":\"shop\",\"state\":{\"a\":1}}");
	add(store, "{\"unit\":\"api\",\"state\":{\"a\":2}}");
	add(store, "{\"unit\":\"shop\",\"state\":{\"a\":3}}");
	add(store, "{\"unit\":\"shop\",\"what\":\"held\"}");
	add(store, "{\"unit\":\"shop\",\"state\":null}");
	got = journal_store_state(store, "shop");
	assert_int_equal(json_integer_value(json_object_get(got, "a")), 3);
	got = journal_store_state(store, "api");
	assert_int_equal(json_integer_value(json_object_get(got, "a")), 2);
	journal_store_free(store);
}

static void
test_units_can_be_listed(void **state)
{
	struct journal_store *store = journal_store_new();
	const char *unit;

	(void)state;
	assert_null(journal_store_next_unit(store, NULL));
	assert_null(journal_store_next_unit(store, "shop"));
	add(store, "{\"unit\":\"shop\"}");
	add(store, "{\"unit\":\"api\"}");
	add(store, "{\"unit\":\"shop\"}");
	unit = journal_store_next_unit(store, NULL);
	assert_string_equal(unit, "shop");
	unit = journal_store_next_unit(store, unit);
	assert_string_equal(unit, "api");
	assert_null(journal_store_next_unit(store, unit));
	journal_store_free(store);
}

static void
test_history_has_the_newest_200_of_each_unit(void **state)
{
	struct journal_store *store = journal_store_new();

	(void)state;
	journal_store_add(store, an_entry("api", 7, 0));
	for (int i = 1; i <= 450; i++)
		journal_store_add(store, an_entry("shop", i, 0));
	assert_history(journal_store_history(store, "shop", 1000), 450, 200);
	assert_history(journal_store_history(store, "shop", 3), 450, 3);
	assert_history(journal_store_history(store, "shop", 0), 450, 0);
	assert_history(journal_store_history(store, "api", 1000), 7, 1);
	assert_history(journal_store_history(store, "other", 1000), 0, 0);
	journal_store_free(store);
}

static void
test_unknown_keys_are_kept(void **state)
{
	struct journal_store *store = journal_store_new();
	struct journal_store *again;
	size_t n_lines;
	json_t *history;
	json_t *expected = json_loads("[{\"unit\":\"shop\",\"new\":[1,{}],"
				      "\"evidence\":{\"e\":12.25}}]",
		0, NULL);

	(void)state;
	add(store, "{\"unit\":\"shop\",\"new\":[1,{}],\"state\":{\"b\":true},"
		   "\"evidence\":{\"e\":12.25}}");
	again = written_and_read(store, &n_lines);
	history = journal_store_history(again, "shop", 1);
	assert_true(json_equal(history, expected));
	assert_true(json_is_true(
		json_object_get(journal_store_state(again, "shop"), "b")));
	json_decref(history);
	json_decref(expected);
	journal_store_free(store);
	journal_store_free(again);
}

static void
test_writing_keeps_states_and_histories(void **state)
{
	struct journal_store *store = journal_store_new();
	struct journal_store *again;
	struct journal_text text = {0};
	size_t n_lines;

	(void)state;
	for (int i = 1; i <= 300; i++) {
		journal_store_add(store, an_entry("shop", i, 1000));
		journal_store_add(store, an_entry("api", i, 0));
	}
	journal_store_write(store, &text);
	/* Of the states only the newest are written. */
	assert_in_range(text.len, 400 * 50, 400 * 100 + 1000);
	free(text.bytes);
	again = written_and_read(store, &n_lines);
	assert_int_equal(n_lines, 400);
	assert_history(journal_store_history(again, "shop", 1000), 300, 200);
	assert_history(journal_store_history(again, "api", 1000), 300, 200);
	assert_int_equal(number_of(journal_store_state(again, "shop")), 300);
	assert_int_equal(number_of(journal_store_state(again, "api")), 300);
	journal_store_free(store);
	journal_store_free(again);
}

static void
test_state_outlives_the_entry_that_brought_it(void **state)
{
	struct journal_store *store = journal_store_new();
	struct journal_store *again, *once_more;
	size_t n_lines;

	(void)state;
	journal_store_add(store, an_entry("shop", 1, 0));
	for (int i = 2; i <= 500; i++) {
		json_t *entry = an_entry("shop", i, 0);

		json_object_del(entry, "state");
		journal_store_add(store, entry);
	}
	again = written_and_read(store, &n_lines);
	assert_int_equal(n_lines, 201);
	once_more = written_and_read(again, &n_lines);
	assert_int_equal(n_lines, 201);
	assert_int_equal(number_of(journal_store_state(once_more, "shop")), 1);
	assert_history(
		journal_store_history(once_more, "shop", 1000), 500, 200);
	journal_store_free(store);
	journal_store_free(again);
	journal_store_free(once_more);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_has_the_checksum_of_its_json),
		cmocka_unit_test(test_line_with_another_checksum_is_damaged),
		cmocka_unit_test(
			test_line_must_be_an_object_that_names_its_unit),
		cmocka_unit_test(
			test_entry_that_could_not_be_read_back_is_refused),
		cmocka_unit_test(test_entry_may_have_1_mib_and_no_more),
		cmocka_unit_test(test_line_that_would_get_too_long_is_damaged),
		cmocka_unit_test(test_newest_state_counts),
		cmocka_unit_test(test_units_can_be_listed),
		cmocka_unit_test(test_history_has_the_newest_200_of_each_unit),
		cmocka_unit_test(test_unknown_keys_are_kept),
		cmocka_unit_test(test_writing_keeps_states_and_histories),
		cmocka_unit_test(test_state_outlives_the_entry_that_brought_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
