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
 * unknown, stable. */
enum sticky_reason {
	STICKY_OVERRIDE,
	STICKY_PIN,
	STICKY_BUCKET, /* a release runs: by the client's bucket */
	STICKY_UNKNOWN, /* a release runs: nobody knows who asks, so stable */
	STICKY_STABLE, /* no release runs */
};
const char *sticky_reason_name(enum sticky_reason reason);

enum sticky_pin { STICKY_PIN_DOCUMENT, STICKY_PIN_SESSION, STICKY_PIN_NONE };

/* What somebody is known by who has neither cookie nor key. */
enum sticky_anonymous {
	STICKY_ANONYMOUS_ADDRESS,
	STICKY_ANONYMOUS_RANDOM,
	STICKY_ANONYMOUS_STABLE,
};

/* What the client was known by; names in metrics: cookie, key, address,
 * none. */
enum sticky_known {
	STICKY_BY_COOKIE,
	STICKY_BY_KEY,
	STICKY_BY_ADDRESS,
	STICKY_BY_NOTHING,
	STICKY_N_KNOWN,
};
const char *sticky_known_name(enum sticky_known known);

enum sticky_kind {
	/* The next page of a tab: whatever was loaded before is left. */
	STICKY_NAVIGATION,
	/* A page within a page, or a form that was posted: it goes with the page
	 * around it where that is known, and is a page of its own if not. */
	STICKY_SUBPAGE,
	STICKY_OTHER,
};

/* What a request says of itself. */
struct sticky_request {
	enum sticky_kind kind;
	bool is_same_origin; /* a page of this very host asks */
	/* A page in another site's: its cookies come back only with SameSite:
	 * None. */
	bool is_embedded_elsewhere;
	bool is_prefetch; /* it may be shown later without being asked for again */
	bool is_asset; /* script, style, image, ...: by Sec-Fetch-Dest */
};

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
	enum sticky_anonymous anonymous;
	bool is_identity_by_key; /* sticky.identity: key */
	bool wants_cookie; /* several versions, or balanced by client */
	bool has_affinity; /* balance.affinity */
	bool keeps_cacheable; /* sticky.cacheable: keep: few get a cookie */
	bool is_kept_elsewhere; /* sticky.same_site: none */
	uint64_t lifetime_s; /* sticky.lifetime; 0: the browser's session */
	/* The request. */
	uint32_t now_min; /* minutes since 1970; only with a lifetime */
	struct sticky_request request;
	int override; /* a version that may answer, or STICKY_NONE */
	bool has_cookie; /* perch's own, or one of the former form */
	struct cookie cookie;
	/* In a group: from the cookie of its first service that came along; one of
	 * the former form with anything but a navigation. Or from that of the
	 * service whose page asks. */
	bool has_group_seed;
	bool is_group_seed_signed;
	uint32_t group_seed;
	int pinned;              /* the cookie's version by index, or STICKY_NONE */
	enum release_standing pinned_standing; /* by release_standing_of() */
	bool is_pinned_usable;   /* has a usable endpoint */
	bool has_key;
	uint64_t key_hash; /* XXH3_64 of the client key */
	/* Where sticky_needs_address(): no address if too many share it. */
	bool has_address;
	uint64_t address_hash;   /* keyed */
	uint32_t random; /* the seed of a client with none of these */
};

struct sticky_decision {
	int version;
	enum sticky_reason reason;
	enum sticky_set set;
	enum sticky_known known;
	uint32_t cell;
	/* A release runs, bucket and version agree, nobody overrode, and the cell
	 * is one that perch gave out: the judge may count it. */
	bool is_counted_by_bucket;
};

/* Will the cell be the same again? */
static inline bool
sticky_has_identity(const struct sticky_decision *decision)
{
	return decision->known != STICKY_BY_NOTHING;
}

void sticky_decide(
	const struct sticky_input *input, struct sticky_decision *decision);

/* 0 to 9,999: XXH3_64(cell, seed) mod 10,000. */
uint32_t sticky_bucket(uint32_t cell, uint64_t release_seed);

/* What stands for a client of that key. */
uint32_t sticky_cell(uint64_t key_hash);

/*
 * Reads Sec-Fetch-* (Fetch Metadata Request Headers, 2021), or where none came,
 * as from old browsers and over plain HTTP, what stands in for them: a page is
 * what Accept lists text/html for, and who names this host in Origin (a page's
 * WebSocket) or a page of it in Referer is of the same origin.
 */
void
sticky_read_request(const struct message *request, struct sticky_request *out);

/* Did any Sec-Fetch-* come? */
bool sticky_has_fetch_metadata(const struct message *request);

/* Is the client's address what it is known by? Asked when cookie and key are
 * filled in; false wherever its cell has no effect. */
bool sticky_needs_address(const struct sticky_input *input);

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
