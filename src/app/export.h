/* DIR/atlas.h5, as --hdf5 asks for it. */
#ifndef EXPORT_H
#define EXPORT_H

#include "filteratlas/atlas/store.h"
#include "options.h"

/* Whether it was asked for, now or by an earlier command that left one in DIR: a file that has only some of the
 * pictures that lie beside it would mislead. */
bool export_wanted(const struct store *store, const struct options *options);

/* Writes it from the layers and the job, whose options become attributes; unless quiet, a line on standard output. */
int export_atlas(const struct store *store, const struct store_job *job, const struct store_layer *layers, int count,
                 bool quiet, const struct interrupt *interrupt, struct error *error);

#endif
