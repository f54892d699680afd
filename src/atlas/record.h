/* The record of a unit of work, as store.h describes its format. */
#ifndef RECORD_H
#define RECORD_H

#include "filteratlas/atlas/durable.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* Where a record lies, and what it must be of. */
struct record_place {
    const char *layer;
    int unit;
    char path[DURABLE_PATH_SIZE];
};

struct record_place record_place_of(const struct store *store, const char *layer, int unit);

/* Appends the record of the filters, and of the unit's trace if that is not empty, to *text. */
void record_format(const struct record_place *place, const struct store_filter *filters, int count,
                   const struct text *trace, struct text *text);

/* Appends the filters of a record to *layer. A record that is missing adds none; one that can't be read, that isn't
 * whole, that is of another unit or whose trace doesn't match sets *broken. */
int record_read(const struct record_place *place, struct store_layer *layer, bool *broken, struct error *error);

/* Whose a record is, by what it says itself. */
enum record_owner { RECORD_BROKEN, RECORD_OF_LAYER, RECORD_OF_ANOTHER };
enum record_owner record_owner(const struct record_place *place);

/* The path of the trace that a whole record names; false if it names none. */
bool record_trace(const struct record_place *place, char path[DURABLE_PATH_SIZE]);

/* The filters of a record and the new ones, rising, into *merged, which starts as {0}; of a filter that both name, the
 * new one stays. */
int record_merge(const struct record_place *place, const struct store_filter *filters, int count,
                 struct store_layer *merged, struct error *error);

/* Order of struct store_filter for qsort and bsearch. */
int record_by_index(const void *a, const void *b);

#endif
