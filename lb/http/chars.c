#include "http/chars.h"

#define ANY (CHARS_TEXT | CHARS_TARGET)
#define SUB (ANY | CHARS_TOKEN | CHARS_HOST) /* sub-delims in a token */
#define WORD (SUB | CHARS_VERSION)

const uint8_t chars_class[256] = {
	['\t'] = CHARS_TEXT,
	[' '] = CHARS_TEXT,
	['!'] = SUB,
	['"'] = ANY,
	['#'] = CHARS_TEXT | CHARS_TOKEN,
	['$'] = SUB,
	['%'] = ANY | CHARS_TOKEN,
	['&' ... '\''] = SUB,
	['(' ... ')'] = ANY | CHARS_HOST,
	['*' ... '+'] = SUB,
	[','] = ANY,
	['-' ... '.'] = WORD,
	['/'] = ANY,
	['0' ... '9'] = WORD | CHARS_HEX,
	[':'] = ANY,
	[';'] = ANY | CHARS_HOST,
	['<'] = ANY,
	['='] = ANY | CHARS_HOST,
	['>' ... '@'] = ANY,
	['A' ... 'F'] = WORD | CHARS_HEX,
	['G' ... 'Z'] = WORD,
	['[' ... ']'] = ANY,
	['^'] = ANY | CHARS_TOKEN,
	['_'] = WORD,
	['`'] = ANY | CHARS_TOKEN,
	['a' ... 'f'] = WORD | CHARS_HEX,
	['g' ... 'z'] = WORD,
	['{'] = ANY,
	['|'] = ANY | CHARS_TOKEN,
	['}'] = ANY,
	['~'] = SUB,
	[0x80 ... 0xff] = CHARS_TEXT,
};
