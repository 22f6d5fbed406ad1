/*
 * state_file: what a restart must not forget, in state_dir/state.json.
 *
 * Control owns it: opened at the start (after privileges were dropped), written
 * after each change of a release. The states of services that the config no
 * longer names are kept, so that one taken out by mistake comes back as it was.
 */
#ifndef PERCH_RELEASE_STATE_FILE_H
#define PERCH_RELEASE_STATE_FILE_H

#include <stdbool.h>

#include "base/error.h"
#include "release/release.h"

struct state_file;

/*
 * Reads the file; one that isn't there is empty. NULL if the folder can't be
 * used or the file can't be read; error says why. A file that makes no sense
 * is renamed to state.json.damaged, and all is as if it weren't there; error
 * then says what was wrong with it, and is "" otherwise.
 */
struct state_file *state_file_open(const char *dir, struct error *error)
	__attribute__((warn_unused_result));
void state_file_close(struct state_file *file);

/* False if it has none of that service. out is to be release_saved_free()d. */
bool state_file_get(const struct state_file *file, const char *service,
	struct release_saved *out);

/* Takes a service's state over, in memory only. */
void state_file_put(
	struct state_file *file, const struct release_saved *saved);

/*
 * Writes it: a temporary file in the same folder, fsync, rename, fsync of the
 * folder. If it returns false, the file on disk is the old one, whole, or, where
 * only the last step failed, the new one.
 */
bool state_file_write(struct state_file *file, struct error *error)
	__attribute__((warn_unused_result));

#endif
