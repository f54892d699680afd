/* Where an ascent's losses and gradients come from: a VGG's struct network, or an executor of any graph. */
#ifndef SOURCE_H
#define SOURCE_H

#include "filteratlas/net/executor.h"

struct source {
    const struct network *network; /* or */
    const struct executor *executor;
    struct network_memory of_network;
    struct executor_memory *of_executor;
};

/* The memory for up to `pictures` pictures; of a network, for layers up to `deepest` at the sizes of octaves. Either
 * pointer is set before. Release with source_free, after a failure too. */
int source_make(struct source *source, const struct octaves *octaves, int deepest, int pictures, struct error *error);
void source_free(struct source *source);

double source_bytes(const struct source *source);

/* As network_gradients and executor_gradients. */
bool source_gradients(struct source *source, const struct objective *objective, int layer, int height, int width,
                      struct network_picture *pictures, int count, const struct interrupt *interrupt);

/* Whether silence, a loss of nothing, means that no gradient comes through. */
bool source_rectifies(const struct source *source, int layer);

/* The layer's number in the noise's key. */
int source_number(const struct source *source, int layer);

#endif
