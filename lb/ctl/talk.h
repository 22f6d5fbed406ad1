/*
 * talk: what perchctl's commands ask of perch, and how they end.
 */
#ifndef PERCH_CTL_TALK_H
#define PERCH_CTL_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/error.h"
#include "ctl/options.h"

enum talk_exit {
	TALK_DONE = 0,
	TALK_REFUSED = 1,
	TALK_USAGE = 2,
	TALK_UNREACHABLE = 3,
};

#define TALK_SERVICES "/api/v1/services"
#define TALK_PATH_SIZE 320

/* Says it on stderr; returns code. */
int talk_complain(enum talk_exit code, const char *message);

/* False, having said so, if the name can be no service's. rest: what follows it
 * in the path. */
bool
talk_make_path(char path[TALK_PATH_SIZE], const char *name, const char *rest);

/* GET, or POST if json is its body. TALK_DONE, and what perch said in out; else
 * the reason in error. */
enum talk_exit talk(const struct options *options, const char *path,
	const char *json, json_t **out, struct error *error);

/* The same with the reason said on stderr. */
enum talk_exit talk_or_complain(const struct options *options, const char *path,
	const char *json, json_t **out);

#endif
