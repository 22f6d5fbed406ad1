#include "journal_disk.h"

#define N_RECORDS 6

/* --- the plain road ------------------------------------------------------------------- */

static void
test_what_was_appended_is_read_back(void **state)
{
	struct journal_file *file = open_good();

	(void)state;
	assert_null(journal_store_next_unit(store, NULL));
	assert_false(folder_has("journal"));
	append(file, 1);
	append(file, 2);
	shut(file);
	assert_has(2);
	file = open_good();
	append(file, 3);
	shut(file);
	assert_has(3);
}

static void
test_file_is_for_its_owner_and_group_only(void **state)
{
	mode_t old = umask(0);
	struct journal_file *file = open_good();
	struct stat status;

	(void)state;
	append(file, 1);
	umask(old);
	assert_int_equal(stat(folder_path("journal"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	shut(file);
}

/* What a power cut could undo otherwise. */
static void
test_all_is_synced_before_it_counts(void **state)
{
	size_t ends[4];
	char *bytes = a_journal(3, ends);
	struct journal_file *file = open_good();

	(void)state;
	set_fault(FAULT_NONE, 0);
	append(file, 1);
	assert_string_equal(calls, "wwsrS");
	set_fault(FAULT_NONE, 0);
	append(file, 2);
	assert_string_equal(calls, "wws");
	shut(file);

	folder_write("journal", bytes, ends[2] - 1);
	set_fault(FAULT_NONE, 0);
	shut(open_any());
	assert_string_equal(calls, "ucs");

	bytes[ends[1]] ^= 1;
	folder_write("journal", bytes, ends[3]);
	set_fault(FAULT_NONE, 0);
	shut(open_any());
	assert_string_equal(calls, "uwwslSrS");
	free(bytes);
}

static void
test_missing_folder_is_made(void **state)
{
	struct journal_file *file;

	(void)state;
	assert_int_equal(rmdir(folder), 0);
	file = open_good();
	append(file, 1);
	shut(file);
	assert_has(1);
}

static void
test_folder_that_cannot_be_used_is_an_error(void **state)
{
	(void)state;
	assert_null(journal_file_open("/nonexistent/perch", &store, &error));
	assert_non_null(strstr(error.message, "/nonexistent/perch"));
	folder_write("plain", "", 0);
	assert_null(journal_file_open(folder_path("plain"), &store, &error));
	assert_non_null(strstr(error.message, folder_path("plain")));
}

static void
test_file_that_is_no_file_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(folder_path("journal"), 0600), 0);
	assert_null(journal_file_open(folder, &store, &error));
	assert_non_null(strstr(error.message, "not a plain file"));
	assert_true(folder_has("journal"));
}

static void
test_folder_is_locked_while_open(void **state)
{
	struct journal_file *file = open_good();
	struct journal_store *other;

	(void)state;
	assert_null(journal_file_open(folder, &other, &error));
	assert_non_null(strstr(error.message, "in use"));
	shut(file);
	assert_has(0);
}

/* --- torn ends ------------------------------------------------------------------------ */

static void
test_any_prefix_has_the_records_that_are_whole(void **state)
{
	size_t ends[N_RECORDS + 1];
	char *bytes = a_journal(N_RECORDS, ends);

	(void)state;
	for (size_t len = 0; len <= ends[N_RECORDS]; len++) {
		int count = n_records_within(ends, N_RECORDS, len);
		struct journal_file *file;

		folder_write("journal", bytes, len);
		file = open_any();
		assert_int_equal(error.message[0] != '\0', len != ends[count]);
		if (len != ends[count])
			assert_non_null(strstr(error.message, "torn"));
		assert_history(journal_store_history(store, "shop", 1000),
			count, count);
		assert_int_equal(file_size(), ends[count]);
		append(file, count + 1);
		shut(file);
		assert_has(count + 1);
	}
	free(bytes);
}

static void
test_damaged_end_of_any_length_is_cut_off(void **state)
{
	static const size_t lengths[] = {1, 100, JOURNAL_LINE_MAX - 1,
		JOURNAL_LINE_MAX, JOURNAL_LINE_MAX + 1, 1024 * 1024};
	size_t ends[3];
	char *bytes = a_journal(2, ends);

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t len = ends[2] + lengths[i / 2];
		char *longer = malloc(len);
		struct journal_file *file;

		assert_non_null(longer);
		memset(longer, 0, len);
		memcpy(longer, bytes, ends[2]);
		longer[len - 1] = i % 2 == 0 ? '\n' : '\0';
		folder_write("journal", longer, len);
		free(longer);
		file = open_any();
		if (strstr(error.message, "after line 2") == NULL)
			fail_msg("%zu: %s", i, error.message);
		assert_int_equal(file_size(), ends[2]);
		append(file, 3);
		shut(file);
		assert_has(3);
	}
	free(bytes);
}

/* --- damage ----------------------------------------------------------------------------- */

static void
assert_damage_is_handled(const char *bytes, size_t len, int count, bool is_end)
{
	struct journal_file *file;

	folder_empty();
	folder_write("journal", bytes, len);
	file = open_any();
	assert_non_null(strstr(error.message, is_end ? "torn" : "damaged"));
	assert_history(
		journal_store_history(store, "shop", 1000), count, count);
	assert_int_equal(folder_has("journal.damaged"), !is_end);
	if (!is_end) {
		assert_non_null(strstr(error.message, "journal.damaged"));
		assert_file_is("journal.damaged", bytes, len);
	}
	append(file, count + 1);
	shut(file);
	assert_has(count + 1);
}

/* Where a line's end is damaged, that line and the next are one bad one. */
static void
test_damage_of_any_byte_costs_nothing_before_it(void **state)
{
	size_t ends[N_RECORDS + 1];
	char *bytes = a_journal(N_RECORDS, ends);

	(void)state;
	for (size_t i = 0; i < ends[N_RECORDS]; i++) {
		int before = n_records_within(ends, N_RECORDS, i);
		int n_bad = bytes[i] == '\n' ? 2 : 1;

		bytes[i] ^= 1;
		assert_damage_is_handled(bytes, ends[N_RECORDS], before,
			before + n_bad >= N_RECORDS);
		bytes[i] ^= 1;
	}
	free(bytes);
}

static void
test_whole_line_that_is_no_entry_is_damage(void **state)
{
	size_t ends[3];
	char *good = a_journal(2, ends);
	struct journal_text text = {0};

	(void)state;
	journal_text_add(&text, good, ends[1]);
	journal_text_add(&text, "\n", 1);
	journal_text_add(&text, good + ends[1], ends[2] - ends[1]);
	assert_damage_is_handled(text.bytes, text.len, 1, false);
	free(text.bytes);
	free(good);
}

/* Until it can be kept aside, a damaged file isn't replaced. */
static void
test_damaged_file_is_not_replaced_while_it_cannot_be_kept(void **state)
{
	size_t ends[4];
	char *bytes = a_journal(3, ends);
	struct journal_file *file;

	(void)state;
	bytes[ends[1]] ^= 1;
	folder_write("journal", bytes, ends[3]);
	assert_int_equal(mkdir(folder_path("journal.damaged"), 0700), 0);
	file = open_any();
	assert_non_null(strstr(error.message, "damaged in line 2"));
	assert_non_null(strstr(error.message, "nothing can be written"));
	assert_false(append_padded(file, 2, 0));
	assert_file_is("journal", bytes, ends[3]);

	assert_int_equal(rmdir(folder_path("journal.damaged")), 0);
	assert_true(append_padded(file, 2, 0));
	assert_non_null(strstr(error.message, "journal.damaged"));
	assert_file_is("journal.damaged", bytes, ends[3]);
	append(file, 3);
	shut(file);
	assert_has(3);
	free(bytes);
}

/* --- folders that can't be written to -------------------------------------------- */

/* Run as root one may write anywhere; as nobody one may not. */
static void
become(uid_t user)
{
	if (getuid() == 0)
		assert_int_equal(seteuid(user), 0);
}

#define NOBODY 65534

static void
test_read_only_folder_is_read_and_written_once_it_can_be(void **state)
{
	struct journal_file *file = open_good();

	(void)state;
	append(file, 1);
	shut(file);
	assert_int_equal(chmod(folder_path("journal"), 0444), 0);
	assert_int_equal(chmod(folder, 0555), 0);
	become(NOBODY);
	file = open_good();
	assert_int_equal(number_of(journal_store_state(store, "shop")), 1);
	assert_false(append_padded(file, 2, 0));
	assert_non_null(strstr(error.message, "Permission denied"));
	become(0);
	assert_int_equal(chmod(folder, 0777), 0);
	become(NOBODY);
	append(file, 2);
	append(file, 3);
	shut(file);
	become(0);
	assert_has(3);
}

static void
test_empty_read_only_folder_is_opened(void **state)
{
	struct journal_file *file;

	(void)state;
	assert_int_equal(chmod(folder, 0555), 0);
	become(NOBODY);
	file = open_good();
	assert_false(append_padded(file, 1, 0));
	become(0);
	assert_int_equal(chmod(folder, 0777), 0);
	append(file, 1);
	shut(file);
	assert_has(1);
}

/* --- others' hands ---------------------------------------------------------------------- */

static void
test_removed_file_is_written_anew(void **state)
{
	struct journal_file *file = open_good();

	(void)state;
	append(file, 1);
	append(file, 2);
	assert_int_equal(unlink(folder_path("journal")), 0);
	assert_true(append_padded(file, 3, 0));
	assert_non_null(strstr(error.message, "somebody else"));
	assert_false(folder_has("journal.damaged"));
	append(file, 4);
	shut(file);
	assert_has(4);
}

static void
test_replaced_file_is_kept_aside(void **state)
{
	struct journal_file *file = open_good();

	(void)state;
	append(file, 1);
	assert_int_equal(unlink(folder_path("journal")), 0);
	folder_write("journal", "theirs", 6);
	assert_true(append_padded(file, 2, 0));
	assert_non_null(strstr(error.message, "journal.damaged"));
	assert_file_is("journal.damaged", "theirs", 6);
	shut(file);
	assert_has(2);
}

/* Of what is good in a file that was changed under us nothing is lost. */
static void
test_damage_met_while_running_costs_the_damaged_only(void **state)
{
	struct journal_file *file = open_good();
	size_t len;
	char *bytes;

	(void)state;
	append(file, 1);
	append(file, 2);
	append(file, 3);
	bytes = folder_read("journal", &len);
	bytes[20] ^= 1;
	folder_write("journal", bytes, len);
	/* Something that makes it write the whole. */
	set_fault(FAULT_FROM_THEN_ON, 1);
	assert_false(append_padded(file, 4, 100));
	set_fault(FAULT_NONE, 0);
	assert_true(append_padded(file, 4, 0));
	assert_non_null(strstr(error.message, "journal.damaged"));
	shut(file);
	file = open_good();
	assert_history(journal_store_history(store, "shop", 1000), 4, 3);
	shut(file);
	free(bytes);
}

static void
test_truncated_file_is_noticed(void **state)
{
	struct journal_file *file = open_good();

	(void)state;
	append(file, 1);
	assert_int_equal(truncate(folder_path("journal"), 0), 0);
	assert_true(append_padded(file, 2, 0));
	assert_non_null(strstr(error.message, "somebody else"));
	shut(file);
	file = open_good();
	assert_history(journal_store_history(store, "shop", 1000), 2, 1);
	shut(file);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, set_up, folder_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_appended_is_read_back),
		TEST(test_file_is_for_its_owner_and_group_only),
		TEST(test_all_is_synced_before_it_counts),
		TEST(test_missing_folder_is_made),
		TEST(test_folder_that_cannot_be_used_is_an_error),
		TEST(test_file_that_is_no_file_is_an_error),
		TEST(test_folder_is_locked_while_open),
		TEST(test_any_prefix_has_the_records_that_are_whole),
		TEST(test_damaged_end_of_any_length_is_cut_off),
		TEST(test_damage_of_any_byte_costs_nothing_before_it),
		TEST(test_whole_line_that_is_no_entry_is_damage),
		TEST(test_damaged_file_is_not_replaced_while_it_cannot_be_kept),
		TEST(test_read_only_folder_is_read_and_written_once_it_can_be),
		TEST(test_empty_read_only_folder_is_opened),
		TEST(test_removed_file_is_written_anew),
		TEST(test_replaced_file_is_kept_aside),
		TEST(test_damage_met_while_running_costs_the_damaged_only),
		TEST(test_truncated_file_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
