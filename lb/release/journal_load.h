/*
 * journal_load: reads a journal's file into a store and says what is wrong with
 * it, for journal_file. Of the file one line at a time is in memory, so it may
 * have any size and hold anything.
 */
#ifndef PERCH_RELEASE_JOURNAL_LOAD_H
#define PERCH_RELEASE_JOURNAL_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "release/journal_store.h"

enum journal_load_what {
	JOURNAL_LOAD_BEFORE_DAMAGE,
	JOURNAL_LOAD_ALL_THAT_IS_GOOD,
};

struct journal_loaded {
	off_t good_len; /* before the first bad line */
	off_t read_len;
	size_t n_good; /* lines before it */
	bool is_damaged;
	bool is_in_the_middle; /* good lines follow upon bad ones */
};

/* Reads what is before end. False, with errno, if the disk fails. A last line
 * that doesn't end is a bad one. */
bool journal_load(int fd, off_t end, enum journal_load_what what,
	struct journal_store *store, struct journal_loaded *out)
	__attribute__((warn_unused_result));

#endif
