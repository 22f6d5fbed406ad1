/* Sockets when memory, pipes or the kernel's watches run out. The linker puts
 * malloc and event_add of these tests in front of the library's. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/conn.h"
#include "net/pipe.h"
#include "net/timeouts.h"

#define POOL_SIZE 4096
#define BIG (256 * 1024)

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
int __real_event_add(struct event *event, const struct timeval *wait);
int __wrap_event_add(struct event *event, const struct timeval *wait);

static bool has_memory = true;
static bool has_watches = true;

void *
__wrap_malloc(size_t size)
{
	return has_memory ? __real_malloc(size) : NULL;
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return has_memory ? __real_calloc(n, size) : NULL;
}

int
__wrap_event_add(struct event *event, const struct timeval *wait)
{
	return has_watches ? __real_event_add(event, wait) : -1;
}

static struct event_base *base;
static struct pool buffers;
static struct pipe_pool pipes;
static struct conn conn;
static int peer;
static char bytes[BIG];

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
}

static int
set_up(void **state)
{
	int size = 4096;
	int fds[2];

	(void)state;
	pool_init(&buffers, POOL_SIZE, 4);
	base = event_base_new();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
		return -1;
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	peer = fds[1];
	conn_init(&conn, base, fds[0], CONN_ESTABLISHED, on_event, NULL);
	return conn_watch(&conn) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	has_memory = true;
	has_watches = true;
	conn_close(&conn, &buffers);
	close(peer);
	pool_close(&buffers);
	pipe_pool_close(&pipes);
	event_base_free(base);
	return 0;
}

static enum conn_result
send_bytes(size_t len)
{
	struct iovec iov = {bytes, len};

	return conn_send(&conn, &buffers, &iov, 1);
}

/* How many bytes came, up to max. */
static size_t
drain(size_t max)
{
	static char received[BIG];
	size_t n = 0;
	ssize_t got;

	while (n < max && (got = read(peer, received, max - n)) > 0)
		n += (size_t)got;
	return n;
}

/* --- memory ------------------------------------------------------------------ */

static void
test_what_cannot_be_kept_fails_the_connection(void **state)
{
	has_memory = false;
	/* For the pool, and over its size. */
	assert_int_equal(send_bytes(BIG), CONN_FAILED);
	while (send_bytes(POOL_SIZE / 2) == CONN_SENT)
		continue;
	assert_int_equal(send_bytes(1), CONN_FAILED);
	assert_false(conn_is_blocked(&conn));
}

static void
test_more_that_cannot_be_kept_fails_the_connection(void **state)
{
	assert_int_equal(send_bytes(BIG), CONN_BLOCKED);
	has_memory = false;
	assert_int_equal(send_bytes(1), CONN_FAILED);
}

static void
test_list_of_deadlines_without_memory_is_none(void **state)
{
	struct timeouts timeouts;

	assert_true(timeouts_init(&timeouts, base));
	has_memory = false;
	assert_null(timeouts_list(&timeouts, 1000, NULL));
	has_memory = true;
	assert_non_null(timeouts_list(&timeouts, 1000, NULL));
	timeouts_close(&timeouts);
	/* As after an init that failed. */
	timeouts_close(&timeouts);
}

static void
test_pipe_without_memory_is_none(void **state)
{
	has_memory = false;
	assert_null(pipe_take(&pipes));
	assert_int_equal(pipes.n_open, 0);
}

/* --- watches ----------------------------------------------------------------- */

static void
test_what_cannot_be_watched_fails(void **state)
{
	int fds[2];
	struct conn other;

	has_watches = false;
	assert_int_equal(send_bytes(BIG), CONN_FAILED);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	conn_init(&other, base, fds[0], CONN_ESTABLISHED, on_event, NULL);
	assert_false(conn_watch(&other));
	close(fds[0]);
	close(fds[1]);
}

static void
test_flush_that_cannot_go_back_to_reading_fails(void **state)
{
	size_t got = 0;

	assert_int_equal(send_bytes(POOL_SIZE * 4), CONN_BLOCKED);
	has_watches = false;
	while (conn_flush(&conn, &buffers) == CONN_BLOCKED)
		got += drain(BIG);
	assert_null(conn.out);
	assert_int_equal(got + drain(BIG), POOL_SIZE * 4);
}

/* --- pipes ------------------------------------------------------------------- */

static struct pipe *
take_filled(size_t len)
{
	struct pipe *pipe = pipe_take(&pipes);

	assert_non_null(pipe);
	assert_int_equal(write(pipe->write_fd, bytes, len), len);
	pipe->len = len;
	return pipe;
}

/* The socket to the last byte that it takes; how many. */
static size_t
fill(void)
{
	size_t len = 0;
	ssize_t n;

	while ((n = write(conn.transport.fd, bytes, 1024)) > 0)
		len += (size_t)n;
	return len;
}

static void
test_pipe_waits_until_there_is_room(void **state)
{
	struct pipe *pipe = take_filled(1000);
	size_t before = fill();

	assert_int_equal(conn_send_pipe(&conn, pipe), CONN_BLOCKED);
	assert_int_equal(conn_flush(&conn, &buffers), CONN_BLOCKED);
	assert_int_equal(drain(BIG), before);
	assert_int_equal(conn_flush(&conn, &buffers), CONN_SENT);
	assert_int_equal(drain(BIG), 1000);
	pipe_give(&pipes, pipe);
}

static void
test_pipe_that_cannot_be_watched_fails(void **state)
{
	struct pipe *pipe = take_filled(1000);

	fill();
	assert_int_equal(conn_send_pipe(&conn, pipe), CONN_BLOCKED);
	has_watches = false;
	drain(BIG);
	assert_int_equal(conn_flush(&conn, &buffers), CONN_FAILED);
	pipe_give(&pipes, pipe);
	pipe = take_filled(1000);
	fill();
	assert_int_equal(conn_send_pipe(&conn, pipe), CONN_FAILED);
	pipe_give(&pipes, pipe);
}

static void
test_pipes_are_so_many_at_most(void **state)
{
	struct pipe *taken[65];
	size_t n = 0;

	while (n < 65 && (taken[n] = pipe_take(&pipes)) != NULL)
		n++;
	assert_int_equal(n, 64);
	pipe_give(&pipes, taken[--n]);
	assert_ptr_equal(pipe_take(&pipes), taken[n]);
	n++;
	while (n > 0)
		pipe_give(&pipes, taken[--n]);
}

static void
test_pipe_without_descriptors_is_none(void **state)
{
	struct rlimit before;
	struct rlimit none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_null(pipe_take(&pipes));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(pipes.n_open, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_cannot_be_kept_fails_the_connection),
		TEST(test_more_that_cannot_be_kept_fails_the_connection),
		TEST(test_list_of_deadlines_without_memory_is_none),
		TEST(test_pipe_without_memory_is_none),
		TEST(test_what_cannot_be_watched_fails),
		TEST(test_flush_that_cannot_go_back_to_reading_fails),
		TEST(test_pipe_waits_until_there_is_room),
		TEST(test_pipe_that_cannot_be_watched_fails),
		TEST(test_pipes_are_so_many_at_most),
		TEST(test_pipe_without_descriptors_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
