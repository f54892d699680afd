/* The tables of the atlas, made anew from all that the store holds. */
#ifndef FILTERATLAS_TABLES_H
#define FILTERATLAS_TABLES_H

#include "filteratlas/error.h"
#include "filteratlas/store.h"

/* DIR/losses.csv: layer,filter,status,loss,seconds,rank; losses with 17 digits. */
int tables_write_losses(const struct store *store, const struct store_layer *layers, int count, struct error *error);

/* DIR/trace.csv: layer,filter,octave,epoch,loss, of the units that were drawn with --trace. Not made if there are none.
 */
int tables_write_trace(const struct store *store, const struct store_layer *layers, int count, struct error *error);

#endif
