/*
 * suggest: the known word that an unknown one was meant to be.
 */
#ifndef PERCH_CONFIG_SUGGEST_H
#define PERCH_CONFIG_SUGGEST_H

#include <stddef.h>

/* Longer words than this are never near to another. */
#define SUGGEST_MAX_LEN 64

/*
 * Insertions, deletions, replacements and swaps of neighbours (optimal string
 * alignment) that turn a into b; SUGGEST_MAX_LEN + 1 if either is too long.
 */
unsigned suggest_distance(const char *a, const char *b);

/*
 * The nearest of the words: at most two edits away (one, for words of up to
 * three letters), else one of which word is the beginning. NULL if none is.
 */
const char *
suggest_word(const char *word, const char *const *words, size_t n_words);

#endif
