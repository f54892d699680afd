/* How much of an atlas a person can read: which filters have a picture, and how much of the pictures is fine grain. */
#ifndef LEGIBILITY_H
#define LEGIBILITY_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"

/* Prints, for every layer that is selected and for all of them, the number of filters, of pictures, and the median over
 * the pictures of the share of a picture's energy (its squared deviation from its mean, by Parseval's theorem) at
 * frequencies above a quarter of the sampling frequency. list: as --layers, NULL for all. Reads every picture, until
 * interrupted. */
int legibility_print(const struct store *store, const char *list, const struct interrupt *interrupt,
                     struct error *error);

#endif
