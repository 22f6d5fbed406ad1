/*
 * journal_file: the journal on disk, state_dir/journal.
 *
 * Of one thread at a time: control opens it, then it is the journal's thread's.
 * What journal_file_append() said true to is found by any later open, whatever
 * happened in between; of what failed nothing is left where that is in our
 * power. Nobody else may write to it: the folder is locked while it is open.
 *
 * Lines are appended and synced. Where that can't be, the file is written as a
 * whole: a temporary file, fsync, rename, fsync of the folder. So is what is new,
 * what has grown, and what replaces a damaged file, which is kept as
 * journal.damaged (in place of an earlier one).
 */
#ifndef PERCH_RELEASE_JOURNAL_FILE_H
#define PERCH_RELEASE_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "release/journal_store.h"

/* Larger than this, and than twice its size when it was last written as a
 * whole, it is compacted. */
#define JOURNAL_COMPACT_SIZE (4 * 1024 * 1024)

struct journal_file;

/*
 * Makes the folder if need be and reads the file into a new store, the caller's;
 * a file that isn't there is empty. NULL if the folder can't be used, is in use
 * by another process, or the file can't be read; error says why. Otherwise it is
 * "" or tells of damage. Bad lines at the end, as a crash leaves them, are cut
 * off; where good ones follow, what stands before counts, and the whole file is
 * kept aside. A folder that can't be written to is no failure yet.
 */
struct journal_file *
journal_file_open(const char *dir, struct journal_store **store,
	struct error *error) __attribute__((warn_unused_result));
void journal_file_close(struct journal_file *file);

/* Whole lines, on disk when it returns true. error then is "" or tells of damage
 * that was met (and kept aside). */
bool
journal_file_append(struct journal_file *file, const struct journal_text *lines,
	struct error *error) __attribute__((warn_unused_result));

/* Compacts it if it is time. If that fails, it stays as it is. */
bool journal_file_compact(struct journal_file *file, struct error *error)
	__attribute__((warn_unused_result));

#endif
