#include "http/message.h"

#include <assert.h>

#include "http/field.h"

struct slice
message_find(const struct message *message, enum field_id id)
{
	size_t i = 0;

	if (!message_has(message, id))
		return (struct slice){NULL, 0};
	while (message->fields[i].id != id) {
		i++;
		assert(i < message->n_fields);
	}
	return message_field_value(message, &message->fields[i]);
}

struct slice
message_find_name(const struct message *message, struct slice name)
{
	for (size_t i = 0; i < message->n_fields; i++) {
		const struct field *field = &message->fields[i];

		if (slice_equal_nocase(
			    message_field_name(message, field), name))
			return message_field_value(message, field);
	}
	return (struct slice){NULL, 0};
}

bool
message_lists(
	const struct message *message, struct slice name, struct slice token)
{
	for (size_t i = 0; i < message->n_fields; i++) {
		const struct field *field = &message->fields[i];

		if (slice_equal_nocase(
			    message_field_name(message, field), name) &&
			field_list_has(
				message_field_value(message, field), token))
			return true;
	}
	return false;
}

struct slice
message_find_cookie(const struct message *message, struct slice name)
{
	struct slice found, value, pair, rest;

	if (!message_has(message, FIELD_COOKIE))
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < message->n_fields; i++) {
		if (message->fields[i].id != FIELD_COOKIE)
			continue;
		rest = message_field_value(message, &message->fields[i]);
		while (field_cookie_next(&rest, &found, &value, &pair))
			if (slice_equal(found, name))
				return value;
	}
	return (struct slice){NULL, 0};
}
