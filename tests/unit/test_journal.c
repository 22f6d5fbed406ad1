#include "journal_folder.h"

#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "release/journal.h"
#include "release/journal_store.h"

static struct error error;
static struct event_base *base;
static struct journal *journal;

/* --- a disk that can be held -------------------------------------------------------- */

static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t disk_changed = PTHREAD_COND_INITIALIZER;
static bool is_disk_held;
static bool is_disk_waited_for;
static atomic_int n_fsyncs;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int
__wrap_fsync(int fd)
{
	atomic_fetch_add(&n_fsyncs, 1);
	pthread_mutex_lock(&disk_lock);
	is_disk_waited_for = is_disk_held;
	pthread_cond_broadcast(&disk_changed);
	while (is_disk_held)
		pthread_cond_wait(&disk_changed, &disk_lock);
	pthread_mutex_unlock(&disk_lock);
	return __real_fsync(fd);
}

static void
hold_disk(void)
{
	pthread_mutex_lock(&disk_lock);
	is_disk_held = true;
	is_disk_waited_for = false;
	pthread_mutex_unlock(&disk_lock);
}

static void
await_held_disk(void)
{
	pthread_mutex_lock(&disk_lock);
	while (!is_disk_waited_for)
		pthread_cond_wait(&disk_changed, &disk_lock);
	pthread_mutex_unlock(&disk_lock);
}

static void
release_disk(void)
{
	pthread_mutex_lock(&disk_lock);
	is_disk_held = false;
	pthread_cond_broadcast(&disk_changed);
	pthread_mutex_unlock(&disk_lock);
}

/* --- helpers ------------------------------------------------------------------------- */

struct result {
	bool is_on_disk;
	char why[256];
	int number;
};

#define RESULTS_MAX 4096

static struct result results[RESULTS_MAX];
static int n_results;

static void
note(bool is_on_disk, const char *why, void *arg)
{
	struct result *result = &results[n_results++];

	assert_true(n_results <= RESULTS_MAX);
	result->is_on_disk = is_on_disk;
	snprintf(result->why, sizeof(result->why), "%s", why);
	result->number = (int)(intptr_t)arg;
}

static void
append_padded(const char *unit, int number, size_t padding)
{
	journal_append(journal, an_entry(unit, number, padding), note,
		(void *)(intptr_t)number);
}

static void
append(const char *unit, int number)
{
	append_padded(unit, number, 0);
}

static void
await(int count)
{
	while (n_results < count)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(n_results, count);
}

/* Results from first on are of numbers first + 1 and so on, all on disk. */
static void
assert_on_disk(int first, int count)
{
	for (int i = first; i < first + count; i++) {
		if (!results[i].is_on_disk)
			fail_msg("%d: %s", i + 1, results[i].why);
		assert_string_equal(results[i].why, "");
		assert_int_equal(results[i].number, i + 1);
	}
}

static void
open_good(void)
{
	strcpy(error.message, "left over");
	journal = journal_open(folder, base, &error);
	if (journal == NULL)
		fail_msg("%s", error.message);
	assert_string_equal(error.message, "");
}

static void
shut(void)
{
	journal_close(journal);
	journal = NULL;
}

static void
open_again(void)
{
	shut();
	open_good();
}

static void
assert_has(const char *unit, int newest, int count)
{
	assert_int_equal(number_of(journal_state(journal, unit)), newest);
	assert_history(journal_history(journal, unit, 1000), newest, count);
}

static int
set_up(void **state)
{
	n_results = 0;
	atomic_store(&n_fsyncs, 0);
	base = event_base_new();
	return base != NULL ? folder_set_up(state) : -1;
}

static int
tear_down(void **state)
{
	shut();
	event_base_free(base);
	return folder_tear_down(state);
}

/* --- the plain road ------------------------------------------------------------------- */

static void
test_what_was_appended_is_known_and_read_back(void **state)
{
	const char *unit;

	(void)state;
	open_good();
	assert_null(journal_state(journal, "shop"));
	assert_null(journal_next_unit(journal, NULL));
	append("shop", 1);
	append("shop", 2);
	append("api", 3);
	await(3);
	assert_on_disk(0, 3);
	for (int i = 0; i < 2; i++) {
		assert_has("shop", 2, 2);
		assert_has("api", 3, 1);
		unit = journal_next_unit(journal, NULL);
		assert_string_equal(unit, "shop");
		unit = journal_next_unit(journal, unit);
		assert_string_equal(unit, "api");
		assert_null(journal_next_unit(journal, unit));
		open_again();
	}
}

static void
test_failed_open_says_why(void **state)
{
	(void)state;
	assert_null(journal_open("/nonexistent/perch", base, &error));
	assert_non_null(strstr(error.message, "/nonexistent/perch"));
	open_good();
	assert_null(journal_open(folder, base, &error));
	assert_non_null(strstr(error.message, "in use"));
}

static void
test_torn_end_is_told_of(void **state)
{
	(void)state;
	folder_write("journal", "0123", 4);
	journal = journal_open(folder, base, &error);
	assert_non_null(journal);
	assert_non_null(strstr(error.message, "torn"));
	append("shop", 1);
	await(1);
	open_again();
	assert_has("shop", 1, 1);
}

/* The callback comes in a turn of the loop, and what isn't on disk isn't told. */
static void
test_entry_counts_once_it_is_on_disk(void **state)
{
	(void)state;
	open_good();
	hold_disk();
	append("shop", 1);
	await_held_disk();
	assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 0);
	assert_int_equal(n_results, 0);
	assert_null(journal_state(journal, "shop"));
	release_disk();
	await(1);
	assert_has("shop", 1, 1);
}

/* What its owner does with the state afterwards is not the journal's. */
static void
test_entry_is_what_it_was_when_appended(void **state)
{
	json_t *entry;
	json_t *state_of_owner;

	(void)state;
	open_good();
	entry = an_entry("shop", 1, 0);
	state_of_owner = json_incref(json_object_get(entry, "state"));
	journal_append(journal, entry, note, NULL);
	json_object_set_new(state_of_owner, "number", json_integer(2));
	await(1);
	assert_has("shop", 1, 1);
	json_decref(state_of_owner);
}

static void
test_done_may_be_left_out(void **state)
{
	(void)state;
	open_good();
	journal_append(journal, an_entry("shop", 1, 0), NULL, NULL);
	append("shop", 2);
	await(1);
	assert_has("shop", 2, 2);
}

static void
test_close_writes_what_was_appended_and_says_so(void **state)
{
	(void)state;
	open_good();
	for (int i = 1; i <= 50; i++)
		append("shop", i);
	open_again();
	assert_int_equal(n_results, 50);
	assert_has("shop", 50, 50);
}

/* --- order ------------------------------------------------------------------------------ */

static void
test_callbacks_come_in_order_refused_ones_too(void **state)
{
	(void)state;
	open_good();
	for (int i = 1; i <= 100; i++) {
		if (i % 10 == 0)
			append_padded("shop", i, JOURNAL_ENTRY_MAX);
		else if (i % 10 == 5)
			append("", i);
		else
			append("shop", i);
	}
	await(100);
	for (int i = 1; i <= 100; i++) {
		assert_int_equal(results[i - 1].number, i);
		assert_int_equal(results[i - 1].is_on_disk, i % 5 != 0);
	}
	assert_non_null(strstr(results[4].why, "no unit"));
	assert_non_null(strstr(results[9].why, "1048576 are allowed"));
	open_again();
	assert_int_equal(number_of(journal_state(journal, "shop")), 99);
}

static void
append_next(bool is_on_disk, const char *why, void *arg)
{
	int number = (int)(intptr_t)arg;

	note(is_on_disk, why, arg);
	/* The one that was told of counts already. */
	assert_int_equal(number_of(journal_state(journal, "shop")), number);
	if (number < 20)
		journal_append(journal, an_entry("shop", number + 1, 0),
			append_next, (void *)(intptr_t)(number + 1));
}

static void
test_callback_may_append(void **state)
{
	(void)state;
	open_good();
	journal_append(journal, an_entry("shop", 1, 0), append_next, (void *)1);
	await(20);
	assert_on_disk(0, 20);
	assert_has("shop", 20, 20);
}

static void
test_what_gathers_is_synced_at_once(void **state)
{
	int before;

	(void)state;
	open_good();
	append("shop", 1);
	await(1);
	before = atomic_load(&n_fsyncs);
	hold_disk();
	append("shop", 2);
	await_held_disk();
	for (int i = 3; i <= 500; i++)
		append("shop", i);
	release_disk();
	await(500);
	assert_on_disk(0, 500);
	assert_int_equal(atomic_load(&n_fsyncs) - before, 2);
	open_again();
	assert_has("shop", 500, 200);
}

/* --- disks that fail ----------------------------------------------------------------------- */

static void
set_file_size_limit(rlim_t limit)
{
	struct rlimit limits = {limit, RLIM_INFINITY};

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limits), 0);
}

static off_t
file_size(void)
{
	struct stat status;

	assert_int_equal(stat(folder_path("journal"), &status), 0);
	return status.st_size;
}

/* A write over the limit is cut short; the next one fails, and SIGXFSZ would end
 * the program if the thread didn't block it. */
static void
test_full_disk_is_told_of_and_got_over(void **state)
{
	off_t size;

	(void)state;
	open_good();
	append("shop", 1);
	await(1);
	size = file_size();
	set_file_size_limit((rlim_t)size + 10);
	append("shop", 2);
	await(2);
	append("shop", 3);
	await(3);
	set_file_size_limit(RLIM_INFINITY);
	for (int i = 1; i < 3; i++) {
		assert_false(results[i].is_on_disk);
		assert_non_null(strstr(results[i].why, "File too large"));
	}
	assert_int_equal(file_size(), size);
	assert_has("shop", 1, 1);
	append("shop", 2);
	await(4);
	assert_true(results[3].is_on_disk);
	open_again();
	assert_has("shop", 2, 2);
}

static void
become(uid_t user)
{
	if (getuid() == 0)
		assert_int_equal(seteuid(user), 0);
}

#define NOBODY 65534

static void
test_read_only_folder_is_told_of_and_got_over(void **state)
{
	(void)state;
	assert_int_equal(chmod(folder, 0555), 0);
	become(NOBODY);
	open_good();
	append("shop", 1);
	await(1);
	assert_false(results[0].is_on_disk);
	assert_non_null(strstr(results[0].why, "Permission denied"));
	assert_null(journal_state(journal, "shop"));
	become(0);
	assert_int_equal(chmod(folder, 0777), 0);
	append("shop", 1);
	await(2);
	assert_true(results[1].is_on_disk);
	open_again();
	assert_has("shop", 1, 1);
}

static void
test_disk_that_hangs_does_not_fill_the_memory(void **state)
{
	int n_refused = 0;

	(void)state;
	open_good();
	hold_disk();
	for (int i = 1; i <= 100; i++)
		append_padded("shop", i, 60000);
	await_held_disk();
	release_disk();
	await(100);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(results[i].number, i + 1);
		if (results[i].is_on_disk)
			continue;
		n_refused++;
		assert_non_null(strstr(results[i].why, "too much waits"));
	}
	/* 4 MiB are 69 of them. */
	assert_int_equal(n_refused, 100 - 69);
	append("shop", 101);
	await(101);
	assert_true(results[100].is_on_disk);
}

/* --- both threads at work ------------------------------------------------------------------- */

/* Enough for it to be compacted meanwhile, more than once. */
static void
test_reading_and_compacting_go_together(void **state)
{
	off_t largest = 0;
	bool has_shrunk = false;

	(void)state;
	open_good();
	for (int i = 1; i <= 300; i++) {
		off_t size;

		append_padded("shop", i, 50000);
		if (i % 8 != 0)
			continue;
		await(i);
		assert_has("shop", i, i < 200 ? i : 200);
		size = file_size();
		has_shrunk = has_shrunk || size < largest;
		largest = size > largest ? size : largest;
	}
	await(300);
	assert_on_disk(0, 300);
	assert_true(has_shrunk);
	assert_in_range(largest, 2 * 1024 * 1024, 6 * 1024 * 1024);
	open_again();
	assert_has("shop", 300, 200);
}

/* --- kill -9 ----------------------------------------------------------------------------------- */

#define N_KILLS 20

static int acknowledged_fd;
static int last_appended;

static void
acknowledge(bool is_on_disk, const char *why, void *arg)
{
	int number = (int)(intptr_t)arg;

	if (!is_on_disk || write(acknowledged_fd, &number, sizeof(number)) !=
				   sizeof(number))
		_exit(1);
	/* Sometimes one, sometimes a few at once. */
	for (int i = 0; i < 1 + number % 3 && last_appended < number + 5; i++) {
		last_appended++;
		journal_append(journal, an_entry("shop", last_appended, 60000),
			acknowledge, (void *)(intptr_t)last_appended);
	}
}

static void
run_child(int first)
{
	journal = journal_open(folder, base, &error);
	if (journal == NULL)
		_exit(1);
	last_appended = first;
	journal_append(journal, an_entry("shop", first, 0), acknowledge,
		(void *)(intptr_t)first);
	event_base_dispatch(base);
	_exit(1);
}

/* Returns the last number that a child acknowledged, starting with first, before
 * it was killed. */
static int
run_and_kill(int first, int until)
{
	int pipe_fds[2];
	int last = first - 1;
	int number, status;
	pid_t child;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		acknowledged_fd = pipe_fds[1];
		assert_int_equal(event_reinit(base), 0);
		run_child(first);
	}
	close(pipe_fds[1]);
	while (read(pipe_fds[0], &number, sizeof(number)) == sizeof(number)) {
		assert_int_equal(number, last + 1);
		last = number;
		if (number == until)
			kill(child, SIGKILL);
	}
	close(pipe_fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	return last;
}

static void
test_what_was_acknowledged_survives_kill(void **state)
{
	int newest = 0;
	unsigned seed = 20;

	(void)state;
	for (int i = 0; i < N_KILLS; i++) {
		/* After 70 it gets compacted. */
		int range = i % 4 == 3 ? 140 : 20;
		int until = newest + 1 + rand_r(&seed) % range;
		int last = run_and_kill(newest + 1, until);

		assert_true(last >= until);
		/* It may have been killed in the middle of a write. */
		journal = journal_open(folder, base, &error);
		assert_non_null(journal);
		if (error.message[0] != '\0')
			assert_non_null(strstr(error.message, "torn"));
		newest = number_of(journal_state(journal, "shop"));
		assert_in_range(newest, last, last + 5);
		assert_has("shop", newest, newest < 200 ? newest : 200);
		shut();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_appended_is_known_and_read_back),
		TEST(test_failed_open_says_why),
		TEST(test_torn_end_is_told_of),
		TEST(test_entry_counts_once_it_is_on_disk),
		TEST(test_entry_is_what_it_was_when_appended),
		TEST(test_done_may_be_left_out),
		TEST(test_close_writes_what_was_appended_and_says_so),
		TEST(test_callbacks_come_in_order_refused_ones_too),
		TEST(test_callback_may_append),
		TEST(test_what_gathers_is_synced_at_once),
		TEST(test_full_disk_is_told_of_and_got_over),
		TEST(test_read_only_folder_is_told_of_and_got_over),
		TEST(test_disk_that_hangs_does_not_fill_the_memory),
		TEST(test_reading_and_compacting_go_together),
		TEST(test_what_was_acknowledged_survives_kill),
	};

	/* A callback that doesn't come is a failure, not a wait. */
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
