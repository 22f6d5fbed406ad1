/*
 * secret: what only perch and its operator know. Read from files by the control
 * thread when a config is loaded; of each only a digest is kept.
 *
 * A file of secrets has one in each line: any text of 16 bytes or more without
 * the spaces around it. Empty lines and those that start with "#" are passed
 * over.
 */
#ifndef PERCH_BASE_SECRET_H
#define PERCH_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

#define SECRET_SIZE 16
#define SECRETS_MAX 8 /* in a file */

/* The first 16 bytes of SHA-256 (FIPS 180-4) over the text. */
struct secret {
	unsigned char bytes[SECRET_SIZE];
};

struct secrets {
	size_t n;
	struct secret items[SECRETS_MAX];
};

struct secret secret_of(struct slice text);

/* Is text one of them? Takes as long whichever it is. */
bool secrets_have(const struct secrets *secrets, struct slice text);

/* False with what is wrong, the line included, if the file can't be used. */
bool secrets_load(const char *path, struct secrets *out, struct error *error)
	__attribute__((warn_unused_result));

/* One of perch's own: read from the file dir/name, or drawn and written there,
 * for its owner alone. False with what is wrong; out is drawn all the same. */
bool secret_keep(const char *dir, const char *name, struct secret *out,
	struct error *error) __attribute__((warn_unused_result));

/* Drawn by the kernel, and kept nowhere. */
struct secret secret_draw(void);

#endif
