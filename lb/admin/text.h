/*
 * text: a string that grows, for answers of many megabytes. Handed to an
 * evbuffer without a copy when it is done.
 */
#ifndef PERCH_ADMIN_TEXT_H
#define PERCH_ADMIN_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct evbuffer;

/* All zeros: empty. */
struct text {
	char *data; /* not terminated */
	size_t len;
	size_t size;
};

void text_free(struct text *text);
/* Keeps the memory. */
void text_clear(struct text *text);

void text_add(struct text *text, struct slice bytes);
void text_add_string(struct text *text, const char *string);
void text_add_u64(struct text *text, uint64_t value);

static inline struct slice
text_slice(const struct text *text)
{
	return (struct slice){text->data, text->len};
}

/* Moves the bytes to the end of out; text is empty then. -1 if memory is out:
 * the text keeps its bytes. */
int text_move(struct text *text, struct evbuffer *out);

#endif
