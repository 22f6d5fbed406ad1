#include "admin/percent.h"

#include <math.h>
#include <stdio.h>

static bool
refuse(const char *text, struct error *error)
{
	error_set(error,
		"a share is a percentage from 0 to 100 with at most two "
		"decimals, not \"%.32s\"",
		text);
	return false;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
percent_parse(const char *text, uint16_t *share_bp, struct error *error)
{
	const char *p = text;
	unsigned value = 0;
	int decimals = 0;

	if (!is_digit(*p))
		return refuse(text, error);
	for (; is_digit(*p); p++) {
		value = value * 10 + (unsigned)(*p - '0');
		if (value > 100)
			return refuse(text, error);
	}
	if (*p == '.') {
		p++;
		for (; is_digit(*p) && decimals < 2; p++, decimals++)
			value = value * 10 + (unsigned)(*p - '0');
		if (decimals == 0)
			return refuse(text, error);
	}
	for (; decimals < 2; decimals++)
		value *= 10;
	if (*p == '%')
		p++;
	if (*p != '\0' || value > PERCENT_FULL_BP)
		return refuse(text, error);
	*share_bp = (uint16_t)value;
	return true;
}

bool
percent_from_number(double percent, uint16_t *share_bp, struct error *error)
{
	double hundredths = percent * 100;
	double nearest = round(hundredths);
	char text[32];

	/* 0.07 * 100 isn't 7 in binary; 0.075 * 100 is far from any integer.
	 * Written so that a NaN is refused. */
	if (!(percent >= 0 && percent <= 100 &&
		    fabs(hundredths - nearest) < 1e-6)) {
		snprintf(text, sizeof(text), "%g", percent);
		return refuse(text, error);
	}
	*share_bp = (uint16_t)nearest;
	return true;
}

bool
percent_check_share(uint16_t share_bp, struct error *error)
{
	if (share_bp > 0)
		return true;
	error_set(error, "a candidate's share is above 0 %%: roll back to take "
			 "it all back, or pause to go no further");
	return false;
}

size_t
percent_format(uint16_t share_bp, char out[PERCENT_TEXT_SIZE])
{
	unsigned whole = share_bp / 100u;
	unsigned part = share_bp % 100u;
	int len;

	if (part == 0)
		len = snprintf(out, PERCENT_TEXT_SIZE, "%u", whole);
	else if (part % 10 == 0)
		len = snprintf(
			out, PERCENT_TEXT_SIZE, "%u.%u", whole, part / 10);
	else
		len = snprintf(out, PERCENT_TEXT_SIZE, "%u.%02u", whole, part);
	return (size_t)len;
}
