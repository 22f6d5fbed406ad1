#include "ctl/show.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/printable.h"
#include "ctl/print.h"
#include "ctl/screen.h"
#include "ctl/talk.h"

static volatile sig_atomic_t is_interrupted;

/* --- status ------------------------------------------------------------------ */

static void
print_json(FILE *out, const json_t *value, size_t flags)
{
	char *text = json_dumps(value, JSON_REAL_PRECISION(10) | flags);
	char *rest = text, *line;

	/* Line ends are its layout: in its strings they are escaped already. */
	while ((line = strsep(&rest, "\n")) != NULL) {
		printable_print(out, line);
		fputc('\n', out);
	}
	free(text);
}

/* A group says who is in it; their versions are theirs to say. */
static enum talk_exit
render_group(const struct options *options, FILE *out, const json_t *group,
	struct error *error)
{
	json_t *members = json_array();
	const json_t *name;
	char path[TALK_PATH_SIZE];
	enum talk_exit code = TALK_DONE;
	size_t i;

	json_array_foreach(json_object_get(group, "services"), i, name)
	{
		const char *text = json_string_value(name);
		json_t *member = NULL;

		if (code != TALK_DONE || text == NULL ||
			!talk_make_path(path, text, ""))
			continue;
		code = talk(options, path, NULL, &member, error);
		if (code == TALK_DONE)
			json_array_append_new(members, member);
	}
	if (code == TALK_DONE)
		print_group(out, group, members);
	json_decref(members);
	return code;
}

static enum talk_exit
render_status(const struct options *options, const char *path, FILE *out,
	struct error *error)
{
	bool is_watched = (options->given & OPTION_WATCH) != 0;
	json_t *answer = NULL;
	const json_t *services;
	enum talk_exit code = talk(options, path, NULL, &answer, error);

	if (code != TALK_DONE)
		return code;
	services = json_object_get(answer, "services");
	if ((options->given & OPTION_JSON) != 0)
		print_json(out, answer,
			is_watched ? JSON_COMPACT : JSON_INDENT(2));
	else if (json_object_get(answer, "versions") != NULL)
		print_service(out, answer);
	else if (json_object_get(answer, "release") != NULL)
		code = render_group(options, out, answer, error);
	else
		print_services(out, services);
	json_decref(answer);
	return code;
}

static int
show_status_once(const struct options *options, const char *path)
{
	struct error error;
	enum talk_exit code = render_status(options, path, stdout, &error);

	if (code != TALK_DONE)
		return talk_complain(code, error.message);
	if (fflush(stdout) == EOF)
		return talk_complain(TALK_REFUSED, strerror(errno));
	return TALK_DONE;
}

/* --- again and again --------------------------------------------------------- */

static void
on_interrupt(int signal_number)
{
	is_interrupted = 1;
}

/* What is to be shown once more: the status, or what keeps it away. */
static enum talk_exit
render_text(const struct options *options, const char *path, char **text)
{
	struct error error;
	enum talk_exit code = TALK_UNREACHABLE;
	size_t len;
	FILE *out = open_memstream(text, &len);

	if (out == NULL)
		return code;
	code = render_status(options, path, out, &error);
	if (code != TALK_DONE) {
		fputs("perchctl: ", out);
		printable_print(out, error.message);
		fputc('\n', out);
	}
	fclose(out);
	return code;
}

static void
wait_a_while(double seconds)
{
	const struct timespec pause = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};

	nanosleep(&pause, NULL);
}

/* One turn; false if it is to end, with the exit code in code. A perch that is
 * away for a while is waited for, but not one that never was there, nor one that
 * has no such service. */
static bool
watch_once(const struct options *options, const char *path, bool is_screen,
	bool *was_reached, int *code)
{
	bool is_json = (options->given & OPTION_JSON) != 0;
	char *text = NULL;

	*code = render_text(options, path, &text);
	if (is_interrupted || text == NULL) {
		*code = TALK_DONE;
		free(text);
		return false;
	}
	if (*code == TALK_REFUSED || (*code != TALK_DONE && !*was_reached)) {
		fputs(text, stderr);
		free(text);
		return false;
	}
	/* Not before there is something to show. */
	if (is_screen && !*was_reached)
		screen_begin();
	*was_reached = true;
	if (is_screen)
		screen_draw(text);
	else
		fprintf(*code == TALK_DONE ? stdout : stderr, "%s%s", text,
			is_json ? "" : "\n");
	free(text);
	if (fflush(stdout) != EOF)
		return true;
	*code = talk_complain(TALK_REFUSED, strerror(errno));
	return false;
}

/* Until Ctrl-C. */
static int
watch(const struct options *options, const char *path)
{
	const struct sigaction action = {.sa_handler = on_interrupt};
	bool is_screen =
		isatty(STDOUT_FILENO) && (options->given & OPTION_JSON) == 0;
	bool was_reached = false;
	int code = TALK_DONE;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (watch_once(options, path, is_screen, &was_reached, &code)) {
		code = TALK_DONE;
		wait_a_while(options->watch_s);
		if (is_interrupted)
			break;
	}
	if (is_screen && was_reached)
		screen_end();
	return code;
}

int
show_status(const struct options *options)
{
	char path[TALK_PATH_SIZE] = TALK_SERVICES;

	if (options->n_arguments == 2 &&
		!talk_make_path(path, options->arguments[1], ""))
		return TALK_REFUSED;
	if ((options->given & OPTION_WATCH) != 0)
		return watch(options, path);
	return show_status_once(options, path);
}

/* --- plan and history -------------------------------------------------------- */

/* A number in that range, and nothing behind it but a "%" where that is meant. */
static bool
parse_number(const char *text, const char *unit, double least, double most,
	double *out)
{
	char *end;

	*out = strtod(text, &end);
	if (end != text && strcmp(end, unit) == 0)
		end += strlen(unit);
	return end != text && *end == '\0' && *out >= least && *out <= most;
}

static int
show_answer(const struct options *options, const char *path,
	void (*print)(FILE *out, const char *name, const json_t *answer))
{
	json_t *answer = NULL;
	int code = talk_or_complain(options, path, NULL, &answer);

	if (code != TALK_DONE)
		return code;
	if ((options->given & OPTION_JSON) != 0)
		print_json(stdout, answer, JSON_INDENT(2));
	else
		print(stdout, options->arguments[1], answer);
	json_decref(answer);
	if (fflush(stdout) == EOF)
		return talk_complain(TALK_REFUSED, strerror(errno));
	return TALK_DONE;
}

int
show_plan(const struct options *options)
{
	char path[TALK_PATH_SIZE], query[128] = "/plan";
	size_t len = strlen(query);
	double value;

	if (options->clients != NULL) {
		if (!parse_number(options->clients, "", 0, 1e9, &value))
			return talk_complain(TALK_USAGE,
				"--clients is a number of clients a second");
		len += (size_t)snprintf(query + len, sizeof(query) - len,
			"?clients_per_s=%.10g", value);
	}
	if (options->error_rate != NULL) {
		if (!parse_number(options->error_rate, "%", 0, 100, &value))
			return talk_complain(TALK_USAGE,
				"--error-rate is a percentage from 0 to 100");
		snprintf(query + len, sizeof(query) - len, "%cerror_rate=%.10g",
			options->clients != NULL ? '&' : '?', value / 100);
	}
	if (!talk_make_path(path, options->arguments[1], query))
		return TALK_REFUSED;
	return show_answer(options, path, print_plan);
}

int
show_history(const struct options *options)
{
	char path[TALK_PATH_SIZE], query[64] = "/history";
	double max;

	if (options->max != NULL) {
		if (!parse_number(options->max, "", 1, 10000, &max))
			return talk_complain(TALK_USAGE,
				"--max is a number of entries, 1 to 10000");
		snprintf(query, sizeof(query), "/history?max=%.0f", max);
	}
	if (!talk_make_path(path, options->arguments[1], query))
		return TALK_REFUSED;
	return show_answer(options, path, print_history);
}
