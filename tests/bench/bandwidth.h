/* How much memory bandwidth an iteration takes, and what it costs where another process takes some, too. */
#ifndef BENCH_BANDWIDTH_H
#define BENCH_BANDWIDTH_H

#include "filteratlas/model/octaves.h"
#include "filteratlas/net/winograd.h"

#include "report.h"

/* For each of the kernel sets (ended by NULL) and each octave from number `first` on: what an iteration of a batch of
 * filters of `layer` reads and writes, counted, and how much longer one takes on this core beside a process on another
 * core that does the same, that copies memory, or that stays in its registers; `rounds` times in turns, medians. On a
 * machine with a single core it says that there is nothing to compare. A failure ends the process. */
void bandwidth_bench(const char *layer, const struct octaves *octaves, int first,
                     const struct winograd_kernels *const *kernels, int rounds, const struct report *report);

#endif
