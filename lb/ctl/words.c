#include "ctl/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "admin/percent.h"
#include "ctl/print.h"
#include "ctl/sheet.h"
#include "ctl/talk.h"

#define QUESTION_SIZE 512

/* --- questions --------------------------------------------------------------- */

/* A script is not asked, and neither is who has said yes. */
static bool
may_ask(const struct options *options)
{
	return (options->given & OPTION_YES) == 0 && isatty(STDIN_FILENO) &&
	       isatty(STDOUT_FILENO);
}

static bool
is_yes(const char *line)
{
	return strcasecmp(line, "y\n") == 0 || strcasecmp(line, "yes\n") == 0;
}

/* question without its mark. */
__attribute__((format(printf, 1, 2))) static int
ask(const char *format, ...)
{
	char question[QUESTION_SIZE], shown[SHEET_CELL_SIZE], line[64];
	va_list args;

	va_start(args, format);
	vsnprintf(question, sizeof(question), format, args);
	va_end(args);
	sheet_text(shown, question);
	printf("%s? [y/N] ", shown);
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) != NULL && is_yes(line))
		return TALK_DONE;
	return talk_complain(TALK_REFUSED, "nothing was done");
}

/* The release that runs, for a question about it; NULL in out if none does: then
 * there is nothing to ask, and perch will say what is wrong. unit is to be
 * given up. */
static int
look(const struct options *options, const char *name, json_t **unit,
	const json_t **out)
{
	char path[TALK_PATH_SIZE];
	int code;

	*unit = NULL;
	*out = NULL;
	if (!talk_make_path(path, name, ""))
		return TALK_REFUSED;
	code = talk_or_complain(options, path, NULL, unit);
	if (code != TALK_DONE)
		return code;
	*out = json_object_get(*unit, "release");
	if (!json_is_true(json_object_get(*out, "running")))
		*out = NULL;
	return TALK_DONE;
}

struct shown {
	char candidate[SHEET_CELL_SIZE];
	char share[SHEET_CELL_SIZE];
};

static void
show(struct shown *out, const json_t *release)
{
	print_candidate(out->candidate, sizeof(out->candidate), release);
	sheet_share(out->share, json_object_get(release, "share"));
}

/* Asks what about does, if somebody is there to be asked. */
static int
ask_about(const struct options *options, const char *name,
	int (*about)(const struct options *options, const char *name,
		const json_t *release, const void *arg),
	const void *arg)
{
	const json_t *release;
	json_t *unit;
	int code;

	if (!may_ask(options))
		return TALK_DONE;
	code = look(options, name, &unit, &release);
	if (code == TALK_DONE && release != NULL)
		code = about(options, name, release, arg);
	json_decref(unit);
	return code;
}

/* --- saying them ------------------------------------------------------------- */

static const char *
who(const struct options *options)
{
	const char *name = options->who;

	if (name == NULL)
		name = getenv("SUDO_USER");
	if (name == NULL || *name == '\0')
		name = getenv("USER");
	return name;
}

/* False if it is no UTF-8, as JSON's texts are: a key that is left out would say
 * something else. */
static bool
set_text(json_t *object, const char *key, const char *text)
{
	return json_object_set_new(object, key, json_string(text)) == 0;
}

static bool
add_who_and_why(json_t *body, const struct options *options)
{
	const char *name = who(options);

	/* The environment's isn't the operator's word. */
	if (name != NULL && !set_text(body, "who", name) &&
		options->who != NULL)
		return false;
	return options->why == NULL || set_text(body, "why", options->why);
}

/* A POST; body is given up. Prints the release as it is then. */
static int
say(const struct options *options, const char *name, const char *word,
	json_t *body)
{
	json_t *answer = NULL;
	char path[TALK_PATH_SIZE];
	int code = TALK_REFUSED;
	char *json = NULL;

	if (add_who_and_why(body, options))
		json = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(10));
	json_decref(body);
	if (json == NULL)
		return talk_complain(TALK_REFUSED, "that is no UTF-8 text");
	if (talk_make_path(path, name, word))
		code = talk_or_complain(options, path, json, &answer);
	free(json);
	if (code == TALK_DONE)
		print_release(stdout, answer);
	json_decref(answer);
	return code;
}

/* --- release start ------------------------------------------------------------ */

static int
ask_about_start(const struct options *options, const char *name,
	const json_t *release, const void *arg)
{
	struct shown shown;

	show(&shown, release);
	return ask("%s: roll back the release of %s at %s, and begin this one",
		name, shown.candidate, shown.share);
}

/* VERSION, or SERVICE=VERSION...: false if they are mixed, or empty, or no
 * text. */
static bool
add_versions(json_t *body, const char *const *arguments, int n)
{
	json_t *versions;

	if (n == 1 && strchr(arguments[0], '=') == NULL)
		return set_text(body, "version", arguments[0]);
	versions = json_object();
	json_object_set_new(body, "versions", versions);
	for (int i = 0; i < n; i++) {
		const char *equals = strchr(arguments[i], '=');
		char service[SHEET_CELL_SIZE];

		if (equals == NULL || equals == arguments[i] ||
			equals[1] == '\0')
			return false;
		snprintf(service, sizeof(service), "%.*s",
			(int)(equals - arguments[i]), arguments[i]);
		if (json_object_get(versions, service) != NULL ||
			!set_text(versions, service, equals + 1))
			return false;
	}
	return true;
}

static bool
parse_share(const char *text, uint16_t *share_bp, struct error *error)
{
	return percent_parse(text, share_bp, error) &&
	       percent_check_share(*share_bp, error);
}

int
words_release(const struct options *options)
{
	const char *name = options->arguments[2];
	json_t *body = json_object();
	struct error error;
	uint16_t share_bp;
	int code = TALK_USAGE;

	if (strcmp(options->arguments[1], "start") != 0)
		error_set(&error, "release: only \"release start\" is known");
	else if (!add_versions(body, options->arguments + 3,
			 options->n_arguments - 3))
		error_set(&error, "release start: either one VERSION, or "
				  "SERVICE=VERSION for each service");
	else if (options->plan != NULL &&
		 !set_text(body, "plan", options->plan))
		error_set(&error, "--plan: that is no UTF-8 text");
	else if (options->share == NULL ||
		 parse_share(options->share, &share_bp, &error))
		code = TALK_DONE;
	if (code == TALK_USAGE) {
		json_decref(body);
		return talk_complain(code, error.message);
	}
	if (options->share != NULL)
		json_object_set_new(body, "share", json_real(share_bp / 100.0));
	if ((options->given & OPTION_AUTO) != 0)
		json_object_set_new(
			body, "auto", json_boolean(options->is_auto));
	code = ask_about(options, name, ask_about_start, NULL);
	if (code == TALK_DONE)
		return say(options, name, "/release", body);
	json_decref(body);
	return code;
}

/* --- share ------------------------------------------------------------------- */

/* The steps that a raise leaves out, in words: "5 %, 10 %". */
static void
list_steps(char *out, size_t size, const json_t *steps, double from, double to)
{
	const json_t *step;
	size_t i, len = 0;

	out[0] = '\0';
	json_array_foreach(steps, i, step)
	{
		double share = json_number_value(step);

		if (share > from && share < to && len < size)
			len += (size_t)snprintf(out + len, size - len,
				"%s%.5g %%", len > 0 ? ", " : "", share);
	}
}

static int
ask_about_share(const struct options *options, const char *name,
	const json_t *release, const void *arg)
{
	double to = *(const uint16_t *)arg / 100.0;
	double from = json_number_value(json_object_get(release, "share"));
	char left_out[SHEET_CELL_SIZE];
	struct shown shown;

	show(&shown, release);
	if (to < from)
		return ask("%s: lower the share of %s from %s to %.5g %%", name,
			shown.candidate, shown.share, to);
	list_steps(left_out, sizeof(left_out),
		json_object_get(release, "steps"), from, to);
	if (left_out[0] == '\0')
		return TALK_DONE;
	return ask("%s: raise the share of %s from %s to %.5g %%, without %s",
		name, shown.candidate, shown.share, to, left_out);
}

int
words_share(const struct options *options)
{
	const char *name = options->arguments[1];
	struct error error;
	uint16_t share_bp;
	int code;

	if (!parse_share(options->arguments[2], &share_bp, &error))
		return talk_complain(TALK_USAGE, error.message);
	code = ask_about(options, name, ask_about_share, &share_bp);
	if (code != TALK_DONE)
		return code;
	return say(options, name, "/share",
		json_pack("{s:f}", "share", share_bp / 100.0));
}

/* --- the others -------------------------------------------------------------- */

int
words_pause(const struct options *options)
{
	return say(options, options->arguments[1], "/pause", json_object());
}

int
words_resume(const struct options *options)
{
	return say(options, options->arguments[1], "/resume", json_object());
}

static int
ask_about_promotion(const struct options *options, const char *name,
	const json_t *release, const void *arg)
{
	struct shown shown;

	show(&shown, release);
	return ask("%s: make %s, at %s, the stable version for everybody", name,
		shown.candidate, shown.share);
}

/* From the last share the next step is the end. */
static int
ask_about_advance(const struct options *options, const char *name,
	const json_t *release, const void *arg)
{
	if (json_number_value(json_object_get(release, "share")) < 100)
		return TALK_DONE;
	return ask_about_promotion(options, name, release, arg);
}

int
words_advance(const struct options *options)
{
	const char *name = options->arguments[1];
	int code = ask_about(options, name, ask_about_advance, NULL);

	if (code != TALK_DONE)
		return code;
	return say(options, name, "/advance", json_object());
}

int
words_promote(const struct options *options)
{
	const char *name = options->arguments[1];
	int code = ask_about(options, name, ask_about_promotion, NULL);

	if (code != TALK_DONE)
		return code;
	return say(options, name, "/promote", json_object());
}

static int
ask_about_rollback(const struct options *options, const char *name,
	const json_t *release, const void *arg)
{
	struct shown shown;

	show(&shown, release);
	return ask("%s: take %s, at %s, away from everybody", name,
		shown.candidate, shown.share);
}

int
words_rollback(const struct options *options)
{
	const char *name = options->arguments[1];
	int code = ask_about(options, name, ask_about_rollback, NULL);

	if (code != TALK_DONE)
		return code;
	return say(options, name, "/rollback", json_object());
}
