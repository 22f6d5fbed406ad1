#include "admin/text.h"

#include <stdlib.h>

#include <event2/buffer.h>

#include "base/memory.h"

#define FIRST_SIZE 256

void
text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

void
text_clear(struct text *text)
{
	text->len = 0;
}

/* Makes room for len bytes and says where. */
static char *
reserve(struct text *text, size_t len)
{
	size_t size = text->size > 0 ? text->size : FIRST_SIZE;

	while (size - text->len < len)
		size *= 2;
	if (size != text->size) {
		text->data = memory_realloc_array(text->data, size, 1);
		text->size = size;
	}
	return text->data + text->len;
}

void
text_add(struct text *text, struct slice bytes)
{
	if (bytes.len == 0)
		return;
	memcpy(reserve(text, bytes.len), bytes.ptr, bytes.len);
	text->len += bytes.len;
}

void
text_add_string(struct text *text, const char *string)
{
	text_add(text, slice_from_string(string));
}

void
text_add_u64(struct text *text, uint64_t value)
{
	char digits[20];
	char *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	text_add(
		text, (struct slice){p, (size_t)(digits + sizeof(digits) - p)});
}

static void
free_reference(const void *data, size_t len, void *owned)
{
	free(owned);
}

int
text_move(struct text *text, struct evbuffer *out)
{
	if (text->len == 0)
		return 0;
	if (evbuffer_add_reference(
		    out, text->data, text->len, free_reference, text->data) < 0)
		return -1;
	*text = (struct text){0};
	return 0;
}
