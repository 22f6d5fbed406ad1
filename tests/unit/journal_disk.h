/*
 * journal_disk: the journal's file for tests, on a disk whose calls can be made
 * to fail, or to end the program, one by one. Whoever includes it is linked with
 * --wrap for them.
 */
#ifndef PERCH_TESTS_JOURNAL_DISK_H
#define PERCH_TESTS_JOURNAL_DISK_H

#include "journal_folder.h"

#include <errno.h>

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

static inline void
set_fault(enum fault what, int after_calls)
{
	fault = what;
	calls_until_fault = after_calls;
	n_calls = 0;
	memset(calls, 0, sizeof(calls));
}

/* Whether this call is to fail. */
static inline bool
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

static inline int
set_up(void **state)
{
	set_fault(FAULT_NONE, 0);
	return folder_set_up(state);
}

/* What was in store before is gone. */
static inline struct journal_file *
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

static inline struct journal_file *
open_good(void)
{
	struct journal_file *file = open_any();

	assert_string_equal(error.message, "");
	return file;
}

static inline void
shut(struct journal_file *file)
{
	journal_file_close(file);
	journal_store_free(store);
	store = NULL;
}

static inline void
add_line(struct journal_text *lines, const char *unit, int number,
	size_t padding)
{
	json_t *entry = an_entry(unit, number, padding);
	json_t *copy = journal_line_write(entry, lines, &error);

	assert_non_null(copy);
	json_decref(copy);
	json_decref(entry);
}

static inline bool
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

static inline void
append(struct journal_file *file, int number)
{
	if (!append_padded(file, number, 0))
		fail_msg("%s", error.message);
	assert_string_equal(error.message, "");
}

/* Opens it; it has 1 to count, and nothing is wrong. */
static inline void
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
static inline char *
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

static inline int
n_records_within(const size_t *ends, int count, size_t len)
{
	int n = 0;

	while (n < count && ends[n + 1] <= len)
		n++;
	return n;
}

static inline void
assert_file_is(const char *name, const char *bytes, size_t len)
{
	size_t got_len;
	char *got = folder_read(name, &got_len);

	assert_int_equal(got_len, len);
	assert_memory_equal(got, bytes, len);
	free(got);
}

static inline size_t
file_size(void)
{
	struct stat status;

	assert_int_equal(stat(folder_path("journal"), &status), 0);
	return (size_t)status.st_size;
}

#endif
