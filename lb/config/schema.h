/*
 * schema: one table that says everything about every key of perch.yaml.
 *
 * reader.c fills a struct config by it, value.c checks values by it,
 * reference.c and json_schema.c print it. A new key is a row here and a
 * member in config.h; nothing else.
 *
 * Rows are in the order in which they are read and printed: what others
 * inherit from comes first. A path names the parents of a key; NAME stands for
 * the operator's own names, [] for the items of a list.
 */
#ifndef PERCH_CONFIG_SCHEMA_H
#define PERCH_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

enum schema_shape {
	SCHEMA_GROUP, /* keys of its own, inside the same object */
	SCHEMA_NAMED, /* a map of NAME to objects */
	SCHEMA_LIST,
	SCHEMA_ONE,
};

/* What a value is, or the items of a list are; see value.c. */
enum schema_type {
	SCHEMA_OBJECT, /* keys of its own, in an object of its own */
	SCHEMA_DURATION,
	SCHEMA_SIZE,
	SCHEMA_COUNT,
	SCHEMA_PERCENT,
	SCHEMA_REAL,
	SCHEMA_STATUSES,
	SCHEMA_WORKERS,
	SCHEMA_WEIGHT,
	SCHEMA_CHOICE,
	SCHEMA_NAME,
	SCHEMA_USER,
	SCHEMA_PATH,
	SCHEMA_LOG_TARGET,
	SCHEMA_ACCESS_FILE,
	SCHEMA_FIELD_NAME,
	SCHEMA_PROTOCOL,
	SCHEMA_COOKIE_NAME,
	SCHEMA_DOMAIN,
	SCHEMA_HOST,
	SCHEMA_AUTHORITY,
	SCHEMA_PREFIX,
	SCHEMA_TARGET,
	SCHEMA_CIDR,
	SCHEMA_BIND,
	SCHEMA_ADMIN_BIND,
	SCHEMA_ENDPOINT,
	SCHEMA_URL,
	SCHEMA_CLIENT_KEY,
	SCHEMA_BALANCE_KEY,
	SCHEMA_N_TYPES,
};

struct schema_key {
	const char *path;
	enum schema_shape shape;
	enum schema_type type;

	size_t offset; /* in the object around it: config, service, ... */
	size_t n_offset; /* where a list's length goes */
	size_t size; /* of a group, or of one object of a list */
	/* A bool that says that the group is in the file; 0: there is none. */
	size_t given_offset;

	/* As the operator would write them. NULL: none. */
	const char *def; /* a list's: parted by ", "; "": an empty list */
	const char *min;
	const char *max;
	const char *const *choices; /* in the order of the enum, then NULL */

	size_t min_items;
	size_t max_items;
	bool is_required;
	/* A scalar in an object's place is this key of it. */
	const char *shorthand;
	/* The top-level key whose value is the default; its path. */
	const char *inherits;

	const char *help; /* sentences */
	const char *example;
};

extern const struct schema_key schema_keys[];
extern const size_t schema_n_keys;

/*
 * The rows right below a prefix: "" for the top level, "timeouts." for a
 * group, "services.NAME." for the objects of a map, "listeners[]." for those
 * of a list. Begin with NULL; NULL after the last one.
 */
const struct schema_key *
schema_next_child(const char *prefix, const struct schema_key *previous);

/*
 * The rows of one object: those below its prefix, in groups or not, but not
 * those of objects inside of it.
 */
const struct schema_key *
schema_next_member(const char *prefix, const struct schema_key *previous);

/* NULL if there is no such row. */
const struct schema_key *schema_find(const char *path);

/* The last word of the row's path. */
const char *schema_key_name(const struct schema_key *key);

/* Room for any prefix. */
#define SCHEMA_PREFIX_SIZE 128
/* The prefix of the rows below this one. */
void schema_prefix(const struct schema_key *key, char out[SCHEMA_PREFIX_SIZE]);

/* Takes the next item off a list's default; false at its end. */
bool schema_next_default(const char **rest, struct slice *item);

#endif
