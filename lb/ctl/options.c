#include "ctl/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_DEFAULT_S 2.0

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
take_watch(char **argv, int *at, struct options *out)
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

/* Those without a value. */
static bool
take_switch(const char *option, struct options *out)
{
	static const struct {
		const char *name;
		unsigned bit;
	} switches[] = {
		{"--json", OPTION_JSON},
		{"--auto", OPTION_AUTO},
		{"--manual", OPTION_AUTO},
		{"--yes", OPTION_YES},
		{"-y", OPTION_YES},
	};

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		bool is_auto = strcmp(option, "--auto") == 0;

		if (strcmp(option, switches[i].name) != 0)
			continue;
		/* One of the two. */
		if (switches[i].bit == OPTION_AUTO &&
			(out->given & OPTION_AUTO) != 0 &&
			out->is_auto != is_auto)
			return false;
		out->given |= switches[i].bit;
		if (switches[i].bit == OPTION_AUTO)
			out->is_auto = is_auto;
		return true;
	}
	if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0)
		out->wants_help = true;
	else if (strcmp(option, "--version") == 0 || strcmp(option, "-V") == 0)
		out->wants_version = true;
	else
		return false;
	return true;
}

/* Those with one. */
static bool
take_value(char **argv, int *at, struct options *out)
{
	const struct {
		const char *name;
		unsigned bit;
		const char **value;
		bool may_be_empty;
	} values[] = {
		{"--admin", 0, &out->admin, false},
		{"--share", OPTION_SHARE, &out->share, false},
		{"--plan", OPTION_PLAN, &out->plan, false},
		{"--who", OPTION_WHO, &out->who, false},
		{"--why", OPTION_WHY, &out->why, true},
		{"--clients", OPTION_CLIENTS, &out->clients, false},
		{"--error-rate", OPTION_ERROR_RATE, &out->error_rate, false},
		{"--max", OPTION_MAX, &out->max, false},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const char *value = option_value(argv, at, values[i].name);

		if (value == NULL)
			continue;
		out->given |= values[i].bit;
		*values[i].value = value;
		return *value != '\0' || values[i].may_be_empty;
	}
	return false;
}

static bool
take_option(char **argv, int *at, struct options *out)
{
	const char *option = argv[*at];

	if (strcmp(option, "--watch") == 0 ||
		strncmp(option, "--watch=", strlen("--watch=")) == 0)
		return take_watch(argv, at, out);
	return take_switch(option, out) || take_value(argv, at, out);
}

bool
options_parse(char **argv, struct options *out)
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
		if (out->n_arguments == OPTIONS_ARGUMENTS_MAX) {
			fputs("perchctl: too many arguments\n", stderr);
			return false;
		}
		out->arguments[out->n_arguments++] = argv[i];
	}
	return true;
}
