#include "ctl/sheet.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/printable.h"
#include "release/evidence.h"

#define GAP 2

/* --- cells ----------------------------------------------------------------- */

void
sheet_text(char *cell, const char *text)
{
	printable_copy(cell, SHEET_CELL_SIZE, text, strlen(text));
}

void
sheet_string(char *cell, const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	sheet_text(cell, value != NULL ? value : "-");
}

void
sheet_percent(char *cell, const json_t *value, double factor, int decimals)
{
	if (json_is_number(value))
		snprintf(cell, SHEET_CELL_SIZE, "%.*f %%", decimals,
			json_number_value(value) * factor);
	else
		strcpy(cell, "-");
}

void
sheet_share(char *cell, const json_t *value)
{
	if (json_is_number(value))
		snprintf(cell, SHEET_CELL_SIZE, "%.5g %%",
			json_number_value(value));
	else
		strcpy(cell, "-");
}

void
sheet_rate(char *cell, const json_t *value)
{
	snprintf(cell, SHEET_CELL_SIZE, "%.1f", json_number_value(value));
}

void
sheet_count(char *cell, const json_t *value)
{
	snprintf(cell, SHEET_CELL_SIZE, "%" JSON_INTEGER_FORMAT,
		json_integer_value(value));
}

void
sheet_number(char *cell, const json_t *value)
{
	double number = json_number_value(value);
	char text[EVIDENCE_NUMBER_SIZE];

	if (!json_is_number(value))
		strcpy(cell, "-");
	else if (number >= 99.5 && number < 1e9)
		strcpy(cell, evidence_number((uint64_t)round(number), text));
	else
		snprintf(cell, SHEET_CELL_SIZE, "%.3g", number);
}

void
sheet_duration(char *cell, const json_t *value)
{
	double ms = json_number_value(value);

	if (!json_is_number(value))
		strcpy(cell, "-");
	else if (ms < 1)
		snprintf(cell, SHEET_CELL_SIZE, "%.0fus", ms * 1000);
	else if (ms < 10)
		snprintf(cell, SHEET_CELL_SIZE, "%.2fms", ms);
	else if (ms < 100)
		snprintf(cell, SHEET_CELL_SIZE, "%.1fms", ms);
	else if (ms < 1000)
		snprintf(cell, SHEET_CELL_SIZE, "%.0fms", ms);
	else
		snprintf(cell, SHEET_CELL_SIZE, "%.2fs", ms / 1000);
}

void
sheet_seconds(char *cell, const json_t *value)
{
	double s = json_number_value(value);

	if (!json_is_number(value))
		strcpy(cell, "-");
	else if (s < 10)
		snprintf(cell, SHEET_CELL_SIZE, "%.2g s", s);
	else if (s < 120)
		snprintf(cell, SHEET_CELL_SIZE, "%.0f s", s);
	else if (s < 7200)
		snprintf(cell, SHEET_CELL_SIZE, "%.0f min", s / 60);
	else if (s < 172800)
		snprintf(cell, SHEET_CELL_SIZE, "%.0f h", s / 3600);
	else
		snprintf(cell, SHEET_CELL_SIZE, "%.3g days", s / 86400);
}

/* --- the sheet ------------------------------------------------------------- */

void
sheet_begin(struct sheet *sheet, const struct sheet_column *columns,
	size_t n_columns)
{
	assert(n_columns <= SHEET_COLUMNS_MAX);
	memset(sheet, 0, sizeof(*sheet));
	sheet->columns = columns;
	sheet->n_columns = n_columns;
}

struct sheet_row *
sheet_add(struct sheet *sheet)
{
	if (sheet->n_rows == sheet->size) {
		sheet->size = sheet->size * 2 + 16;
		sheet->rows = memory_realloc_array(
			sheet->rows, sheet->size, sizeof(*sheet->rows));
	}
	memset(&sheet->rows[sheet->n_rows], 0, sizeof(struct sheet_row));
	return &sheet->rows[sheet->n_rows++];
}

/* row NULL: the titles. No blanks at the end of a line. */
static void
print_row(FILE *out, const struct sheet *sheet, const struct sheet_row *row,
	const size_t *widths)
{
	int pending = 0; /* blanks that nothing has followed yet */

	for (size_t i = 0; i < sheet->n_columns; i++) {
		const char *cell =
			row != NULL ? row->cells[i] : sheet->columns[i].title;
		int width = (int)widths[i];
		int len = (int)strlen(cell);
		int before = 0;

		if (width == 0)
			continue;
		if (sheet->columns[i].side == SHEET_RIGHT)
			before = width - len;
		if (len > 0) {
			fprintf(out, "%*s%s", pending + before, "", cell);
			pending = 0;
		} else {
			pending += before + len;
		}
		pending += width - len - before + GAP;
	}
	fputc('\n', out);
}

void
sheet_finish(FILE *out, struct sheet *sheet)
{
	size_t widths[SHEET_COLUMNS_MAX] = {0};

	for (size_t i = 0; i < sheet->n_columns; i++) {
		for (size_t r = 0; r < sheet->n_rows; r++) {
			size_t len = strlen(sheet->rows[r].cells[i]);

			if (len > widths[i])
				widths[i] = len;
		}
		if (widths[i] > 0 &&
			strlen(sheet->columns[i].title) > widths[i])
			widths[i] = strlen(sheet->columns[i].title);
	}
	print_row(out, sheet, NULL, widths);
	for (size_t r = 0; r < sheet->n_rows; r++)
		print_row(out, sheet, &sheet->rows[r], widths);
	free(sheet->rows);
	sheet->rows = NULL;
	sheet->n_rows = sheet->size = 0;
}
