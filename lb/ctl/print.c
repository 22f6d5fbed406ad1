#include "ctl/print.h"

#include <string.h>

#include "base/printable.h"
#include "ctl/sheet.h"

static const json_t *
get(const json_t *object, const char *key)
{
	return json_object_get(object, key);
}

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(get(object, key));

	return text != NULL ? text : "-";
}

/* --- all services ------------------------------------------------------------ */

enum overview_column {
	SERVICE,
	GROUP,
	STABLE,
	CANDIDATE,
	STATE,
	SHARE,
	SCORE,
	RATE,
	ERRORS,
	IN_FLIGHT,
	REQUESTS,
	N_OVERVIEW_COLUMNS,
};

static const struct sheet_column overview_columns[N_OVERVIEW_COLUMNS] = {
	[SERVICE] = {"SERVICE", SHEET_LEFT},
	[GROUP] = {"GROUP", SHEET_LEFT},
	[STABLE] = {"STABLE", SHEET_LEFT},
	[CANDIDATE] = {"CANDIDATE", SHEET_LEFT},
	[STATE] = {"STATE", SHEET_LEFT},
	[SHARE] = {"SHARE", SHEET_RIGHT},
	[SCORE] = {"SCORE", SHEET_RIGHT},
	[RATE] = {"REQ/S", SHEET_RIGHT},
	[ERRORS] = {"ERRORS", SHEET_RIGHT},
	[IN_FLIGHT] = {"ACTIVE", SHEET_RIGHT},
	[REQUESTS] = {"REQUESTS", SHEET_RIGHT},
};

static void
add_service(struct sheet *sheet, const json_t *service)
{
	const json_t *release = get(service, "release");
	struct sheet_row *row = sheet_add(sheet);

	sheet_string(row->cells[SERVICE], service, "name");
	if (strcmp(text_of(release, "unit"), text_of(service, "name")) != 0)
		sheet_string(row->cells[GROUP], release, "unit");
	sheet_string(row->cells[STABLE], service, "stable");
	sheet_string(row->cells[STATE], release, "state");
	/* One of a group may take no part. */
	if (json_is_string(get(release, "candidate"))) {
		sheet_string(row->cells[CANDIDATE], release, "candidate");
		sheet_share(row->cells[SHARE], get(release, "share"));
		if (json_is_number(get(release, "score")))
			snprintf(row->cells[SCORE], SHEET_CELL_SIZE, "%.0f",
				json_number_value(get(release, "score")));
	}
	sheet_rate(row->cells[RATE], get(service, "rate"));
	sheet_percent(row->cells[ERRORS], get(service, "error_rate"), 100, 2);
	sheet_count(row->cells[IN_FLIGHT], get(service, "in_flight"));
	sheet_count(row->cells[REQUESTS], get(service, "requests"));
}

void
print_services(FILE *out, const json_t *services)
{
	const json_t *service;
	struct sheet sheet;
	size_t i;

	sheet_begin(&sheet, overview_columns, N_OVERVIEW_COLUMNS);
	json_array_foreach(services, i, service) add_service(&sheet, service);
	sheet_finish(out, &sheet);
}

/* --- versions ---------------------------------------------------------------- */

enum version_column {
	OF_SERVICE,
	VERSION,
	STANDING,
	WANTED,
	ACTUAL,
	VERSION_RATE,
	VERSION_ERRORS,
	FIRST_P99,
	P50,
	P95,
	P99,
	ACTIVE,
	ENDED,
	N_VERSION_COLUMNS,
};

static const struct sheet_column version_columns[N_VERSION_COLUMNS] = {
	[OF_SERVICE] = {"SERVICE", SHEET_LEFT},
	[VERSION] = {"VERSION", SHEET_LEFT},
	[STANDING] = {"STATE", SHEET_LEFT},
	[WANTED] = {"SHARE", SHEET_RIGHT},
	[ACTUAL] = {"ACTUAL", SHEET_RIGHT},
	[VERSION_RATE] = {"REQ/S", SHEET_RIGHT},
	[VERSION_ERRORS] = {"ERRORS", SHEET_RIGHT},
	[FIRST_P99] = {"TTFB99", SHEET_RIGHT},
	[P50] = {"P50", SHEET_RIGHT},
	[P95] = {"P95", SHEET_RIGHT},
	[P99] = {"P99", SHEET_RIGHT},
	[ACTIVE] = {"ACTIVE", SHEET_RIGHT},
	[ENDED] = {"REQUESTS", SHEET_RIGHT},
};

static const char *
state_of(const json_t *version)
{
	const char *role = text_of(version, "role");

	/* The role says more, where there is one. */
	if (strcmp(role, "none") != 0)
		return role;
	return text_of(version, "standing");
}

static void
add_version(struct sheet *sheet, const json_t *version)
{
	const json_t *total = get(version, "total");
	struct sheet_row *row = sheet_add(sheet);

	sheet_string(row->cells[VERSION], version, "name");
	sheet_text(row->cells[STANDING], state_of(version));
	sheet_share(row->cells[WANTED], get(version, "share"));
	sheet_percent(row->cells[ACTUAL], get(version, "share_actual"), 1, 1);
	sheet_rate(row->cells[VERSION_RATE], get(version, "rate"));
	sheet_percent(
		row->cells[VERSION_ERRORS], get(version, "error_rate"), 100, 2);
	sheet_duration(row->cells[FIRST_P99],
		get(get(version, "first_byte"), "p99_ms"));
	sheet_duration(row->cells[P50], get(total, "p50_ms"));
	sheet_duration(row->cells[P95], get(total, "p95_ms"));
	sheet_duration(row->cells[P99], get(total, "p99_ms"));
	sheet_count(row->cells[ACTIVE], get(version, "in_flight"));
	sheet_count(row->cells[ENDED], get(version, "requests"));
}

static void
set_endpoint_state(char *cell, const json_t *endpoint)
{
	if (strcmp(text_of(endpoint, "health"), "down") == 0)
		strcpy(cell, "down");
	else if (json_is_true(get(endpoint, "left_out")))
		strcpy(cell, "left out");
	else if (json_is_null(get(endpoint, "address")))
		strcpy(cell, "unresolved");
	else
		snprintf(cell, SHEET_CELL_SIZE, "weight %" JSON_INTEGER_FORMAT,
			json_integer_value(get(endpoint, "weight")));
}

static void
add_endpoint(struct sheet *sheet, const json_t *endpoint)
{
	struct sheet_row *row = sheet_add(sheet);
	char name[SHEET_CELL_SIZE];

	snprintf(name, sizeof(name), "  %s", text_of(endpoint, "name"));
	sheet_text(row->cells[VERSION], name);
	set_endpoint_state(row->cells[STANDING], endpoint);
	sheet_rate(row->cells[VERSION_RATE], get(endpoint, "rate"));
	sheet_percent(row->cells[VERSION_ERRORS], get(endpoint, "error_rate"),
		100, 2);
	sheet_count(row->cells[ACTIVE], get(endpoint, "in_flight"));
	sheet_count(row->cells[ENDED], get(endpoint, "requests"));
}

static void
print_list(FILE *out, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		fputc(' ', out);
		printable_print(out, json_string_value(item));
	}
}

/* What only it has is gone with it: so an operator looks before he takes it
 * away. */
static void
print_help(FILE *out, const json_t *version)
{
	char rate[SHEET_CELL_SIZE];

	if (json_number_value(get(version, "helped_rate")) <= 0)
		return;
	sheet_rate(rate, get(version, "helped_rate"));
	fprintf(out, "%s answers %s requests/s that other versions lack\n",
		text_of(version, "name"), rate);
}

/* Of the requests since the start, how many knew their client by what. */
static void
print_known(FILE *out, const json_t *service)
{
	static const char *const names[][2] = {{"cookie", "cookie"},
		{"key", "key"}, {"address", "address"}, {"none", "nothing"}};
	const json_t *known = get(service, "known_by");
	double all = 0;

	for (size_t i = 0; i < 4; i++)
		all += json_number_value(get(known, names[i][0]));
	if (all <= 0)
		return;
	fputs("\nclients known by:", out);
	for (size_t i = 0; i < 4; i++)
		fprintf(out, "%s %s %.1f %%", i > 0 ? "," : "", names[i][1],
			100 * json_number_value(get(known, names[i][0])) / all);
	fputs("\n", out);
}

void
print_service(FILE *out, const json_t *service)
{
	const json_t *version, *endpoint;
	struct sheet sheet;
	size_t i, j;

	print_release_whole(out, service);
	fputs("\nfor", out);
	print_list(out, get(service, "hosts"));
	fputs(", under", out);
	print_list(out, get(service, "paths"));
	fprintf(out, ", by %s; the last %.0f s:\n\n",
		text_of(service, "policy"),
		json_number_value(get(service, "window_s")));
	sheet_begin(&sheet, version_columns, N_VERSION_COLUMNS);
	json_array_foreach(get(service, "versions"), i, version)
	{
		add_version(&sheet, version);
		json_array_foreach(get(version, "endpoints"), j, endpoint)
			add_endpoint(&sheet, endpoint);
	}
	sheet_finish(out, &sheet);
	json_array_foreach(get(service, "versions"), i, version)
		print_help(out, version);
	print_known(out, service);
}

void
print_group(FILE *out, const json_t *group, const json_t *services)
{
	const json_t *service, *version;
	struct sheet sheet;
	size_t i, j;

	print_release_whole(out, group);
	fputc('\n', out);
	sheet_begin(&sheet, version_columns, N_VERSION_COLUMNS);
	json_array_foreach(services, i, service)
	{
		json_array_foreach(get(service, "versions"), j, version)
		{
			add_version(&sheet, version);
			if (j == 0)
				sheet_string(sheet.rows[sheet.n_rows - 1]
						     .cells[OF_SERVICE],
					service, "name");
		}
	}
	sheet_finish(out, &sheet);
}
