#include "random.h"

#include <math.h>

/* xoshiro256++ (Blackman, Vigna), seeded by splitmix64. */

static uint64_t
rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

void
random_seed(struct random *random, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		random->state[i] = z ^ z >> 31;
	}
}

uint64_t
random_u64(struct random *random)
{
	uint64_t *s = random->state;
	uint64_t out = rotate(s[0] + s[3], 23) + s[0];
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return out;
}

double
random_unit(struct random *random)
{
	return (double)(random_u64(random) >> 11) * 0x1p-53;
}

double
random_normal(struct random *random)
{
	for (;;) {
		double u = 2 * random_unit(random) - 1;
		double v = 2 * random_unit(random) - 1;
		double s = u * u + v * v;

		if (s > 0 && s < 1)
			return u * sqrt(-2 * log(s) / s);
	}
}

/* Transformed rejection (Hormann 1993, PTRS), for means of 10 and more. */
static uint32_t
poisson_large(struct random *random, double mean)
{
	double b = 0.931 + 2.53 * sqrt(mean);
	double a = -0.059 + 0.02483 * b;
	double scale = 1.1239 + 1.1328 / (b - 3.4);
	double cut = 0.9277 - 3.6224 / (b - 2);

	for (;;) {
		double u = random_unit(random) - 0.5;
		double v = random_unit(random);
		double us = 0.5 - fabs(u);
		double k = floor((2 * a / us + b) * u + mean + 0.43);

		if (us >= 0.07 && v <= cut)
			return (uint32_t)k;
		if (k < 0 || (us < 0.013 && v > us))
			continue;
		if (log(v * scale / (a / (us * us) + b)) <=
			k * log(mean) - mean - lgamma(k + 1))
			return (uint32_t)k;
	}
}

uint32_t
random_poisson(struct random *random, double mean)
{
	double p, u;
	uint32_t k = 0;

	if (mean <= 0)
		return 0;
	if (mean >= 10)
		return poisson_large(random, mean);
	p = exp(-mean);
	u = random_unit(random);
	while (u > p && k < 200) {
		u -= p;
		p *= mean / ++k;
	}
	return k;
}

uint32_t
random_binomial(struct random *random, uint32_t n, double p)
{
	uint64_t below = (uint64_t)(p * 0x1p32);
	uint32_t k = 0;

	if (p >= 1)
		return n;
	/* Two draws from each number. */
	for (uint32_t i = 0; i < n; i += 2) {
		uint64_t both = random_u64(random);

		k += (both >> 32) < below;
		k += i + 1 < n && (both & UINT32_MAX) < below;
	}
	return k;
}
