#include "nearest.h"

#include <stddef.h>
#include <string.h>

enum { MOST_LETTERS = 32, MOST_ERRORS = 2 };

static int least(int a, int b) { return a < b ? a : b; }

/* Restricted Damerau-Levenshtein distance (optimal string alignment), for words of an option's length. */
static int distance(const char *a, const char *b) {
    int d[MOST_LETTERS + 1][MOST_LETTERS + 1];
    int n = (int)strnlen(a, MOST_LETTERS), m = (int)strnlen(b, MOST_LETTERS);
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = least(best, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, d[i - 2][j - 2] + 1);
            d[i][j] = best;
        }
    return d[n][m];
}

const char *nearest_word(const char *word, const char *const *words, int count) {
    int errors = least(MOST_ERRORS, (int)strnlen(word, MOST_LETTERS) / 2) + 1;
    const char *nearest = NULL;
    for (int i = 0; i < count; i++)
        if (distance(word, words[i]) < errors) {
            errors = distance(word, words[i]);
            nearest = words[i];
        }
    return nearest;
}
