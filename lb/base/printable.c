#include "base/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The longest escape, and the longest character. */
#define ESCAPE_SIZE 16

struct range {
	uint32_t first;
	uint32_t last;
};

/* Of Unicode's controls, formats (Cf), separators of lines, and what else is
 * ignored by default when it is shown, those that no name or sentence needs.
 * Variation selectors aren't here: emoji have them. */
static const struct range hidden[] = {
	{0x0000, 0x001f}, /* C0 */
	{0x007f, 0x009f}, /* DEL, C1 */
	{0x00ad, 0x00ad}, /* soft hyphen */
	{0x034f, 0x034f}, /* combining grapheme joiner */
	{0x061c, 0x061c}, /* Arabic letter mark */
	{0x115f, 0x1160}, /* Hangul fillers */
	{0x17b4, 0x17b5}, /* Khmer vowels that aren't seen */
	{0x180e, 0x180e}, /* Mongolian vowel separator */
	{0x200b, 0x200f}, /* zero width, marks of direction */
	{0x2028, 0x202e}, /* line, paragraph; embeddings, overrides */
	{0x2060, 0x206f}, /* joiners, isolates, deprecated formats */
	{0x3164, 0x3164}, /* Hangul filler */
	{0xfeff, 0xfeff}, /* byte order mark */
	{0xffa0, 0xffa0}, /* Hangul filler */
	{0xfff0, 0xfffb}, /* interlinear annotations */
	{0x13430, 0x1343f}, /* Egyptian formats */
	{0x1bca0, 0x1bca3}, /* shorthand formats */
	{0x1d173, 0x1d17a}, /* musical formats */
	{0xe0000, 0xe0fff}, /* tags */
};

static bool
is_hidden(uint32_t c)
{
	size_t i = 0;

	while (c > hidden[i].last)
		if (++i == sizeof(hidden) / sizeof(hidden[0]))
			return false;
	return c >= hidden[i].first;
}

/* Takes a character of UTF-8 (RFC 3629) apart; returns its length, 0 if it is
 * malformed. */
static size_t
decode(const unsigned char *p, size_t len, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	*c = p[0];
	if (n == 1)
		return 1;
	if (n > len || p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	*c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	if (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000))
		return 0;
	return n;
}

static void
escape(char out[ESCAPE_SIZE], uint32_t c)
{
	if (c > 0xffff)
		snprintf(out, ESCAPE_SIZE, "\\u%04x\\u%04x",
			0xd800 + ((c - 0x10000) >> 10),
			0xdc00 + ((c - 0x10000) & 0x3ff));
	else
		snprintf(out, ESCAPE_SIZE, "\\u%04x", c);
}

/* Takes what comes next off text, and puts what is to be seen of it into out. */
static size_t
take(char out[ESCAPE_SIZE], const char *text, size_t len)
{
	uint32_t c;
	size_t n = decode((const unsigned char *)text, len, &c);

	if (n == 0) {
		snprintf(out, ESCAPE_SIZE, "\\x%02x", (unsigned char)*text);
		return 1;
	}
	if (is_hidden(c)) {
		escape(out, c);
		return n;
	}
	memcpy(out, text, n);
	out[n] = '\0';
	return n;
}

size_t
printable_copy(char *out, size_t size, const char *text, size_t len)
{
	char piece[ESCAPE_SIZE];
	size_t used = 0, n;

	while (len > 0) {
		size_t taken = take(piece, text, len);

		n = strlen(piece);
		if (n >= size - used)
			break;
		memcpy(out + used, piece, n);
		used += n;
		text += taken;
		len -= taken;
	}
	out[used] = '\0';
	return used;
}

void
printable_print(FILE *out, const char *text)
{
	size_t len = strlen(text);
	char piece[ESCAPE_SIZE];

	while (len > 0) {
		size_t taken = take(piece, text, len);

		fputs(piece, out);
		text += taken;
		len -= taken;
	}
}
