/* Lines that leave, or can't, and nobody who waits for it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/outlet.h"

#define SIZE ((size_t)(64 * 1024))
#define LINE "0123456789 0123456789 0123456789 0123456789 0123456789 end\n"
#define LINE_LEN (sizeof(LINE) - 1)
/* More than a pipe and both pieces of an outlet's memory hold. */
#define MANY ((65536 + 2 * SIZE) / LINE_LEN + 100)
#define N_THREADS 4

static _Atomic uint64_t n_dropped;
static char folder[64];
static char path[96];

static int
set_up(void **state)
{
	(void)state;
	n_dropped = 0;
	strcpy(folder, "/tmp/test_outlet.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", folder);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static struct outlet *
open_path(const char *where)
{
	struct outlet_setup setup = {
		.path = where, .size = SIZE, .n_dropped = &n_dropped};
	struct error error = {""};
	struct outlet *outlet = outlet_open(&setup, &error);

	assert_string_equal(error.message, "");
	assert_non_null(outlet);
	return outlet;
}

static struct outlet *
open_fd(int fd)
{
	struct outlet_setup setup = {
		.fd = fd, .size = SIZE, .n_dropped = &n_dropped};
	struct outlet *outlet = outlet_open(&setup, NULL);

	assert_non_null(outlet);
	return outlet;
}

static void
write_many(struct outlet *outlet, size_t n)
{
	for (size_t i = 0; i < n; i++)
		outlet_write(outlet, LINE, LINE_LEN);
}

/* Takes n whole lines. */
static void
read_lines(int fd, size_t n)
{
	char line[LINE_LEN + 1];
	size_t len;
	ssize_t got;

	for (; n > 0; n--) {
		for (len = 0; len < LINE_LEN; len += (size_t)got) {
			got = read(fd, line + len, LINE_LEN - len);
			assert_true(got > 0);
		}
		line[len] = '\0';
		assert_string_equal(line, LINE);
	}
}

static size_t
file_len(void)
{
	struct stat status;

	outlet_settle_all();
	assert_int_equal(stat(path, &status), 0);
	return (size_t)status.st_size;
}

/* --- who takes nothing ----------------------------------------------------- */

static void
test_nobody_waits_for_a_pipe_that_nobody_reads(void **state)
{
	int fds[2];
	struct outlet *outlet;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	outlet = open_fd(fds[1]);
	write_many(outlet, MANY);
	assert_true(n_dropped > 0);
	assert_true(n_dropped < MANY);
	/* It was not made non-blocking: others may share it. */
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	/* What wasn't dropped comes, whole, and so does what is said then. */
	read_lines(fds[0], MANY - n_dropped);
	assert_true(outlet_write(outlet, LINE, LINE_LEN));
	read_lines(fds[0], 1);
	outlet_close(outlet);
	outlet_settle_all();
	close(fds[0]);
	close(fds[1]);
}

static void
test_waiting_for_the_end_has_an_end(void **state)
{
	int fds[2], n_bytes;
	struct outlet *outlet;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	outlet = open_fd(fds[1]);
	write_many(outlet, MANY);
	outlet_settle_all();
	/* Its thread gives up too: all that is left is counted. */
	outlet_close(outlet);
	do {
		usleep(10000);
		assert_int_equal(ioctl(fds[0], FIONREAD, &n_bytes), 0);
	} while ((size_t)n_bytes / LINE_LEN + n_dropped < MANY);
	read_lines(fds[0], MANY - n_dropped);
	close(fds[0]);
	close(fds[1]);
}

static void
test_fifo_is_opened_before_there_is_a_reader(void **state)
{
	struct outlet *outlet;
	int fd;

	assert_int_equal(mkfifo(path, 0600), 0);
	outlet = open_path(path);
	assert_true(outlet_write(outlet, LINE, LINE_LEN));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	read_lines(fd, 1);
	close(fd);
	/* A reader may go, and another come. */
	assert_true(outlet_write(outlet, LINE, LINE_LEN));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	read_lines(fd, 1);
	close(fd);
	outlet_close(outlet);
	assert_int_equal(n_dropped, 0);
}

/* What a rotation puts in the place of a pipe that is stuck, is found. */
static void
test_reopening_leaves_what_is_stuck(void **state)
{
	struct outlet *outlet;

	assert_int_equal(mkfifo(path, 0600), 0);
	outlet = open_path(path);
	write_many(outlet, MANY);
	assert_int_equal(unlink(path), 0);
	outlet_reopen(outlet);
	n_dropped = 0;
	while (!outlet_write(outlet, LINE, LINE_LEN))
		usleep(10000);
	while (access(path, F_OK) != 0)
		usleep(10000);
	assert_true(file_len() > 0);
	assert_int_equal(file_len() % LINE_LEN, 0);
	outlet_close(outlet);
}

static sem_t gate;

static void
put_slowly(const char *line, size_t len)
{
	assert_int_equal(len, LINE_LEN);
	assert_memory_equal(line, LINE, LINE_LEN);
	sem_wait(&gate);
}

static void
test_nobody_waits_for_a_function_that_does(void **state)
{
	struct outlet_setup setup = {
		.put = put_slowly, .size = SIZE, .n_dropped = &n_dropped};
	struct outlet *outlet;

	sem_init(&gate, 0, 0);
	outlet = outlet_open(&setup, NULL);
	assert_non_null(outlet);
	write_many(outlet, MANY);
	assert_true(n_dropped > 0);
	for (size_t i = 0; i < MANY - n_dropped; i++)
		sem_post(&gate);
	outlet_close(outlet);
	outlet_settle_all();
	sem_destroy(&gate);
}

/* --- who refuses ----------------------------------------------------------- */

static void
test_full_disk_costs_lines_that_are_counted(void **state)
{
	struct outlet *outlet = open_path("/dev/full");

	write_many(outlet, 100);
	outlet_settle_all();
	assert_int_equal(n_dropped, 100);
	outlet_close(outlet);
}

static void
test_line_after_a_torn_one_is_whole(void **state)
{
	struct outlet *outlet = open_path(path);
	struct rlimit old, tight;
	char text[3 * LINE_LEN];
	FILE *file;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = LINE_LEN + 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	write_many(outlet, 2);
	assert_int_equal(file_len(), LINE_LEN + 10);
	assert_int_equal(n_dropped, 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	write_many(outlet, 1);
	assert_int_equal(file_len(), LINE_LEN + 10 + 1 + LINE_LEN);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fread(text, 1, sizeof(text), file), 2 * LINE_LEN + 11);
	fclose(file);
	assert_memory_equal(text + LINE_LEN, LINE, 10);
	assert_memory_equal(text + LINE_LEN + 10, "\n" LINE, LINE_LEN + 1);
	outlet_close(outlet);
}

/* Written whole, it would hold the thread up for ever. */
static void
test_line_longer_than_a_pipe_is_given_up(void **state)
{
	static char line[20001];
	struct outlet *outlet;
	int fds[2];

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	assert_int_equal(pipe(fds), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, 2 * PIPE_BUF) > 0);
	outlet = open_fd(fds[1]);
	assert_true(outlet_write(outlet, line, sizeof(line)));
	outlet_close(outlet);
	for (unsigned i = 0; i < 1000 && n_dropped == 0; i++)
		usleep(10000);
	assert_int_equal(n_dropped, 1);
	close(fds[0]);
	close(fds[1]);
}

static void
test_path_that_cannot_be_opened_is_an_error(void **state)
{
	struct outlet_setup setup = {.path = "/nonexistent/log",
		.size = SIZE,
		.n_dropped = &n_dropped};
	struct error error;

	assert_null(outlet_open(&setup, &error));
	assert_string_equal(error.message, "No such file or directory");
}

/* --- threads --------------------------------------------------------------- */

static void *
write_some(void *outlet)
{
	write_many(outlet, 5000);
	return NULL;
}

/* Each line is written or counted, whoever says it and whatever happens. */
static void
test_lines_of_threads_are_written_or_counted(void **state)
{
	struct outlet *outlet = open_path(path);
	pthread_t threads[N_THREADS];

	for (int i = 0; i < N_THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, write_some, outlet),
			0);
	for (int i = 0; i < 20; i++)
		outlet_reopen(outlet);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	outlet_close(outlet);
	assert_int_equal(file_len() % LINE_LEN, 0);
	assert_int_equal(file_len() / LINE_LEN + n_dropped, N_THREADS * 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nobody_waits_for_a_pipe_that_nobody_reads),
		TEST(test_waiting_for_the_end_has_an_end),
		TEST(test_fifo_is_opened_before_there_is_a_reader),
		TEST(test_reopening_leaves_what_is_stuck),
		TEST(test_nobody_waits_for_a_function_that_does),
		TEST(test_full_disk_costs_lines_that_are_counted),
		TEST(test_line_after_a_torn_one_is_whole),
		TEST(test_line_longer_than_a_pipe_is_given_up),
		TEST(test_path_that_cannot_be_opened_is_an_error),
		TEST(test_lines_of_threads_are_written_or_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
