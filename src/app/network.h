/* The network that a run is about, and what of it. */
#ifndef FILTERATLAS_NETWORK_OF_RUN_H
#define FILTERATLAS_NETWORK_OF_RUN_H

#include "filteratlas/ascent/cost.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/model/model.h"
#include "options.h"
#include "selection.h"

/* Reads the network and makes the selection. As model_reader_read, it may be interrupted. The caller releases model and
 * selection, after a failure too. */
int network_read_selected(const struct options *options, const struct interrupt *interrupt, struct model *model,
                          struct selection *selection, bool *abandoned, struct error *error);

/* The same for drawing; what only it can tell becomes of the options: a size that was not given is
 * the network's own in the Fourier recipe. STATUS_USAGE if file, layers, filters, size or precision don't fit together.
 */
int network_read(struct options *options, const struct interrupt *interrupt, struct model *model,
                 struct selection *selection, bool *abandoned, struct error *error);

/* The ascent that the options describe, for this network. */
struct ascent_job network_job(const struct options *options, const struct graph *graph);

/* Marks the nodes of the chosen layers in nodes[graph.nodes]. */
void network_mark_nodes(const struct model *model, const bool *chosen, bool *nodes);

/* What the chosen layers cost, costs[layers.count], of which the caller releases the array. The others have no filters
 * there. */
int network_make_costs(const struct model *model, const bool *chosen, const struct ascent_job *job,
                       const struct winograd_kernels *kernels, struct layer_cost **costs, struct error *error);

/* A line on standard error, for networks other than VGGs: --preprocess was not given, and the default may be wrong. */
void network_say_preprocessing(const struct layers *layers);

#endif
