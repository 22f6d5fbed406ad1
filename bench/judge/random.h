/*
 * random: draws for the simulation, from a seed; exact ones, no approximation
 * by a normal distribution.
 */
#ifndef PERCH_BENCH_JUDGE_RANDOM_H
#define PERCH_BENCH_JUDGE_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed);
uint64_t random_u64(struct random *random);
/* In [0, 1). */
double random_unit(struct random *random);
double random_normal(struct random *random);
uint32_t random_poisson(struct random *random, double mean);
uint32_t random_binomial(struct random *random, uint32_t n, double p);

#endif
