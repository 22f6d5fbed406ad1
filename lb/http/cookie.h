/*
 * cookie: perch's own cookie, to and from text. Pure.
 *
 *	<seed:5 hex>.<generation:hex>.<endpoint:8 hex or ->.<issued>.<moved>.
 *		<version>.<mac:16 hex>
 *
 * issued is when it was written, moved when its version last changed, both in
 * minutes since 1970, in hex. One that pins nothing has "-" for generation,
 * moved and version. No identity is in it.
 *
 * The MAC is SipHash-2-4 over the service's name, a NUL and all before the last
 * dot: seeds are perch's own, so nobody can choose the version that he gets, and
 * a neighbour's cookie of the same name counts as absent.
 *
 * The former form, "<seed>.<generation>.<endpoint>.<version>" or "<seed>.-.-.-",
 * is still read: it has no MAC, so it is worth less (proxy/identity).
 */
#ifndef PERCH_HTTP_COOKIE_H
#define PERCH_HTTP_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "base/slice.h"

#define COOKIE_VERSION_MAX 64 /* bytes of a version's name */
#define COOKIE_SCOPE_MAX 64 /* bytes of a service's name */
#define COOKIE_VALUE_SIZE 128 /* room for any value, with NUL */
#define COOKIE_CELLS (UINT32_C(1) << 20)
#define COOKIE_SEED_DIGITS 5
#define COOKIE_KEYS_MAX 9

struct cookie {
	uint32_t seed; /* the client's cell, below COOKIE_CELLS */
	bool is_pin; /* else only the seed counts */
	bool is_signed; /* false: of the former form */
	uint32_t generation; /* of the release it was written in */
	bool has_endpoint;
	uint32_t endpoint; /* hash of the endpoint's name */
	uint32_t issued_min;
	uint32_t moved_min; /* of a pin */
	struct slice version; /* in the parsed text; [A-Za-z0-9._-]{1,64} */
	uint64_t mac;
	struct slice text; /* of a parsed one: what the MAC is over */
};

/* The first one signs, all are good. */
struct cookie_keys {
	unsigned n;
	struct siphash_key keys[COOKIE_KEYS_MAX];
};

/* False for anything but exactly one of the forms above (lower-case hex, no
 * leading zeros in numbers but for "0" itself). The MAC isn't looked at. */
bool cookie_parse(struct slice value, struct cookie *out);

/* Is a signed one's MAC by one of the keys, for this service? */
bool cookie_is_genuine(const struct cookie *cookie, struct slice service,
	const struct cookie_keys *keys);

/* Its first part alone. False for anything but five lower-case hex digits. */
bool cookie_parse_seed(struct slice value, uint32_t *out);

/* Writes the value, signed, without NUL; returns its length. */
size_t cookie_format(const struct cookie *cookie, struct slice service,
	const struct cookie_keys *keys, char out[COOKIE_VALUE_SIZE]);

#endif
