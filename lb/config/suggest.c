#include "config/suggest.h"

#include <string.h>

static unsigned
min_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned
suggest_distance(const char *a, const char *b)
{
	/* The rows for a's last two prefixes and the current one, in turn. */
	unsigned rows[3][SUGGEST_MAX_LEN + 1];
	size_t len_a = strlen(a), len_b = strlen(b);
	size_t i, j;

	if (len_a > SUGGEST_MAX_LEN || len_b > SUGGEST_MAX_LEN)
		return SUGGEST_MAX_LEN + 1;
	for (j = 0; j <= len_b; j++)
		rows[0][j] = (unsigned)j;
	for (i = 1; i <= len_a; i++) {
		unsigned *now = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3];
		const unsigned *two_above = rows[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (j = 1; j <= len_b; j++) {
			unsigned cost = a[i - 1] != b[j - 1];

			now[j] = min_of(above[j], now[j - 1]) + 1;
			now[j] = min_of(now[j], above[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
				a[i - 2] == b[j - 1])
				now[j] = min_of(now[j], two_above[j - 2] + 1);
		}
	}
	return rows[len_a % 3][len_b];
}

const char *
suggest_word(const char *word, const char *const *words, size_t n_words)
{
	size_t len = strlen(word);
	unsigned best_distance = len <= 3 ? 1 : 2;
	const char *best = NULL;
	size_t i;

	for (i = 0; i < n_words; i++) {
		unsigned distance = suggest_distance(word, words[i]);

		if (distance < best_distance ||
			(distance == best_distance && best == NULL)) {
			best_distance = distance;
			best = words[i];
		}
	}
	for (i = 0; best == NULL && len >= 2 && i < n_words; i++) {
		if (strncmp(words[i], word, len) == 0)
			best = words[i];
	}
	return best;
}
