/*
 * hash: XXH3 by its 64-bit, seeded form; the one hash used for cells,
 * buckets, consistent hashing and tables.
 */
#ifndef PERCH_BASE_HASH_H
#define PERCH_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3_64bits_withSeed(data, len, seed). */
uint64_t hash_bytes(const void *data, size_t len, uint64_t seed);

/* The same over the eight bytes of value, little-endian. */
uint64_t hash_u64(uint64_t value, uint64_t seed);

#endif
