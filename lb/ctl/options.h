/*
 * options: perchctl's command line: its options, and the rest as arguments.
 * Knows which options there are, not which command takes which.
 */
#ifndef PERCH_CTL_OPTIONS_H
#define PERCH_CTL_OPTIONS_H

#include <stdbool.h>

#define OPTIONS_ARGUMENTS_MAX 64

/* Bits of options.given; --admin, --help and --version go with any command. */
enum option {
	OPTION_JSON = 1,
	OPTION_WATCH = 2,
	OPTION_SHARE = 4,
	OPTION_PLAN = 8,
	OPTION_AUTO = 16, /* --auto or --manual */
	OPTION_WHO = 32,
	OPTION_WHY = 64,
	OPTION_YES = 128,
	OPTION_CLIENTS = 256,
	OPTION_ERROR_RATE = 512,
	OPTION_MAX = 1024,
};
/* Those of all words that change something. */
#define OPTIONS_OF_WORDS (OPTION_WHO | OPTION_WHY | OPTION_YES)

struct options {
	const char *admin;
	const char *arguments[OPTIONS_ARGUMENTS_MAX]; /* the command first */
	int n_arguments;
	unsigned given; /* enum option */
	double watch_s;
	bool is_auto;
	/* As they stand there; NULL: not given. */
	const char *share;
	const char *plan;
	const char *who;
	const char *why;
	const char *clients;
	const char *error_rate;
	const char *max;
	bool wants_help;
	bool wants_version;
};

/* False, having said why, if the words make no sense together. out has its
 * defaults already. */
bool options_parse(char **argv, struct options *out);

#endif
