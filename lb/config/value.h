/*
 * value: what the text of one value means, by its type in the schema.
 *
 * Used for values and for the schema's own defaults and bounds, and asked by
 * what prints the schema for each type's words and pattern.
 */
#ifndef PERCH_CONFIG_VALUE_H
#define PERCH_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"
#include "config/schema.h"

/* No value is larger. */
#define VALUE_MAX_SIZE 64

/*
 * Writes value_size() bytes to out; what they point at is the caller's, to be
 * given to value_release(). False leaves out alone; error then says what was
 * expected. text is followed by anything, but has no control characters.
 */
bool value_parse(const struct schema_key *key, struct slice text, void *out,
	struct error *error) __attribute__((warn_unused_result));

/* Frees what the value points at, and zeroes it. */
void value_release(enum schema_type type, void *value);

size_t value_size(enum schema_type type);

/* "a duration (250ms, 10s, 5m, 1h)" */
const char *value_expected(enum schema_type type);

/* "duration": the type's name in reference lists. */
const char *value_type_name(enum schema_type type);

/* A regular expression for the whole text, NULL if a choice. */
const char *value_pattern(enum schema_type type);

/* What a value may be without quotes, to JSON. */
enum value_kind { VALUE_TEXT, VALUE_INTEGER, VALUE_DECIMAL };
enum value_kind value_kind(enum schema_type type);

/*
 * The number that text stands for, in the type's smallest unit; text is a
 * bound or default of key.
 */
unsigned long long value_number(const struct schema_key *key, const char *text);

#endif
