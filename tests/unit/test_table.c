#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/table.h"

#define N 5000

static int values[N];

static struct slice
key_of(int i, char buf[16])
{
	int len = snprintf(buf, 16, "key-%d", i);

	return (struct slice){buf, (size_t)len};
}

static void
test_empty_table_finds_nothing(void **state)
{
	struct table table;

	table_init(&table);
	assert_null(table_find(&table, SLICE("a")));
	assert_null(table_remove(&table, SLICE("a")));
	table_free(&table);
}

static void
test_set_replaces_and_keys_are_copied(void **state)
{
	struct table table;
	char key[] = "same";

	table_init(&table);
	table_set(&table, slice_from_string(key), &values[0]);
	table_set(&table, slice_from_string(key), &values[1]);
	key[0] = 'x';
	assert_ptr_equal(table_find(&table, SLICE("same")), &values[1]);
	assert_null(table_find(&table, SLICE("xame")));
	assert_int_equal(table.n_used, 1);
	table_free(&table);
}

static void
test_keys_are_bytes_not_strings(void **state)
{
	struct table table;

	table_init(&table);
	table_set(&table, SLICE("a\0b"), &values[0]);
	table_set(&table, SLICE("a\0c"), &values[1]);
	table_set(&table, (struct slice){NULL, 0}, &values[2]);
	assert_ptr_equal(table_find(&table, SLICE("a\0b")), &values[0]);
	assert_ptr_equal(table_find(&table, SLICE("a\0c")), &values[1]);
	assert_ptr_equal(table_find(&table, SLICE("")), &values[2]);
	assert_null(table_find(&table, SLICE("a")));
	table_free(&table);
}

/* Removing closes holes in runs of probes; every other key must stay. */
static void
test_many_keys_survive_growth_and_removal(void **state)
{
	struct table table;
	char buf[16];
	int i;

	table_init(&table);
	for (i = 0; i < N; i++)
		table_set(&table, key_of(i, buf), &values[i]);
	assert_int_equal(table.n_used, N);
	for (i = 0; i < N; i++) {
		if (i % 3 == 0)
			continue;
		assert_ptr_equal(
			table_remove(&table, key_of(i, buf)), &values[i]);
		assert_null(table_remove(&table, key_of(i, buf)));
	}
	for (i = 0; i < N; i++) {
		void *want = i % 3 == 0 ? &values[i] : NULL;

		assert_ptr_equal(table_find(&table, key_of(i, buf)), want);
	}
	assert_true(table.n_used * 4 <= table.n_slots * 3);
	table_free(&table);
}

/* A table that is as full as it gets still ends each search. */
static void
test_removal_in_a_small_full_table(void **state)
{
	char buf[16];
	int gone, i;

	for (gone = 0; gone < 12; gone++) {
		struct table table;

		table_init(&table);
		for (i = 0; i < 12; i++)
			table_set(&table, key_of(i, buf), &values[i]);
		assert_int_equal(table.n_slots, 16);
		table_remove(&table, key_of(gone, buf));
		for (i = 0; i < 12; i++) {
			void *want = i != gone ? &values[i] : NULL;

			assert_ptr_equal(
				table_find(&table, key_of(i, buf)), want);
		}
		table_free(&table);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_table_finds_nothing),
		cmocka_unit_test(test_set_replaces_and_keys_are_copied),
		cmocka_unit_test(test_keys_are_bytes_not_strings),
		cmocka_unit_test(test_many_keys_survive_growth_and_removal),
		cmocka_unit_test(test_removal_in_a_small_full_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
