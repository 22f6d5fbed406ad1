/*
 * field: names, tokens and lists of RFC 9110 5.6. Pure.
 */
#ifndef PERCH_HTTP_FIELD_H
#define PERCH_HTTP_FIELD_H

#include <stdbool.h>

#include "base/slice.h"
#include "http/message.h"

/* One comparison by length and letters; FIELD_OTHER if it is none of ours. */
enum field_id field_identify(struct slice name);

/* tchar: RFC 9110 5.6.2. */
bool field_is_token_char(unsigned char c);
bool field_is_token(struct slice s); /* false if empty */

/*
 * Takes the next element of a comma-separated list off *rest, trimmed; empty
 * elements are passed over, commas in quoted strings don't part. False at the
 * end.
 */
bool field_list_next(struct slice *rest, struct slice *element);

/* Is token an element of the list, case ignored? Parameters (";...") of an
 * element are left out of the comparison. */
bool field_list_has(struct slice list, struct slice token);

/*
 * Takes the next "name=value" off a Cookie field's value. pair is the run that
 * both stand in, without ";" and spaces. False at the end.
 */
bool field_cookie_next(struct slice *rest, struct slice *name,
	struct slice *value, struct slice *pair);

#endif
