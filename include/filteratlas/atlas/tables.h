/* The tables of the atlas, made anew from all that the store holds. */
#ifndef FILTERATLAS_TABLES_H
#define FILTERATLAS_TABLES_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"

#include <stdbool.h>

/* DIR/losses.csv: layer,filter,status,loss,seconds,rank; losses with 17 digits. With rescues, a column "rescue": of a
 * job in which filters may be kept from death, even if none was. */
int tables_write_losses(const struct store *store, const struct store_layer *layers, int count, bool rescues,
                        struct error *error);

/* DIR/trace.csv: layer,filter,octave,epoch,loss, of the units that were drawn with --trace. Not made if there are none.
 */
int tables_write_trace(const struct store *store, const struct store_layer *layers, int count, struct error *error);

#endif
