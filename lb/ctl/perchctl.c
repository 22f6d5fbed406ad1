/*
 * perchctl: an operator's words to a running perch, by its admin API.
 */
#include "perch_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ctl/client.h"
#include "ctl/options.h"
#include "ctl/show.h"
#include "ctl/talk.h"
#include "ctl/words.h"

#define DEFAULT_ADMIN "127.0.0.1:9900"
#define NOTIFY_TEST "/api/v1/notify/test"

static const char usage_text[] =
	"usage: perchctl [--admin ADDRESS] COMMAND\n"
	"\n"
	"UNIT is a service, or a group of services that are released "
	"together.\n"
	"\n"
	"  status [UNIT] [--json] [--watch [SECONDS]]\n"
	"                    releases, rates, errors and times of the last "
	"seconds\n"
	"  plan UNIT [--clients PER_SECOND] [--error-rate PERCENT] [--json]\n"
	"                    how soon each step of a release sees harm\n"
	"  history UNIT [--max N] [--json]\n"
	"                    who did what to its releases, when and why\n"
	"\n"
	"  release start UNIT VERSION|SERVICE=VERSION... [--share PERCENT]\n"
	"          [--plan NAME] [--auto|--manual]\n"
	"                    give a version more and more of the clients\n"
	"  pause UNIT        stay at this share\n"
	"  resume UNIT       go on from it\n"
	"  advance UNIT      go to the next step now\n"
	"  share UNIT PERCENT\n"
	"                    set the share and pause the plan there; resume to "
	"go on\n"
	"  promote UNIT      make the candidate the stable version\n"
	"  rollback UNIT     send everybody back to the stable version\n"
	"\n"
	"  Those that change something take --why TEXT and --who NAME for the "
	"history;\n"
	"  promote, rollback, a share that is lower or leaves steps out, and a "
	"start\n"
	"  that ends another release ask first on a terminal, unless --yes is "
	"there.\n"
	"\n"
	"  notify test       send an event to every webhook\n"
	"  version           say which perchctl this is\n"
	"  help              say this\n"
	"\n"
	"ADDRESS is HOST:PORT or unix:PATH; default: $PERCH_ADMIN, "
	"else\n" DEFAULT_ADMIN ".\n";

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

static int
run_help(const struct options *options)
{
	fputs(usage_text, stdout);
	return TALK_DONE;
}

static const struct command {
	const char *name;
	int n_min; /* arguments, the command among them */
	int n_max;
	unsigned options;
	int (*run)(const struct options *options);
	const char *usage;
} commands[] = {
	{"status", 1, 2, OPTION_JSON | OPTION_WATCH, show_status,
		"usage: status [UNIT] [--json] [--watch [SECONDS]]"},
	{"plan", 2, 2, OPTION_JSON | OPTION_CLIENTS | OPTION_ERROR_RATE,
		show_plan,
		"usage: plan UNIT [--clients PER_SECOND] [--error-rate "
		"PERCENT] [--json]"},
	{"history", 2, 2, OPTION_JSON | OPTION_MAX, show_history,
		"usage: history UNIT [--max N] [--json]"},
	{"release", 4, OPTIONS_ARGUMENTS_MAX,
		OPTIONS_OF_WORDS | OPTION_SHARE | OPTION_PLAN | OPTION_AUTO,
		words_release,
		"usage: release start UNIT VERSION|SERVICE=VERSION... "
		"[--share PERCENT] [--plan NAME] [--auto|--manual] "
		"[--why TEXT] [--who NAME] [--yes]"},
	{"share", 3, 3, OPTIONS_OF_WORDS, words_share,
		"usage: share UNIT PERCENT [--why TEXT] [--who NAME] [--yes]"},
	{"advance", 2, 2, OPTIONS_OF_WORDS, words_advance,
		"usage: advance UNIT [--why TEXT] [--who NAME]"},
	{"pause", 2, 2, OPTIONS_OF_WORDS, words_pause,
		"usage: pause UNIT [--why TEXT] [--who NAME]"},
	{"resume", 2, 2, OPTIONS_OF_WORDS, words_resume,
		"usage: resume UNIT [--why TEXT] [--who NAME]"},
	{"promote", 2, 2, OPTIONS_OF_WORDS, words_promote,
		"usage: promote UNIT [--why TEXT] [--who NAME] [--yes]"},
	{"rollback", 2, 2, OPTIONS_OF_WORDS, words_rollback,
		"usage: rollback UNIT [--why TEXT] [--who NAME] [--yes]"},
	{"notify", 2, 2, 0, run_notify, "usage: notify test"},
	{"version", 1, 1, 0, run_version, "usage: version"},
	{"help", 1, 1, 0, run_help, "usage: help"},
};

static int
run(const struct options *options)
{
	const struct command *command = NULL;
	struct error error;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, options->arguments[0]) == 0)
			command = &commands[i];
	}
	if (command == NULL) {
		fprintf(stderr, "perchctl: no command \"%s\"\n",
			options->arguments[0]);
		return TALK_USAGE;
	}
	if (options->n_arguments < command->n_min ||
		options->n_arguments > command->n_max ||
		(options->given & ~command->options) != 0)
		return talk_complain(TALK_USAGE, command->usage);
	if (!client_check_address(options->admin, &error))
		return talk_complain(TALK_USAGE, error.message);
	return command->run(options);
}

int
main(int argc, char **argv)
{
	struct options options = {.admin = getenv("PERCH_ADMIN")};

	if (options.admin == NULL || *options.admin == '\0')
		options.admin = DEFAULT_ADMIN;
	if (!options_parse(argv, &options))
		return TALK_USAGE;
	if (options.wants_help)
		return run_help(&options);
	if (options.wants_version)
		return run_version(&options);
	if (options.n_arguments == 0) {
		fputs(usage_text, stderr);
		return TALK_USAGE;
	}
	return run(&options);
}
