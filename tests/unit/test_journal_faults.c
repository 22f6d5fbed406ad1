#include "journal_disk.h"

#include <sys/wait.h>

#define N_RECORDS 6

/* --- crashes while it is written as a whole ------------------------------------------- */

/* Runs work in a child that ends before its call number n. Returns whether the
 * child came so far. */
static bool
ends_at_call(int n, void (*work)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		set_fault(FAULT_EXIT, n);
		work();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 0)
		return false;
	assert_int_equal(WEXITSTATUS(status), EXITED_AT_A_CALL);
	return true;
}

/* Three states of which one is alive, large enough to be worth it. */
static void
write_mostly_dead(void)
{
	struct journal_text lines = {0};

	for (int i = 1; i <= 3; i++)
		add_line(&lines, "shop", i, 40000);
	folder_write("journal", lines.bytes, lines.len);
	free(lines.bytes);
}

static void
just_open(void)
{
	struct journal_file *file = journal_file_open(folder, &store, &error);

	journal_file_close(file);
}

static void
test_mostly_dead_journal_is_compacted_when_opened(void **state)
{
	(void)state;
	write_mostly_dead();
	assert_has(3);
	assert_in_range(file_size(), 40000, 41000);
	assert_has(3);
}

static void
test_crash_in_compaction_at_the_start_loses_nothing(void **state)
{
	bool has_crashed;
	int n = 0;

	(void)state;
	do {
		folder_empty();
		write_mostly_dead();
		has_crashed = ends_at_call(n++, just_open);
		assert_has(3);
	} while (has_crashed);
	/* The writes, two fsyncs, a rename. */
	assert_in_range(n, 5, 50);
}

static struct journal_file *opened;

static void
compact(void)
{
	(void)!journal_file_compact(opened, &error);
}

static struct journal_file *
open_large(void)
{
	struct journal_file *file;
	struct journal_text lines = {0};

	folder_empty();
	file = open_good();
	append(file, 1);
	for (int i = 2; i <= 75; i++)
		add_line(&lines, "shop", i, 60000);
	assert_true(journal_file_append(file, &lines, &error));
	free(lines.bytes);
	assert_in_range(file_size(), JOURNAL_COMPACT_SIZE, SIZE_MAX);
	return file;
}

static void
test_crash_in_compaction_loses_nothing(void **state)
{
	int n = 0;
	bool has_crashed;

	(void)state;
	do {
		opened = open_large();
		has_crashed = ends_at_call(n++, compact);
		shut(opened);
		if (has_crashed)
			assert_has(75);
	} while (has_crashed);
	assert_in_range(n, 5, 60);
	assert_in_range(file_size(), 60000, 100000);
	assert_has(75);
}

static void
test_appending_goes_on_after_compaction(void **state)
{
	struct journal_file *file = open_large();

	(void)state;
	assert_true(journal_file_compact(file, &error));
	assert_string_equal(error.message, "");
	assert_in_range(file_size(), 60000, 100000);
	append(file, 76);
	assert_true(journal_file_compact(file, &error));
	append(file, 77);
	shut(file);
	assert_has(77);
}

/* What is alive may be more than 4 MiB; then it isn't done with each line. */
static void
test_large_journal_is_not_compacted_all_the_time(void **state)
{
	struct journal_file *file = open_good();
	struct journal_text lines = {0};

	(void)state;
	for (int i = 1; i <= 80; i++) {
		char unit[16];

		snprintf(unit, sizeof(unit), "unit-%d", i);
		add_line(&lines, unit, i, 60000);
	}
	assert_true(journal_file_append(file, &lines, &error));
	free(lines.bytes);
	assert_true(journal_file_compact(file, &error));
	append(file, 1);
	set_fault(FAULT_NONE, 0);
	assert_true(journal_file_compact(file, &error));
	assert_int_equal(n_calls, 0);
	shut(file);
	file = open_good();
	set_fault(FAULT_NONE, 0);
	assert_true(journal_file_compact(file, &error));
	assert_int_equal(n_calls, 0);
	shut(file);
}

static void
test_temporary_file_left_by_a_crash_is_no_journal(void **state)
{
	struct journal_file *file;
	size_t ends[3];
	char *bytes = a_journal(2, ends);

	(void)state;
	folder_write("journal.tmp", bytes, ends[2]);
	assert_has(0);
	folder_write("journal", bytes, ends[1]);
	folder_write("journal.tmp", bytes, ends[2]);
	file = open_good();
	append(file, 2);
	shut(file);
	assert_has(2);
	free(bytes);
}

static void
test_crash_in_the_repair_of_damage_loses_nothing(void **state)
{
	bool has_crashed;
	int n = 0;
	size_t ends[N_RECORDS + 1];
	char *bytes = a_journal(N_RECORDS, ends);

	(void)state;
	bytes[ends[2] + 30] ^= 1;
	do {
		struct journal_file *file;

		folder_empty();
		folder_write("journal", bytes, ends[N_RECORDS]);
		/* An earlier one is in the way. */
		folder_write("journal.damaged", "old", 3);
		has_crashed = ends_at_call(n++, just_open);
		file = open_any();
		assert_history(
			journal_store_history(store, "shop", 1000), 2, 2);
		shut(file);
		assert_file_is("journal.damaged", bytes, ends[N_RECORDS]);
		assert_has(2);
	} while (has_crashed);
	assert_in_range(n, 8, 50);
	free(bytes);
}

/* --- calls that fail ------------------------------------------------------------------- */

/* Appends 2, in which call n fails, to what has 1, and then 3. Returns whether
 * it came to that call. If it failed 2 isn't there afterwards. */
static bool
append_with_fault(struct journal_file *file, enum fault what, int n)
{
	bool is_written;

	set_fault(what, n);
	is_written = append_padded(file, 2, 100);
	if (is_written)
		assert_string_equal(error.message, "");
	else
		assert_non_null(strstr(error.message, "No space left"));
	if (n_calls <= n)
		assert_true(is_written);
	if (what == FAULT_FROM_THEN_ON && !is_written)
		assert_false(append_padded(file, 2, 100));
	set_fault(FAULT_NONE, 0);
	append(file, is_written ? 3 : 2);
	append(file, is_written ? 4 : 3);
	shut(file);
	assert_has(is_written ? 4 : 3);
	return !is_written;
}

static void
test_failed_append_is_undone(void **state)
{
	static const enum fault faults[] = {FAULT_ONCE, FAULT_FROM_THEN_ON};

	(void)state;
	for (int i = 0; i < 2; i++) {
		int n = 0;
		struct journal_file *file;

		do {
			folder_empty();
			file = open_good();
			append(file, 1);
		} while (append_with_fault(file, faults[i], n++));
		assert_in_range(n, 3, 50);
	}
}

/* As it is where the folder was read-only, or cutting failed. */
static void
test_failed_write_of_the_whole_is_undone(void **state)
{
	static const enum fault faults[] = {FAULT_ONCE, FAULT_FROM_THEN_ON};

	(void)state;
	for (int i = 0; i < 2; i++) {
		int n = 0;
		struct journal_file *file;

		do {
			folder_empty();
			file = open_good();
			append(file, 1);
			set_fault(FAULT_FROM_THEN_ON, 1);
			assert_false(append_padded(file, 2, 100));
			set_fault(FAULT_NONE, 0);
		} while (append_with_fault(file, faults[i], n++));
		assert_in_range(n, 6, 50);
	}
}

static void
test_failed_compaction_leaves_the_file(void **state)
{
	bool is_done;
	int n = 0;

	(void)state;
	do {
		struct journal_file *file = open_large();

		set_fault(FAULT_ONCE, n++);
		is_done = journal_file_compact(file, &error);
		if (!is_done)
			assert_non_null(strstr(error.message, "No space left"));
		set_fault(FAULT_NONE, 0);
		append(file, 76);
		shut(file);
		assert_has(76);
	} while (!is_done);
	assert_in_range(n, 5, 60);
}

static void
test_failed_cut_of_a_torn_end_is_made_up_for(void **state)
{
	size_t ends[4];
	char *bytes = a_journal(3, ends);

	(void)state;
	for (int n = 0; n < 2; n++) {
		struct journal_file *file;

		folder_write("journal", bytes, ends[3] - 1);
		set_fault(FAULT_ONCE, n);
		file = open_any();
		assert_non_null(strstr(error.message, "torn"));
		set_fault(FAULT_NONE, 0);
		append(file, 3);
		shut(file);
		assert_has(3);
	}
	free(bytes);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, set_up, folder_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mostly_dead_journal_is_compacted_when_opened),
		TEST(test_crash_in_compaction_at_the_start_loses_nothing),
		TEST(test_crash_in_compaction_loses_nothing),
		TEST(test_appending_goes_on_after_compaction),
		TEST(test_large_journal_is_not_compacted_all_the_time),
		TEST(test_temporary_file_left_by_a_crash_is_no_journal),
		TEST(test_crash_in_the_repair_of_damage_loses_nothing),
		TEST(test_failed_append_is_undone),
		TEST(test_failed_write_of_the_whole_is_undone),
		TEST(test_failed_compaction_leaves_the_file),
		TEST(test_failed_cut_of_a_torn_end_is_made_up_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
