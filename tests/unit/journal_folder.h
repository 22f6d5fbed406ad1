/*
 * journal_folder: a folder of its own for each test of the journal, in memory
 * where there is such a place, and entries to write there.
 */
#ifndef PERCH_TESTS_JOURNAL_FOLDER_H
#define PERCH_TESTS_JOURNAL_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static inline int
folder_set_up(void **state)
{
	const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	(void)state;
	snprintf(folder, sizeof(folder), "%s/perch-journal-XXXXXX", place);
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static inline const char *
folder_path(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static inline bool
folder_has(const char *name)
{
	return access(folder_path(name), F_OK) == 0;
}

static inline void
folder_empty(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			(void)remove(folder_path(entry->d_name));
	closedir(dir);
}

static inline int
folder_tear_down(void **state)
{
	(void)state;
	folder_empty();
	return rmdir(folder);
}

static inline void
folder_write(const char *name, const char *bytes, size_t len)
{
	FILE *file = fopen(folder_path(name), "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* To be freed. */
static inline char *
folder_read(const char *name, size_t *len)
{
	FILE *file = fopen(folder_path(name), "rb");
	struct stat status;
	char *bytes;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &status), 0);
	*len = (size_t)status.st_size;
	bytes = malloc(*len + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, *len, file), *len);
	bytes[*len] = '\0';
	fclose(file);
	return bytes;
}

/* An entry with a number, and a state that has it, too, and so many bytes. */
static inline json_t *
an_entry(const char *unit, int number, size_t padding)
{
	char *text = calloc(1, padding + 1);
	json_t *entry;

	assert_non_null(text);
	memset(text, '.', padding);
	entry = json_pack("{s:s, s:i, s:s, s:{s:i, s:s}}", "unit", unit,
		"number", number, "who", "operator", "state", "number", number,
		"padding", text);
	assert_non_null(entry);
	free(text);
	return entry;
}

static inline int
number_of(const json_t *entry)
{
	const json_t *number = json_object_get(entry, "number");

	assert_true(json_is_integer(number));
	return (int)json_integer_value(number);
}

/* The history is newest, newest - 1, and so on down, count of them. It is
 * released. */
static inline void
assert_history(json_t *history, int newest, int count)
{
	assert_int_equal(json_array_size(history), count);
	for (int i = 0; i < count; i++) {
		const json_t *entry = json_array_get(history, (size_t)i);

		assert_int_equal(number_of(entry), newest - i);
		assert_null(json_object_get(entry, "state"));
	}
	json_decref(history);
}

#endif
