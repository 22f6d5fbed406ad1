/*
 * Two pieces of memory: one is filled by those who have lines, while the other
 * is written by the thread; when that is done it takes the first and gives the
 * empty one for it. So nothing wraps around, lines stay whole, and no lock is
 * held while a write lasts.
 *
 * Whether a descriptor blocks can't be chosen where others share it (it is a
 * property of the open file: O_NONBLOCK on our stderr would be the shell's
 * too). So it is polled first, and then given no more than a pipe surely has
 * room for, which also keeps lines whole among those of others (PIPE_BUF). If a
 * write blocks all the same, only this thread waits.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"

#define OPEN_WAIT_S 2
/* Without progress for so long, what waits for it is let go. */
#define STALL_MS 1000
#define SETTLE_MS 5000
#define LOOK_US 200

enum state { OPENING, OPEN, FAILED };

struct outlet {
	struct list node; /* in outlets */
	struct outlet_setup setup;
	char *path; /* its own copy */

	pthread_mutex_t lock;
	pthread_cond_t work; /* for the thread */
	pthread_cond_t opened; /* for outlet_open() */
	enum state state;
	int open_error;
	char *filling;
	size_t n_filled;
	size_t reopen_at; /* how much of it goes to the old file */
	bool is_reopen_due;
	bool is_closing;
	bool is_idle;

	/* The thread's own. */
	char *writing;
	int fd;
	bool is_regular;
	bool is_torn; /* what was written last is no whole line */
	bool is_in_haste; /* a reopening waits for what is being written */
	bool has_given_up; /* nothing is waited for until the reopening, or end */
};

static pthread_mutex_t outlets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list outlets = {&outlets, &outlets};
static pid_t owner; /* the threads are this process's, and no child's */
/* Grows with all that an outlet gets rid of. */
static _Atomic uint64_t progress;

static void
note_progress(void)
{
	atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
}

static void
drop(struct outlet *outlet, const char *lines, size_t len)
{
	const char *end = lines + len;
	uint64_t n = 0;

	while (lines < end &&
		(lines = memchr(lines, '\n', (size_t)(end - lines))) != NULL) {
		lines++;
		n++;
	}
	atomic_fetch_add_explicit(
		outlet->setup.n_dropped, n, memory_order_relaxed);
	note_progress();
}

/* --- the thread: files ----------------------------------------------------- */

/* A pipe without readers can't be opened to be written alone, but for both it
 * can (fifo(7)): a reader may come later, and go and come again. */
static int
open_path(const char *path)
{
	struct stat status;
	int how = O_WRONLY;

	if (stat(path, &status) == 0 && S_ISFIFO(status.st_mode))
		how = O_RDWR;
	return open(path,
		how | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		0640);
}

static void
look_at(struct outlet *outlet)
{
	struct stat status;

	outlet->is_regular =
		fstat(outlet->fd, &status) == 0 && S_ISREG(status.st_mode);
	outlet->is_torn = false;
}

static bool
open_first(struct outlet *outlet)
{
	outlet->fd = outlet->setup.fd;
	if (outlet->setup.put != NULL)
		return true;
	if (outlet->path != NULL)
		outlet->fd = open_path(outlet->path);
	if (outlet->fd < 0)
		return false;
	look_at(outlet);
	return true;
}

static void
reopen(struct outlet *outlet)
{
	int fd = open_path(outlet->path);

	if (fd < 0) {
		log_error("can't reopen %s, the file that is open stays: %s",
			outlet->path, strerror(errno));
		return;
	}
	close(outlet->fd);
	outlet->fd = fd;
	look_at(outlet);
}

/* --- the thread: writing --------------------------------------------------- */

/* Does anybody wait for it to give up? */
static bool
must_hurry(struct outlet *outlet)
{
	bool must;

	pthread_mutex_lock(&outlet->lock);
	must = outlet->is_in_haste || outlet->is_closing ||
	       outlet->is_reopen_due;
	pthread_mutex_unlock(&outlet->lock);
	return must;
}

/* False if it takes nothing, and is not to be waited for. */
static bool
wait_writable(struct outlet *outlet)
{
	struct pollfd wanted = {.fd = outlet->fd, .events = POLLOUT};

	while (poll(&wanted, 1, STALL_MS) == 0) {
		outlet->has_given_up = must_hurry(outlet);
		if (outlet->has_given_up)
			return false;
	}
	return true;
}

static void
pause_a_moment(void)
{
	const struct timespec moment = {.tv_nsec = LOOK_US * 1000};

	nanosleep(&moment, NULL);
}

/* Returns how much was written. */
static size_t
write_bytes(struct outlet *outlet, const char *bytes, size_t len)
{
	size_t done = 0, n_next;
	ssize_t n;

	while (done < len && wait_writable(outlet)) {
		n_next = len - done;
		if (!outlet->is_regular && n_next > PIPE_BUF)
			n_next = PIPE_BUF;
		n = write(outlet->fd, bytes + done, n_next);
		if (n > 0) {
			done += (size_t)n;
			note_progress();
		} else if (n < 0 && errno == EAGAIN) {
			/* Somebody else was faster. */
			pause_a_moment();
		} else if (n == 0 || errno != EINTR) {
			break;
		}
	}
	return done;
}

/* How much goes out at once: whole lines, and one in any case. */
static size_t
piece_len(const struct outlet *outlet, const char *lines, size_t len)
{
	const char *end;

	if (outlet->setup.put == NULL) {
		if (outlet->is_regular || len <= PIPE_BUF)
			return len;
		end = memrchr(lines, '\n', PIPE_BUF);
		if (end != NULL)
			return (size_t)(end - lines) + 1;
	}
	end = memchr(lines, '\n', len);
	return end != NULL ? (size_t)(end - lines) + 1 : len;
}

static void
write_piece(struct outlet *outlet, const char *lines, size_t len)
{
	size_t done;

	/* What was lost half way must not take the next line with it. */
	if (outlet->is_torn && write_bytes(outlet, "\n", 1) == 1)
		outlet->is_torn = false;
	done = write_bytes(outlet, lines, len);
	if (done < len)
		drop(outlet, lines + done, len - done);
	if (done > 0)
		outlet->is_torn = lines[done - 1] != '\n';
}

static void
write_lines(struct outlet *outlet, const char *lines, size_t len)
{
	size_t n;

	for (; len > 0; lines += n, len -= n) {
		n = piece_len(outlet, lines, len);
		if (outlet->has_given_up) {
			drop(outlet, lines, len);
			return;
		}
		if (outlet->setup.put == NULL)
			write_piece(outlet, lines, n);
		else
			outlet->setup.put(lines, n);
		note_progress();
	}
}

/* --- memory ---------------------------------------------------------------- */

/* Of pages, so that what no backlog ever reached costs nothing. */
static char *
map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory != MAP_FAILED ? memory : NULL;
}

static void
unmap(char *memory, size_t size)
{
	if (memory != NULL)
		munmap(memory, size);
}

/* --- the thread ------------------------------------------------------------ */

static void
free_outlet(struct outlet *outlet)
{
	pthread_mutex_lock(&outlets_lock);
	list_remove(&outlet->node);
	pthread_mutex_unlock(&outlets_lock);
	if (outlet->path != NULL && outlet->fd >= 0)
		close(outlet->fd);
	pthread_mutex_destroy(&outlet->lock);
	pthread_cond_destroy(&outlet->work);
	pthread_cond_destroy(&outlet->opened);
	free(outlet->path);
	unmap(outlet->filling, outlet->setup.size);
	unmap(outlet->writing, outlet->setup.size);
	free(outlet);
}

/* With the lock held, which is given up meanwhile. */
static void
write_batch(struct outlet *outlet)
{
	char *lines = outlet->filling;
	size_t len = outlet->n_filled;
	bool is_reopen_due = outlet->is_reopen_due;
	size_t old_len = is_reopen_due ? outlet->reopen_at : len;

	outlet->filling = outlet->writing;
	outlet->writing = lines;
	outlet->n_filled = 0;
	outlet->is_reopen_due = false;
	pthread_mutex_unlock(&outlet->lock);
	outlet->is_in_haste = is_reopen_due;
	write_lines(outlet, lines, old_len);
	if (is_reopen_due)
		reopen(outlet);
	outlet->is_in_haste = outlet->has_given_up = false;
	write_lines(outlet, lines + old_len, len - old_len);
	outlet->has_given_up = false;
	pthread_mutex_lock(&outlet->lock);
}

static bool
has_work(const struct outlet *outlet)
{
	return outlet->n_filled > 0 || outlet->is_reopen_due;
}

static void *
run_thread(void *arg)
{
	struct outlet *outlet = arg;
	bool is_open;

	pthread_setname_np(pthread_self(), "outlet");
	is_open = open_first(outlet);
	pthread_mutex_lock(&outlet->lock);
	outlet->open_error = errno;
	outlet->state = is_open ? OPEN : FAILED;
	pthread_cond_signal(&outlet->opened);
	while (has_work(outlet) || !outlet->is_closing) {
		outlet->is_idle = !has_work(outlet);
		if (outlet->is_idle)
			pthread_cond_wait(&outlet->work, &outlet->lock);
		else
			write_batch(outlet);
	}
	pthread_mutex_unlock(&outlet->lock);
	free_outlet(outlet);
	return NULL;
}

/* Without signals: they are the main thread's. */
static bool
start_thread(struct outlet *outlet)
{
	pthread_attr_t detached;
	pthread_t thread;
	sigset_t all, old;
	int result;

	sigfillset(&all);
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	result = pthread_create(&thread, &detached, run_thread, outlet);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&detached);
	return result == 0;
}

/* --- for everybody --------------------------------------------------------- */

static struct outlet *
new_outlet(const struct outlet_setup *setup)
{
	struct outlet *outlet = memory_zalloc(sizeof(*outlet));
	pthread_condattr_t monotonic;

	outlet->setup = *setup;
	outlet->fd = -1;
	if (setup->path != NULL)
		outlet->path = memory_strdup(setup->path);
	outlet->filling = map(setup->size);
	outlet->writing = map(setup->size);
	pthread_mutex_init(&outlet->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&outlet->work, &monotonic);
	pthread_cond_init(&outlet->opened, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_lock(&outlets_lock);
	if (owner == 0)
		atexit(outlet_settle_all);
	owner = getpid();
	list_push_back(&outlets, &outlet->node);
	pthread_mutex_unlock(&outlets_lock);
	return outlet;
}

static enum state
await_opened(struct outlet *outlet, int *open_error)
{
	uint64_t until_ns = clock_monotonic_ns() + OPEN_WAIT_S * CLOCK_NS_PER_S;
	struct timespec until;
	enum state state;
	int result = 0;

	until.tv_sec = (time_t)(until_ns / CLOCK_NS_PER_S);
	until.tv_nsec = (long)(until_ns % CLOCK_NS_PER_S);
	pthread_mutex_lock(&outlet->lock);
	while (outlet->state == OPENING && result == 0)
		result = pthread_cond_timedwait(
			&outlet->opened, &outlet->lock, &until);
	state = outlet->state;
	*open_error = outlet->open_error;
	pthread_mutex_unlock(&outlet->lock);
	return state;
}

struct outlet *
outlet_open(const struct outlet_setup *setup, struct error *error)
{
	struct outlet *outlet = new_outlet(setup);
	int open_error;

	if (outlet->filling == NULL || outlet->writing == NULL ||
		!start_thread(outlet)) {
		error_set(error, "no memory or thread for it");
		free_outlet(outlet);
		return NULL;
	}
	switch (await_opened(outlet, &open_error)) {
	case OPEN:
		return outlet;
	case OPENING:
		error_set(error, "it takes too long");
		break;
	case FAILED:
		error_set(error, "%s", strerror(open_error));
		break;
	}
	outlet_close(outlet);
	return NULL;
}

bool
outlet_offer(struct outlet *outlet, const char *lines, size_t len)
{
	bool was_empty, has_room;

	pthread_mutex_lock(&outlet->lock);
	was_empty = outlet->n_filled == 0;
	has_room = len <= outlet->setup.size - outlet->n_filled;
	if (has_room) {
		memcpy(outlet->filling + outlet->n_filled, lines, len);
		outlet->n_filled += len;
		outlet->is_idle = false;
	}
	pthread_mutex_unlock(&outlet->lock);
	if (has_room && was_empty)
		pthread_cond_signal(&outlet->work);
	return has_room;
}

bool
outlet_write(struct outlet *outlet, const char *lines, size_t len)
{
	if (outlet_offer(outlet, lines, len))
		return true;
	drop(outlet, lines, len);
	return false;
}

void
outlet_reopen(struct outlet *outlet)
{
	if (outlet->path == NULL)
		return;
	pthread_mutex_lock(&outlet->lock);
	outlet->is_reopen_due = true;
	outlet->reopen_at = outlet->n_filled;
	outlet->is_idle = false;
	pthread_mutex_unlock(&outlet->lock);
	pthread_cond_signal(&outlet->work);
}

void
outlet_close(struct outlet *outlet)
{
	pthread_mutex_lock(&outlet->lock);
	outlet->is_closing = true;
	pthread_cond_signal(&outlet->work);
	pthread_mutex_unlock(&outlet->lock);
}

static bool
are_all_idle(void)
{
	struct list *node;
	bool are_idle = true;

	pthread_mutex_lock(&outlets_lock);
	for (node = outlets.next; node != &outlets; node = node->next) {
		struct outlet *outlet = list_entry(node, struct outlet, node);

		pthread_mutex_lock(&outlet->lock);
		are_idle = are_idle && outlet->is_idle;
		pthread_mutex_unlock(&outlet->lock);
	}
	pthread_mutex_unlock(&outlets_lock);
	return are_idle;
}

void
outlet_settle_all(void)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t end_ns = now_ns + SETTLE_MS * CLOCK_NS_PER_MS;
	uint64_t moved_ns = now_ns;
	uint64_t seen = atomic_load(&progress), got;

	if (owner != getpid())
		return;
	while (!are_all_idle() && now_ns < end_ns &&
		now_ns - moved_ns < STALL_MS * CLOCK_NS_PER_MS) {
		pause_a_moment();
		now_ns = clock_monotonic_ns();
		got = atomic_load(&progress);
		if (got != seen)
			moved_ns = now_ns;
		seen = got;
	}
}
