/*
 * A line is formatted on the caller's stack and left with an outlet, whose
 * thread writes it: nobody who logs ever waits for who reads. The outlet of
 * stderr is made for the first line, so that what is said before there is a
 * config goes the same way.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/outlet.h"
#include "base/printable.h"

/* An event of a release of several services, with its signals, has a few KiB;
 * cut, it would be no JSON. */
#define LINE_SIZE 16384
#define WAITING_MAX (256 * 1024)
/* That lines were dropped is said at most so often. */
#define GAP_NS CLOCK_NS_PER_S

static atomic_int threshold = LOG_LEVEL_INFO;
static _Atomic uint64_t n_dropped;

/* Held while a line is made and left, never while one is written. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct outlet *outlet;
static char *target; /* of the outlet; NULL before there is one */
static bool is_syslog;
static uint64_t n_dropped_said;
static uint64_t tried_ns; /* to say that */

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const int level_priorities[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARN] = LOG_WARNING,
	[LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

/* --- where to -------------------------------------------------------------- */

/* The outlet's line has the level in front, as a digit. */
static void
put_to_syslog(const char *line, size_t len)
{
	static bool is_open;

	/* Not where the target is set: syslog(3) may hold its lock for long. */
	if (!is_open)
		openlog("perch", LOG_PID, LOG_DAEMON);
	is_open = true;
	syslog(level_priorities[line[0] - '0'], "%.*s", (int)len - 2, line + 1);
}

static struct outlet *
open_outlet(const char *name, struct error *error)
{
	struct outlet_setup setup = {
		.size = WAITING_MAX,
		.n_dropped = &n_dropped,
	};

	if (strcmp(name, "stderr") == 0)
		setup.fd = STDERR_FILENO;
	else if (strcmp(name, "syslog") == 0)
		setup.put = put_to_syslog;
	else
		setup.path = name;
	return outlet_open(&setup, error);
}

/* With the lock held. */
static void
switch_to(struct outlet *other, const char *name)
{
	if (outlet != NULL)
		outlet_close(outlet);
	outlet = other;
	free(target);
	target = memory_strdup(name);
	is_syslog = strcmp(name, "syslog") == 0;
}

static bool
is_target(const char *name)
{
	bool is;

	pthread_mutex_lock(&lock);
	is = outlet != NULL && strcmp(target, name) == 0;
	pthread_mutex_unlock(&lock);
	return is;
}

bool
log_open(const char *name, enum log_level level, struct error *error)
{
	struct outlet *other;
	struct error reason;

	if (is_target(name)) {
		log_reopen();
	} else {
		other = open_outlet(name, &reason);
		if (other == NULL) {
			error_set(error, "can't open log file %s: %s", name,
				reason.message);
			return false;
		}
		pthread_mutex_lock(&lock);
		switch_to(other, name);
		pthread_mutex_unlock(&lock);
	}
	atomic_store(&threshold, (int)level);
	return true;
}

void
log_reopen(void)
{
	pthread_mutex_lock(&lock);
	if (outlet != NULL)
		outlet_reopen(outlet);
	pthread_mutex_unlock(&lock);
}

uint64_t
log_dropped(void)
{
	return atomic_load_explicit(&n_dropped, memory_order_relaxed);
}

/* --- lines ----------------------------------------------------------------- */

struct line {
	char text[LINE_SIZE];
	size_t len;
};

/* "2026-01-31T12:00:00.000Z info "; returns its length. */
static size_t
format_prefix(char *out, size_t size, enum log_level level)
{
	size_t len = clock_format(clock_wall_ns(), out);

	return len + (size_t)snprintf(
			     out + len, size - len, " %s ", level_names[level]);
}

/* With the lock held: syslog adds the time itself. */
static void
begin(struct line *line, enum log_level level)
{
	if (!is_syslog) {
		line->len =
			format_prefix(line->text, sizeof(line->text), level);
		return;
	}
	line->text[0] = (char)('0' + level);
	line->len = 1;
}

/* What a peer sent may be quoted; it must not forge a second line, nor speak to
 * a terminal. */
static void
finish(struct line *line, const char *text, size_t len)
{
	line->len += printable_copy(line->text + line->len,
		sizeof(line->text) - 1 - line->len, text, len);
	line->text[line->len++] = '\n';
}

/* With the lock held: where lines are missing, and as often as is bearable. What
 * is full then most likely has no room for this either: that is no loss, and
 * isn't tried with each line. */
static void
say_dropped(void)
{
	uint64_t n = log_dropped();
	uint64_t now_ns = clock_monotonic_ns();
	struct line line;
	char text[96];

	if (n == n_dropped_said || now_ns - tried_ns < GAP_NS)
		return;
	tried_ns = now_ns;
	snprintf(text, sizeof(text),
		"the log took nothing: %llu of its lines are lost by now",
		(unsigned long long)n);
	begin(&line, LOG_LEVEL_WARN);
	finish(&line, text, strlen(text));
	if (outlet_offer(outlet, line.text, line.len))
		n_dropped_said = n;
}

/* With the lock held. */
static void
leave(const struct line *line)
{
	if (outlet == NULL) {
		outlet = open_outlet("stderr", NULL);
		free(target);
		target = memory_strdup("stderr");
	}
	/* Without a thread nothing works; this one may say why. */
	if (outlet == NULL) {
		(void)!write(STDERR_FILENO, line->text, line->len);
		return;
	}
	say_dropped();
	outlet_write(outlet, line->text, line->len);
}

void
log_write(enum log_level level, const char *format, ...)
{
	int saved_errno = errno;
	char text[LINE_SIZE];
	struct line line;
	va_list args;
	int wanted;

	if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	va_start(args, format);
	wanted = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pthread_mutex_lock(&lock);
	begin(&line, level);
	finish(&line, text, wanted > 0 ? strlen(text) : 0);
	leave(&line);
	pthread_mutex_unlock(&lock);
	errno = saved_errno;
}
