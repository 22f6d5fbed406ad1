/*
 * yaml: a YAML file as a tree of nodes that know their place.
 *
 * A small part of YAML on purpose: maps, lists and scalars. Anchors, aliases,
 * tags and a second document are refused, as are two equal keys. A scalar is
 * text; what it means is for the schema to say (so that `off` or `1.10` is
 * never anything but what was written). Environment variables in values have
 * been replaced (expand.h). Hostile input costs time in its length only.
 */
#ifndef PERCH_CONFIG_YAML_H
#define PERCH_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "config/report.h"

#define YAML_MAX_DEPTH 32
#define YAML_MAX_SIZE ((size_t)4 * 1024 * 1024)

enum yaml_kind {
	YAML_SCALAR,
	YAML_LIST,
	YAML_MAP,
	YAML_BROKEN, /* the report already says what is wrong with it */
};

/* A list's item, or a map's key and value. */
struct yaml_entry {
	char *key; /* NULL in lists */
	struct report_place key_place;
	struct yaml_node *value;
};

struct yaml_node {
	enum yaml_kind kind;
	struct report_place place;
	bool is_null; /* a scalar that is empty, "~" or "null", not quoted */
	char *text; /* of a scalar; no control characters */
	struct yaml_entry *entries; /* of a list or map, in file order */
	size_t n_entries;
};

/*
 * NULL if the text can't be read to its end. Otherwise a tree, which the
 * caller frees, even where errors were reported. An empty file is an empty
 * map.
 */
struct yaml_node *
yaml_tree_parse(const char *text, size_t len, struct report *report);
void yaml_tree_free(struct yaml_node *node);

/* NULL if there is none, or node is no map. */
const struct yaml_entry *
yaml_tree_find(const struct yaml_node *node, const char *key);

#endif
