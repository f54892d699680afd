/* Whole pictures: a batch of filters through all octaves, as `render` draws them on one rank. */
#ifndef BENCH_FILTERS_H
#define BENCH_FILTERS_H

#include "filteratlas/model/octaves.h"
#include "filteratlas/net/winograd.h"

#include "report.h"

enum { FILTERS_EPOCHS = 15 }; /* the program's default of --epochs, which the times are scaled to */

/* Draws LAYERS_BATCH filters of each of the layers (names, ended by NULL) with `epochs` >= 2 iterations per octave,
 * `turns` times, of which the best counts, and prints seconds per filter at FILTERS_EPOCHS, by octave and in all. A
 * failure ends the process. */
void filters_bench(const char *const *layers, const struct octaves *octaves, const struct winograd_kernels *kernels,
                   int epochs, int turns, const struct report *report);

/* Prints what one iteration of a batch costs at that extent [pixels] by the Keras and by the Fourier recipe, in turns.
 */
void filters_bench_recipes(const char *const *layers, int extent, const struct winograd_kernels *kernels, int turns,
                           const struct report *report);

#endif
