/*
 * journal: what a restart must not forget, and what was done by whom.
 *
 * Control owns it and calls it, on the thread of the event base given. A small
 * thread of its own writes and syncs what was appended, all that waits at once,
 * so that nothing waits for the disk; what became of an entry is told in a later
 * turn of the event loop, in the order of appending. Entries are JSON objects:
 * "unit" (what it is about), "time", "who", "what", "why", and optionally
 * "evidence" and "state"; others are kept as they are. What is read from here is
 * what is on disk: each unit's newest state and its newest JOURNAL_HISTORY_MAX
 * entries. Units that the config no longer names are kept.
 */
#ifndef PERCH_RELEASE_JOURNAL_H
#define PERCH_RELEASE_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define JOURNAL_HISTORY_MAX 200 /* entries of a unit */

struct event_base;
struct journal;

/* why: "" or, for a person, what failed. It may append, but not close. */
typedef void journal_done_fn(bool is_on_disk, const char *why, void *arg);

/*
 * Opens dir/journal and starts the thread; base must outlive it. NULL if the
 * folder can't be used or the file can't be read; error says why. Otherwise it
 * is "", or tells of a torn end that was cut off or of damage (see
 * journal_file.h). A folder that can't be written to is no failure here: each
 * append will tell.
 */
struct journal *journal_open(const char *dir, struct event_base *base,
	struct error *error) __attribute__((warn_unused_result));
/* Waits until what was appended is written, and runs the callbacks left. They
 * must not append any more. */
void journal_close(struct journal *journal);

/* The unit's newest state, NULL if it has none. Borrowed: valid until control
 * returns to its event loop. */
const json_t *journal_state(const struct journal *journal, const char *unit);
/* The unit known after that one, NULL: the first. NULL at the end. */
const char *journal_next_unit(const struct journal *journal, const char *unit);
/* A new array of the unit's entries, newest first, without their states. */
json_t *
journal_history(const struct journal *journal, const char *unit, size_t max);

/*
 * Takes entry. An entry that isn't written is dropped: one that names no unit or
 * has more than JOURNAL_ENTRY_MAX bytes, or where the disk failed or so much
 * waits for it that it must hang. done may be NULL.
 */
void journal_append(struct journal *journal, json_t *entry,
	journal_done_fn *done, void *arg);

#endif
