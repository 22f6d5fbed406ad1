#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/outlet.h"

#define N_THREADS 4
#define N_LINES 500
#define N_MANY 50000

static char folder[64];
static char path[96];

static int
make_folder(void **state)
{
	strcpy(folder, "/tmp/test_log.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	struct error error;

	unlink(path);
	return log_open("stderr", LOG_LEVEL_INFO, &error) ? rmdir(folder) : -1;
}

/* The file's text; the caller frees it. */
static char *
slurp(const char *name)
{
	FILE *file;
	size_t size = 1 << 20, len;
	char *text = calloc(1, size);

	outlet_settle_all();
	file = fopen(name, "r");
	assert_non_null(file);
	len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	fclose(file);
	return text;
}

static void
test_lines_below_the_level_are_dropped(void **state)
{
	struct error error;
	char *text;

	assert_true(log_open(path, LOG_LEVEL_WARN, &error));
	log_info("quiet");
	log_warn("loud %d", 7);
	text = slurp(path);
	assert_null(strstr(text, "quiet"));
	assert_non_null(strstr(text, "Z warn loud 7\n"));
	free(text);
}

static void
test_message_cannot_forge_a_line(void **state)
{
	struct error error;
	char *text;

	assert_true(log_open(path, LOG_LEVEL_INFO, &error));
	log_info("bad\n2026 error forged\r\x1b[0m");
	text = slurp(path);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_non_null(strstr(text, "bad\\u000a2026 error forged"
				     "\\u000d\\u001b[0m\n"));
	free(text);
}

/* An event is one line of JSON, and worth nothing if it is cut. */
static void
test_message_of_a_few_kibibytes_is_whole(void **state)
{
	struct error error;
	char *text, *message = calloc(1, 12001);

	assert_non_null(message);
	memset(message, 'x', 12000);
	assert_true(log_open(path, LOG_LEVEL_INFO, &error));
	log_info("%s", message);
	text = slurp(path);
	assert_non_null(strstr(text, message));
	free(text);
	free(message);
}

static void
test_long_message_is_cut_but_ends_its_line(void **state)
{
	struct error error;
	char *text, *longest = calloc(1, 40001);

	memset(longest, 'x', 40000);
	assert_true(log_open(path, LOG_LEVEL_INFO, &error));
	log_info("%s", longest);
	log_info("next");
	text = slurp(path);
	assert_non_null(strstr(text, "xx\n20"));
	free(text);
	free(longest);
}

static void
test_reopen_goes_on_in_a_new_file(void **state)
{
	struct error error;
	char old[128];
	char *text;

	snprintf(old, sizeof(old), "%s.1", path);
	assert_true(log_open(path, LOG_LEVEL_INFO, &error));
	log_info("before");
	assert_int_equal(rename(path, old), 0);
	log_info("still in the old one");
	log_reopen();
	log_info("after");
	text = slurp(old);
	assert_non_null(strstr(text, "still in the old one\n"));
	assert_null(strstr(text, "after"));
	free(text);
	text = slurp(path);
	assert_non_null(strstr(text, "after\n"));
	assert_null(strstr(text, "before"));
	free(text);
	unlink(old);
}

static void
test_failure_to_open_keeps_the_old_target(void **state)
{
	struct error error;
	char *text;

	assert_true(log_open(path, LOG_LEVEL_INFO, &error));
	assert_false(log_open("/nonexistent/log", LOG_LEVEL_INFO, &error));
	assert_non_null(strstr(error.message, "/nonexistent/log"));
	log_info("kept");
	text = slurp(path);
	assert_non_null(strstr(text, "kept\n"));
	free(text);
}

static void *
write_lines(void *name)
{
	int i;

	for (i = 0; i < N_LINES; i++)
		log_info("thread %s line %d end", (const char *)name, i);
	return NULL;
}

static void
test_lines_of_threads_do_not_mix_over_a_reopen(void **state)
{
	static char names[N_THREADS][2] = {"a", "b", "c", "d"};
	pthread_t threads[N_THREADS];
	struct error error;
	size_t n_lines = 0;
	char *text, *line, *rest;
	int i;

	assert_true(log_open(path, LOG_LEVEL_INFO, &error));
	for (i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines,
					 names[i]),
			0);
	for (i = 0; i < 50; i++)
		log_reopen();
	for (i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	text = slurp(path);
	for (line = strtok_r(text, "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		assert_non_null(strstr(line, "Z info thread "));
		assert_string_equal(line + strlen(line) - 4, " end");
		n_lines++;
	}
	assert_int_equal(n_lines, N_THREADS * N_LINES);
	free(text);
}

/* The line that says so isn't one of them; it has less room than these. */
static void
test_each_line_that_finds_no_room_counts_once(void **state)
{
	uint64_t before = log_dropped();
	struct error error;

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(log_open(path, LOG_LEVEL_INFO, &error));
	for (unsigned i = 0; i < N_MANY; i++)
		log_info("no reader, no room");
	assert_in_range(log_dropped() - before, N_MANY / 2, N_MANY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_lines_below_the_level_are_dropped, make_folder,
			remove_folder),
		cmocka_unit_test_setup_teardown(
			test_message_cannot_forge_a_line, make_folder,
			remove_folder),
		cmocka_unit_test_setup_teardown(
			test_message_of_a_few_kibibytes_is_whole, make_folder,
			remove_folder),
		cmocka_unit_test_setup_teardown(
			test_long_message_is_cut_but_ends_its_line, make_folder,
			remove_folder),
		cmocka_unit_test_setup_teardown(
			test_reopen_goes_on_in_a_new_file, make_folder,
			remove_folder),
		cmocka_unit_test_setup_teardown(
			test_failure_to_open_keeps_the_old_target, make_folder,
			remove_folder),
		cmocka_unit_test_setup_teardown(
			test_lines_of_threads_do_not_mix_over_a_reopen,
			make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			test_each_line_that_finds_no_room_counts_once,
			make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
