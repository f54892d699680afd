#include "filteratlas/model/similarity.h"

#include <math.h>
#include <stddef.h>

static bool has_kernels(const struct graph_node *node) {
    return (node->operation == GRAPH_CONVOLUTION || node->operation == GRAPH_DENSE) && node->weights != GRAPH_NOTHING;
}

/* Numbers of a filter's kernel; they stand `channels` apart. */
static size_t kernel_size(const struct graph_node *node) {
    size_t inputs = (size_t)node->in_channels;
    return node->operation == GRAPH_DENSE ? inputs : inputs / node->groups * node->kernel[0] * node->kernel[1];
}

bool similarity_is_defined(const struct graph *x, int a, const struct graph *y, int b) {
    const struct graph_node *one = &x->node[a], *other = &y->node[b];
    return has_kernels(one) && has_kernels(other) && one->operation == other->operation &&
           one->channels == other->channels && one->in_channels == other->in_channels &&
           (one->operation == GRAPH_DENSE ||
            (one->groups == other->groups && one->kernel[0] == other->kernel[0] && one->kernel[1] == other->kernel[1]));
}

void similarity_of_kernels(const struct graph *x, int a, const struct graph *y, int b, double *cosine) {
    const struct graph_node *node = &x->node[a];
    const float *one = x->values + node->weights, *other = y->values + y->node[b].weights;
    size_t size = kernel_size(node), filters = (size_t)node->channels;
    for (size_t f = 0; f < filters; f++) {
        double product = 0, square = 0, other_square = 0;
        for (size_t i = f; i < size * filters; i += filters) {
            product += (double)one[i] * other[i];
            square += (double)one[i] * one[i];
            other_square += (double)other[i] * other[i];
        }
        double length = sqrt(square * other_square);
        cosine[f] = length > 0 ? fmax(-1, fmin(1, product / length)) : NAN;
    }
}
