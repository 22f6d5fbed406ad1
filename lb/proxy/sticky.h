/*
 * sticky: which version answers a request. A pure function; the rules are
 * those of docs: override, pin, bucket. All that it needs is in its input, so
 * that every perch with the same state gives the same answer.
 */
#ifndef PERCH_PROXY_STICKY_H
#define PERCH_PROXY_STICKY_H

#include <stdbool.h>
#include <stdint.h>

#include "http/cookie.h"
#include "http/message.h"
#include "release/release.h"

#define STICKY_NONE (-1)
/* In a header of "service=version;cell=0123f": the client's cell. */
#define STICKY_CELL_PARAMETER ";cell="
/* Shares and buckets are in hundredths of a percent. */
#define STICKY_SHARE_FULL 10000

/* Why a request went where it went; names in logs: override, pin, bucket,
 * stable. */
enum sticky_reason {
	STICKY_OVERRIDE,
	STICKY_PIN,
	STICKY_BUCKET, /* a release runs: by the client's bucket */
	STICKY_STABLE, /* no release runs */
};
const char *sticky_reason_name(enum sticky_reason reason);

enum sticky_pin { STICKY_PIN_DOCUMENT, STICKY_PIN_SESSION, STICKY_PIN_NONE };

/* Which cookie the answer may carry; what the answer is decides in the end. */
enum sticky_set {
	STICKY_SET_NOTHING,
	STICKY_SET_PIN,  /* seed, generation, version */
	STICKY_SET_SEED, /* the seed alone */
};

struct sticky_input {
	/* The service's release. */
	bool is_running;
	uint32_t generation;
	uint16_t share_bp;      /* 0 to STICKY_SHARE_FULL */
	uint64_t release_seed;
	int stable;             /* index of a version */
	int candidate;          /* STICKY_NONE unless a release runs */
	/* Config. */
	enum sticky_pin pin;
	bool is_identity_by_key; /* sticky.identity: key */
	/* The request. */
	bool is_navigation;
	bool has_fetch_metadata; /* any Sec-Fetch-* came */
	int override;            /* a version that may answer, or STICKY_NONE */
	bool has_cookie;         /* well-formed */
	struct cookie cookie;
	/* In a group: from the cookie of its first service that came along. */
	bool has_group_seed;
	uint32_t group_seed;
	int pinned;              /* the cookie's version by index, or STICKY_NONE */
	enum release_standing pinned_standing; /* by release_standing_of() */
	bool is_pinned_usable;   /* has a usable endpoint */
	bool has_key;
	uint64_t key_hash;       /* XXH3_64 of the client key */
	uint32_t random;         /* the seed of a client with neither */
};

struct sticky_decision {
	int version;
	enum sticky_reason reason;
	enum sticky_set set;
	uint32_t cell;
	bool has_identity; /* cookie or key: the cell will be the same again */
	/* A release runs, bucket and version agree, and nobody overrode: the
	 * judge may count it. */
	bool is_counted_by_bucket;
};

void sticky_decide(
	const struct sticky_input *input, struct sticky_decision *decision);

/* 0 to 9,999: XXH3_64(cell, seed) mod 10,000. */
uint32_t sticky_bucket(uint32_t cell, uint64_t release_seed);

/* What stands for a client of that key. */
uint32_t sticky_cell(uint64_t key_hash);

/* See versions: Sec-Fetch-*, or Accept where none came. */
bool sticky_is_navigation(const struct message *request);
bool sticky_has_fetch_metadata(const struct message *request);

/*
 * The version that an override header's value names for a service: of a list
 * "service=version, ..." the element for it, else a bare version. len 0 if it
 * says nothing of the service.
 */
struct slice sticky_parse_override(struct slice value, struct slice service);

/* What the same header says of a client of that service: false if it names no
 * version of it, or no cell. */
bool sticky_parse_caller(struct slice value, struct slice service,
	struct slice *version, uint32_t *cell)
	__attribute__((warn_unused_result));

#endif
