/* "Did you mean": the word that a mistyped one was meant to be. */
#ifndef NEAREST_H
#define NEAREST_H

/* Of words[count] the one nearest to `word`, at most two typing errors away (a letter wrong, missing, added, or swapped
 * with its neighbour) and no more than half the word; NULL if there is none. */
const char *nearest_word(const char *word, const char *const *words, int count);

#endif
