/*
 * sentence: an event of a release, in the words of a person. Pure.
 *
 *   shop: v2 rolled back from 10 % to 0 %: errors: 7 of 210 clients hurt on v2
 *
 * Made of the event's "unit", "candidate", "share", "previous_share", "step",
 * "steps", "reason" and "who", each of which may be missing. Who is left out
 * where it was perch itself.
 */
#ifndef PERCH_ADMIN_SENTENCE_H
#define PERCH_ADMIN_SENTENCE_H

#include <jansson.h>

#include "admin/text.h"

/* Adds it to out. */
void sentence_write(const json_t *event, struct text *out);

#endif
