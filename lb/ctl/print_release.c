#include "ctl/print.h"

#include <stdbool.h>
#include <stdint.h>
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

	return text != NULL ? text : "";
}

/* --- the line ---------------------------------------------------------------- */

/* "entry v1, page v6" */
static void
join_versions(char *out, size_t size, const json_t *versions)
{
	const char *service;
	json_t *version;
	size_t len = 0;

	out[0] = '\0';
	json_object_foreach((json_t *)(uintptr_t)versions, service, version)
	{
		if (len < size)
			len += (size_t)snprintf(out + len, size - len,
				"%s%s %s", len > 0 ? ", " : "", service,
				json_string_value(version));
	}
}

void
print_candidate(char *out, size_t size, const json_t *release)
{
	const char *name = json_string_value(get(release, "candidate"));

	if (name != NULL)
		snprintf(out, size, "%s", name);
	else
		join_versions(out, size, get(release, "candidates"));
}

/* A service's or those of a group's services. */
static void
print_stable(char *out, size_t size, const json_t *stable)
{
	if (json_is_string(stable))
		snprintf(out, size, "%s", json_string_value(stable));
	else
		join_versions(out, size, stable);
}

static bool
is_group(const json_t *unit)
{
	return json_is_object(get(unit, "stable"));
}

void
print_release(FILE *out, const json_t *unit)
{
	const json_t *release = get(unit, "release");
	const char *state = text_of(release, "state");
	char versions[SHEET_CELL_SIZE], share[SHEET_CELL_SIZE];

	print_stable(versions, sizeof(versions), get(unit, "stable"));
	printable_print(out, text_of(unit, "name"));
	fputs(": stable ", out);
	printable_print(out, versions);
	if (!json_is_true(get(release, "running"))) {
		fputs(is_group(unit) ? "; no release runs\n"
				     : ", no release runs\n",
			out);
		return;
	}
	if (!is_group(unit) && json_is_null(get(release, "candidate"))) {
		fputs(", takes no part in the release of ", out);
		printable_print(out, text_of(release, "unit"));
		fputc('\n', out);
		return;
	}
	print_candidate(versions, sizeof(versions), release);
	sheet_share(share, get(release, "share"));
	/* A group's versions have commas of their own. */
	fputs(is_group(unit) ? "; candidate " : ", candidate ", out);
	printable_print(out, versions);
	fprintf(out, is_group(unit) ? "; at %s" : " at %s", share);
	/* Running needs no word. */
	if (strcmp(state, "running") != 0) {
		fputs(", ", out);
		printable_print(out, state);
	}
	fputc('\n', out);
}

/* --- the screen -------------------------------------------------------------- */

static void
print_step(FILE *out, const json_t *release)
{
	char wanted[SHEET_CELL_SIZE], actual[SHEET_CELL_SIZE];
	char step_age[SHEET_CELL_SIZE], age[SHEET_CELL_SIZE];
	json_int_t step = json_integer_value(get(release, "step"));

	sheet_share(wanted, get(release, "share"));
	sheet_percent(actual, get(release, "share_actual"), 1, 1);
	sheet_seconds(step_age, get(release, "step_age_s"));
	sheet_seconds(age, get(release, "age_s"));
	if (step > 0)
		fprintf(out, "step %d of %zu at %s", (int)step,
			json_array_size(get(release, "steps")), wanted);
	else
		fprintf(out, "below the first step at %s", wanted);
	if (json_is_number(get(release, "share_actual")))
		fprintf(out, " (really %s)", actual);
	fprintf(out, " for %s, the release for %s; plan ", step_age, age);
	printable_print(out, text_of(release, "plan"));
	fputs(json_is_true(get(release, "auto")) ? ", by itself\n"
						 : ", by hand\n",
		out);
}

static void
print_clients(FILE *out, const json_t *release)
{
	const json_t *clients = get(release, "clients");
	char stable[SHEET_CELL_SIZE], candidate[SHEET_CELL_SIZE];

	sheet_number(stable, get(clients, "stable"));
	sheet_number(candidate, get(clients, "candidate"));
	fprintf(out,
		"clients in this step: %s on stable, %s on the candidate\n",
		stable, candidate);
}

static void
print_score(FILE *out, const json_t *release)
{
	char evidence[SHEET_CELL_SIZE], threshold[SHEET_CELL_SIZE];
	char safe[SHEET_CELL_SIZE];

	sheet_number(evidence, get(release, "evidence"));
	sheet_number(threshold, get(release, "threshold"));
	sheet_number(safe, get(release, "safe"));
	fprintf(out,
		"score %.0f of 100: evidence of harm %s of %s, of no great "
		"harm %s of 20\n",
		json_number_value(get(release, "score")), evidence, threshold,
		safe);
}

enum signal_column {
	SIGNAL,
	EVIDENCE,
	CANDIDATE,
	CANDIDATE_RATE,
	STABLE,
	STABLE_RATE,
	TRUSTED,
	N_SIGNAL_COLUMNS,
};

static const struct sheet_column signal_columns[N_SIGNAL_COLUMNS] = {
	[SIGNAL] = {"SIGNAL", SHEET_LEFT},
	[EVIDENCE] = {"EVIDENCE", SHEET_RIGHT},
	[CANDIDATE] = {"CANDIDATE", SHEET_RIGHT},
	[CANDIDATE_RATE] = {"RATE", SHEET_RIGHT},
	[STABLE] = {"STABLE", SHEET_RIGHT},
	[STABLE_RATE] = {"RATE", SHEET_RIGHT},
	[TRUSTED] = {"TRUSTED", SHEET_LEFT},
};

/* "3/210" and "1.43 %" */
static void
set_part(char *count, char *rate, const json_t *part)
{
	char hurt[SHEET_CELL_SIZE], seen[SHEET_CELL_SIZE];

	sheet_number(hurt, get(part, "hurt"));
	sheet_number(seen, get(part, "clients"));
	snprintf(count, SHEET_CELL_SIZE, "%.40s/%.40s", hurt, seen);
	sheet_percent(rate, get(part, "rate"), 100, 3);
}

static void
print_signals(FILE *out, const json_t *signals)
{
	const json_t *signal;
	struct sheet sheet;
	size_t i;

	if (json_array_size(signals) == 0)
		return;
	sheet_begin(&sheet, signal_columns, N_SIGNAL_COLUMNS);
	json_array_foreach(signals, i, signal)
	{
		char evidence[SHEET_CELL_SIZE], threshold[SHEET_CELL_SIZE];
		struct sheet_row *row = sheet_add(&sheet);

		sheet_string(row->cells[SIGNAL], signal, "name");
		sheet_number(evidence, get(signal, "evidence"));
		sheet_number(threshold, get(signal, "threshold"));
		snprintf(row->cells[EVIDENCE], SHEET_CELL_SIZE, "%.40s/%.40s",
			evidence, threshold);
		set_part(row->cells[CANDIDATE], row->cells[CANDIDATE_RATE],
			get(signal, "candidate"));
		set_part(row->cells[STABLE], row->cells[STABLE_RATE],
			get(signal, "stable"));
		sheet_text(row->cells[TRUSTED],
			!json_is_true(get(signal, "trusted"))    ? "no"
			: json_is_true(get(signal, "exhausted")) ? "exhausted"
								 : "yes");
	}
	fputc('\n', out);
	sheet_finish(out, &sheet);
}

void
print_release_whole(FILE *out, const json_t *unit)
{
	const json_t *release = get(unit, "release");

	print_release(out, unit);
	printable_print(out, text_of(release, "reason"));
	fputc('\n', out);
	if (json_is_true(get(release, "running"))) {
		print_step(out, release);
		print_clients(out, release);
	}
	if (json_is_number(get(release, "score")))
		print_score(out, release);
	print_signals(out, get(release, "signals"));
}

/* --- history ----------------------------------------------------------------- */

enum history_column {
	TIME,
	WHO,
	WHAT,
	SHARE,
	TO,
	SCORE,
	WHY,
	N_HISTORY_COLUMNS,
};

static const struct sheet_column history_columns[N_HISTORY_COLUMNS] = {
	[TIME] = {"TIME", SHEET_LEFT},
	[WHO] = {"WHO", SHEET_LEFT},
	[WHAT] = {"WHAT", SHEET_LEFT},
	[SHARE] = {"SHARE", SHEET_RIGHT},
	[TO] = {"CANDIDATE", SHEET_LEFT},
	[SCORE] = {"SCORE", SHEET_RIGHT},
	[WHY] = {"WHY", SHEET_LEFT},
};

/* A release's candidates by service: one name where all have it. */
static void
set_candidates(char *cell, const json_t *candidates)
{
	const char *service, *common = NULL;
	char text[SHEET_CELL_SIZE];
	json_t *version;
	bool is_common = true;

	json_object_foreach((json_t *)(uintptr_t)candidates, service, version)
	{
		const char *name = json_string_value(version);

		if (common != NULL && name != NULL && strcmp(common, name) != 0)
			is_common = false;
		common = name;
	}
	if (common == NULL)
		strcpy(cell, "-");
	else if (is_common)
		sheet_text(cell, common);
	else {
		join_versions(text, sizeof(text), candidates);
		sheet_text(cell, text);
	}
}

void
print_history(FILE *out, const char *name, const json_t *answer)
{
	const json_t *history = get(answer, "history");
	const json_t *entry, *score;
	struct sheet sheet;
	size_t i;

	if (json_array_size(history) == 0) {
		fprintf(out,
			"%s: nothing is written down (without a state_dir "
			"nothing ever is)\n",
			name);
		return;
	}
	sheet_begin(&sheet, history_columns, N_HISTORY_COLUMNS);
	json_array_foreach(history, i, entry)
	{
		struct sheet_row *row = sheet_add(&sheet);

		sheet_string(row->cells[TIME], entry, "time");
		sheet_string(row->cells[WHO], entry, "who");
		sheet_string(row->cells[WHAT], entry, "what");
		sheet_share(row->cells[SHARE], get(entry, "share"));
		set_candidates(row->cells[TO], get(entry, "candidate"));
		score = get(get(entry, "evidence"), "score");
		if (json_is_number(score))
			snprintf(row->cells[SCORE], SHEET_CELL_SIZE, "%.0f",
				json_number_value(score));
		sheet_string(row->cells[WHY], entry, "why");
	}
	sheet_finish(out, &sheet);
}

/* --- the plan ---------------------------------------------------------------- */

enum plan_column { STEP, AT, HOLD, TWICE, TENFOLD, N_PLAN_COLUMNS };

static const struct sheet_column plan_columns[N_PLAN_COLUMNS] = {
	[STEP] = {"STEP", SHEET_RIGHT},
	[AT] = {"SHARE", SHEET_RIGHT},
	[HOLD] = {"HOLD", SHEET_RIGHT},
	[TWICE] = {"SEES 2x", SHEET_RIGHT},
	[TENFOLD] = {"SEES 10x", SHEET_RIGHT},
};

static const char *
explain_source(const json_t *answer, const char *key)
{
	const char *by = text_of(answer, key);

	if (strcmp(by, "release") == 0)
		return "measured in this step";
	if (strcmp(by, "requests") == 0)
		return "from the requests of the last seconds";
	return "given";
}

/* What a "-" of the table means, once for each reason that is there. */
static void
explain_unseen(FILE *out, const json_t *steps)
{
	static const struct {
		const char *name;
		const char *words;
	} reasons[] = {
		{"no_clients",
			"there are no clients to see it by; --clients says how "
			"many to expect"},
		{"errors_unknown",
			"it isn't known how often clients meet an error; "
			"--error-rate says how often to expect it"},
		{"no_errors",
			"there are no errors, and no multiple of none can be "
			"seen; --error-rate says how many to expect"},
		{"more_than_all",
			"so many times the errors would hurt more than all "
			"clients"},
		{"nobody_to_compare",
			"at 100 % nobody is left on the stable version to "
			"compare with"},
	};
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		const json_t *step;
		bool is_there = false;
		size_t j;

		json_array_foreach(steps, j, step)
		{
			if (strcmp(text_of(step, "why_not_2x"),
				    reasons[i].name) == 0 ||
				strcmp(text_of(step, "why_not_10x"),
					reasons[i].name) == 0)
				is_there = true;
		}
		if (is_there)
			fprintf(out, "%s-: %s\n", n++ == 0 ? "\n" : "",
				reasons[i].words);
	}
}

void
print_plan(FILE *out, const char *name, const json_t *answer)
{
	char clients[SHEET_CELL_SIZE], errors[SHEET_CELL_SIZE];
	const json_t *step;
	struct sheet sheet;
	size_t i;

	sheet_number(clients, get(answer, "clients_per_s"));
	if (json_is_number(get(answer, "error_rate")))
		snprintf(errors, sizeof(errors), "%.3g %%",
			json_number_value(get(answer, "error_rate")) * 100);
	else
		strcpy(errors, "unknown");
	fprintf(out, "%s: plan ", name);
	printable_print(out, text_of(answer, "plan"));
	fprintf(out, "; clients a second: %s (%s); error rate: %s (%s)\n\n",
		clients, explain_source(answer, "clients_by"), errors,
		explain_source(answer, "error_rate_by"));
	sheet_begin(&sheet, plan_columns, N_PLAN_COLUMNS);
	json_array_foreach(get(answer, "steps"), i, step)
	{
		struct sheet_row *row = sheet_add(&sheet);

		snprintf(row->cells[STEP], SHEET_CELL_SIZE, "%zu", i + 1);
		sheet_share(row->cells[AT], get(step, "share"));
		sheet_seconds(row->cells[HOLD], get(step, "hold_s"));
		sheet_seconds(row->cells[TWICE], get(step, "seconds_2x"));
		sheet_seconds(row->cells[TENFOLD], get(step, "seconds_10x"));
	}
	sheet_finish(out, &sheet);
	explain_unseen(out, get(answer, "steps"));
}
