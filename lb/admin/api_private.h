/*
 * api_private: what the parts of the API share: api (routes, answers to GET),
 * api_words (POST), api_error (refusals).
 */
#ifndef PERCH_ADMIN_API_PRIVATE_H
#define PERCH_ADMIN_API_PRIVATE_H

#include <jansson.h>
#include <stddef.h>

#include "admin/api.h"
#include "admin/text.h"
#include "proxy/snapshot.h"

enum status {
	OK = 200,
	BAD_REQUEST = 400,
	NOT_FOUND = 404,
	NOT_ALLOWED = 405,
	CONFLICT = 409,
	UNAVAILABLE = 503,
};

struct call {
	struct api *api;
	const struct api_request *request;
	const struct snapshot *snapshot;
	const char *name; /* the service's, or its group's if that was named */
	const struct snapshot_service *service; /* NULL: it is a group's */
	struct registry_unit *unit; /* the service's or the group's */
	json_t *body; /* an object, for POST */
	struct evbuffer *out;
};

/* --- api -------------------------------------------------------------------- */

/* Takes value. */
void api_write_json(struct text *text, json_t *value);
/* Finds what is named; false, with nothing else changed, if nothing is. */
bool api_find(struct call *call, struct slice name);
/* The service or the group that api_find() found, to call->out. */
void api_show(const struct call *call);

/* --- api_words -------------------------------------------------------------- */

/* What a POST to .../services/NAME/WORD runs; NULL if there is no such word. */
typedef int api_word_fn(const struct call *call);
api_word_fn *api_word_find(struct slice word);

/* --- api_error -------------------------------------------------------------- */

/* Writes error's message; returns status. */
int api_refuse(
	const struct call *call, enum status status, const struct error *error);

struct api_names {
	const char **names;
	size_t n;
};

/* To be freed, but not what it names. */
struct api_names api_names_of_units(const struct snapshot *snapshot);
struct api_names api_names_of_plans(const struct snapshot *snapshot);
struct api_names api_names_of_members(
	const struct snapshot *snapshot, const struct registry_unit *unit);
struct api_names api_names_of_versions(const struct snapshot *snapshot,
	const struct registry_unit *unit,
	const struct snapshot_service
		*service /* or NULL: of all its members */);

/* what, for example "no service", then the wanted name and what there is
 * instead. Frees names. Returns NOT_FOUND. */
int api_no_such(const struct call *call, const char *what, struct slice wanted,
	struct api_names names);

#endif
