/*
 * meter: what was forwarded, counted as it happens.
 *
 * One meter for each worker and endpoint, one for each worker and version for
 * what found no endpoint, one for each worker and service for what found no
 * version; and how long it took, for each worker and version. A worker writes
 * its own with relaxed stores (no lock, no read-modify-write instruction);
 * anyone may read and add up.
 */
#ifndef PERCH_RELEASE_METER_H
#define PERCH_RELEASE_METER_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/memory.h"
#include "release/histogram.h"

/* What went wrong; names in metrics and logs by meter_error_name(). */
enum meter_error {
	METER_ERROR_NONE,
	METER_ERROR_CONNECT, /* refused, unreachable */
	METER_ERROR_CONNECT_TIMEOUT,
	METER_ERROR_RESET, /* closed or reset before the response head */
	METER_ERROR_RESPONSE_TIMEOUT, /* no response head in time */
	METER_ERROR_BAD_RESPONSE, /* malformed */
	METER_ERROR_TRUNCATED, /* body cut short, or idle for too long */
	METER_ERROR_NO_ENDPOINT, /* none, or none resolved */
	METER_ERROR_OVERLOAD, /* pending queue full or waited too long */
	METER_ERROR_CLIENT_ABORT, /* not the backend's fault */
	METER_ERROR_REQUEST, /* the request was refused: 4xx of perch's own */
	METER_ERROR_ROLLED_BACK, /* a tunnel or long answer of a candidate, closed */
	METER_ERROR_COUNT,
};
const char *meter_error_name(enum meter_error error);

struct meter {
	/* The first line is all that most requests touch. */

	/* Ended requests by the class that the client was sent: [2] is 2xx, [0]
	 * none was sent. Each counts once; perch's own 502, 503 and 504 are
	 * 5xx. */
	alignas(MEMORY_LINE) _Atomic uint64_t responses[6];
	_Atomic int64_t in_flight;
	_Atomic uint64_t bytes_out;    /* response body, to clients */

	_Atomic uint64_t bytes_in;     /* request body, from clients */
	_Atomic uint64_t retries;      /* asked again on another connection */
	_Atomic uint64_t connects;     /* upstream connections opened */
	_Atomic uint64_t rescues;      /* what it lacked, asked of another version */
	_Atomic uint64_t rescued;      /* of these: the other one had it */
	_Atomic uint64_t helped;       /* what another one lacked, and this had */
	_Atomic uint64_t shields;      /* what it failed, asked of stable */
	_Atomic uint64_t shielded;     /* of these: stable answered well */
	_Atomic uint64_t errors[METER_ERROR_COUNT];
};

/* How long a version's requests took. */
struct meter_times {
	struct histogram first_byte; /* request sent to response head */
	struct histogram total;      /* request head read to response sent */
};

/* A reader's sum over meters and times. */
struct meter_counts {
	uint64_t requests; /* ended ones: all responses */
	uint64_t responses[6];
	uint64_t errors[METER_ERROR_COUNT];
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t retries;
	uint64_t connects;
	uint64_t rescues;
	uint64_t rescued;
	uint64_t helped;
	uint64_t shields;
	uint64_t shielded;
	int64_t in_flight;
	struct histogram_counts first_byte;
	struct histogram_counts total;
};

/* Which of a meter's responses a status is; 0 stands for none. RFC 9110 15: what
 * is beyond the classes is as good as a 5xx. */
static inline unsigned
meter_class(unsigned status)
{
	return status < 600 ? status / 100 : 5;
}

/* By the meter's one writer only. */
static inline void
meter_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter,
		atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static inline void
meter_add_signed(_Atomic int64_t *counter, int64_t n)
{
	atomic_store_explicit(counter,
		atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

/* Each adds to a sum. */
void meter_sum(const struct meter *meter, struct meter_counts *out);
void meter_times_sum(
	const struct meter_times *times, struct meter_counts *out);
/* Requests that ended badly for the version: truncated bodies, answers of class
 * 5xx, which connect failures, resets and timeouts end in too (so these are not
 * added once more), and those of which the client was spared it. */
uint64_t meter_counts_failures(const struct meter_counts *counts);

#endif
