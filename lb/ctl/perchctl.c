/*
 * perchctl: an operator's words to a running perch, by its admin API.
 */
#include "perch_config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "admin/percent.h"
#include "ctl/client.h"
#include "ctl/print.h"
#include "release/release.h"

#define DEFAULT_ADMIN "127.0.0.1:9900"
#define SERVICES "/api/v1/services"
#define NOTIFY_TEST "/api/v1/notify/test"
#define ARGUMENTS_MAX 4
#define WATCH_DEFAULT_S 2.0

enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
};

enum option {
	OPTION_JSON = 1,
	OPTION_WATCH = 2,
	OPTION_SHARE = 4,
};

struct invocation {
	const char *admin;
	const char *arguments[ARGUMENTS_MAX]; /* the command is the first */
	int n_arguments;
	unsigned given; /* enum option */
	double watch_s;
	const char *share;
	bool wants_help;
	bool wants_version;
};

static const char usage_text[] =
	"usage: perchctl [--admin ADDRESS] COMMAND\n"
	"\n"
	"  status [SERVICE] [--json] [--watch [SECONDS]]\n"
	"                    shares, rates, errors and times of the last "
	"seconds\n"
	"  release start SERVICE VERSION [--share PERCENT]\n"
	"                    give VERSION a share of the clients (default 1)\n"
	"  share SERVICE PERCENT\n"
	"                    change that share\n"
	"  promote SERVICE   make the candidate the stable version\n"
	"  rollback SERVICE  send everybody back to the stable version\n"
	"  notify test       send an event to every webhook\n"
	"  version           say which perchctl this is\n"
	"  help              say this\n"
	"\n"
	"ADDRESS is HOST:PORT or unix:PATH; default: $PERCH_ADMIN, "
	"else\n" DEFAULT_ADMIN ".\n";

static volatile sig_atomic_t is_interrupted;

static int
complain(enum exit_code code, const char *message)
{
	fprintf(stderr, "perchctl: %s\n", message);
	if (code == EXIT_USAGE)
		fputs("Try \"perchctl help\".\n", stderr);
	return code;
}

/* --- talking to perch ------------------------------------------------------ */

static int
report_refusal(const struct client_response *response)
{
	json_t *answer = json_loads(response->body, 0, NULL);
	const char *message =
		json_string_value(json_object_get(answer, "error"));
	char other[64];

	if (message == NULL) {
		snprintf(other, sizeof(other), "perch answered with status %d",
			response->status);
		message = other;
	}
	complain(EXIT_REFUSED, message);
	json_decref(answer);
	return EXIT_REFUSED;
}

/* EXIT_DONE, and what perch said in out; else the reason has been printed. */
static int
ask(const struct invocation *invocation, const char *path, const char *json,
	json_t **out)
{
	struct client_response response;
	struct error error;
	json_error_t problem;
	int code = EXIT_DONE;

	if (!client_ask(invocation->admin, path, json, &response, &error)) {
		fprintf(stderr, "perchctl: %s (is perch running?)\n",
			error.message);
		return EXIT_UNREACHABLE;
	}
	if (response.status != 200) {
		code = report_refusal(&response);
	} else {
		*out = json_loadb(response.body, response.len, 0, &problem);
		if (*out == NULL)
			code = complain(EXIT_UNREACHABLE,
				"the answer is not perch's: no JSON");
	}
	client_response_free(&response);
	return code;
}

/* False, having said so, if the name can be no service's. */
static bool
make_path(char *path, size_t size, const char *service, const char *action)
{
	if (!release_is_name(service)) {
		fprintf(stderr,
			"perchctl: \"%.80s\" can't be a service: names are "
			"letters, digits, \".\", \"_\" and \"-\"\n",
			service);
		return false;
	}
	snprintf(path, size, SERVICES "/%s%s", service, action);
	return true;
}

/* A POST; body is given up. Prints the release as it is then. */
static int
act(const struct invocation *invocation, const char *service,
	const char *action, json_t *body)
{
	char *json = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(10));
	json_t *answer = NULL;
	char path[256];
	int code = EXIT_REFUSED;

	json_decref(body);
	if (json == NULL)
		return complain(EXIT_REFUSED, "that is no UTF-8 text");
	if (make_path(path, sizeof(path), service, action))
		code = ask(invocation, path, json, &answer);
	free(json);
	if (code == EXIT_DONE)
		print_release(stdout, answer);
	json_decref(answer);
	return code;
}

/* --- commands -------------------------------------------------------------- */

static int
print_status_once(const struct invocation *invocation, const char *path)
{
	json_t *answer = NULL;
	const json_t *services;
	int code = ask(invocation, path, NULL, &answer);

	if (code != EXIT_DONE)
		return code;
	services = json_object_get(answer, "services");
	if ((invocation->given & OPTION_JSON) != 0) {
		json_dumpf(answer, stdout,
			JSON_REAL_PRECISION(10) |
				((invocation->given & OPTION_WATCH) != 0
						? JSON_COMPACT
						: JSON_INDENT(2)));
		fputc('\n', stdout);
	} else if (services != NULL) {
		print_services(stdout, services);
	} else {
		print_service(stdout, answer);
	}
	json_decref(answer);
	if (fflush(stdout) == EOF)
		return complain(EXIT_REFUSED, strerror(errno));
	return EXIT_DONE;
}

static void
on_interrupt(int signal_number)
{
	is_interrupted = 1;
}

/* Until Ctrl-C; goes on when perch is away for a while, but not if it never
 * was there or the service isn't. */
static int
watch(const struct invocation *invocation, const char *path)
{
	const struct sigaction action = {.sa_handler = on_interrupt};
	const struct timespec pause = {
		.tv_sec = (time_t)invocation->watch_s,
		.tv_nsec = (long)((invocation->watch_s -
					  (double)(time_t)invocation->watch_s) *
				  1e9),
	};
	bool is_screen =
		isatty(STDOUT_FILENO) && (invocation->given & OPTION_JSON) == 0;
	bool was_reached = false;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (!is_interrupted) {
		int code;

		if (is_screen)
			fputs("\033[H\033[2J", stdout);
		code = print_status_once(invocation, path);
		if (code == EXIT_REFUSED ||
			(code != EXIT_DONE && !was_reached && !is_interrupted))
			return code;
		was_reached = true;
		nanosleep(&pause, NULL);
		if (!is_screen && (invocation->given & OPTION_JSON) == 0)
			fputc('\n', stdout);
	}
	return EXIT_DONE;
}

static int
run_status(const struct invocation *invocation)
{
	char path[256] = SERVICES;

	if (invocation->n_arguments == 2 &&
		!make_path(path, sizeof(path), invocation->arguments[1], ""))
		return EXIT_REFUSED;
	if ((invocation->given & OPTION_WATCH) != 0)
		return watch(invocation, path);
	return print_status_once(invocation, path);
}

static int
run_release(const struct invocation *invocation)
{
	struct error error;
	uint16_t share_bp = 100;

	if (strcmp(invocation->arguments[1], "start") != 0)
		return complain(
			EXIT_USAGE, "release: only \"release start\" is known");
	if (invocation->share != NULL &&
		!percent_parse(invocation->share, &share_bp, &error))
		return complain(EXIT_USAGE, error.message);
	return act(invocation, invocation->arguments[2], "/release",
		json_pack("{s:s, s:f}", "version", invocation->arguments[3],
			"share", share_bp / 100.0));
}

static int
run_share(const struct invocation *invocation)
{
	struct error error;
	uint16_t share_bp;

	if (!percent_parse(invocation->arguments[2], &share_bp, &error))
		return complain(EXIT_USAGE, error.message);
	return act(invocation, invocation->arguments[1], "/share",
		json_pack("{s:f}", "share", share_bp / 100.0));
}

static int
run_promote(const struct invocation *invocation)
{
	return act(invocation, invocation->arguments[1], "/promote",
		json_object());
}

static int
run_rollback(const struct invocation *invocation)
{
	return act(invocation, invocation->arguments[1], "/rollback",
		json_object());
}

static int
run_notify(const struct invocation *invocation)
{
	json_t *answer = NULL;
	json_int_t n;
	int code;

	if (strcmp(invocation->arguments[1], "test") != 0)
		return complain(
			EXIT_USAGE, "notify: only \"notify test\" is known");
	code = ask(invocation, NOTIFY_TEST, "{}", &answer);
	if (code != EXIT_DONE)
		return code;
	n = json_integer_value(json_object_get(answer, "webhooks"));
	printf("a test event goes to %lld webhook%s; perch's log says what "
	       "fails\n",
		(long long)n, n == 1 ? "" : "s");
	json_decref(answer);
	return EXIT_DONE;
}

static int
run_version(const struct invocation *invocation)
{
	puts("perchctl " PACKAGE_VERSION);
	return EXIT_DONE;
}

static int
run_help(const struct invocation *invocation)
{
	fputs(usage_text, stdout);
	return EXIT_DONE;
}

static const struct command {
	const char *name;
	int n_min; /* arguments, the command among them */
	int n_max;
	unsigned options;
	int (*run)(const struct invocation *invocation);
	const char *usage;
} commands[] = {
	{"status", 1, 2, OPTION_JSON | OPTION_WATCH, run_status,
		"usage: status [SERVICE] [--json] [--watch [SECONDS]]"},
	{"release", 4, 4, OPTION_SHARE, run_release,
		"usage: release start SERVICE VERSION [--share PERCENT]"},
	{"share", 3, 3, 0, run_share, "usage: share SERVICE PERCENT"},
	{"promote", 2, 2, 0, run_promote, "usage: promote SERVICE"},
	{"rollback", 2, 2, 0, run_rollback, "usage: rollback SERVICE"},
	{"notify", 2, 2, 0, run_notify, "usage: notify test"},
	{"version", 1, 1, 0, run_version, "usage: version"},
	{"help", 1, 1, 0, run_help, "usage: help"},
};

/* --- the command line ------------------------------------------------------ */

static bool
parse_seconds(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out >= 0.1 && *out <= 86400;
}

/*
 * The value of an option "--name VALUE" or "--name=VALUE" at argv[*at], which
 * is moved to the last argument it used. NULL if it is another option; "" if
 * the value is missing.
 */
static const char *
option_value(char **argv, int *at, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(argv[*at], name, len) != 0)
		return NULL;
	if (argv[*at][len] == '=')
		return argv[*at] + len + 1;
	if (argv[*at][len] != '\0')
		return NULL;
	if (argv[*at + 1] == NULL)
		return "";
	return argv[++*at];
}

/* "--watch", "--watch=2", and "--watch 2". */
static bool
take_watch(char **argv, int *at, struct invocation *out)
{
	const char *text = argv[*at] + strlen("--watch");

	out->given |= OPTION_WATCH;
	out->watch_s = WATCH_DEFAULT_S;
	if (*text == '=')
		return parse_seconds(text + 1, &out->watch_s);
	if (argv[*at + 1] != NULL &&
		parse_seconds(argv[*at + 1], &out->watch_s))
		++*at;
	else
		out->watch_s = WATCH_DEFAULT_S;
	return true;
}

static bool
take_option(char **argv, int *at, struct invocation *out)
{
	const char *option = argv[*at];
	const char *value;

	if (strcmp(option, "--json") == 0) {
		out->given |= OPTION_JSON;
		return true;
	}
	if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
		out->wants_help = true;
		return true;
	}
	if (strcmp(option, "--version") == 0 || strcmp(option, "-V") == 0) {
		out->wants_version = true;
		return true;
	}
	if (strcmp(option, "--watch") == 0 ||
		strncmp(option, "--watch=", strlen("--watch=")) == 0)
		return take_watch(argv, at, out);
	value = option_value(argv, at, "--admin");
	if (value != NULL) {
		out->admin = value;
		return *value != '\0';
	}
	value = option_value(argv, at, "--share");
	if (value != NULL) {
		out->given |= OPTION_SHARE;
		out->share = value;
		return *value != '\0';
	}
	return false;
}

/* False, having said why, if the words make no sense together. */
static bool
parse_arguments(char **argv, struct invocation *out)
{
	bool takes_options = true;

	for (int i = 1; argv[i] != NULL; i++) {
		if (takes_options && strcmp(argv[i], "--") == 0) {
			takes_options = false;
			continue;
		}
		if (takes_options && argv[i][0] == '-' && argv[i][1] != '\0') {
			const char *option = argv[i];

			if (take_option(argv, &i, out))
				continue;
			fprintf(stderr, "perchctl: bad option: %s\n", option);
			return false;
		}
		if (out->n_arguments == ARGUMENTS_MAX) {
			fputs("perchctl: too many arguments\n", stderr);
			return false;
		}
		out->arguments[out->n_arguments++] = argv[i];
	}
	return true;
}

static int
run(const struct invocation *invocation)
{
	const struct command *command = NULL;
	struct error error;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, invocation->arguments[0]) == 0)
			command = &commands[i];
	}
	if (command == NULL) {
		fprintf(stderr, "perchctl: no command \"%s\"\n",
			invocation->arguments[0]);
		return EXIT_USAGE;
	}
	if (invocation->n_arguments < command->n_min ||
		invocation->n_arguments > command->n_max ||
		(invocation->given & ~command->options) != 0)
		return complain(EXIT_USAGE, command->usage);
	if (!client_check_address(invocation->admin, &error))
		return complain(EXIT_USAGE, error.message);
	return command->run(invocation);
}

int
main(int argc, char **argv)
{
	struct invocation invocation = {.admin = getenv("PERCH_ADMIN")};

	if (invocation.admin == NULL || *invocation.admin == '\0')
		invocation.admin = DEFAULT_ADMIN;
	if (!parse_arguments(argv, &invocation))
		return EXIT_USAGE;
	if (invocation.wants_help)
		return run_help(&invocation);
	if (invocation.wants_version)
		return run_version(&invocation);
	if (invocation.n_arguments == 0) {
		fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	return run(&invocation);
}
