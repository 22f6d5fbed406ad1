#include "ctl/print.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define N_COLUMNS 13
#define CELL_SIZE 280
#define GAP 2

/*
 * Rows are collected first, so that a column is as wide as its widest cell.
 */
struct row {
	char cells[N_COLUMNS][CELL_SIZE];
};

struct sheet {
	struct row *rows;
	size_t n_rows;
	size_t size;
};

enum column {
	NAME,
	VERSION,
	STATE,
	SHARE,
	ACTUAL,
	RATE,
	ERRORS,
	FIRST_P99,
	P50,
	P95,
	P99,
	IN_FLIGHT,
	REQUESTS,
};

static const char *const titles[N_COLUMNS] = {
	"SERVICE",
	"VERSION",
	"STATE",
	"SHARE",
	"ACTUAL",
	"REQ/S",
	"ERRORS",
	"TTFB99",
	"P50",
	"P95",
	"P99",
	"ACTIVE",
	"REQUESTS",
};

/* --- cells ----------------------------------------------------------------- */

static struct row *
add_row(struct sheet *sheet)
{
	if (sheet->n_rows == sheet->size) {
		sheet->size = sheet->size * 2 + 16;
		sheet->rows = memory_realloc_array(
			sheet->rows, sheet->size, sizeof(*sheet->rows));
	}
	memset(&sheet->rows[sheet->n_rows], 0, sizeof(struct row));
	return &sheet->rows[sheet->n_rows++];
}

static const char *
get_string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL ? value : "-";
}

/* What a terminal would act on is not passed on to it. */
static void
set_text(char *cell, const char *text)
{
	size_t i;

	for (i = 0; i < CELL_SIZE - 1 && text[i] != '\0'; i++)
		cell[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f
				  ? '?'
				  : text[i];
	cell[i] = '\0';
}

static void
set_percent(char *cell, const json_t *value, double factor, int decimals)
{
	if (json_is_number(value))
		snprintf(cell, CELL_SIZE, "%.*f %%", decimals,
			json_number_value(value) * factor);
	else
		strcpy(cell, "-");
}

/* "5 %", "0.25 %": as it was set. */
static void
set_share(char *cell, const json_t *value)
{
	if (json_is_number(value))
		snprintf(cell, CELL_SIZE, "%.5g %%", json_number_value(value));
	else
		strcpy(cell, "-");
}

static void
set_rate(char *cell, const json_t *value)
{
	snprintf(cell, CELL_SIZE, "%.1f", json_number_value(value));
}

static void
set_count(char *cell, const json_t *value)
{
	snprintf(cell, CELL_SIZE, "%" JSON_INTEGER_FORMAT,
		json_integer_value(value));
}

/* Three digits that matter. */
static void
set_duration(char *cell, const json_t *value)
{
	double ms = json_number_value(value);

	if (!json_is_number(value))
		strcpy(cell, "-");
	else if (ms < 1)
		snprintf(cell, CELL_SIZE, "%.0fus", ms * 1000);
	else if (ms < 10)
		snprintf(cell, CELL_SIZE, "%.2fms", ms);
	else if (ms < 100)
		snprintf(cell, CELL_SIZE, "%.1fms", ms);
	else if (ms < 1000)
		snprintf(cell, CELL_SIZE, "%.0fms", ms);
	else
		snprintf(cell, CELL_SIZE, "%.2fs", ms / 1000);
}

/* --- rows ------------------------------------------------------------------ */

static void
add_titles(struct sheet *sheet)
{
	struct row *row = add_row(sheet);

	for (size_t i = 0; i < N_COLUMNS; i++)
		set_text(row->cells[i], titles[i]);
}

static const char *
state_of(const json_t *version)
{
	const char *role = get_string(version, "role");

	/* The role says more, where there is one. */
	if (strcmp(role, "none") != 0)
		return role;
	return get_string(version, "standing");
}

static void
add_version(struct sheet *sheet, const json_t *service, const json_t *version)
{
	const json_t *total = json_object_get(version, "total");
	const json_t *first = json_object_get(version, "first_byte");
	struct row *row = add_row(sheet);

	if (service != NULL)
		set_text(row->cells[NAME], get_string(service, "name"));
	set_text(row->cells[VERSION], get_string(version, "name"));
	set_text(row->cells[STATE], state_of(version));
	set_share(row->cells[SHARE], json_object_get(version, "share"));
	set_percent(row->cells[ACTUAL],
		json_object_get(version, "share_actual"), 1, 1);
	set_rate(row->cells[RATE], json_object_get(version, "rate"));
	set_percent(row->cells[ERRORS], json_object_get(version, "error_rate"),
		100, 2);
	set_duration(row->cells[FIRST_P99], json_object_get(first, "p99_ms"));
	set_duration(row->cells[P50], json_object_get(total, "p50_ms"));
	set_duration(row->cells[P95], json_object_get(total, "p95_ms"));
	set_duration(row->cells[P99], json_object_get(total, "p99_ms"));
	set_count(row->cells[IN_FLIGHT], json_object_get(version, "in_flight"));
	set_count(row->cells[REQUESTS], json_object_get(version, "requests"));
}

static void
set_endpoint_state(char *cell, const json_t *endpoint)
{
	if (strcmp(get_string(endpoint, "health"), "down") == 0)
		strcpy(cell, "down");
	else if (json_is_true(json_object_get(endpoint, "left_out")))
		strcpy(cell, "left out");
	else if (json_is_null(json_object_get(endpoint, "address")))
		strcpy(cell, "unresolved");
	else
		snprintf(cell, CELL_SIZE, "weight %" JSON_INTEGER_FORMAT,
			json_integer_value(
				json_object_get(endpoint, "weight")));
}

static void
add_endpoint(struct sheet *sheet, const json_t *endpoint)
{
	struct row *row = add_row(sheet);
	char name[CELL_SIZE];

	snprintf(name, sizeof(name), "  %s", get_string(endpoint, "name"));
	set_text(row->cells[VERSION], name);
	set_endpoint_state(row->cells[STATE], endpoint);
	set_rate(row->cells[RATE], json_object_get(endpoint, "rate"));
	set_percent(row->cells[ERRORS], json_object_get(endpoint, "error_rate"),
		100, 2);
	set_count(
		row->cells[IN_FLIGHT], json_object_get(endpoint, "in_flight"));
	set_count(row->cells[REQUESTS], json_object_get(endpoint, "requests"));
}

/* --- the sheet ------------------------------------------------------------- */

static void
print_row(FILE *out, const struct row *row, const size_t *widths)
{
	int pending = 0; /* blanks that nothing has followed yet */

	for (size_t i = 0; i < N_COLUMNS; i++) {
		int width = (int)widths[i];
		int len = (int)strlen(row->cells[i]);
		int before = i >= SHARE ? width - len : 0;

		if (width == 0)
			continue;
		if (len > 0) {
			fprintf(out, "%*s%s", pending + before, "",
				row->cells[i]);
			pending = 0;
		} else {
			pending += before + len;
		}
		pending += width - len - before + GAP;
	}
	fputc('\n', out);
}

/* Prints and frees. */
static void
finish_sheet(FILE *out, struct sheet *sheet, enum column first)
{
	size_t widths[N_COLUMNS] = {0};

	for (size_t r = 0; r < sheet->n_rows; r++) {
		for (size_t i = first; i < N_COLUMNS; i++) {
			size_t len = strlen(sheet->rows[r].cells[i]);

			if (len > widths[i])
				widths[i] = len;
		}
	}
	for (size_t r = 0; r < sheet->n_rows; r++)
		print_row(out, &sheet->rows[r], widths);
	free(sheet->rows);
}

void
print_services(FILE *out, const json_t *services)
{
	struct sheet sheet = {0};
	const json_t *service, *version;
	size_t i, j;

	add_titles(&sheet);
	json_array_foreach(services, i, service)
	{
		const json_t *versions = json_object_get(service, "versions");

		json_array_foreach(versions, j, version)
			add_version(&sheet, j == 0 ? service : NULL, version);
	}
	finish_sheet(out, &sheet, NAME);
}

static void
print_list(FILE *out, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		fprintf(out, " %s", json_string_value(item));
}

void
print_release(FILE *out, const json_t *service)
{
	const json_t *release = json_object_get(service, "release");
	char share[CELL_SIZE];

	if (!json_is_true(json_object_get(release, "running"))) {
		fprintf(out, "%s: stable %s, no release runs\n",
			get_string(service, "name"),
			get_string(service, "stable"));
		return;
	}
	set_share(share, json_object_get(release, "share"));
	fprintf(out, "%s: stable %s, candidate %s at %s\n",
		get_string(service, "name"), get_string(service, "stable"),
		get_string(release, "candidate"), share);
}

void
print_service(FILE *out, const json_t *service)
{
	const json_t *version, *endpoint;
	struct sheet sheet = {0};
	size_t i, j;

	print_release(out, service);
	fputs("for", out);
	print_list(out, json_object_get(service, "hosts"));
	fputs(", under", out);
	print_list(out, json_object_get(service, "paths"));
	fprintf(out, ", by %s; the last %.0f s:\n\n",
		get_string(service, "policy"),
		json_number_value(json_object_get(service, "window_s")));
	add_titles(&sheet);
	json_array_foreach(json_object_get(service, "versions"), i, version)
	{
		const json_t *endpoints = json_object_get(version, "endpoints");

		add_version(&sheet, NULL, version);
		json_array_foreach(endpoints, j, endpoint)
			add_endpoint(&sheet, endpoint);
	}
	finish_sheet(out, &sheet, VERSION);
}
