#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "proxy/rescue_memory.h"

#define SECOND UINT64_C(1000000000)
#define T0 (1000 * SECOND)
#define STATE 7

static struct rescue_memory memory;

static int
set_up(void **state)
{
	(void)state;
	rescue_memory_init(&memory);
	rescue_memory_follow(&memory, STATE);
	return 0;
}

static uint64_t
path(unsigned n)
{
	return hash_u64(n, 0);
}

/* The n-th of those that share a set. */
static uint64_t
path_of_set(unsigned n)
{
	return (uint64_t)n << 32 | 2;
}

static int
recall(uint64_t of)
{
	unsigned version = 0;

	return rescue_memory_recall(&memory, of, &version) == RESCUE_UNKNOWN
		       ? -1
		       : (int)version;
}

static void
test_what_was_learned_is_recalled(void **state)
{
	(void)state;
	assert_int_equal(recall(path(1)), -1);
	rescue_memory_learn(&memory, STATE, path(1), 3);
	rescue_memory_learn(&memory, STATE, path(2), 4);
	assert_int_equal(recall(path(1)), 3);
	assert_int_equal(recall(path(2)), 4);
	assert_int_equal(recall(path(3)), -1);
	rescue_memory_learn(&memory, STATE, path(1), 5);
	assert_int_equal(recall(path(1)), 5);
}

static void
test_what_is_forgotten_is_unknown(void **state)
{
	(void)state;
	rescue_memory_learn(&memory, STATE, path(1), 3);
	rescue_memory_forget(&memory, path(2));
	assert_int_equal(recall(path(1)), 3);
	rescue_memory_forget(&memory, path(1));
	assert_int_equal(recall(path(1)), -1);
}

static void
test_another_state_ends_all(void **state)
{
	(void)state;
	rescue_memory_learn(&memory, STATE, path(1), 3);
	rescue_memory_note_nowhere(&memory, STATE, path(2), T0);
	rescue_memory_follow(&memory, STATE);
	assert_int_equal(recall(path(1)), 3);
	assert_true(rescue_memory_is_nowhere(&memory, path(2), T0));
	rescue_memory_follow(&memory, STATE + 1);
	assert_int_equal(recall(path(1)), -1);
	assert_false(rescue_memory_is_nowhere(&memory, path(2), T0));
	/* It doesn't come back, either. */
	rescue_memory_follow(&memory, STATE);
	assert_int_equal(recall(path(1)), -1);
}

static void
test_an_answer_of_an_older_state_is_not_learned(void **state)
{
	(void)state;
	rescue_memory_learn(&memory, STATE - 1, path(1), 3);
	rescue_memory_note_nowhere(&memory, STATE - 1, path(2), T0);
	assert_int_equal(recall(path(1)), -1);
	assert_false(rescue_memory_is_nowhere(&memory, path(2), T0));
}

static void
test_each_twentieth_use_is_a_test(void **state)
{
	unsigned version;

	(void)state;
	rescue_memory_learn(&memory, STATE, path(1), 3);
	rescue_memory_learn(&memory, STATE, path(2), 3);
	for (unsigned i = 1; i <= 100; i++) {
		assert_int_equal(
			rescue_memory_recall(&memory, path(1), &version),
			i % RESCUE_TEST_EVERY == 0 ? RESCUE_KNOWN_TEST
						   : RESCUE_KNOWN);
		assert_int_equal(version, 3);
	}
	/* Each path has its own turn. */
	assert_int_equal(
		rescue_memory_recall(&memory, path(2), &version), RESCUE_KNOWN);
}

static void
test_test_that_confirms_keeps_the_count(void **state)
{
	unsigned version;

	(void)state;
	rescue_memory_learn(&memory, STATE, path(1), 3);
	for (unsigned i = 1; i <= RESCUE_TEST_EVERY; i++)
		rescue_memory_recall(&memory, path(1), &version);
	rescue_memory_learn(&memory, STATE, path(1), 3);
	assert_int_equal(
		rescue_memory_recall(&memory, path(1), &version), RESCUE_KNOWN);
}

static void
test_used_paths_outlive_a_flood(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		rescue_memory_learn(&memory, STATE, path_of_set(n), n);
		assert_int_equal(recall(path_of_set(n)), (int)n);
	}
	for (unsigned n = 100; n < 10000; n++)
		rescue_memory_learn(&memory, STATE, path_of_set(n), 9);
	for (unsigned n = 0; n < 3; n++)
		assert_int_equal(recall(path_of_set(n)), (int)n);
	assert_int_equal(recall(path_of_set(9999)), 9);
}

static void
test_a_build_s_assets_have_room(void **state)
{
	unsigned kept = 0;

	(void)state;
	for (unsigned n = 0; n < 200; n++)
		rescue_memory_learn(&memory, STATE, path(n), 1);
	for (unsigned n = 0; n < 200; n++)
		kept += recall(path(n)) == 1;
	assert_true(kept >= 190);
}

static void
test_nowhere_is_for_ten_seconds(void **state)
{
	(void)state;
	assert_false(rescue_memory_is_nowhere(&memory, path(1), T0));
	rescue_memory_note_nowhere(&memory, STATE, path(1), T0);
	assert_true(rescue_memory_is_nowhere(
		&memory, path(1), T0 + 10 * SECOND - 1));
	assert_false(rescue_memory_is_nowhere(&memory, path(2), T0));
	assert_false(
		rescue_memory_is_nowhere(&memory, path(1), T0 + 10 * SECOND));
	rescue_memory_note_nowhere(&memory, STATE, path(1), T0 + 10 * SECOND);
	assert_true(rescue_memory_is_nowhere(
		&memory, path(1), T0 + 20 * SECOND - 1));
}

static void
test_the_oldest_of_nowhere_goes_first(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 5; n++)
		rescue_memory_note_nowhere(
			&memory, STATE, path_of_set(n), T0 + n);
	assert_false(rescue_memory_is_nowhere(&memory, path_of_set(0), T0 + 5));
	for (unsigned n = 1; n < 5; n++)
		assert_true(rescue_memory_is_nowhere(
			&memory, path_of_set(n), T0 + 5));
	/* Noted again it takes no second place. */
	for (unsigned n = 0; n < 4; n++)
		rescue_memory_note_nowhere(
			&memory, STATE, path_of_set(1), T0 + 10 + n);
	for (unsigned n = 1; n < 5; n++)
		assert_true(rescue_memory_is_nowhere(
			&memory, path_of_set(n), T0 + 5));
}

static void
test_size_is_as_stated(void **state)
{
	(void)state;
	assert_true(sizeof(memory) <= 12 * 1024 + 16);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_learned_is_recalled),
		TEST(test_what_is_forgotten_is_unknown),
		TEST(test_another_state_ends_all),
		TEST(test_an_answer_of_an_older_state_is_not_learned),
		TEST(test_each_twentieth_use_is_a_test),
		TEST(test_test_that_confirms_keeps_the_count),
		TEST(test_used_paths_outlive_a_flood),
		TEST(test_a_build_s_assets_have_room),
		TEST(test_nowhere_is_for_ten_seconds),
		TEST(test_the_oldest_of_nowhere_goes_first),
		TEST(test_size_is_as_stated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
