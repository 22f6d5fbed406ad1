#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
read_word(const unsigned char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

struct siphash_key
siphash_key_of(const unsigned char *bytes)
{
	return (struct siphash_key){{read_word(bytes), read_word(bytes + 8)}};
}

static inline uint64_t
rotate(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

/* SipRound: section 2.4 of the paper. */
static inline void
mix(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void
absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix(s);
	mix(s);
	s->v0 ^= word;
}

uint64_t
siphash(const struct siphash_key *key, const void *data, size_t len)
{
	struct state s = {
		key->words[0] ^ UINT64_C(0x736f6d6570736575),
		key->words[1] ^ UINT64_C(0x646f72616e646f6d),
		key->words[0] ^ UINT64_C(0x6c7967656e657261),
		key->words[1] ^ UINT64_C(0x7465646279746573),
	};
	const unsigned char *bytes = data;
	unsigned char rest[8] = {0};
	size_t i;

	for (i = 0; i + 8 <= len; i += 8)
		absorb(&s, read_word(bytes + i));
	if (i < len)
		memcpy(rest, bytes + i, len - i);
	rest[7] = (unsigned char)len;
	absorb(&s, read_word(rest));
	s.v2 ^= 0xff;
	for (i = 0; i < 4; i++)
		mix(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
