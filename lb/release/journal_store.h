/*
 * journal_store: what a journal says, in memory, and the form of its lines.
 *
 * Pure: no I/O, no clock, no thread. A line is `<16 hex digits> <JSON>\n`, the
 * digits being XXH3 of the JSON; the JSON is an object, an entry, that names
 * its "unit" and may bring the unit's new "state". Of each unit the store keeps
 * the newest state and the newest JOURNAL_HISTORY_MAX entries, these without
 * their states; of the keys it knows no others, and keeps them all.
 */
#ifndef PERCH_RELEASE_JOURNAL_STORE_H
#define PERCH_RELEASE_JOURNAL_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "release/journal.h"

#define JOURNAL_ENTRY_MAX (1024 * 1024) /* bytes of an entry's JSON */
/* Bytes of the longest line, its end included. */
#define JOURNAL_LINE_MAX (16 + 1 + JOURNAL_ENTRY_MAX + 1)

/* Lines to be written. Starts zeroed; the bytes are the holder's to free. */
struct journal_text {
	char *bytes;
	size_t len;
	size_t size;
};
void journal_text_add(struct journal_text *text, const char *bytes, size_t len);

/* Adds an entry's line and returns the entry as it will be read back; NULL, with
 * nothing added, if it couldn't be. */
json_t *journal_line_write(const json_t *entry, struct journal_text *out,
	struct error *error) __attribute__((warn_unused_result));
/* The entry in a line (given without its end), or NULL if it is damaged. */
json_t *journal_line_read(const char *line, size_t len);

struct journal_store;

struct journal_store *journal_store_new(void);
void journal_store_free(struct journal_store *store);

/* Takes an entry that journal_line_read() or _write() returned; it is its unit's
 * newest. */
void journal_store_add(struct journal_store *store, json_t *entry);

/* The unit's newest state, NULL if it has none; valid until the next add. */
const json_t *
journal_store_state(const struct journal_store *store, const char *unit);
/* The unit after that one, in no order to rely on; NULL: the first. NULL at
 * the end. */
const char *
journal_store_next_unit(const struct journal_store *store, const char *unit);
/* A new array of up to max entries, newest first. */
json_t *journal_store_history(
	const struct journal_store *store, const char *unit, size_t max);

/* Adds the lines that say all this again. */
void journal_store_write(
	const struct journal_store *store, struct journal_text *out);

#endif
