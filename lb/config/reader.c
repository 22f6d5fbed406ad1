#include "config/reader.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config/schema.h"
#include "config/suggest.h"
#include "config/value.h"

#define LABEL_SIZE 256
#define MAX_CHILDREN 32

/* The keys of one map: whose they are, and what they fill. */
struct scope {
	const char *prefix; /* of their rows in the schema */
	const char *label; /* as the operator calls it; "" at the top */
	struct report_place place;
	void *object;
};

/* Two names of 80 bytes and the schema's words fit; more is cut. */
static void __attribute__((format(printf, 2, 3)))
format_label(char label[LABEL_SIZE], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(label, LABEL_SIZE, format, args);
	va_end(args);
}

static void *
member_of(void *object, const struct schema_key *key)
{
	return (char *)object + key->offset;
}

/*
 * The array of a list's items or of a map's objects. Its pointer has a type
 * of its own, which isn't known here: hence the copies.
 */
static void *
array_of(void *object, const struct schema_key *key)
{
	void *array;

	memcpy(&array, member_of(object, key), sizeof(array));
	return array;
}

static void
set_array(void *object, const struct schema_key *key, void *array)
{
	memcpy(member_of(object, key), &array, sizeof(array));
}

static size_t *
count_of(void *object, const struct schema_key *key)
{
	return (size_t *)(void *)((char *)object + key->n_offset);
}

static size_t
item_size(const struct schema_key *key)
{
	return key->type == SCHEMA_OBJECT ? key->size : value_size(key->type);
}

static void
set_place(struct reader *reader, void *member, const struct report_place *place)
{
	/* The table only hands it back; reader_place() returns it const. */
	union {
		const struct report_place *given;
		void *kept;
	} pointer = {.given = place};

	table_set(&reader->places,
		(struct slice){(const char *)&member, sizeof(member)},
		pointer.kept);
}

const struct report_place *
reader_place(const struct reader *reader, const void *member)
{
	return table_find(&reader->places,
		(struct slice){(const char *)&member, sizeof(member)});
}

static void release_object(const char *prefix, void *object);

static void
release_array(const struct schema_key *key, void *object)
{
	char *array = array_of(object, key);
	size_t *n = count_of(object, key);
	char prefix[SCHEMA_PREFIX_SIZE];
	size_t i;

	schema_prefix(key, prefix);
	for (i = 0; i < *n; i++) {
		char *item = array + i * item_size(key);

		if (key->shape == SCHEMA_NAMED)
			free(*(char **)(void *)item);
		if (key->type == SCHEMA_OBJECT)
			release_object(prefix, item);
		else
			value_release(key->type, item);
	}
	free(array);
	set_array(object, key, NULL);
	*n = 0;
}

/* Not the object itself. */
static void
release_object(const char *prefix, void *object)
{
	const struct schema_key *key = NULL;

	while ((key = schema_next_member(prefix, key)) != NULL) {
		if (key->shape == SCHEMA_ONE)
			value_release(key->type, member_of(object, key));
		else if (key->shape != SCHEMA_GROUP)
			release_array(key, object);
	}
}

void
reader_release(struct config *config)
{
	release_object("", config);
}

static void
parse_default(const struct schema_key *key, struct slice text, void *out)
{
	struct error error;
	bool ok = value_parse(key, text, out, &error);

	assert(ok);
	(void)ok;
}

static void
fill_default_list(const struct schema_key *key, void *object)
{
	char *array = NULL;
	size_t *n = count_of(object, key);
	const char *rest = key->def;
	size_t size = item_size(key);
	struct slice item;

	while (schema_next_default(&rest, &item)) {
		array = memory_realloc_array(array, *n + 1, size);
		memset(array + *n * size, 0, size);
		parse_default(key, item, array + *n * size);
		(*n)++;
	}
	set_array(object, key, array);
}

/* Lists of names alone; each has its own copies. */
static void
inherit_list(
	const struct reader *reader, const struct schema_key *key, void *object)
{
	const struct schema_key *from = schema_find(key->inherits);
	size_t n = *count_of(reader->config, from), i;
	char **names, **copies;

	assert(from->type == key->type && item_size(key) == sizeof(*copies));
	names = (char **)(void *)array_of(reader->config, from);
	copies = memory_zalloc_array(n, sizeof(*copies));
	for (i = 0; i < n; i++)
		if (names[i] != NULL) /* else it is in the report */
			copies[i] = memory_strndup(names[i], strlen(names[i]));
	set_array(object, key, (char *)copies);
	*count_of(object, key) = n;
}

/*
 * A new object: what it inherits, and each key's default. Without a reader
 * there is nothing to inherit from.
 */
static void
fill_defaults(struct reader *reader, const char *prefix, void *object)
{
	const struct schema_key *key = NULL;

	while ((key = schema_next_member(prefix, key)) != NULL) {
		if (key->shape == SCHEMA_GROUP && key->inherits != NULL) {
			const struct schema_key *from =
				schema_find(key->inherits);

			assert(from != NULL && from->size == key->size);
			memcpy(member_of(object, key),
				member_of(reader->config, from), key->size);
		} else if (key->shape == SCHEMA_LIST && key->inherits != NULL) {
			inherit_list(reader, key, object);
		} else if (key->def == NULL) {
			continue;
		} else if (key->shape == SCHEMA_ONE) {
			parse_default(key, slice_from_string(key->def),
				member_of(object, key));
		} else if (key->shape == SCHEMA_LIST) {
			fill_default_list(key, object);
		}
	}
}

static const char *
kind_name(const struct yaml_node *node)
{
	switch (node->kind) {
	case YAML_LIST:
		return "a list";
	case YAML_MAP:
		return "a map";
	default:
		return node->is_null ? "nothing" : "a single value";
	}
}

/* Reports a node that isn't what is expected; silent on a broken one. */
static void
report_kind(struct reader *reader, const struct yaml_node *node,
	const char *label, const char *expected)
{
	if (node->kind == YAML_BROKEN)
		return;
	report_error(reader->report, node->place, "%s: expected %s, not %s",
		label, expected, kind_name(node));
}

/* On failure, member keeps what it had. */
static void
read_value(struct reader *reader, const struct schema_key *key,
	const struct yaml_node *node, void *member, const char *label)
{
	size_t size = value_size(key->type);
	_Alignas(max_align_t) char fresh[VALUE_MAX_SIZE];
	struct error error;

	set_place(reader, member, &node->place);
	if (node->kind != YAML_SCALAR || node->is_null) {
		report_kind(reader, node, label,
			key->type == SCHEMA_CHOICE ? "one of its words"
						   : value_expected(key->type));
		return;
	}
	assert(size <= sizeof(fresh));
	/* Some values are less than their type's size. */
	memcpy(fresh, member, size);
	if (!value_parse(key, slice_from_string(node->text), fresh, &error)) {
		report_error(reader->report, node->place, "%s: %s", label,
			error.message);
		return;
	}
	value_release(key->type, member);
	memcpy(member, fresh, size);
}

static void read_keys(struct reader *reader, const struct scope *scope,
	const struct yaml_node *node);

/* An item that is a map, or the one key that a scalar stands for. */
static void
read_object(struct reader *reader, const struct schema_key *key,
	const struct yaml_node *node, const struct scope *scope)
{
	fill_defaults(reader, scope->prefix, scope->object);
	if (node->kind == YAML_SCALAR && key->shorthand != NULL &&
		!node->is_null) {
		char path[SCHEMA_PREFIX_SIZE * 2];
		const struct schema_key *child;

		snprintf(path, sizeof(path), "%s%s", scope->prefix,
			key->shorthand);
		child = schema_find(path);
		assert(child != NULL);
		read_value(reader, child, node, member_of(scope->object, child),
			scope->label);
		return;
	}
	read_keys(reader, scope, node);
}

/* False, with a report, if there are too few or too many. */
static bool
check_count(struct reader *reader, const struct schema_key *key,
	struct report_place place, const char *label, size_t n)
{
	if (n > key->max_items)
		report_error(reader->report, place,
			"%s: %zu entries, but at most %zu are supported", label,
			n, key->max_items);
	else if (n < key->min_items)
		report_error(
			reader->report, place, "%s: must not be empty", label);
	else
		return true;
	return false;
}

static void
read_item(struct reader *reader, const struct schema_key *key,
	const struct yaml_node *node, void *item, const char *label)
{
	char prefix[SCHEMA_PREFIX_SIZE];
	struct scope scope = {prefix, label, node->place, item};

	if (key->type != SCHEMA_OBJECT) {
		read_value(reader, key, node, item, label);
		return;
	}
	schema_prefix(key, prefix);
	set_place(reader, item, &node->place);
	read_object(reader, key, node, &scope);
}

static void
read_list(struct reader *reader, const struct schema_key *key,
	const struct yaml_node *node, void *object, const char *label)
{
	char *array;
	bool is_single = node->kind == YAML_SCALAR && !node->is_null &&
			 (key->type != SCHEMA_OBJECT || key->shorthand != NULL);
	size_t n = is_single ? 1 : node->n_entries;
	size_t size = item_size(key);
	char item_label[LABEL_SIZE];
	size_t i;

	set_place(reader, member_of(object, key), &node->place);
	if (!is_single && node->kind != YAML_LIST) {
		report_kind(reader, node, label, "a list");
		return;
	}
	if (!check_count(reader, key, node->place, label, n))
		return;
	release_array(key, object);
	array = memory_zalloc_array(n, size);
	set_array(object, key, array);
	*count_of(object, key) = n;
	if (is_single) {
		read_item(reader, key, node, array, label);
		return;
	}
	for (i = 0; i < n; i++) {
		format_label(item_label, "%s[%zu]", label, i);
		read_item(reader, key, node->entries[i].value, array + i * size,
			item_label);
	}
}

/* NAME is one of the operator's, and the object's first member. */
static void
read_named_item(struct reader *reader, const struct schema_key *key,
	const struct yaml_entry *entry, void *item, const char *label)
{
	static const struct schema_key name_key = {.type = SCHEMA_NAME};
	struct slice name = slice_from_string(entry->key);
	char prefix[SCHEMA_PREFIX_SIZE];
	struct scope scope = {prefix, label, entry->key_place, item};
	struct error error;

	schema_prefix(key, prefix);
	set_place(reader, item, &entry->key_place);
	if (!value_parse(&name_key, name, item, &error)) {
		report_error(reader->report, entry->key_place, "%s: %s", label,
			error.message);
		*(char **)item = memory_strdup(entry->key);
	}
	read_object(reader, key, entry->value, &scope);
}

static void
read_named(struct reader *reader, const struct schema_key *key,
	const struct yaml_node *node, void *object, const char *label)
{
	size_t size = item_size(key);
	char *array, item_label[LABEL_SIZE];
	size_t i;

	/* As in read_keys(): all of them may have been commented out. */
	if (node->is_null && key->min_items == 0)
		return;
	if (node->kind != YAML_MAP) {
		report_kind(reader, node, label, "a map of names");
		return;
	}
	if (!check_count(reader, key, node->place, label, node->n_entries))
		return;
	array = memory_zalloc_array(node->n_entries, size);
	set_array(object, key, array);
	*count_of(object, key) = node->n_entries;
	for (i = 0; i < node->n_entries; i++) {
		format_label(item_label, "%s.%.*s", label, REPORT_QUOTE_LEN,
			node->entries[i].key);
		read_named_item(reader, key, &node->entries[i],
			array + i * size, item_label);
	}
}

static void
read_key(struct reader *reader, const struct schema_key *key,
	const struct yaml_node *node, const struct scope *scope)
{
	char label[LABEL_SIZE], prefix[SCHEMA_PREFIX_SIZE];
	struct scope inner = {prefix, label, node->place, scope->object};

	format_label(label, "%s%s%s", scope->label,
		scope->label[0] != '\0' ? "." : "", schema_key_name(key));
	schema_prefix(key, prefix);
	switch (key->shape) {
	case SCHEMA_ONE:
		read_value(reader, key, node, member_of(scope->object, key),
			label);
		break;
	case SCHEMA_LIST:
		read_list(reader, key, node, scope->object, label);
		break;
	case SCHEMA_NAMED:
		read_named(reader, key, node, scope->object, label);
		break;
	case SCHEMA_GROUP:
		if (key->given_offset != 0)
			*((bool *)scope->object + key->given_offset) = true;
		read_keys(reader, &inner, node);
		break;
	}
}

static void
report_unknown(struct reader *reader, const struct scope *scope,
	const struct yaml_entry *entry)
{
	const char *names[MAX_CHILDREN];
	const struct schema_key *key = NULL;
	char known[512] = "";
	const char *near, *in = scope->label[0] != '\0' ? " in " : "";
	size_t n = 0, len = 0;

	while ((key = schema_next_child(scope->prefix, key)) != NULL) {
		assert(n < MAX_CHILDREN && len < sizeof(known));
		names[n] = schema_key_name(key);
		len += (size_t)snprintf(known + len, sizeof(known) - len,
			"%s%s", n > 0 ? ", " : "", names[n]);
		n++;
	}
	near = suggest_word(entry->key, names, n);
	if (near != NULL)
		report_error(reader->report, entry->key_place,
			"unknown key \"%.*s\"%s%s, did you mean \"%s\"?",
			REPORT_QUOTE_LEN, entry->key, in, scope->label, near);
	else
		report_error(reader->report, entry->key_place,
			"unknown key \"%.*s\"%s%s; known here: %s",
			REPORT_QUOTE_LEN, entry->key, in, scope->label, known);
}

static bool
is_known(const char *prefix, const char *name)
{
	const struct schema_key *key = NULL;

	while ((key = schema_next_child(prefix, key)) != NULL) {
		if (strcmp(schema_key_name(key), name) == 0)
			return true;
	}
	return false;
}

/*
 * In the schema's order, not the file's, since services inherit from what
 * may stand below them. An empty value is a map without keys: all of them
 * may have been commented out.
 */
static void
read_keys(struct reader *reader, const struct scope *scope,
	const struct yaml_node *node)
{
	const char *in = scope->label[0] != '\0' ? " in " : "";
	const struct schema_key *key = NULL;
	size_t i;

	if (node->kind != YAML_MAP && !node->is_null) {
		report_kind(reader, node,
			scope->label[0] != '\0' ? scope->label : "the file",
			"a map");
		return;
	}
	while ((key = schema_next_child(scope->prefix, key)) != NULL) {
		const char *name = schema_key_name(key);
		const struct yaml_entry *entry = yaml_tree_find(node, name);

		if (entry != NULL)
			read_key(reader, key, entry->value, scope);
		else if (key->is_required)
			report_error(reader->report, scope->place,
				"missing key \"%s\"%s%s", name, in,
				scope->label);
	}
	for (i = 0; i < node->n_entries; i++) {
		if (!is_known(scope->prefix, node->entries[i].key))
			report_unknown(reader, scope, &node->entries[i]);
	}
}

void
reader_fill_defaults(const char *prefix, void *object)
{
	fill_defaults(NULL, prefix, object);
}

void
reader_init(struct reader *reader, struct config *config, struct report *report)
{
	reader->report = report;
	reader->config = config;
	table_init(&reader->places);
	memset(config, 0, sizeof(*config));
}

void
reader_fill(struct reader *reader, const struct yaml_node *root)
{
	struct scope scope = {"", "", {1, 1}, reader->config};

	fill_defaults(reader, "", reader->config);
	read_keys(reader, &scope, root);
}

void
reader_free(struct reader *reader)
{
	table_free(&reader->places);
}
