/*
 * report: collects what is wrong with a file, and puts it in order.
 *
 * The steps of reading a file (syntax, keys, checks across keys) find their
 * errors in an order of their own; report_finish() sorts them by place.
 */
#ifndef PERCH_CONFIG_REPORT_H
#define PERCH_CONFIG_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

/* More are counted, but not kept. */
#define REPORT_MAX_ENTRIES 1000
/* What is quoted from a file is cut to this. */
#define REPORT_QUOTE_LEN 80
/* A slice for "%.*s". */
#define REPORT_QUOTE(slice)                                                    \
	(int)((slice).len < REPORT_QUOTE_LEN ? (slice).len                     \
					     : REPORT_QUOTE_LEN),              \
		(slice).ptr

/* Both count from 1; line 0: the file as a whole. */
struct report_place {
	unsigned line;
	unsigned column;
};

struct report_entry {
	struct report_place place;
	size_t order; /* among those of one place */
	bool is_warning;
	char *message;
};

struct report {
	const char *file; /* the caller's */
	struct report_entry *entries;
	size_t n_entries;
	size_t n_errors; /* counts the dropped ones too */
	size_t n_dropped_errors;
	size_t n_dropped_warnings;
};

void report_init(struct report *report, const char *file);

void report_error(struct report *report, struct report_place place,
	const char *format, ...) __attribute__((format(printf, 3, 4)));
void report_warning(struct report *report, struct report_place place,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Moves everything to out, sorted, and frees what report holds. */
void report_finish(struct report *report, struct config_report *out);

#endif
