#include "http/h1_framing.h"

#include "http/chars.h"
#include "http/field.h"

/* Takes 1*DIGIT off *rest. */
static bool
take_number(struct slice *rest, uint64_t *number)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; i < rest->len && chars_is_digit(rest->ptr[i]); i++) {
		uint64_t digit = (uint64_t)(rest->ptr[i] - '0');

		if (n > (INT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*rest = (struct slice){rest->ptr + i, rest->len - i};
	*number = n;
	return i > 0;
}

bool
h1_framing_add_length(struct h1_framing *framing, struct slice value)
{
	for (;;) {
		uint64_t number;

		if (!take_number(&value, &number))
			return false;
		if (framing->has_length && framing->length != number)
			return false;
		framing->has_length = true;
		framing->length = number;

		/* RFC 9110 8.6: a list of equal values stands for one. */
		value = slice_trim(value);
		if (value.len == 0)
			return true;
		if (value.ptr[0] != ',')
			return false;
		value = slice_trim(
			(struct slice){value.ptr + 1, value.len - 1});
	}
}

/* Takes what precedes the next separator off *rest, trimmed. */
static struct slice
take_until(struct slice *rest, char separator)
{
	const char *end = memchr(rest->ptr, separator, rest->len);
	size_t n = end ? (size_t)(end - rest->ptr) : rest->len;
	struct slice part = slice_trim((struct slice){rest->ptr, n});

	if (end != NULL)
		n++;
	*rest = (struct slice){rest->ptr + n, rest->len - n};
	return part;
}

static bool
is_quoted_string(struct slice s)
{
	size_t i = 1;

	if (s.len < 2 || s.ptr[0] != '"')
		return false;
	for (; i < s.len && s.ptr[i] != '"'; i++)
		if (s.ptr[i] == '\\')
			i++;
	return i == s.len - 1;
}

/* transfer-coding = token *( OWS ";" OWS token BWS "=" BWS value ) */
static bool
is_coding(struct slice coding)
{
	bool ends_in_semicolon = coding.ptr[coding.len - 1] == ';';

	if (ends_in_semicolon || !field_is_token(take_until(&coding, ';')))
		return false;
	while (coding.len > 0) {
		struct slice value = take_until(&coding, ';');
		struct slice name;

		if (value.len == 0)
			return false;
		name = take_until(&value, '=');
		value = slice_trim(value);
		if (!field_is_token(name) ||
			!(field_is_token(value) || is_quoted_string(value)))
			return false;
	}
	return true;
}

static void
count_up_to_two(uint8_t *n)
{
	if (*n < 2)
		(*n)++;
}

void
h1_framing_add_coding(struct h1_framing *framing, struct slice value)
{
	bool goes_on = true;

	framing->has_coding = true;
	while (goes_on) {
		struct slice coding;

		/* Not field_list_next(): an empty element or a quoted comma is
		 * where others may read something else than we do. */
		if (value.len == 0) {
			framing->is_coding_malformed = true;
			return;
		}
		goes_on = memchr(value.ptr, ',', value.len) != NULL;
		coding = take_until(&value, ',');
		if (coding.len == 0 || !is_coding(coding)) {
			framing->is_coding_malformed = true;
			return;
		}
		framing->is_last_chunked = CHARS_EQUAL(coding, "chunked");
		count_up_to_two(&framing->n_codings);
		if (framing->is_last_chunked)
			count_up_to_two(&framing->n_chunked);
	}
}

enum h1_result
h1_framing_check(const struct h1_framing *framing, unsigned version_minor,
	const char **why)
{
	if (!framing->has_coding)
		return H1_OK;
	*why = "Transfer-Encoding and Content-Length together";
	if (framing->has_length)
		return H1_BAD;
	*why = "Transfer-Encoding in HTTP/1.0";
	if (version_minor == 0)
		return H1_BAD;
	*why = "malformed Transfer-Encoding";
	if (framing->is_coding_malformed)
		return H1_BAD;
	/* RFC 9112 6.1: the body's end can't be known otherwise. */
	*why = "Transfer-Encoding doesn't end in exactly one chunked";
	if (framing->n_chunked != 1 || !framing->is_last_chunked)
		return H1_BAD;
	*why = "a transfer coding other than chunked";
	return framing->n_codings == 1 ? H1_OK : H1_NOT_IMPLEMENTED;
}
