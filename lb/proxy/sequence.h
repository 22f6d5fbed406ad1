/*
 * sequence: smooth weighted round robin, worked out beforehand. Pure.
 *
 * The k-th turn of a member of weight w falls due at (2k + 1) / 2w, and turns
 * are taken as they fall due (stride scheduling: Waldspurger and Weihl, MIT
 * LCS TM-528, 1995). So a member's turns are spread evenly over the cycle,
 * picking one is a step of a cursor, and taking a member away leaves the order
 * of the others as it was.
 */
#ifndef PERCH_PROXY_SEQUENCE_H
#define PERCH_PROXY_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

/* The longest cycle; weights that need more are scaled down to it. */
#define SEQUENCE_MAX 65536

/*
 * One cycle of indexes into weights (n at least 1, at most SEQUENCE_MAX; each
 * weight at least 1). The result is the caller's to free(); *len is the sum of
 * the weights over their greatest common divisor. Ties go to the lower index.
 * Time O(S log S), S being *len.
 */
uint32_t *sequence_build(const unsigned *weights, size_t n, size_t *len)
	__attribute__((warn_unused_result));

#endif
