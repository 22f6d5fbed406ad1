/*
 * chars: what class of HTTP grammar a byte belongs to, and how to look at
 * eight of them at once.
 *
 * For the parsers of this folder; everything is inline and reads only the
 * bytes that it was given.
 */
#ifndef PERCH_HTTP_CHARS_H
#define PERCH_HTTP_CHARS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum chars {
	CHARS_TOKEN = 1, /* tchar (RFC 9110 5.6.2) */
	CHARS_TEXT = 2, /* tab, space, VCHAR, obs-text (RFC 9110 5.5) */
	CHARS_TARGET = 4, /* VCHAR but "#" */
	CHARS_HOST = 8, /* of a reg-name, but "%" and "," */
	CHARS_HEX = 16, /* either case */
	CHARS_VERSION = 32, /* of a version's name: [A-Za-z0-9._-] */
};

/* A set of enum chars for each byte. */
extern const uint8_t chars_class[256];

static inline bool
chars_is(char c, enum chars class)
{
	return (chars_class[(unsigned char)c] & class) != 0;
}

static inline bool
chars_is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

/* The value of a CHARS_HEX byte. */
static inline unsigned
chars_hex_value(char c)
{
	return chars_is_digit(c) ? (unsigned)(c - '0')
				 : ((unsigned)c | 0x20) - 'a' + 10;
}

/* --- eight bytes at once -------------------------------------------------
 *
 * A word's lowest byte is the first in memory. The tests give a word with
 * bit 7 set in each byte found; bytes above the first one found may be
 * flagged wrongly, so only chars_word_first() may be asked of the result.
 */

#define CHARS_ONES (~UINT64_C(0) / 255)

static inline uint64_t
chars_word_load(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return le64toh(word);
}

/* Bytes below n, n <= 0x80. */
static inline uint64_t
chars_word_below(uint64_t word, uint8_t n)
{
	return (word - CHARS_ONES * n) & ~word & CHARS_ONES * 0x80;
}

static inline uint64_t
chars_word_equal(uint64_t word, uint8_t c)
{
	return chars_word_below(word ^ CHARS_ONES * c, 1);
}

/* The index of the first byte found; found is not 0. */
static inline size_t
chars_word_first(uint64_t found)
{
	return (size_t)__builtin_ctzll(found) / 8;
}

/* --- comparison without case ----------------------------------------------
 *
 * For literals, so that the compiler folds their side into constants. They
 * are of lower-case letters, digits and "-": in a byte from 0x40 on (a
 * letter) bit 5 is ignored, others must be the same.
 */

static inline bool
chars_word_same(uint64_t word, uint64_t lower)
{
	uint64_t letters = (lower & CHARS_ONES * 0x40) >> 1;

	return ((word ^ lower) & ~letters) == 0;
}

/* len bytes, widened; len < 8. The mask tells the compiler so even where it
 * doesn't optimise. */
static inline __attribute__((always_inline)) uint64_t
chars_load_short(const char *p, size_t len)
{
	uint64_t word = 0;

	memcpy(&word, p, len & 7);
	return word;
}

static inline __attribute__((always_inline)) bool
chars_same_short(const char *p, const char *lower, size_t len)
{
	return chars_word_same(
		chars_load_short(p, len), chars_load_short(lower, len));
}

/* From 8 bytes on. */
static inline __attribute__((always_inline)) bool
chars_same_long(const char *p, const char *lower, size_t len)
{
	for (size_t i = 0; i + 8 < len; i += 8)
		if (!chars_word_same(
			    chars_word_load(p + i), chars_word_load(lower + i)))
			return false;
	return chars_word_same(
		chars_word_load(p + len - 8), chars_word_load(lower + len - 8));
}

/* Are the bytes at p those of the literal, but for case? A constant picks the
 * one or the other: no build has a branch for it. */
#define CHARS_SAME(p, literal)                                                 \
	(sizeof(literal) - 1 < 8 ? chars_same_short((p), (literal),            \
					   sizeof(literal) - 1)                \
				 : chars_same_long((p), (literal),             \
					   sizeof(literal) - 1))

/* slice is (ptr, len); literal as for CHARS_SAME. */
#define CHARS_EQUAL(slice, literal)                                            \
	((slice).len == sizeof(literal) - 1 && CHARS_SAME((slice).ptr, literal))

#endif
