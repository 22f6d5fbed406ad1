#include "release/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "release/journal_load.h"

#define FILE_NAME "journal"
#define TEMPORARY_NAME FILE_NAME ".tmp"
#define DAMAGED_NAME FILE_NAME ".damaged"
/* Smaller ones aren't compacted at the start, whatever is dead in them. */
#define SMALL_SIZE (64 * 1024)

struct journal_file {
	char *dir;
	int dir_fd;
	int fd; /* -1: there is no file yet */
	off_t len; /* of what is good; all before it has been synced */
	off_t compact_at;
	/* What is in the file can't be appended to: the next write replaces it. */
	bool must_replace;
	/* Somebody should see what is in the file before it is replaced. */
	bool must_set_aside;
};

static const struct journal_text no_lines;

static bool
fail(struct error *error, const struct journal_file *file, const char *what)
{
	error_set(error, "%s/%s: can't %s: %s", file->dir, FILE_NAME, what,
		strerror(errno));
	return false;
}

/* --- writing ------------------------------------------------------------------ */

static bool
write_all(int fd, const struct journal_text *text, off_t at)
{
	size_t done = 0;

	while (done < text->len) {
		ssize_t n = pwrite(fd, text->bytes + done, text->len - done,
			at + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* Returns its descriptor; -1 on failure, and then there is none. */
static int
write_temporary(const struct journal_file *file,
	const struct journal_text *kept, const struct journal_text *lines,
	struct error *error)
{
	int fd = openat(file->dir_fd, TEMPORARY_NAME,
		O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0) {
		fail(error, file, "make a temporary file for it");
		return -1;
	}
	if (write_all(fd, kept, 0) && write_all(fd, lines, (off_t)kept->len) &&
		fsync(fd) == 0)
		return fd;
	fail(error, file, "write it");
	close(fd);
	unlinkat(file->dir_fd, TEMPORARY_NAME, 0);
	return -1;
}

/* Gives the file a second name, so that at no moment it has none. If it is gone
 * there is nothing to do. */
static bool
set_aside(const struct journal_file *file)
{
	int dir = file->dir_fd;
	bool is_linked = linkat(dir, FILE_NAME, dir, DAMAGED_NAME, 0) == 0;

	if (!is_linked && errno == EEXIST &&
		unlinkat(dir, DAMAGED_NAME, 0) == 0)
		is_linked = linkat(dir, FILE_NAME, dir, DAMAGED_NAME, 0) == 0;
	return (is_linked || errno == ENOENT) && fsync(dir) == 0;
}

static off_t
larger(off_t a, off_t b)
{
	return a > b ? a : b;
}

static void
adopt(struct journal_file *file, int fd, off_t len)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = fd;
	file->len = len;
	file->compact_at = larger(JOURNAL_COMPACT_SIZE, 2 * len);
	file->must_set_aside = false;
}

/* Takes bytes away that are behind what is good. */
static void
cut(struct journal_file *file)
{
	if (ftruncate(file->fd, file->len) != 0 || fsync(file->fd) != 0)
		file->must_replace = true;
}

static bool
replace(struct journal_file *file, const struct journal_text *kept,
	const struct journal_text *lines, struct error *error)
{
	int fd = write_temporary(file, kept, lines, error);

	if (fd < 0)
		return false;
	if (file->must_set_aside && !set_aside(file)) {
		fail(error, file, "keep the damaged one aside");
		goto remove_temporary;
	}
	if (renameat(file->dir_fd, TEMPORARY_NAME, file->dir_fd, FILE_NAME) !=
		0) {
		fail(error, file, "replace it");
		goto remove_temporary;
	}
	/* The name in the folder must survive a power cut, too. Without that,
	 * the lines don't count. */
	if (fsync(file->dir_fd) != 0) {
		fail(error, file, "sync its folder");
		adopt(file, fd, (off_t)kept->len);
		cut(file);
		file->must_replace = true;
		return false;
	}
	adopt(file, fd, (off_t)(kept->len + lines->len));
	file->must_replace = false;
	return true;

remove_temporary:
	close(fd);
	unlinkat(file->dir_fd, TEMPORARY_NAME, 0);
	return false;
}

/* The same with what is kept from the file as it is. */
static bool
rewrite(struct journal_file *file, const struct journal_text *lines,
	struct error *error)
{
	struct journal_store *store = journal_store_new();
	struct journal_text kept = {0};
	struct journal_loaded loaded = {0};
	bool is_written = false;
	bool is_damaged;

	/* All of it was good once. What became of it since, the most is made of:
	 * the running perch goes by what these lines said. */
	if (file->fd >= 0 &&
		!journal_load(file->fd, file->len,
			JOURNAL_LOAD_ALL_THAT_IS_GOOD, store, &loaded)) {
		fail(error, file, "read it");
		goto out;
	}
	if (file->fd >= 0 &&
		(loaded.is_damaged || loaded.read_len != file->len))
		file->must_set_aside = true;
	is_damaged = file->must_set_aside;
	journal_store_write(store, &kept);
	is_written = replace(file, &kept, lines, error);
	if (is_written && is_damaged)
		error_set(error,
			"%s/%s was damaged or changed by somebody else; what "
			"was found is kept as %s, and what could be read is "
			"written anew",
			file->dir, FILE_NAME, DAMAGED_NAME);
	free(kept.bytes);
out:
	journal_store_free(store);
	return is_written;
}

/* --- opening ------------------------------------------------------------------ */

static bool
open_dir(struct journal_file *file, struct error *error)
{
	if (mkdir(file->dir, 0750) != 0 && errno != EEXIST) {
		error_set(error, "state_dir %s: can't make it: %s", file->dir,
			strerror(errno));
		return false;
	}
	file->dir_fd = open(file->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->dir_fd < 0) {
		error_set(error, "state_dir %s: can't open it: %s", file->dir,
			strerror(errno));
		return false;
	}
	/* Where there are no locks, it goes without. */
	if (flock(file->dir_fd, LOCK_EX | LOCK_NB) != 0 &&
		errno == EWOULDBLOCK) {
		error_set(error, "state_dir %s is in use by another process",
			file->dir);
		close(file->dir_fd);
		return false;
	}
	return true;
}

static bool
open_file(struct journal_file *file, struct error *error)
{
	struct stat status;

	file->fd = openat(file->dir_fd, FILE_NAME, O_RDWR | O_CLOEXEC);
	if (file->fd < 0 &&
		(errno == EACCES || errno == EPERM || errno == EROFS)) {
		file->must_replace = true;
		file->fd =
			openat(file->dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC);
	}
	if (file->fd < 0 && errno == ENOENT) {
		file->must_replace = true;
		return true;
	}
	if (file->fd < 0)
		return fail(error, file, "open it");
	if (fstat(file->fd, &status) == 0 && S_ISREG(status.st_mode)) {
		file->len = status.st_size;
		return true;
	}
	error_set(error, "%s/%s is not a plain file", file->dir, FILE_NAME);
	close(file->fd);
	return false;
}

static void
cut_tail(struct journal_file *file, const struct journal_loaded *loaded,
	struct error *error)
{
	error_set(error,
		"%s/%s has a torn end, as a crash leaves it: the %lld bytes "
		"after line %zu are cut off",
		file->dir, FILE_NAME,
		(long long)(loaded->read_len - loaded->good_len),
		loaded->n_good);
	if (!file->must_replace)
		cut(file);
}

static void
repair_middle(struct journal_file *file, const struct journal_loaded *loaded,
	const struct journal_text *kept, struct error *error)
{
	struct error reason;

	file->must_replace = true;
	file->must_set_aside = true;
	if (replace(file, kept, &no_lines, &reason))
		error_set(error,
			"%s/%s is damaged in line %zu; it is kept as %s, and "
			"only what stands before that line counts",
			file->dir, FILE_NAME, loaded->n_good + 1, DAMAGED_NAME);
	else
		error_set(error,
			"%s/%s is damaged in line %zu; only what stands before "
			"that line counts, and nothing can be written: %.400s",
			file->dir, FILE_NAME, loaded->n_good + 1,
			reason.message);
}

/* Makes of what was found a file that can be appended to. */
static void
repair(struct journal_file *file, const struct journal_loaded *loaded,
	const struct journal_store *store, struct error *error)
{
	struct journal_text kept = {0};
	struct error ignored;

	journal_store_write(store, &kept);
	file->len = loaded->good_len;
	file->compact_at = larger(JOURNAL_COMPACT_SIZE, 2 * (off_t)kept.len);
	if (loaded->is_in_the_middle)
		repair_middle(file, loaded, &kept, error);
	else if (loaded->is_damaged)
		cut_tail(file, loaded, error);
	/* If that fails, the next write says so. */
	if (!file->must_replace && file->len > SMALL_SIZE &&
		file->len / 2 > (off_t)kept.len)
		replace(file, &kept, &no_lines, &ignored);
	free(kept.bytes);
}

struct journal_file *
journal_file_open(
	const char *dir, struct journal_store **store, struct error *error)
{
	struct journal_file *file = memory_zalloc(sizeof(*file));
	struct journal_loaded loaded;

	error_set(error, "%s", "");
	*store = NULL;
	file->dir = memory_strdup(dir);
	file->compact_at = JOURNAL_COMPACT_SIZE;
	if (!open_dir(file, error))
		goto free_file;
	/* What a crash left of a write that never counted. */
	unlinkat(file->dir_fd, TEMPORARY_NAME, 0);
	if (!open_file(file, error))
		goto close_dir;
	*store = journal_store_new();
	if (file->fd < 0)
		return file;
	if (!journal_load(file->fd, file->len, JOURNAL_LOAD_BEFORE_DAMAGE,
		    *store, &loaded)) {
		fail(error, file, "read it");
		goto close_file;
	}
	repair(file, &loaded, *store, error);
	return file;

close_file:
	journal_store_free(*store);
	*store = NULL;
	close(file->fd);
close_dir:
	close(file->dir_fd);
free_file:
	free(file->dir);
	free(file);
	return NULL;
}

void
journal_file_close(struct journal_file *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0)
		close(file->fd);
	close(file->dir_fd);
	free(file->dir);
	free(file);
}

/* --- going on ------------------------------------------------------------------ */

/* Is the file of that name still ours, as long as we left it? */
static bool
is_as_left(const struct journal_file *file)
{
	struct stat ours, named;

	return fstat(file->fd, &ours) == 0 &&
	       fstatat(file->dir_fd, FILE_NAME, &named, 0) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino &&
	       ours.st_size == file->len;
}

bool
journal_file_append(struct journal_file *file, const struct journal_text *lines,
	struct error *error)
{
	error_set(error, "%s", "");
	if (!file->must_replace && !is_as_left(file)) {
		file->must_replace = true;
		file->must_set_aside = true;
	}
	if (file->must_replace)
		return rewrite(file, lines, error);
	if (write_all(file->fd, lines, file->len) && fsync(file->fd) == 0) {
		file->len += (off_t)lines->len;
		return true;
	}
	fail(error, file, "write it");
	cut(file);
	return false;
}

bool
journal_file_compact(struct journal_file *file, struct error *error)
{
	error_set(error, "%s", "");
	if (file->len <= file->compact_at)
		return true;
	if (rewrite(file, &no_lines, error))
		return true;
	/* Not again with each line. */
	file->compact_at = file->len + JOURNAL_COMPACT_SIZE / 4;
	return false;
}
