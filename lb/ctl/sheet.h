/*
 * sheet: a table for people. Rows are collected first, so that a column is as
 * wide as its widest cell; a column without any is left out.
 */
#ifndef PERCH_CTL_SHEET_H
#define PERCH_CTL_SHEET_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#define SHEET_COLUMNS_MAX 16
#define SHEET_CELL_SIZE 320

enum sheet_side { SHEET_LEFT, SHEET_RIGHT };

struct sheet_column {
	const char *title;
	enum sheet_side side;
};

struct sheet_row {
	char cells[SHEET_COLUMNS_MAX][SHEET_CELL_SIZE];
};

struct sheet {
	const struct sheet_column *columns;
	size_t n_columns;
	struct sheet_row *rows;
	size_t n_rows;
	size_t size;
};

/* columns stay the caller's. */
void sheet_begin(struct sheet *sheet, const struct sheet_column *columns,
	size_t n_columns);
/* Good until the next one is added. */
struct sheet_row *sheet_add(struct sheet *sheet);
/* Prints and frees it. */
void sheet_finish(FILE *out, struct sheet *sheet);

/* --- cells: each of SHEET_CELL_SIZE bytes ------------------------------------ */

/* As base/printable shows it. */
void sheet_text(char *cell, const char *text);
/* A member of an object; "-" if it is no text. */
void sheet_string(char *cell, const json_t *object, const char *key);
/* value * factor, with so many decimals; "-" if it is no number, as below. */
void
sheet_percent(char *cell, const json_t *value, double factor, int decimals);
/* "5 %", "0.25 %": as it was set. */
void sheet_share(char *cell, const json_t *value);
void sheet_rate(char *cell, const json_t *value);
void sheet_count(char *cell, const json_t *value);
/* "1,234", "0.4", "1.2e+09": three digits that matter. */
void sheet_number(char *cell, const json_t *value);
/* Of milliseconds: "1.25ms". */
void sheet_duration(char *cell, const json_t *value);
/* Of seconds: "47 s", "12 m". */
void sheet_seconds(char *cell, const json_t *value);

#endif
