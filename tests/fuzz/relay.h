/*
 * relay: what the differential targets share. They let a message through
 * perch, as bytes, and read what comes out by perch's own parser: it must be
 * the same message.
 */
#ifndef PERCH_TESTS_FUZZ_RELAY_H
#define PERCH_TESTS_FUZZ_RELAY_H

#include "fuzz.h"
#include "http/h1_body.h"
#include "http/h1_parse.h"
#include "proxy/forward.h"

/* perch's sizes for limits.head (see shard.c), here of 16 KiB. */
#define RELAY_HEAD_MAX 16384
#define RELAY_SCRATCH (2 * RELAY_HEAD_MAX + 8192)
#define RELAY_TEXT (2 * RELAY_SCRATCH)

/* Of what comes in, and of what goes out, which has gained some fields. */
extern const struct h1_limits relay_limits;
extern const struct h1_limits relay_limits_out;

/* --- fields ------------------------------------------------------------------ */

bool relay_is_one_of(struct slice name, const char *const *names);
/* Could a backend that reads "_" as "-" take one for the other? */
bool relay_looks_like(struct slice name, struct slice other);
/* Is it among Connection's options? */
bool relay_is_named(const struct message *message, struct slice name);

unsigned relay_count(const struct message *message, const char *name);
void relay_check_single(
	const struct message *message, const char *name, struct slice value);
void relay_check_none(const struct message *message, const char *name);
/* All fields of that name are in both, in the same order. */
void relay_check_same(
	const struct message *in, const struct message *out, const char *name);

typedef bool (*relay_claim)(const struct message *, const struct field *);

/* Those of in that stay are in out, as they were and in their order, and of
 * out's others each is one that perch adds. */
void relay_check_kept(const struct message *in, relay_claim stays,
	const struct message *out, relay_claim is_added);

/* --- the way through --------------------------------------------------------- */

/* Text that grows; for what is expected, and for the wire. */
struct relay_bytes {
	char *ptr;
	size_t len;
};

void relay_append(struct relay_bytes *bytes, struct slice more);
struct slice relay_slice(const struct relay_bytes *bytes);

struct relay_plan {
	enum body_kind body; /* as it comes in */
	uint64_t content_length;
	bool is_chunked_out;
	bool is_bodiless_out; /* no body follows, whatever comes in */
	/* NULL: all go through. */
	struct slice (*filter_trailers)(struct slice trailers);
	uint8_t seed; /* of the pieces in which the body comes */
};

struct relay_result {
	enum h1_result result; /* of the body that came in */
	struct relay_bytes data;
	struct relay_bytes trailers;
	struct relay_bytes wire; /* head and framed body, as sent */
};

/*
 * Frames the body in raw anew behind the head, as perch does it: in pieces,
 * decoded in place. What an endpoint or client got is result->wire.
 */
void relay_body(const struct relay_plan *plan, struct slice head,
	struct slice raw, struct relay_result *result);

/* The body behind a head of the wire, read again, is the one that came. */
void relay_check_body(const struct relay_result *result, size_t head_len,
	enum body_kind kind, uint64_t content_length);

void relay_free(struct relay_result *result);

#endif
