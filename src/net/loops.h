/* Long loops over values that stand side by side, built once for each instruction set as the Winograd kernels are. They
 * round the same in every set: nothing is contracted, and every sum has its order. */
#ifndef LOOPS_H
#define LOOPS_H

#include "filteratlas/model/graph.h"
#include "filteratlas/net/winograd.h"

#include <stddef.h>
#include <stdint.h>

/* The place of a row of values and of the weights that they are multiplied by, in floats. */
struct loop_tap {
    size_t value, weight;
};

/* v = z + bias -> out = f(v), and what activation.h notes: gates (uint8_t) or slopes (float). bias may be NULL; slopes
 * are PReLU's. out may be z. */
typedef void loop_activation(const float parameter[3], size_t count, const float *slopes, const float *z,
                             const float *bias, float *out, void *notes);

struct loops {
    const char *name;
    loop_activation *activation[GRAPH_SOFTMAX]; /* [enum graph_function]; GRAPH_RELU: max(v, 0) */
    loop_activation *bounded_relu;              /* with a threshold and a greatest value, but no slope below */
    loop_activation *bent_relu;                 /* with a slope below */
    void (*open_gates)(size_t count, const float *values, const uint8_t *gates, float *out); /* 0 where the gate is */
    void (*multiply)(size_t count, const float *a, const float *b, float *out);
    void (*scale)(size_t count, const float *values, float factor, float *out);
    void (*sum)(size_t count, const float *a, const float *b, float *out);
    void (*add_scaled)(size_t count, const float *values, float factor, float *to);

    /* greatest = max(greatest, values), and its place where values are greater. */
    void (*keep_greater)(size_t count, const float *values, uint32_t place, float *greatest, uint32_t *places);

    /* out = start + the sum over all taps of values times weights, value by value; start may be NULL. */
    void (*add_taps)(const struct loop_tap *taps, int tap_count, const float *values, const float *weights,
                     const float *start, size_t count, float *out);

    float (*dot)(size_t count, const float *a, const float *b);
};

/* The loops for the instruction set of these kernels. */
const struct loops *loops_for(const struct winograd_kernels *kernels);

#endif
