/* What an ascent climbs, as a function of the wanted channel's map z before its ReLU: by default the mean of the map
 * after the ReLU. */
#ifndef FILTERATLAS_OBJECTIVE_H
#define FILTERATLAS_OBJECTIVE_H

#include <stdbool.h>

/* A channel whose loss is this or less is silent: no gradient comes through its ReLU. */
#define OBJECTIVE_SILENT 1e-7

struct objective {
    bool neuron; /* the one position at row height / 2, column width / 2 instead of the map's mean */
    int border;  /* positions at each edge of the map that are left out of the mean; as many as leave one per axis */
    bool leak;   /* the gradient of a silent channel is that of z's mean, without the ReLU */
};

/* z [height][width] becomes the gradient of the objective with respect to z. Returns the loss: the mean after the ReLU
 * over the positions that count. */
double objective_turn(const struct objective *objective, float *z, int height, int width);

/* The same behind any other activation f, without leaking: values [height][width] = f(z), and slopes f'(z), which
 * become the gradient with respect to z. Returns the mean of the values that count. */
double objective_turn_slopes(const struct objective *objective, const float *values, float *slopes, int height,
                             int width);

#endif
