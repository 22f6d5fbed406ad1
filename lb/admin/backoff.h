/*
 * backoff: when to try again, and when no more. Pure.
 */
#ifndef PERCH_ADMIN_BACKOFF_H
#define PERCH_ADMIN_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
	uint64_t first_ns; /* after the first failure; doubled by each one */
	uint64_t max_ns; /* the longest wait */
	unsigned tries; /* at most so many */
	uint64_t limit_ns; /* since the first try; then no more */
};

/* The wait after so many failures, from 1 on. random, of all 32-bit numbers,
 * makes it up to a quarter shorter or longer, lest many come back at once. */
uint64_t backoff_wait_ns(
	const struct backoff *backoff, unsigned failures, uint32_t random);

bool backoff_is_over(
	const struct backoff *backoff, unsigned failures, uint64_t since_ns);

#endif
