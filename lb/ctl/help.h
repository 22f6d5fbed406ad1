/*
 * help: what perchctl says of its commands: all of them on a page, or one in
 * full. Says, and knows nothing of how they are run.
 */
#ifndef PERCH_CTL_HELP_H
#define PERCH_CTL_HELP_H

#include <stdbool.h>
#include <stdio.h>

#define HELP_DEFAULT_ADMIN "127.0.0.1:9900"

/* The page. */
void help_print(FILE *out);

/* One command's: how it is written, and what it does with what. second: the word
 * behind it ("start" of "release"), or NULL. False if there is no such. */
bool help_print_command(FILE *out, const char *name, const char *second)
	__attribute__((warn_unused_result));

/* How a command that there is must be written, for who wrote it otherwise. */
void help_print_usage(FILE *out, const char *name);

#endif
