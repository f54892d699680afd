/* Random weights of a full-width VGG16 in which the filters to be measured live. A dead filter ends after one
 * iteration, which would make a batch look faster than it is. */
#ifndef BENCH_LIVE_WEIGHTS_H
#define BENCH_LIVE_WEIGHTS_H

#include "filteratlas/model/weights.h"

/* What a layer's biases are raised by so that none of its filters dies: many standard deviations of what the
 * convolution brings. The ReLU then passes the gradient everywhere, so that no position is skipped for being silent. */
#define LIVE_BIAS 100.0F

/* The weights that tests/unit/weights_writer.h writes by default, in memory. Release with weights_free. A failure ends
 * the process. */
struct weights live_weights_make(void);

/* Raises the biases of a layer. */
void live_weights_wake(struct weights *weights, int layer);

#endif
