#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 65536
#define TEXT_MIN 16 /* bytes: less could be guessed */
#define DRAWN_BYTES 32
#define DRAWN_LEN (2 * DRAWN_BYTES)
#define PATH_SIZE 4096

struct secret
secret_of(struct slice text)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct secret secret;

	SHA256((const unsigned char *)text.ptr, text.len, digest);
	memcpy(secret.bytes, digest, sizeof(secret.bytes));
	OPENSSL_cleanse(digest, sizeof(digest));
	return secret;
}

bool
secrets_have(const struct secrets *secrets, struct slice text)
{
	struct secret given = secret_of(text);
	int n_equal = 0;

	for (size_t i = 0; i < secrets->n; i++)
		n_equal += CRYPTO_memcmp(secrets->items[i].bytes, given.bytes,
				   SECRET_SIZE) == 0;
	return n_equal > 0;
}

/* --- files ------------------------------------------------------------------ */

/* The whole file, of at most FILE_MAX bytes, to text; -1 with errno set. */
static ssize_t
read_file(const char *path, char text[FILE_MAX + 1])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t n;
	int reason;

	if (fd < 0)
		return -1;
	do {
		n = read(fd, text + len, FILE_MAX + 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len <= FILE_MAX) || (n < 0 && errno == EINTR));
	reason = errno;
	close(fd);
	errno = reason;
	return n < 0 ? -1 : (ssize_t)len;
}

static bool
take_line(const char *path, unsigned number, struct slice line,
	struct secrets *out, struct error *error)
{
	if (line.len == 0 || line.ptr[0] == '#')
		return true;
	if (line.len < TEXT_MIN) {
		error_set(error,
			"%s:%u: a secret has at least %d bytes, this one %zu",
			path, number, TEXT_MIN, line.len);
		return false;
	}
	if (out->n == SECRETS_MAX) {
		error_set(error, "%s:%u: more than %d secrets", path, number,
			SECRETS_MAX);
		return false;
	}
	out->items[out->n++] = secret_of(line);
	return true;
}

static bool
take_lines(const char *path, struct slice text, struct secrets *out,
	struct error *error)
{
	struct slice line;
	const char *end;
	unsigned number = 0;

	while (text.len > 0) {
		end = memchr(text.ptr, '\n', text.len);
		line = text;
		if (end != NULL)
			line.len = (size_t)(end - text.ptr);
		text.ptr += line.len + (end != NULL);
		text.len -= line.len + (end != NULL);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (!take_line(path, ++number, slice_trim(line), out, error))
			return false;
	}
	if (out->n > 0)
		return true;
	error_set(error, "%s: no secret in it", path);
	return false;
}

bool
secrets_load(const char *path, struct secrets *out, struct error *error)
{
	char *text = malloc(FILE_MAX + 1);
	ssize_t len;
	bool is_good = false;

	out->n = 0;
	if (text == NULL) {
		error_set(error, "out of memory");
		return false;
	}
	len = read_file(path, text);
	if (len < 0)
		error_set(
			error, "%s: can't be read: %s", path, strerror(errno));
	else if (len > FILE_MAX)
		error_set(error, "%s: longer than %d bytes", path, FILE_MAX);
	else
		is_good = take_lines(
			path, (struct slice){text, (size_t)len}, out, error);
	if (len > 0)
		OPENSSL_cleanse(text, (size_t)len);
	free(text);
	if (!is_good)
		out->n = 0;
	return is_good;
}

/* --- perch's own -------------------------------------------------------------- */

static void
draw(unsigned char *bytes, size_t len)
{
	size_t filled = 0;
	ssize_t n;

	while (filled < len) {
		n = getrandom(bytes + filled, len - filled, 0);
		/* It has no other failure for so few bytes than a signal. */
		if (n > 0)
			filled += (size_t)n;
	}
}

struct secret
secret_draw(void)
{
	struct secret secret;

	draw(secret.bytes, sizeof(secret.bytes));
	return secret;
}

/* Whole or not at all: by another name first. */
static bool
write_file(const char *path, const char *text, size_t len)
{
	char fresh[PATH_SIZE + 8];
	bool is_written;
	int reason;
	int fd;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	errno = EIO;
	is_written = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
	reason = errno;
	close(fd);
	if (is_written)
		return rename(fresh, path) == 0;
	unlink(fresh);
	errno = reason;
	return false;
}

static bool
make_file(const char *path, struct secret *out, struct error *error)
{
	unsigned char bytes[DRAWN_BYTES];
	char text[DRAWN_LEN + 2];

	draw(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	*out = secret_of((struct slice){text, DRAWN_LEN});
	text[DRAWN_LEN] = '\n';
	if (write_file(path, text, DRAWN_LEN + 1))
		return true;
	error_set(error, "%s: can't be written: %s", path, strerror(errno));
	return false;
}

bool
secret_keep(const char *dir, const char *name, struct secret *out,
	struct error *error)
{
	char path[PATH_SIZE];
	struct secrets secrets;

	*out = secret_draw();
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
		(int)sizeof(path)) {
		error_set(error, "%.64s...: path too long", dir);
		return false;
	}
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return make_file(path, out, error);
	if (!secrets_load(path, &secrets, error))
		return false;
	*out = secrets.items[0];
	return true;
}
