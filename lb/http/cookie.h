/*
 * cookie: perch's own cookie, to and from text. Pure.
 *
 *	<seed:5 hex>.<generation:hex>.<endpoint:8 hex or ->.<version>
 *
 * One that pins nothing is "<seed>.-.-.-". No identity is in it.
 */
#ifndef PERCH_HTTP_COOKIE_H
#define PERCH_HTTP_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define COOKIE_VERSION_MAX 64 /* bytes of a version's name */
#define COOKIE_VALUE_SIZE 96  /* room for any value, with NUL */
#define COOKIE_CELLS (UINT32_C(1) << 20)
#define COOKIE_SEED_DIGITS 5

struct cookie {
	uint32_t seed;        /* the client's cell, below COOKIE_CELLS */
	bool is_pin;          /* else only the seed counts */
	uint32_t generation;  /* of the release it was written in */
	bool has_endpoint;
	uint32_t endpoint;    /* hash of the endpoint's name */
	struct slice version; /* in the parsed text; [A-Za-z0-9._-]{1,64} */
};

/* False for anything but exactly the form above (lower-case hex, no leading
 * zeros in the generation but for "0" itself). */
bool cookie_parse(struct slice value, struct cookie *out);

/* Its first part alone. False for anything but five lower-case hex digits. */
bool cookie_parse_seed(struct slice value, uint32_t *out);

/* Writes the value without NUL; returns its length. */
size_t cookie_format(
	const struct cookie *cookie, char out[COOKIE_VALUE_SIZE]);

#endif
