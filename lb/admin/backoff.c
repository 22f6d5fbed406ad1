#include "admin/backoff.h"

static uint64_t
at_most(uint64_t value, uint64_t max)
{
	return value < max ? value : max;
}

uint64_t
backoff_wait_ns(
	const struct backoff *backoff, unsigned failures, uint32_t random)
{
	uint64_t wait_ns = at_most(backoff->first_ns, backoff->max_ns);

	for (; failures > 1 && wait_ns < backoff->max_ns; failures--)
		wait_ns = at_most(wait_ns * 2, backoff->max_ns);
	/* From 3/4 to 5/4 of it. */
	wait_ns += (uint64_t)((double)wait_ns / 2 * random / UINT32_MAX) -
		   wait_ns / 4;
	return at_most(wait_ns, backoff->max_ns);
}

bool
backoff_is_over(
	const struct backoff *backoff, unsigned failures, uint64_t since_ns)
{
	return failures >= backoff->tries || since_ns >= backoff->limit_ns;
}
