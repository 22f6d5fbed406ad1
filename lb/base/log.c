/*
 * A line is formatted on the caller's stack and leaves in one write(2), so
 * that lines of different threads never mix and no lock is held. The file's
 * descriptor, once opened, keeps its number for the life of the program:
 * another file is put under it with dup3(2), which is atomic, so that a
 * thread in the middle of a write can't meet a descriptor closed or reused.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

/* An event of a release of several services, with its signals, has a few KiB;
 * cut, it would be no JSON. */
#define LINE_SIZE 16384
#define TO_SYSLOG (-1)

/* The descriptor that lines go to, or TO_SYSLOG. */
static atomic_int sink = STDERR_FILENO;
static atomic_int threshold = LOG_LEVEL_INFO;

/* Opening and reopening only; writing takes no lock. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static int file_fd = -1;
static char *file_path; /* NULL: lines go elsewhere */

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

/* Puts the file under file_fd. Called with the lock held. */
static bool
open_file(const char *path, struct error *error)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0) {
		error_set(error, "can't open log file %s: %s", path,
			strerror(errno));
		return false;
	}
	if (file_fd < 0) {
		file_fd = fd;
		return true;
	}
	if (dup3(fd, file_fd, O_CLOEXEC) < 0) {
		error_set(error, "can't switch to log file %s: %s", path,
			strerror(errno));
		close(fd);
		return false;
	}
	close(fd);
	return true;
}

/* Called with the lock held; path is NULL where the target is no file. */
static void
switch_to(int fd, const char *path)
{
	char *copy = path != NULL ? memory_strdup(path) : NULL;

	free(file_path);
	file_path = copy;
	atomic_store(&sink, fd);
}

bool
log_open(const char *target, enum log_level level, struct error *error)
{
	bool ok = true;

	pthread_mutex_lock(&open_lock);
	if (strcmp(target, "stderr") == 0) {
		switch_to(STDERR_FILENO, NULL);
	} else if (strcmp(target, "syslog") == 0) {
		openlog("perch", LOG_PID, LOG_DAEMON);
		switch_to(TO_SYSLOG, NULL);
	} else if (open_file(target, error)) {
		switch_to(file_fd, target);
	} else {
		ok = false;
	}
	if (ok)
		atomic_store(&threshold, (int)level);
	pthread_mutex_unlock(&open_lock);
	return ok;
}

bool
log_reopen(struct error *error)
{
	bool ok;

	pthread_mutex_lock(&open_lock);
	ok = file_path == NULL || open_file(file_path, error);
	pthread_mutex_unlock(&open_lock);
	return ok;
}

/* "2026-01-31T12:00:00.000Z info "; returns its length. */
static size_t
format_prefix(char *out, size_t size, enum log_level level)
{
	size_t len = clock_format(clock_wall_ns(), out);

	return len + (size_t)snprintf(
			     out + len, size - len, " %s ", level_names[level]);
}

static void
write_line(int fd, const char *line, size_t len)
{
	/* Nobody is left to be told that this failed. */
	while (write(fd, line, len) < 0 && errno == EINTR)
		continue;
}

void
log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_SIZE];
	size_t start, len, i;
	int saved_errno = errno;
	int fd, wanted;
	va_list args;

	if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	fd = atomic_load(&sink);
	start = fd == TO_SYSLOG ? 0 : format_prefix(line, sizeof(line), level);
	va_start(args, format);
	wanted = vsnprintf(line + start, sizeof(line) - start, format, args);
	va_end(args);
	len = start + (wanted > 0 ? (size_t)wanted : 0);
	/* Too long: cut, with room for the line's end. */
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	/* What a peer sent may be quoted; it must not forge a second line. */
	for (i = start; i < len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	if (fd == TO_SYSLOG) {
		syslog(level_priorities[level], "%.*s", (int)len, line);
	} else {
		line[len++] = '\n';
		write_line(fd, line, len);
	}
	errno = saved_errno;
}
