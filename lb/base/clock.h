/*
 * clock: the only place that reads a clock. Times are nanoseconds.
 */
#ifndef PERCH_BASE_CLOCK_H
#define PERCH_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define CLOCK_NS_PER_US UINT64_C(1000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_NS_PER_S UINT64_C(1000000000)

/* Never goes back; its zero means nothing. */
static inline uint64_t
clock_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Since 1970-01-01 UTC. */
static inline uint64_t
clock_wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Minutes since then. */
static inline uint32_t
clock_wall_min(void)
{
	return (uint32_t)(clock_wall_ns() / (60 * CLOCK_NS_PER_S));
}

/* Room for a time as text, with NUL. */
#define CLOCK_TEXT_SIZE 32

/* "2026-01-31T12:00:00.000Z" (RFC 3339), from what clock_wall_ns() returned;
 * returns its length. */
static inline size_t
clock_format(uint64_t wall_ns, char out[CLOCK_TEXT_SIZE])
{
	time_t seconds = (time_t)(wall_ns / CLOCK_NS_PER_S);
	unsigned ms = (unsigned)(wall_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_MS);
	struct tm utc;
	size_t len;

	gmtime_r(&seconds, &utc);
	len = strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	return len + (size_t)snprintf(
			     out + len, CLOCK_TEXT_SIZE - len, ".%03uZ", ms);
}

#endif
