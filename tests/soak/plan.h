/*
 * plan: what request number n is, and how both of its ends behave.
 *
 * A pure function of the seed and n, known to client and backend alike, so
 * that either can tell what the other sent, and any run can be repeated. The
 * bytes of a body come from n too: a mix-up of two requests is seen.
 */
#ifndef SOAK_PLAN_H
#define SOAK_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum plan_framing {
	FRAMING_NONE,
	FRAMING_LENGTH,
	FRAMING_CHUNKED,
	FRAMING_CLOSE, /* responses only */
};

enum plan_host { HOST_PLAIN, HOST_SMALL, HOST_FLAP, HOST_NOBODY };

enum client_fault {
	CLIENT_GOOD,
	CLIENT_CUT_HEAD, /* leaves in the middle of the head */
	CLIENT_CUT_BODY, /* of the body */
	CLIENT_LEAVE, /* when all is sent, reading nothing */
	CLIENT_CUT_ANSWER, /* having read a part of the answer */
	CLIENT_HALF_CLOSE, /* closes its sending side, and reads on */
	CLIENT_MALFORMED,
	CLIENT_UPGRADE, /* no fault, but another protocol */
};

enum backend_fault {
	BACKEND_GOOD,
	BACKEND_LEAVE, /* closes without an answer */
	BACKEND_CUT_HEAD, /* in the middle of its head */
	BACKEND_CUT_BODY,
	BACKEND_GARBAGE, /* answers what is no HTTP */
	BACKEND_LATE, /* later than perch waits */
	BACKEND_ANSWER_EARLY, /* before it has read the request's body */
	BACKEND_EXTRA, /* sends more than the answer */
	BACKEND_QUIET_CLOSE, /* closes what it said it would keep */
};

/* Upgrades: which side ends first, and how. */
enum tunnel_end { TUNNEL_CLIENT, TUNNEL_BACKEND, TUNNEL_RESET };

struct plan {
	uint64_t n;
	const char *method;
	enum plan_host host;
	unsigned status;
	enum plan_framing request;
	enum plan_framing response;
	size_t request_len;
	size_t response_len;
	size_t pad; /* bytes of a field that makes the head longer */
	enum client_fault client;
	enum backend_fault backend;
	enum tunnel_end tunnel_end;
	unsigned malformed; /* which one */
	unsigned cut; /* where, in 1/65536 of what is cut */
	unsigned delay_us; /* of the backend's answer */
	bool is_reset; /* a cut is a reset, not a close */
	bool is_fault_once; /* the backend's fault, at the first try only */
	bool is_http10;
	bool is_navigation;
	bool has_trailers;
	bool client_closes;
	bool backend_closes;
	bool expects_continue;
	bool sends_hints; /* 103 */
	bool slow_client_read;
	bool slow_client_write;
	bool slow_backend_read;
	bool slow_backend_write;
};

/* A small generator (splitmix64); its state is any number. */
uint64_t random_next(uint64_t *state);
/* 0 to limit - 1. */
unsigned random_below(uint64_t *state, unsigned limit);

struct plan plan_make(uint64_t seed, uint64_t n);

/* May a proxy send it twice? RFC 9110 9.2.2 */
bool plan_is_idempotent(const struct plan *plan);
/* No answer to it has a body. */
bool plan_is_bodiless(const struct plan *plan);

/* Bytes of a body, from its number and which way it goes. */
enum content_way { CONTENT_UP, CONTENT_DOWN };
void content_fill(
	uint64_t n, enum content_way way, size_t offset, char *to, size_t len);
bool content_is(uint64_t n, enum content_way way, size_t offset,
	const char *data, size_t len);

#endif
