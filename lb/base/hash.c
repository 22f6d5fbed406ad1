#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <endian.h>

uint64_t
hash_bytes(const void *data, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, len, seed);
}

uint64_t
hash_u64(uint64_t value, uint64_t seed)
{
	uint64_t little = htole64(value);

	return XXH3_64bits_withSeed(&little, sizeof(little), seed);
}
