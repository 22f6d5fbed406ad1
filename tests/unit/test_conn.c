/* Writes that the socket takes in parts, over a socket pair that holds
 * little. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/conn.h"

#define POOL_SIZE 4096
#define BIG (256 * 1024)

static struct event_base *base;
static struct pool buffers;
static struct conn conn;
static int peer;
/* What the connection's event said. */
static unsigned n_readable;
static unsigned n_writable;
static enum conn_result flushed;

static char sent[2 * BIG];
static char received[2 * BIG];
static size_t n_received;

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	assert_ptr_equal(arg, &conn);
	if (what & EV_WRITE) {
		n_writable++;
		flushed = conn_flush(&conn, &buffers);
	}
	if (what & EV_READ)
		n_readable++;
}

static void
open_pair(enum conn_start start)
{
	int size = 4096;
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(
		setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
		0);
	peer = fds[1];
	conn_init(&conn, base, fds[0], start, on_event, &conn);
}

static int
set_up(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 31 + i / 251);
	n_readable = 0;
	n_writable = 0;
	n_received = 0;
	flushed = CONN_SENT;
	pool_init(&buffers, POOL_SIZE, 4);
	base = event_base_new();
	if (base == NULL)
		return -1;
	open_pair(CONN_ESTABLISHED);
	assert_true(conn_watch(&conn));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	if (conn.transport.fd >= 0)
		conn_close(&conn, &buffers);
	if (peer >= 0)
		close(peer);
	pool_close(&buffers);
	event_base_free(base);
	return 0;
}

static void
turn(void)
{
	assert_true(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
}

/* Reads what there is, up to max bytes. */
static size_t
receive(size_t max)
{
	size_t start = n_received;
	ssize_t n;

	while (n_received - start < max) {
		n = read(peer, received + n_received,
			max - (n_received - start));
		if (n <= 0)
			break;
		n_received += (size_t)n;
	}
	return n_received - start;
}

/* Turns the loop and reads in steps until the connection owes nothing. */
static void
drain(size_t step)
{
	unsigned turns = 0;

	while (conn_is_blocked(&conn)) {
		receive(step);
		turn();
		assert_int_not_equal(flushed, CONN_FAILED);
		assert_true(turns++ < 1000000);
	}
	receive(sizeof(received));
}

static void
assert_received(size_t len)
{
	assert_int_equal(n_received, len);
	assert_memory_equal(received, sent, len);
}

/* Sends sent[from..to) in n pieces. */
static enum conn_result
send_pieces(size_t from, size_t to, int n)
{
	struct iovec iov[3];
	size_t part = (to - from) / (size_t)n;
	int i;

	for (i = 0; i < n; i++) {
		iov[i].iov_base = sent + from + (size_t)i * part;
		iov[i].iov_len =
			i + 1 < n ? part : to - from - (size_t)i * part;
	}
	return conn_send(&conn, &buffers, iov, n);
}

static bool
waits_for(short what)
{
	return event_pending(&conn.event, what, NULL) == what;
}

static bool
waits_for_none(short what)
{
	return event_pending(&conn.event, what, NULL) == 0;
}

static void
test_what_fits_is_sent_at_once(void **state)
{
	assert_int_equal(send_pieces(0, 100, 1), CONN_SENT);
	assert_int_equal(send_pieces(100, 1000, 3), CONN_SENT);
	assert_false(conn_is_blocked(&conn));
	assert_true(waits_for_none(EV_WRITE));
	receive(sizeof(received));
	assert_received(1000);
	turn();
	assert_int_equal(n_writable, 0);
}

static void
test_rest_of_a_short_write_follows_in_order(void **state)
{
	int n;

	for (n = 1; n <= 3; n++) {
		n_received = 0;
		assert_int_equal(send_pieces(0, BIG, n), CONN_BLOCKED);
		assert_true(conn_is_blocked(&conn));
		assert_true(waits_for(EV_WRITE));
		drain(3000);
		assert_received(BIG);
		assert_int_equal(flushed, CONN_SENT);
		/* Nothing is owed: it waits for writability no more. */
		assert_true(waits_for_none(EV_WRITE));
		assert_true(waits_for(EV_READ));
	}
}

/* A head, a chunk's size and a body: the cut lies in the last of them. */
static void
test_write_cut_in_its_last_piece_follows_in_order(void **state)
{
	struct iovec iov[3] = {
		{sent, 300}, {sent + 300, 6}, {sent + 306, BIG - 306}};

	assert_int_equal(conn_send(&conn, &buffers, iov, 3), CONN_BLOCKED);
	assert_true(buffer_len(conn.out) < BIG - 306);
	drain(3000);
	assert_received(BIG);
}

/* Where a write ends is the kernel's choice: make it end all over the place. */
static void
test_order_is_kept_wherever_a_write_ends(void **state)
{
	size_t first;
	size_t from;

	for (first = 1; first < 9000; first += 397) {
		n_received = 0;
		from = 0;
		/* Fill it in parts, so that the next one meets what is left. */
		while (!conn_is_blocked(&conn)) {
			assert_int_not_equal(send_pieces(from, from + first, 1),
				CONN_FAILED);
			from += first;
			if (!conn_is_blocked(&conn))
				assert_int_not_equal(
					send_pieces(from, from + 3000, 3),
					CONN_FAILED);
			else
				break;
			from += 3000;
		}
		drain(1 + first);
		assert_received(from);
	}
}

static void
test_sending_while_blocked_appends(void **state)
{
	assert_int_equal(send_pieces(0, BIG, 1), CONN_BLOCKED);
	assert_int_equal(send_pieces(BIG, BIG + 10, 1), CONN_BLOCKED);
	assert_int_equal(send_pieces(BIG + 10, BIG + 7000, 3), CONN_BLOCKED);
	drain(5000);
	assert_received(BIG + 7000);
	assert_int_equal(send_pieces(BIG + 7000, BIG + 7010, 1), CONN_SENT);
	receive(sizeof(received));
	assert_received(BIG + 7010);
}

/* Not even where there is room by now: what is owed goes first. */
static void
test_appending_behind_a_flush_that_fell_short_keeps_order(void **state)
{
	size_t to = BIG;

	assert_int_equal(send_pieces(0, to, 2), CONN_BLOCKED);
	while (to < BIG + 20000) {
		receive(2000);
		assert_int_equal(send_pieces(to, to + 500, 2), CONN_BLOCKED);
		to += 500;
		assert_int_equal(conn_flush(&conn, &buffers), CONN_BLOCKED);
	}
	drain(4000);
	assert_received(to);
}

/* Fills the socket to the last byte that it takes. */
static size_t
fill(void)
{
	size_t len = 0;

	while (send_pieces(len, len + 1, 1) == CONN_SENT)
		len++;
	return len + 1;
}

static void
test_write_that_takes_nothing_keeps_all(void **state)
{
	size_t len = fill();

	assert_true(conn_is_blocked(&conn));
	assert_int_equal(buffer_len(conn.out), 1);
	assert_int_equal(conn_flush(&conn, &buffers), CONN_BLOCKED);
	turn();
	assert_int_equal(n_writable, 0);
	drain(sizeof(received));
	assert_received(len);
}

/* Fills the socket as fill() does, but so that the connection owes nothing. */
static size_t
fill_behind_its_back(void)
{
	size_t len = 0;

	while (send(conn.transport.fd, sent + len, 1, 0) == 1)
		len++;
	return len;
}

/* Takes a pipe that holds sent[from..to), within a frame of what is there
 * before and behind. */
static struct pipe *
make_pipe(struct pipe_pool *pool, size_t from, size_t to)
{
	struct pipe *pipe = pipe_take(pool);

	assert_non_null(pipe);
	assert_true(pipe_is_empty(pipe));
	assert_int_equal(
		write(pipe->write_fd, sent + from, to - from), to - from);
	pipe->len = to - from;
	pipe_frame(pipe, (struct slice){sent + from - 18, 18},
		(struct slice){sent + to, 2});
	return pipe;
}

static void
test_pipe_goes_out_within_its_frame(void **state)
{
	struct pipe_pool pool = {0};
	struct pipe *pipe = make_pipe(&pool, 18, 1018);

	assert_int_equal(conn_send_pipe(&conn, pipe), CONN_SENT);
	assert_false(conn_is_blocked(&conn));
	receive(sizeof(received));
	assert_received(1020);
	pipe_give(&pool, pipe);
	pipe_pool_close(&pool);
}

/* The socket is full, and takes a little at a time: every part of it waits. */
static void
test_pipe_and_frame_follow_in_order(void **state)
{
	struct pipe_pool pool = {0};
	size_t len = fill_behind_its_back();
	struct pipe *pipe = make_pipe(&pool, len + 18, len + 18 + 40000);

	assert_int_equal(conn_send_pipe(&conn, pipe), CONN_BLOCKED);
	assert_true(waits_for(EV_WRITE));
	drain(1);
	assert_received(len + 18 + 40000 + 2);
	assert_int_equal(flushed, CONN_SENT);
	assert_true(waits_for_none(EV_WRITE));
	assert_true(pipe_is_empty(pipe));
	pipe_give(&pool, pipe);
	pipe_pool_close(&pool);
}

/* What a pipe still owed when it was given back is nobody else's. */
static void
test_pipe_comes_back_empty(void **state)
{
	struct pipe_pool pool = {0};
	struct pipe *pipe = make_pipe(&pool, 18, 1000);

	pipe_give(&pool, pipe);
	assert_int_equal(pool.n_open, 0);
	pipe = pipe_take(&pool);
	pipe_frame(pipe, SLICE("before"), SLICE("behind"));
	pipe_give(&pool, pipe);
	assert_int_equal(pool.n_open, 1);
	pipe = make_pipe(&pool, 18, 1000);
	assert_int_equal(conn_send_pipe(&conn, pipe), CONN_SENT);
	receive(sizeof(received));
	assert_received(1002);
	pipe_give(&pool, pipe);
	pipe_pool_close(&pool);
}

static void
test_pipe_to_a_closed_peer_fails(void **state)
{
	struct pipe_pool pool = {0};
	struct pipe *pipe = make_pipe(&pool, 18, 1000);

	close(peer);
	peer = -1;
	assert_int_equal(conn_send_pipe(&conn, pipe), CONN_FAILED);
	assert_false(conn_is_blocked(&conn));
	pipe_give(&pool, pipe);
	pipe_pool_close(&pool);
}

static void
test_flush_of_nothing_is_sent(void **state)
{
	assert_int_equal(conn_flush(&conn, &buffers), CONN_SENT);
	assert_false(conn_is_blocked(&conn));
}

static void
test_reading_is_turned_off_and_on(void **state)
{
	assert_int_equal(write(peer, "x", 1), 1);
	turn();
	assert_int_equal(n_readable, 1);
	conn_set_reading(&conn, false);
	turn();
	assert_int_equal(n_readable, 1);
	assert_true(waits_for_none(EV_READ));
	conn_set_reading(&conn, true);
	turn();
	assert_int_equal(n_readable, 2);
}

/* Each of the two directions is switched without the other. */
static void
test_reading_stays_off_over_a_blocked_write(void **state)
{
	assert_int_equal(write(peer, "x", 1), 1);
	conn_set_reading(&conn, false);
	assert_int_equal(send_pieces(0, BIG, 1), CONN_BLOCKED);
	assert_true(waits_for(EV_WRITE));
	assert_true(waits_for_none(EV_READ));
	drain(8000);
	assert_received(BIG);
	assert_true(waits_for_none(EV_READ));
	assert_int_equal(n_readable, 0);
	assert_int_equal(send_pieces(0, BIG, 1), CONN_BLOCKED);
	conn_set_reading(&conn, true);
	assert_true(waits_for(EV_READ));
	assert_true(waits_for(EV_WRITE));
	turn();
	assert_int_equal(n_readable, 1);
}

static void
test_connecting_waits_for_writability_once(void **state)
{
	conn_close(&conn, &buffers);
	close(peer);
	open_pair(CONN_CONNECTING);
	assert_true(conn_watch(&conn));
	assert_true(waits_for(EV_WRITE));
	turn();
	assert_int_equal(n_writable, 1);
	conn_established(&conn);
	assert_true(waits_for_none(EV_WRITE));
	assert_true(waits_for(EV_READ));
	turn();
	assert_int_equal(n_writable, 1);
}

static void
test_writing_to_a_closed_peer_fails(void **state)
{
	close(peer);
	peer = -1;
	assert_int_equal(send_pieces(0, 10, 1), CONN_FAILED);
	assert_int_equal(send_pieces(0, 10, 3), CONN_FAILED);
}

static void
test_flush_to_a_peer_that_closed_fails(void **state)
{
	assert_int_equal(send_pieces(0, BIG, 1), CONN_BLOCKED);
	close(peer);
	peer = -1;
	assert_int_equal(conn_flush(&conn, &buffers), CONN_FAILED);
}

/* The leak checker sees to the buffer. */
static void
test_closing_gives_back_what_is_owed(void **state)
{
	int fd = conn.transport.fd;

	assert_int_equal(send_pieces(0, BIG, 1), CONN_BLOCKED);
	conn_close(&conn, &buffers);
	assert_false(conn_is_blocked(&conn));
	assert_int_equal(conn.transport.fd, -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	close(peer);
	open_pair(CONN_ESTABLISHED);
	assert_true(conn_watch(&conn));
	fill();
	conn_abort(&conn, &buffers);
	assert_false(conn_is_blocked(&conn));
	assert_int_equal(conn.transport.fd, -1);
}

static void
test_unwatched_connection_is_silent_until_watched(void **state)
{
	(void)state;
	conn_close(&conn, &buffers);
	close(peer);
	open_pair(CONN_ESTABLISHED);
	assert_int_equal(write(peer, "x", 1), 1);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(n_readable, 0);
	assert_true(conn_watch(&conn));
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(n_readable, 1);
	assert_true(conn_watch(&conn));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unwatched_connection_is_silent_until_watched),
		TEST(test_what_fits_is_sent_at_once),
		TEST(test_rest_of_a_short_write_follows_in_order),
		TEST(test_write_cut_in_its_last_piece_follows_in_order),
		TEST(test_order_is_kept_wherever_a_write_ends),
		TEST(test_sending_while_blocked_appends),
		TEST(test_appending_behind_a_flush_that_fell_short_keeps_order),
		TEST(test_write_that_takes_nothing_keeps_all),
		TEST(test_pipe_goes_out_within_its_frame),
		TEST(test_pipe_and_frame_follow_in_order),
		TEST(test_pipe_comes_back_empty),
		TEST(test_pipe_to_a_closed_peer_fails),
		TEST(test_flush_of_nothing_is_sent),
		TEST(test_reading_is_turned_off_and_on),
		TEST(test_reading_stays_off_over_a_blocked_write),
		TEST(test_connecting_waits_for_writability_once),
		TEST(test_writing_to_a_closed_peer_fails),
		TEST(test_flush_to_a_peer_that_closed_fails),
		TEST(test_closing_gives_back_what_is_owed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
