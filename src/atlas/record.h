/* The record of a unit of work, as store.h describes its format. */
#ifndef RECORD_H
#define RECORD_H

#include "filteratlas/error.h"
#include "filteratlas/store.h"
#include "filteratlas/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CRC-32 as PNG and zlib compute it. */
uint32_t record_checksum(const void *bytes, size_t size);

/* Appends the record of the filters, and of the unit's trace if that is not empty, to *text. */
void record_format(const struct store_filter *filters, int count, const struct text *trace, struct text *text);

/* Appends the filters of the record at path to *layer; a record that is missing adds none, one that isn't whole or
 * whose trace doesn't match sets *broken. */
int record_read(const char *path, struct store_layer *layer, bool *broken, struct error *error);

/* The filters of the record at path and the new ones, rising, into *merged, which starts as {0}; of a filter that both
 * name, the new one stays. */
int record_merge(const char *path, const struct store_filter *filters, int count, struct store_layer *merged,
                 struct error *error);

/* Order of struct store_filter for qsort and bsearch. */
int record_by_index(const void *a, const void *b);

#endif
