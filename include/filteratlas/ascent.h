/* Gradient ascent in input space: draws the pictures of a batch of filters of one layer, through all octaves.
 * The arithmetic is that of Keras's conv_filter_visualization.py (2019). */
#ifndef FILTERATLAS_ASCENT_H
#define FILTERATLAS_ASCENT_H

#include "filteratlas/error.h"
#include "filteratlas/network.h"
#include "filteratlas/octaves.h"

#include <stdbool.h>
#include <stdint.h>

enum { ASCENT_MAX_BATCH = 64 };

/* What a picture depends on, apart from weights, layer and filter. Plain data. */
struct ascent_job {
    struct octaves octaves;
    int epochs;              /* gradient steps per octave */
    double step;             /* length of a step, of the gradient normalised to root mean square 1 */
    uint64_t seed;           /* of the noise */
    bool restore_statistics; /* between octaves, the picture's own mean and deviation instead of x = p / 255 */
    bool bgr;                /* channel 2 is written as red; the ascent is the same */
    /* Off when 0: */
    struct objective objective; /* with .leak, silence only ends an ascent without a gradient */
    int retries;                /* how often a filter that died starts anew, from other noise */
    double decay;               /* as decay_picture takes it, after every step */
    int blur;                   /* steps from one blur_picture to the next, counted over all octaves */
    double blur_sigma;          /* of each [pixels] */
    int jitter;                 /* each gradient is that of the picture shifted by at most so many rows and columns */
};

struct ascent_result {
    int filter;
    bool dead;        /* its loss fell to OBJECTIVE_SILENT or less, and nothing leaked: no picture */
    bool overflowed;  /* an activation or a gradient left the range of single precision: no picture either */
    int attempt;      /* from which noise, 0 being the first */
    bool leaked;      /* the objective leaked in one iteration at least */
    double loss;      /* the last one computed, before the last update */
    int iterations;   /* losses in trace */
    float *trace;     /* [octaves.steps * epochs] loss of every iteration of this attempt, the smallest octave first */
    uint8_t *picture; /* [height][width][3], RGB */
};

struct ascent;

/* The memory to draw up to `batch` <= ASCENT_MAX_BATCH filters at once of layers up to `deepest`. network and job must
 * outlive it. */
int ascent_make(const struct network *network, const struct ascent_job *job, int deepest, int batch,
                struct ascent **ascent, struct error *error);
void ascent_free(struct ascent *ascent);

/* Bytes of that memory, but for the network's part (network_memory). */
double ascent_picture_bytes(const struct ascent_job *job, int batch);

/* Asked before every iteration; `false` ends the drawing. */
typedef bool ascent_goes_on(void *context);

/* Draws filters[count] of a layer, count <= batch. results[count] point into *ascent and hold until the next call.
 * A filter's result does not depend on the others. STATUS_STOPPED if goes_on said so. */
int ascent_draw(struct ascent *ascent, int layer, const int *filters, int count, ascent_goes_on *goes_on, void *context,
                struct ascent_result *results, struct error *error);

#endif
