/* Layer by layer against the peer. */
#ifndef BENCH_LAYERS_H
#define BENCH_LAYERS_H

#include "filteratlas/net/network.h"

#include "report.h"

#include <stdbool.h>

enum { LAYERS_BATCH = 8 }; /* the program's default of --batch */

struct layers_plan {
    const struct network *network; /* with all its layers */
    const struct octaves *octaves;
    bool chosen[VGG_MAX_LAYERS];
    int first_octave; /* this one and the larger ones */
    int turns;        /* at least; the best counts */
};

/* Times every chosen layer at every octave, forward and backward, ours and the peer's in turns, and prints the tables:
 * each layer at the largest octave, then all layers over all octaves. */
void layers_bench(const struct layers_plan *plan, const struct report *report);

#endif
