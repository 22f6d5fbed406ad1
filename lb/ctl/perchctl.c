/*
 * perchctl: an operator's words to a running perch, by its admin API.
 */
#include "perch_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ctl/client.h"
#include "ctl/help.h"
#include "ctl/options.h"
#include "ctl/show.h"
#include "ctl/talk.h"
#include "ctl/words.h"

#define NOTIFY_TEST "/api/v1/notify/test"

static int
run_notify(const struct options *options)
{
	json_t *answer = NULL;
	json_int_t n;
	int code;

	if (strcmp(options->arguments[1], "test") != 0)
		return talk_complain(
			TALK_USAGE, "notify: only \"notify test\" is known");
	code = talk_or_complain(options, NOTIFY_TEST, "{}", &answer);
	if (code != TALK_DONE)
		return code;
	n = json_integer_value(json_object_get(answer, "webhooks"));
	printf("a test event goes to %lld webhook%s; perch's log says what "
	       "fails\n",
		(long long)n, n == 1 ? "" : "s");
	json_decref(answer);
	return TALK_DONE;
}

static int
run_version(const struct options *options)
{
	puts("perchctl " PACKAGE_VERSION);
	return TALK_DONE;
}

/* "help", "help COMMAND", and "help release start". */
static int
run_help(const struct options *options)
{
	const char *name =
		options->n_arguments > 1 ? options->arguments[1] : NULL;
	const char *second =
		options->n_arguments > 2 ? options->arguments[2] : NULL;

	if (name == NULL) {
		help_print(stdout);
		return TALK_DONE;
	}
	if (help_print_command(stdout, name, second))
		return TALK_DONE;
	fprintf(stderr, "perchctl: no command \"%s%s%s\"\n", name,
		second != NULL ? " " : "", second != NULL ? second : "");
	fputs("Try \"perchctl help\".\n", stderr);
	return TALK_USAGE;
}

static const struct command {
	const char *name;
	int n_min; /* arguments, the command among them */
	int n_max;
	unsigned options;
	int (*run)(const struct options *options);
} commands[] = {
	{"status", 1, 2, OPTION_JSON | OPTION_WATCH, show_status},
	{"plan", 2, 2, OPTION_JSON | OPTION_CLIENTS | OPTION_ERROR_RATE,
		show_plan},
	{"history", 2, 2, OPTION_JSON | OPTION_MAX, show_history},
	{"release", 4, OPTIONS_ARGUMENTS_MAX,
		OPTIONS_OF_WORDS | OPTION_SHARE | OPTION_PLAN | OPTION_AUTO,
		words_release},
	{"share", 3, 3, OPTIONS_OF_WORDS, words_share},
	{"advance", 2, 2, OPTIONS_OF_WORDS, words_advance},
	{"pause", 2, 2, OPTIONS_OF_WORDS, words_pause},
	{"resume", 2, 2, OPTIONS_OF_WORDS, words_resume},
	{"promote", 2, 2, OPTIONS_OF_WORDS, words_promote},
	{"rollback", 2, 2, OPTIONS_OF_WORDS, words_rollback},
	{"notify", 2, 2, 0, run_notify},
	{"version", 1, 1, 0, run_version},
	{"help", 1, 3, 0, run_help},
};

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int
run(const struct options *options)
{
	const struct command *command = find_command(options->arguments[0]);
	struct error error;

	if (command == NULL) {
		fprintf(stderr, "perchctl: no command \"%s\"\n",
			options->arguments[0]);
		fputs("Try \"perchctl help\".\n", stderr);
		return TALK_USAGE;
	}
	/* "status --help" and the like, with whatever else is there. */
	if (options->wants_help) {
		(void)!help_print_command(stdout, command->name, NULL);
		return TALK_DONE;
	}
	if (options->n_arguments < command->n_min ||
		options->n_arguments > command->n_max ||
		(options->given & ~command->options) != 0) {
		help_print_usage(stderr, command->name);
		return TALK_USAGE;
	}
	if (!client_check_address(options->admin, &error))
		return talk_complain(TALK_USAGE, error.message);
	return command->run(options);
}

int
main(int argc, char **argv)
{
	struct options options = {.admin = getenv("PERCH_ADMIN")};

	if (options.admin == NULL || *options.admin == '\0')
		options.admin = HELP_DEFAULT_ADMIN;
	if (!options_parse(argv, &options))
		return TALK_USAGE;
	if (options.wants_version)
		return run_version(&options);
	if (options.n_arguments == 0) {
		help_print(options.wants_help ? stdout : stderr);
		return options.wants_help ? TALK_DONE : TALK_USAGE;
	}
	return run(&options);
}
