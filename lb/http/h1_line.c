#include "http/h1_line.h"

#include "http/chars.h"
#include "http/field.h"

const char *
h1_line_skip_text(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t word = chars_word_load(p);
		uint64_t found = chars_word_below(word, ' ') |
				 chars_word_equal(word, 0x7f);

		if (found == 0) {
			p += 8;
			continue;
		}
		p += chars_word_first(found);
		if (*p != '\t')
			return p;
		p++;
	}
	while (p < end && chars_is(*p, CHARS_TEXT))
		p++;
	return p;
}

/* bit 7 of each byte that is no letter and no "-"; unlike those of chars.h
 * this is exact in every byte. */
static uint64_t
find_not_plain(uint64_t word)
{
	const uint64_t high = CHARS_ONES * 0x80, low = ~high;
	uint64_t lower = (word | CHARS_ONES * 0x20) & low;
	uint64_t letters = (lower + CHARS_ONES * (0x80 - 'a')) &
			   ~(lower + CHARS_ONES * (0x7f - 'z'));
	uint64_t not_dash = word ^ CHARS_ONES * '-';

	not_dash = ((not_dash & low) + low) | not_dash;
	return ((~letters & not_dash) | word) & high;
}

/* The first byte from p on that can't stand in a name. Most names are letters
 * and dashes, so these are passed over eight at a time. */
static const char *
skip_name(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t found = find_not_plain(chars_word_load(p));

		if (found != 0) {
			p += chars_word_first(found);
			break;
		}
		p += 8;
	}
	while (p < end && chars_is(*p, CHARS_TOKEN))
		p++;
	return p;
}

/* Why a name that starts at p doesn't reach to a colon. */
static const char *
explain_name(const char *line, const char *p, const char *end)
{
	if (p == end)
		return "field line without an end";
	if (*p == ' ' || *p == '\t')
		return p == line ? "folded field line"
				 : "space before a field's colon";
	if (*p == '\r' || *p == '\n')
		return "field line without a colon";
	return p == line && *p == ':' ? "empty field name"
				      : "bad byte in a field name";
}

static const char *
explain_value(const char *p, const char *end)
{
	if (p == end || (*p == '\r' && p + 1 == end))
		return "field line without an end";
	if (*p == '\r')
		return "bare CR";
	return *p == '\n' ? "bare LF" : "control byte in a field value";
}

bool
h1_line_parse(const char *buf, uint32_t end_pos, uint32_t *pos,
	struct field *field, const char **why)
{
	const char *line = buf + *pos, *end = buf + end_pos;
	const char *p = skip_name(line, end);
	const char *value, *value_end;

	if (p == line || p == end || *p != ':') {
		*why = explain_name(line, p, end);
		return false;
	}
	if (p - line > UINT16_MAX) {
		*why = "field name too long";
		return false;
	}
	field->name = *pos;
	field->name_len = (uint16_t)(p - line);
	field->id =
		(uint16_t)field_identify((struct slice){line, field->name_len});

	p++;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	value = p;
	p = h1_line_skip_text(p, end);
	if (end - p < 2 || p[0] != '\r' || p[1] != '\n') {
		*why = explain_value(p, end);
		return false;
	}
	value_end = p;
	while (value_end > value &&
		(value_end[-1] == ' ' || value_end[-1] == '\t'))
		value_end--;
	field->value = (uint32_t)(value - buf);
	field->value_len = (uint32_t)(value_end - value);
	*pos = (uint32_t)(p + 2 - buf);
	return true;
}
