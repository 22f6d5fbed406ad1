/*
 * percent: shares as people write them, "30", "0.5", "12.34%", and as perch
 * keeps them, in hundredths of a percent. Pure; used by the API and perchctl.
 */
#ifndef PERCH_ADMIN_PERCENT_H
#define PERCH_ADMIN_PERCENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PERCENT_FULL_BP 10000
/* Room for any of them as text, with NUL. */
#define PERCENT_TEXT_SIZE 8

/*
 * Digits, at most two decimals, and a "%" if wanted; from 0 to 100. False
 * with the reason in error for anything else.
 */
bool percent_parse(const char *text, uint16_t *share_bp, struct error *error)
	__attribute__((warn_unused_result));

/* The same for a number that came as one. */
bool percent_from_number(double percent, uint16_t *share_bp,
	struct error *error) __attribute__((warn_unused_result));

/* What a candidate can be given: more than nothing. False, and error says what
 * to do instead. */
bool percent_check_share(uint16_t share_bp, struct error *error)
	__attribute__((warn_unused_result));

/* "30", "0.5", "12.34"; share_bp up to UINT16_MAX. Returns the length. */
size_t percent_format(uint16_t share_bp, char out[PERCENT_TEXT_SIZE]);

#endif
