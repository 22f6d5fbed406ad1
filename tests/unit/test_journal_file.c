#include "journal_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "release/journal_file.h"

static struct error error;

/* --- calls that fail, or end the program ----------------------------------------- */

enum fault { FAULT_NONE, FAULT_ONCE, FAULT_FROM_THEN_ON, FAULT_EXIT };

#define EXITED_AT_A_CALL 77

static enum fault fault;
static int calls_until_fault;
static int n_calls;
/* A letter for each call: write, sync, Sync of a folder, cut, rename, link,
 * unlink. */
static char calls[64];

static void
set_fault(enum fault what, int after_calls)
{
	fault = what;
	calls_until_fault = after_calls;
	n_calls = 0;
	memset(calls, 0, sizeof(calls));
}

/* Whether this call is to fail. */
static bool
fails(char call)
{
	if (n_calls < (int)sizeof(calls) - 1)
		calls[n_calls] = call;
	n_calls++;
	if (fault == FAULT_NONE || calls_until_fault-- > 0)
		return false;
	if (fault == FAULT_EXIT)
		_exit(EXITED_AT_A_CALL);
	if (fault == FAULT_ONCE)
		fault = FAULT_NONE;
	else
		calls_until_fault = 0;
	errno = ENOSPC;
	return true;
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);
int __real_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat(int from, const char *old, int to, const char *new);
int
__real_linkat(int from, const char *old, int to, const char *new, int flags);
int
__wrap_linkat(int from, const char *old, int to, const char *new, int flags);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);

/* Every other write stops half way, so that there is a rest to fail at. */
ssize_t
__wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	static bool is_rest;

	if (fails('w'))
		return -1;
	is_rest = !is_rest;
	return __real_pwrite(fd, bytes, is_rest ? (len + 1) / 2 : len, at);
}

int
__wrap_fsync(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return fails(S_ISDIR(status.st_mode) ? 'S' : 's') ? -1
							  : __real_fsync(fd);
}

int
__wrap_ftruncate(int fd, off_t len)
{
	return fails('c') ? -1 : __real_ftruncate(fd, len);
}

int
__wrap_renameat(int from, const char *old, int to, const char *new)
{
	return fails('r') ? -1 : __real_renameat(from, old, to, new);
}

int
__wrap_linkat(int from, const char *old, int to, const char *new, int flags)
{
	return fails('l') ? -1 : __real_linkat(from, old, to, new, flags);
}

int
__wrap_unlinkat(int dir, const char *name, int flags)
{
	return fails('u') ? -1 : __real_unlinkat(dir, name, flags);
}

/* --- helpers ------------------------------------------------------------------------ */

static struct journal_store *store;

static int
set_up(void **state)
{
	set_fault(FAULT_NONE, 0);
	return folder_set_up(state);
}

/* What was in store before is gone. */
static struct journal_file *
open_any(void)
{
	struct journal_file *file;

	journal_store_free(store);
	store = NULL;
	strcpy(error.message, "left over");
	file = journal_file_open(folder, &store, &error);
	if (file == NULL)
		fail_msg("%s", error.message);
	return file;
}

static struct journal_file *
open_good(void)
{
	struct journal_file *file = open_any();

	assert_string_equal(error.message, "");
	return file;
}

static void
shut(struct journal_file *file)
{
	journal_file_close(file);
	journal_store_free(store);
	store = NULL;
}

static void
add_line(struct journal_text *lines, const char *unit, int number,
	size_t padding)
{
	json_t *entry = an_entry(unit, number, padding);
	json_t *copy = journal_line_write(entry, lines, &error);

	assert_non_null(copy);
	json_decref(copy);
	json_decref(entry);
}

static bool
append_padded(struct journal_file *file, int number, size_t padding)
{
	struct journal_text lines = {0};
	bool is_written;

	add_line(&lines, "shop", number, padding);
	strcpy(error.message, "left over");
	is_written = journal_file_append(file, &lines, &error);
	free(lines.bytes);
	return is_written;
}

static void
append(struct journal_file *file, int number)
{
	if (!append_padded(file, number, 0))
		fail_msg("%s", error.message);
	assert_string_equal(error.message, "");
}

/* Opens it; it has 1 to count, and nothing is wrong. */
static void
assert_has(int count)
{
	struct journal_file *file = open_good();

	assert_history(journal_store_history(store, "shop", 1000), count,
		count < JOURNAL_HISTORY_MAX ? count : JOURNAL_HISTORY_MAX);
	if (count > 0)
		assert_int_equal(
			number_of(journal_store_state(store, "shop")), count);
	assert_false(folder_has("journal.tmp"));
	shut(file);
}

/* Of records 1 to count; ends[i] is where record i ends. To be freed. */
static char *
a_journal(int count, size_t *ends)
{
	struct journal_text lines = {0};

	ends[0] = 0;
	for (int i = 1; i <= count; i++) {
		add_line(&lines, "shop", i, 0);
		ends[i] = lines.len;
	}
	return lines.bytes;
}

static int
n_records_within(const size_t *ends, int count, size_t len)
{
	int n = 0;

	while (n < count && ends[n + 1] <= len)
		n++;
	return n;
}

static void
assert_file_is(const char *name, const char *bytes, size_t len)
{
	size_t got_len;
	char *got = folder_read(name, &got_len);

	assert_int_equal(got_len, len);
	assert_memory_equal(got, bytes, len);
	free(got);
}

static size_t
file_size(void)
{
	struct stat status;

	assert_int_equal(stat(folder_path("journal"), &status), 0);
	return (size_t)status.st_size;
}

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

#define N_RECORDS 6

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
		TEST(test_read_only_folder_is_read_and_written_once_it_can_be),
		TEST(test_empty_read_only_folder_is_opened),
		TEST(test_removed_file_is_written_anew),
		TEST(test_replaced_file_is_kept_aside),
		TEST(test_damage_met_while_running_costs_the_damaged_only),
		TEST(test_truncated_file_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
