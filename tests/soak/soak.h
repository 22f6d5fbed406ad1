/*
 * soak: what the driver's threads share.
 *
 * soak.c starts them: clients (client.c), each of which takes numbers of
 * requests and plays them, and backends (backend.c), a thread for each
 * connection. What must never be is told to soak_fail().
 */
#ifndef SOAK_SOAK_H
#define SOAK_SOAK_H

#include <stdatomic.h>
#include <stdint.h>

#include "plan.h"

#define SOAK_BACKENDS 6
/* This one refuses connections now and then. */
#define SOAK_FLAPPING 5

struct soak_options {
	uint64_t seed;
	uint64_t first; /* number of the first request */
	uint64_t requests;
	unsigned clients;
	unsigned perch_port;
	unsigned backend_port; /* the first of SOAK_BACKENDS in a row */
};

extern struct soak_options soak_options;

enum soak_count {
	SOAK_ANSWERED, /* whole, byte-exact answers of a backend */
	SOAK_ERROR_PAGES, /* perch's own, with a reason for it */
	SOAK_EXCUSED, /* with one that only the backend knows */
	SOAK_CUT, /* answers that were cut, and seen to be */
	SOAK_ABANDONED, /* by the client */
	SOAK_REFUSED, /* malformed, and refused */
	SOAK_TUNNELS,
	SOAK_LOST, /* pipelined behind a last answer */
	SOAK_PIPELINED,
	SOAK_RETRIED, /* seen twice by backends */
	SOAK_COUNTS,
};

void soak_count(enum soak_count which);

/* What must never be; plan may be NULL. */
void soak_fail(const struct plan *plan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* An error page for which the client knows no reason, and a backend that knows
 * one. A page without an excuse in the end is a failure. */
void soak_wonder(const struct plan *plan, unsigned status);
void soak_excuse(uint64_t n);

/* How often backends have seen a request before. */
unsigned soak_seen_before(uint64_t n);
/* How often by now. */
unsigned soak_was_seen(uint64_t n);

/* Takes up to k numbers: how many, from *first on. */
uint64_t soak_take(unsigned k, uint64_t *first);

/* Threads. client_run: until no number is left. backend_run: argument is the
 * backend's index; for ever. */
void *client_run(void *arg);
void *backend_run(void *arg);

#endif
