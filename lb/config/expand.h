/*
 * expand: environment variables in the values of a file.
 *
 * ${NAME} is the variable's value, ${NAME:-default} the default where it is
 * unset or empty, $$ a dollar. Anything else after a dollar is an error, so
 * that a forgotten brace is noticed. What was put in is not expanded again.
 */
#ifndef PERCH_CONFIG_EXPAND_H
#define PERCH_CONFIG_EXPAND_H

#include "base/error.h"
#include "base/slice.h"

/*
 * The text with its variables replaced, for the caller to free. NULL, and
 * error says why, if a variable is undefined, the syntax is wrong or the
 * result is longer than max bytes.
 */
char *expand_environment(struct slice text, size_t max, struct error *error);

#endif
