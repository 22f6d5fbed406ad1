#include "config/expand.h"

#include <stdlib.h>

#include "base/memory.h"

#define NAME_SIZE 128

struct text {
	char *bytes;
	size_t len;
	size_t size;
	size_t max;
};

static bool
append(struct text *out, struct slice part, struct error *error)
{
	if (part.len > out->max - out->len) {
		error_set(error, "too long once its variables are replaced");
		return false;
	}
	if (out->len + part.len + 1 > out->size) {
		out->size = (out->len + part.len + 1) * 2;
		out->bytes = memory_realloc_array(out->bytes, out->size, 1);
	}
	if (part.len > 0)
		memcpy(out->bytes + out->len, part.ptr, part.len);
	out->len += part.len;
	out->bytes[out->len] = '\0';
	return true;
}

static bool
is_name_char(char c, size_t index)
{
	return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (index > 0 && c >= '0' && c <= '9');
}

/* What stands between the braces: NAME or NAME:-default. */
static bool
append_variable(struct text *out, struct slice inner, struct error *error)
{
	char name[NAME_SIZE];
	struct slice fallback = {0};
	const char *value;
	size_t len = 0;

	while (len < inner.len && is_name_char(inner.ptr[len], len))
		len++;
	if (len > 0 && inner.len >= len + 2 &&
		memcmp(inner.ptr + len, ":-", 2) == 0) {
		fallback.ptr = inner.ptr + len + 2;
		fallback.len = inner.len - len - 2;
	} else if (len == 0 || len != inner.len) {
		error_set(error,
			"\"${%.*s}\" is neither ${NAME} nor ${NAME:-default}",
			(int)(inner.len < 80 ? inner.len : 80), inner.ptr);
		return false;
	}
	if (len >= sizeof(name)) {
		error_set(error, "a variable's name is too long");
		return false;
	}
	memcpy(name, inner.ptr, len);
	name[len] = '\0';
	value = getenv(name);
	if (fallback.ptr != NULL && (value == NULL || value[0] == '\0'))
		return append(out, fallback, error);
	if (value == NULL) {
		error_set(error,
			"environment variable %s is not set; ${%s:-default} "
			"gives it a default",
			name, name);
		return false;
	}
	return append(out, slice_from_string(value), error);
}

/* Takes what begins with the dollar at text's start off it. */
static bool
append_dollar(struct text *out, struct slice *text, struct error *error)
{
	struct slice inner = {text->ptr + 2, 0};
	const char *end;

	if (text->len >= 2 && text->ptr[1] == '$') {
		text->ptr += 2;
		text->len -= 2;
		return append(out, SLICE("$"), error);
	}
	if (text->len < 2 || text->ptr[1] != '{') {
		error_set(error,
			"a \"$\" must begin ${NAME}; write $$ for a dollar");
		return false;
	}
	end = memchr(inner.ptr, '}', text->len - 2);
	if (end == NULL) {
		error_set(error, "\"${\" has no \"}\"");
		return false;
	}
	inner.len = (size_t)(end - inner.ptr);
	text->ptr += inner.len + 3;
	text->len -= inner.len + 3;
	return append_variable(out, inner, error);
}

char *
expand_environment(struct slice text, size_t max, struct error *error)
{
	struct text out = {.max = max};
	bool ok = append(&out, SLICE(""), error);

	while (ok && text.len > 0) {
		const char *dollar = memchr(text.ptr, '$', text.len);
		struct slice plain = text;

		if (dollar != NULL)
			plain.len = (size_t)(dollar - text.ptr);
		text.ptr += plain.len;
		text.len -= plain.len;
		ok = append(&out, plain, error);
		if (ok && dollar != NULL)
			ok = append_dollar(&out, &text, error);
	}
	if (!ok) {
		free(out.bytes);
		return NULL;
	}
	return out.bytes;
}
