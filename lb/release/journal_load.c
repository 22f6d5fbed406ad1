#include "release/journal_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

enum line_kind { LINE_WHOLE, LINE_NONE_OF_OURS, LINE_END, LINE_FAILED };

/* Goes through the lines of a file, of which one at a time is in memory. */
struct reader {
	int fd;
	off_t at; /* what is read next */
	off_t end; /* what is behind it isn't looked at */
	off_t line_end; /* of the line that was returned last */
	bool is_in_long_line;
	size_t begin;
	size_t n;
	char bytes[JOURNAL_LINE_MAX];
};

/* Returns how many bytes came; negative on failure. */
static ssize_t
read_more(struct reader *reader)
{
	size_t room = sizeof(reader->bytes) - reader->n;
	ssize_t n;

	if (reader->end - reader->at < (off_t)room)
		room = (size_t)(reader->end - reader->at);
	do {
		n = pread(reader->fd, reader->bytes + reader->n, room,
			reader->at);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		reader->at += n;
		reader->n += (size_t)n;
	}
	return n;
}

/* Goes on behind n bytes that end a line, of that kind if it isn't too long. */
static enum line_kind
end_line(struct reader *reader, size_t n, enum line_kind kind)
{
	bool is_long = reader->is_in_long_line;

	reader->begin += n;
	reader->line_end += (off_t)n;
	reader->is_in_long_line = false;
	return is_long ? LINE_NONE_OF_OURS : kind;
}

/* A whole line is given without its end. */
static enum line_kind
read_line(struct reader *reader, const char **line, size_t *len)
{
	for (;;) {
		size_t rest = reader->n - reader->begin;
		const char *end;
		ssize_t n;

		*line = reader->bytes + reader->begin;
		end = memchr(*line, '\n', rest);
		if (end != NULL) {
			*len = (size_t)(end - *line);
			return end_line(reader, *len + 1, LINE_WHOLE);
		}
		if (rest == sizeof(reader->bytes)) {
			reader->is_in_long_line = true;
			reader->line_end += (off_t)rest;
			rest = 0;
		}
		memmove(reader->bytes, *line, rest);
		reader->begin = 0;
		reader->n = rest;
		n = read_more(reader);
		if (n < 0)
			return LINE_FAILED;
		if (n == 0)
			return end_line(reader, rest,
				rest > 0 ? LINE_NONE_OF_OURS : LINE_END);
	}
}

bool
journal_load(int fd, off_t end, enum journal_load_what what,
	struct journal_store *store, struct journal_loaded *out)
{
	struct reader *reader = memory_zalloc(sizeof(*reader));
	enum line_kind kind;
	const char *line;
	size_t len;

	memset(out, 0, sizeof(*out));
	reader->fd = fd;
	reader->end = end;
	while ((kind = read_line(reader, &line, &len)) < LINE_END) {
		json_t *entry = kind == LINE_WHOLE
					? journal_line_read(line, len)
					: NULL;

		if (entry == NULL) {
			out->is_damaged = true;
			continue;
		}
		if (out->is_damaged) {
			out->is_in_the_middle = true;
		} else {
			out->good_len = reader->line_end;
			out->n_good++;
		}
		if (out->is_damaged && what == JOURNAL_LOAD_BEFORE_DAMAGE)
			json_decref(entry);
		else
			journal_store_add(store, entry);
	}
	out->read_len = reader->line_end;
	free(reader);
	return kind == LINE_END;
}
