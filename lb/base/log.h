/*
 * log: messages for the operator, by level, to stderr, a file or syslog.
 *
 * Any thread may log, and none waits: a line is left with an outlet. What
 * can't be written is lost, counted, and said, tried once a second, when there
 * is room again. The access log is not here (proxy/access_log).
 */
#ifndef PERCH_BASE_LOG_H
#define PERCH_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Where lines go: "stderr", "syslog" or a file's path. Until the first call
 * they go to stderr. False if the file can't be opened; the old target stays.
 * The target that it has already is reopened.
 */
bool log_open(const char *target, enum log_level level, struct error *error);

/* Opens the file anew (after a log rotation), for all that is said from now on. If
 * that fails, the log says so, where it was. */
void log_reopen(void);

/* Lines lost since the start. */
uint64_t log_dropped(void);

/* One line: time, level, message. Below the level it costs a comparison. */
void log_write(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
