/* How alike the kernels of two networks are, filter by filter. */
#ifndef FILTERATLAS_SIMILARITY_H
#define FILTERATLAS_SIMILARITY_H

#include "filteratlas/model/graph.h"

#include <stdbool.h>

/* Whether node a of graph x and node b of graph y are both convolutions, or both dense layers, with kernels of one
 * shape: rows, columns, input channels, groups and filters. */
bool similarity_is_defined(const struct graph *x, int a, const struct graph *y, int b);

/* cosine[filters], from -1 to 1: the inner product of the two kernels of a filter over the product of their lengths, in
 * double precision; biases don't count. NAN where a kernel is all zeros. For nodes for which it is defined. Folded
 * batch normalisation scales a filter's kernel, which changes no cosine but in sign, where its gamma is negative. */
void similarity_of_kernels(const struct graph *x, int a, const struct graph *y, int b, double *cosine);

#endif
