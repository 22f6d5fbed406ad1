#include "proxy/sequence.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

struct turn {
	uint32_t member;
	uint32_t number; /* of the member's turns in this cycle, from 0 */
	uint64_t weight;
};

static uint64_t
greatest_common_divisor(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/*
 * Scales weights down so that their sum is at most SEQUENCE_MAX. A member too
 * light for a turn gets one all the same; what that takes, the others share.
 */
static void
scale(uint64_t *weights, size_t n, uint64_t sum)
{
	bool *is_light = memory_zalloc_array(n, sizeof(*is_light));
	uint64_t room = SEQUENCE_MAX;
	bool again;

	do {
		again = false;
		for (size_t i = 0; i < n; i++) {
			if (is_light[i] || weights[i] * room >= sum)
				continue;
			is_light[i] = true;
			sum -= weights[i];
			room--;
			again = true;
		}
	} while (again);
	for (size_t i = 0; i < n; i++)
		weights[i] = is_light[i] ? 1 : weights[i] * room / sum;
	free(is_light);
}

static uint64_t
sum_of(const uint64_t *weights, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += weights[i];
	return sum;
}

/* Divides out what all have in common; returns the sum that is left. */
static uint64_t
reduce(uint64_t *weights, size_t n)
{
	uint64_t common = 0;

	for (size_t i = 0; i < n; i++)
		common = greatest_common_divisor(common, weights[i]);
	for (size_t i = 0; i < n; i++)
		weights[i] /= common;
	return sum_of(weights, n);
}

static int
compare_turns(const void *a, const void *b)
{
	const struct turn *left = a, *right = b;
	/* (2k + 1) / 2w, both sides multiplied by both weights. */
	uint64_t left_due = (2 * (uint64_t)left->number + 1) * right->weight;
	uint64_t right_due = (2 * (uint64_t)right->number + 1) * left->weight;

	if (left_due != right_due)
		return left_due < right_due ? -1 : 1;
	if (left->member != right->member)
		return left->member < right->member ? -1 : 1;
	return 0;
}

static uint64_t *
effective_weights(const unsigned *weights, size_t n, uint64_t *sum)
{
	uint64_t *effective = memory_zalloc_array(n, sizeof(*effective));

	for (size_t i = 0; i < n; i++) {
		assert(weights[i] >= 1);
		effective[i] = weights[i];
	}
	*sum = reduce(effective, n);
	if (*sum > SEQUENCE_MAX) {
		scale(effective, n, *sum);
		*sum = reduce(effective, n);
	}
	return effective;
}

uint32_t *
sequence_build(const unsigned *weights, size_t n, size_t *len)
{
	uint64_t sum;
	uint64_t *effective;
	struct turn *turns;
	uint32_t *sequence;
	size_t filled = 0;

	assert(n >= 1 && n <= SEQUENCE_MAX);
	effective = effective_weights(weights, n, &sum);
	turns = memory_zalloc_array(sum, sizeof(*turns));
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < effective[i]; k++)
			turns[filled++] = (struct turn){i, k, effective[i]};
	qsort(turns, filled, sizeof(*turns), compare_turns);

	sequence = memory_zalloc_array(sum, sizeof(*sequence));
	for (size_t i = 0; i < filled; i++)
		sequence[i] = turns[i].member;
	free(turns);
	free(effective);
	*len = filled;
	return sequence;
}
