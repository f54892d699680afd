#include "filteratlas/atlas/sort.h"

#include <stdlib.h>

static int by_loss(const void *a, const void *b) {
    const struct store_filter *x = a, *y = b;
    if (x->loss != y->loss)
        return x->loss < y->loss ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

int sort_live(const struct store_layer *layer, bool by_index, struct store_filter **live, int *count,
              struct error *error) {
    struct store_filter *chosen = *live = malloc((layer->count + 1) * sizeof *chosen);
    *count = 0;
    if (!chosen)
        return error_memory(error, layer->count * (double)sizeof *chosen, "a layer's filters");
    for (int i = 0; i < layer->count; i++)
        if (!layer->filter[i].dead)
            chosen[(*count)++] = layer->filter[i];
    if (!by_index)
        qsort(chosen, *count, sizeof *chosen, by_loss);
    return STATUS_OK;
}
