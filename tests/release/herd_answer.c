#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "herd.h"

struct field {
	const char *name, *value;
	size_t name_len, value_len;
};

/* The line at *at, which ends before end; moves *at behind it. */
static bool
next_field(const char **at, const char *end, struct field *out)
{
	const char *line = *at;
	const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);
	const char *colon;

	if (stop == NULL || stop == line)
		return false;
	*at = stop + 2;
	colon = memchr(line, ':', (size_t)(stop - line));
	if (colon == NULL)
		colon = stop - 1;
	out->name = line;
	out->name_len = (size_t)(colon - line);
	out->value = colon + 1;
	while (out->value < stop && *out->value == ' ')
		out->value++;
	out->value_len = (size_t)(stop - out->value);
	return true;
}

static bool
is_named(const struct field *field, const char *name)
{
	return field->name_len == strlen(name) &&
	       strncasecmp(field->name, name, field->name_len) == 0;
}

static void
copy(char *out, size_t size, const char *from, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(out, from, len);
	out[len] = '\0';
}

static void
keep_cookie(const struct field *field, struct herd_cookie jar[HERD_JAR_MAX])
{
	struct herd_cookie cookie;
	const char *end = memchr(field->value, ';', field->value_len);
	size_t len =
		end != NULL ? (size_t)(end - field->value) : field->value_len;
	const char *equals = memchr(field->value, '=', len);

	if (equals == NULL)
		return;
	copy(cookie.name, sizeof(cookie.name), field->value,
		(size_t)(equals - field->value));
	copy(cookie.value, sizeof(cookie.value), equals + 1,
		len - (size_t)(equals + 1 - field->value));
	for (unsigned i = 0; i < HERD_JAR_MAX; i++)
		if (jar[i].name[0] == '\0' ||
			strcmp(jar[i].name, cookie.name) == 0) {
			jar[i] = cookie;
			return;
		}
}

static void
look_for_grpc(const char *at, const char *end, struct herd_answer *answer)
{
	struct field field;

	while (next_field(&at, end, &field))
		if (is_named(&field, "grpc-status"))
			answer->grpc = atoi(field.value);
}

/* The end of a chunked body with its trailers; NULL if it isn't there yet. */
static const char *
skip_chunks(const char *at, const char *end, struct herd_answer *answer)
{
	for (;;) {
		const char *line = memmem(at, (size_t)(end - at), "\r\n", 2);
		size_t size;

		if (line == NULL)
			return NULL;
		size = strtoul(at, NULL, 16);
		at = line + 2;
		if (size == 0)
			break;
		if ((size_t)(end - at) < size + 2)
			return NULL;
		at += size + 2;
	}
	if (end - at >= 2 && memcmp(at, "\r\n", 2) == 0)
		return at + 2;
	const char *blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
	if (blank == NULL)
		return NULL;
	look_for_grpc(at, blank + 2, answer);
	return blank + 4;
}

long
herd_answer_parse(const char *data, size_t len, struct herd_answer *answer,
	struct herd_cookie jar[HERD_JAR_MAX])
{
	const char *end = memmem(data, len, "\r\n\r\n", 4);
	const char *at = data, *last;
	bool is_chunked = false;
	unsigned long body_len = 0;
	struct field field;

	memset(answer, 0, sizeof(*answer));
	answer->grpc = -1;
	strcpy(answer->version, "-");
	if (end == NULL)
		return 0;
	if (len < 12 || strncmp(data, "HTTP/1.", 7) != 0)
		return -1;
	at = (const char *)memmem(data, len, "\r\n", 2) + 2;
	while (next_field(&at, end + 2, &field)) {
		if (is_named(&field, "content-length"))
			body_len = strtoul(field.value, NULL, 10);
		else if (is_named(&field, "transfer-encoding"))
			is_chunked = true;
		else if (is_named(&field, "x-version"))
			copy(answer->version, sizeof(answer->version),
				field.value, field.value_len);
		else if (is_named(&field, "x-perch-rescued"))
			answer->is_rescued = true;
		else if (is_named(&field, "connection"))
			answer->is_last =
				strncasecmp(field.value, "close", 5) == 0;
		else if (is_named(&field, "grpc-status"))
			answer->grpc = atoi(field.value);
	}
	last = end + 4 + body_len;
	if (is_chunked)
		last = skip_chunks(end + 4, data + len, answer);
	if (last == NULL || last > data + len)
		return 0;
	answer->status = atoi(data + 9);
	at = (const char *)memmem(data, len, "\r\n", 2) + 2;
	while (next_field(&at, end + 2, &field))
		if (is_named(&field, "set-cookie"))
			keep_cookie(&field, jar);
	return last - data;
}
