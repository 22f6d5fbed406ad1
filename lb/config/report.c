#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

#define MESSAGE_SIZE 1024

void
report_init(struct report *report, const char *file)
{
	*report = (struct report){.file = file};
}

static void
format_place(const struct report *report, struct report_place place, char *out,
	size_t size)
{
	if (place.line == 0)
		snprintf(out, size, "%s", report->file);
	else
		snprintf(out, size, "%s:%u:%u", report->file, place.line,
			place.column);
}

static void __attribute__((format(printf, 4, 0)))
add(struct report *report, struct report_place place, bool is_warning,
	const char *format, va_list args)
{
	char where[MESSAGE_SIZE / 2], what[MESSAGE_SIZE];
	struct report_entry *entry;
	size_t n = report->n_entries;

	if (!is_warning)
		report->n_errors++;
	if (n == REPORT_MAX_ENTRIES) {
		if (is_warning)
			report->n_dropped_warnings++;
		else
			report->n_dropped_errors++;
		return;
	}
	if ((n & (n - 1)) == 0)
		report->entries = memory_realloc_array(report->entries,
			n == 0 ? 1 : n * 2, sizeof(*report->entries));
	format_place(report, place, where, sizeof(where));
	vsnprintf(what, sizeof(what), format, args);
	entry = &report->entries[report->n_entries++];
	entry->place = place;
	entry->order = n;
	entry->is_warning = is_warning;
	entry->message = memory_zalloc(strlen(where) + strlen(what) + 3);
	sprintf(entry->message, "%s: %s", where, what);
}

void
report_error(struct report *report, struct report_place place,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(report, place, false, format, args);
	va_end(args);
}

void
report_warning(struct report *report, struct report_place place,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(report, place, true, format, args);
	va_end(args);
}

static int
compare_numbers(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

static int
compare_entries(const void *left, const void *right)
{
	const struct report_entry *a = left, *b = right;

	if (a->place.line != b->place.line)
		return compare_numbers(a->place.line, b->place.line);
	if (a->place.column != b->place.column)
		return compare_numbers(a->place.column, b->place.column);
	return compare_numbers(a->order, b->order);
}

/* Stands for n messages that were dropped. */
static char *
more_line(const struct report *report, size_t n)
{
	char line[MESSAGE_SIZE];

	snprintf(line, sizeof(line), "%.512s: and %zu more", report->file, n);
	return memory_strdup(line);
}

void
report_finish(struct report *report, struct config_report *out)
{
	size_t i, n = report->n_entries;

	*out = (struct config_report){0};
	if (n > 0)
		qsort(report->entries, n, sizeof(*report->entries),
			compare_entries);
	/* One more: the line that counts what was dropped. */
	out->errors = memory_zalloc_array(n + 1, sizeof(*out->errors));
	out->warnings = memory_zalloc_array(n + 1, sizeof(*out->warnings));
	for (i = 0; i < n; i++) {
		struct report_entry *entry = &report->entries[i];

		if (entry->is_warning)
			out->warnings[out->n_warnings++] = entry->message;
		else
			out->errors[out->n_errors++] = entry->message;
	}
	if (report->n_dropped_errors > 0)
		out->errors[out->n_errors++] =
			more_line(report, report->n_dropped_errors);
	if (report->n_dropped_warnings > 0)
		out->warnings[out->n_warnings++] =
			more_line(report, report->n_dropped_warnings);
	free(report->entries);
	report_init(report, report->file);
}

void
config_report_free(struct config_report *report)
{
	size_t i;

	for (i = 0; i < report->n_errors; i++)
		free(report->errors[i]);
	for (i = 0; i < report->n_warnings; i++)
		free(report->warnings[i]);
	free(report->errors);
	free(report->warnings);
	*report = (struct config_report){0};
}
