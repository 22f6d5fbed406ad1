/*
 * siphash: SipHash-2-4 with a 64-bit result (Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012): whoever doesn't have the key can
 * neither make nor foresee one. Pure. Some 50 ns for a hundred bytes.
 */
#ifndef PERCH_BASE_SIPHASH_H
#define PERCH_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t words[2]; /* of the 16 bytes, little-endian */
};

/* bytes: 16 of them. */
struct siphash_key siphash_key_of(const unsigned char *bytes);

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

#endif
