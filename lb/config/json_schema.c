/*
 * The JSON Schema of perch.yaml, draft 07, since that is what editors know.
 * A value may also hold ${NAME}, whatever its type; so every scalar also
 * takes a string with "${" in it.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "config/config.h"
#include "config/schema.h"
#include "config/value.h"

#define DRAFT "http://json-schema.org/draft-07/schema#"
#define VARIABLE_PATTERN "\\$\\{"

static void
set(json_t *object, const char *name, json_t *value)
{
	int failed = json_object_set_new(object, name, value);

	assert(!failed);
	(void)failed;
}

static void
push(json_t *array, json_t *value)
{
	int failed = json_array_append_new(array, value);

	assert(!failed);
	(void)failed;
}

static json_t *
text_of(struct slice text)
{
	return json_stringn(text.ptr, text.len);
}

/* {"type": "string", "pattern": ...} for the whole of a value. */
static json_t *
pattern_schema(const char *pattern)
{
	json_t *schema = json_object();

	set(schema, "type", json_string("string"));
	set(schema, "pattern",
		json_sprintf("^(%s)$|%s", pattern, VARIABLE_PATTERN));
	return schema;
}

static json_t *
choice_schema(const struct schema_key *key)
{
	json_t *schema = json_object(), *any = json_array();
	json_t *words = json_object(), *list = json_array();
	json_t *variable = json_object();
	size_t i;

	for (i = 0; key->choices[i] != NULL; i++) {
		push(list, json_string(key->choices[i]));
		/* Bare, these are no strings to YAML. */
		if (strcmp(key->choices[i], "true") == 0)
			push(list, json_true());
		if (strcmp(key->choices[i], "false") == 0)
			push(list, json_false());
	}
	set(words, "enum", list);
	set(variable, "type", json_string("string"));
	set(variable, "pattern", json_string(VARIABLE_PATTERN));
	push(any, words);
	push(any, variable);
	set(schema, "anyOf", any);
	return schema;
}

/* A bound or default of a key with numbers, as JSON has it. */
static json_t *
number_of(const struct schema_key *key, const char *text)
{
	if (strchr(text, '.') != NULL)
		return json_real(strtod(text, NULL));
	if (value_kind(key->type) == VALUE_DECIMAL)
		return json_integer(strtoll(text, NULL, 10));
	return json_integer((json_int_t)value_number(key, text));
}

static json_t *
number_schema(const struct schema_key *key)
{
	json_t *schema = json_object(), *any = json_array();
	json_t *number = json_object();

	set(number, "type",
		json_string(value_kind(key->type) == VALUE_DECIMAL
				    ? "number"
				    : "integer"));
	if (key->min != NULL)
		set(number, "minimum", number_of(key, key->min));
	if (key->max != NULL)
		set(number, "maximum", number_of(key, key->max));
	push(any, number);
	push(any, pattern_schema(value_pattern(key->type)));
	set(schema, "anyOf", any);
	return schema;
}

static json_t *
scalar_schema(const struct schema_key *key)
{
	json_t *schema;

	if (key->choices != NULL)
		return choice_schema(key);
	if (value_kind(key->type) != VALUE_TEXT)
		return number_schema(key);
	schema = pattern_schema(value_pattern(key->type));
	/* A bare 0 is a number to YAML. */
	if (key->type == SCHEMA_DURATION && key->min != NULL &&
		value_number(key, key->min) == 0) {
		json_t *either = json_object(), *any = json_array();
		json_t *zero = json_object();

		set(zero, "const", json_integer(0));
		push(any, schema);
		push(any, zero);
		set(either, "anyOf", any);
		schema = either;
	}
	return schema;
}

static json_t *keys_schema(const char *prefix);

/* One of a list's items, or the object that a name stands for. */
static json_t *
item_schema(const struct schema_key *key)
{
	char prefix[SCHEMA_PREFIX_SIZE], path[SCHEMA_PREFIX_SIZE * 2];
	json_t *schema, *any;

	if (key->type != SCHEMA_OBJECT)
		return scalar_schema(key);
	schema_prefix(key, prefix);
	if (key->shorthand == NULL)
		return keys_schema(prefix);
	snprintf(path, sizeof(path), "%s%s", prefix, key->shorthand);
	schema = json_object();
	any = json_array();
	push(any, scalar_schema(schema_find(path)));
	push(any, keys_schema(prefix));
	set(schema, "anyOf", any);
	return schema;
}

static json_t *
list_schema(const struct schema_key *key)
{
	json_t *schema = json_object(), *array = json_object(), *any;

	set(array, "type", json_string("array"));
	set(array, "items", item_schema(key));
	set(array, "minItems", json_integer((json_int_t)key->min_items));
	set(array, "maxItems", json_integer((json_int_t)key->max_items));
	if (key->type == SCHEMA_OBJECT && key->shorthand == NULL) {
		json_decref(schema);
		return array;
	}
	/* A single value is a list of one. */
	any = json_array();
	push(any, array);
	push(any, key->type == SCHEMA_OBJECT
			  ? pattern_schema(value_pattern(SCHEMA_ENDPOINT))
			  : item_schema(key));
	set(schema, "anyOf", any);
	return schema;
}

static json_t *
named_schema(const struct schema_key *key)
{
	json_t *schema = json_object(), *names = json_object();

	set(names, "pattern",
		json_sprintf("^(%s)$", value_pattern(SCHEMA_NAME)));
	set(schema, "type", json_string("object"));
	set(schema, "propertyNames", names);
	set(schema, "additionalProperties", item_schema(key));
	set(schema, "minProperties", json_integer((json_int_t)key->min_items));
	set(schema, "maxProperties", json_integer((json_int_t)key->max_items));
	return schema;
}

static json_t *
default_value(const struct schema_key *key)
{
	const char *rest = key->def;
	struct slice item;
	json_t *list;
	char *end;
	long long number;

	if (key->shape == SCHEMA_LIST) {
		list = json_array();
		while (schema_next_default(&rest, &item))
			push(list, text_of(item));
		return list;
	}
	number = strtoll(key->def, &end, 10);
	if (*end == '\0')
		return json_integer(number);
	if (value_kind(key->type) == VALUE_DECIMAL)
		return json_real(strtod(key->def, NULL));
	return json_string(key->def);
}

static json_t *
key_schema(const struct schema_key *key)
{
	char prefix[SCHEMA_PREFIX_SIZE];
	json_t *schema;

	schema_prefix(key, prefix);
	switch (key->shape) {
	case SCHEMA_GROUP:
		schema = keys_schema(prefix);
		break;
	case SCHEMA_NAMED:
		schema = named_schema(key);
		break;
	case SCHEMA_LIST:
		schema = list_schema(key);
		break;
	default:
		schema = scalar_schema(key);
	}
	set(schema, "description", json_string(key->help));
	if (key->def != NULL)
		set(schema, "default", default_value(key));
	return schema;
}

/* The keys right below prefix, and no others. */
static json_t *
keys_schema(const char *prefix)
{
	const struct schema_key *key = NULL;
	json_t *schema = json_object(), *properties = json_object();
	json_t *required = json_array(), *type;
	bool may_be_empty = true;

	while ((key = schema_next_child(prefix, key)) != NULL) {
		const char *name = schema_key_name(key);

		set(properties, name, key_schema(key));
		if (!key->is_required)
			continue;
		push(required, json_string(name));
		may_be_empty = false;
	}
	if (may_be_empty) {
		type = json_array();
		push(type, json_string("object"));
		push(type, json_string("null"));
	} else {
		type = json_string("object");
	}
	set(schema, "type", type);
	set(schema, "additionalProperties", json_false());
	set(schema, "properties", properties);
	if (may_be_empty)
		json_decref(required);
	else
		set(schema, "required", required);
	return schema;
}

void
config_print_json_schema(FILE *out)
{
	json_t *schema = json_object();
	json_t *keys = keys_schema("");

	set(schema, "$schema", json_string(DRAFT));
	set(schema, "title", json_string("perch.yaml"));
	set(schema, "description",
		json_string("The configuration of perch, a load balancer."));
	json_object_update(schema, keys);
	json_decref(keys);
	json_dumpf(schema, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	fputc('\n', out);
	json_decref(schema);
}
