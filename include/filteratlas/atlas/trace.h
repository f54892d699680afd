/* The losses of every iteration, as CSV lines "layer,filter,octave,epoch,loss" without a head. Octaves and epochs count
 * up from 0, the smallest picture first. The store keeps a unit's lines beside its record. */
#ifndef FILTERATLAS_TRACE_H
#define FILTERATLAS_TRACE_H

#include "filteratlas/base/text.h"

/* Appends a filter's lines, one for each of loss[count]; `epochs` to an octave. */
void trace_append(struct text *text, const char *layer, int filter, int epochs, const float *loss, int count);

#endif
