/*
 * printable: text of others as a person may see it, on a terminal or in the log.
 *
 * What a terminal would act on, what reorders or hides other characters, what
 * ends a line, and what is no UTF-8 is shown as an escape: of a character as in
 * JSON ("\u202e", beyond U+FFFF as a pair), so that JSON in such a text stays
 * JSON; of a stray byte "\x9b". All else is as it came. Pure but for printing.
 */
#ifndef PERCH_BASE_PRINTABLE_H
#define PERCH_BASE_PRINTABLE_H

#include <stddef.h>
#include <stdio.h>

/* Writes at most size bytes with a NUL, cut between characters; returns how many
 * without it. */
size_t
printable_copy(char *out, size_t size, const char *text, size_t len);

void printable_print(FILE *out, const char *text);

#endif
