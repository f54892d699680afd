/* The lists of a layer's examples as tables, a row for each filter that the store has, for formats that want them so.
 */
#ifndef EXAMPLE_TABLES_H
#define EXAMPLE_TABLES_H

#include "filteratlas/atlas/examples.h"
#include "filteratlas/atlas/store.h"

struct example_tables {
    int count, top;
    int32_t *answered;     /* [count] */
    const char **image;    /* [count][top] names, of struct examples, "" where there is none */
    int32_t *row, *column; /* [count][top], -1 where there is none */
    float *activation;     /* [count][top], 0 where there is none */
};

/* What is known of a layer, NULL if nothing. */
const struct examples_layer *example_tables_find(const struct examples *examples, const char *name);

/* The number, among all filters of the examples, of the filter in a row of the store's layer; -1 if it is not known. */
int example_tables_filter(const struct examples_layer *known, const struct store_layer *layer, int row);

/* Tables for `count` filters; release with example_tables_free, after a failure too. */
int example_tables_make(int count, int top, struct example_tables *tables, struct error *error);
void example_tables_free(struct example_tables *tables);

/* Fills them, one row for each filter of the store's layer. */
void example_tables_fill(const struct examples *examples, const struct examples_layer *known,
                         const struct store_layer *layer, struct example_tables *tables);

#endif
