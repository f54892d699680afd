/* Gradient ascent in input space: draws the pictures of a batch of filters of one layer, through all octaves, by a
 * recipe: that of Keras's conv_filter_visualization.py (2019), or the Fourier recipe after Olah, Mordvintsev &
 * Schubert, "Feature Visualization" (Distill 2017), whose pictures people can read. */
#ifndef FILTERATLAS_ASCENT_H
#define FILTERATLAS_ASCENT_H

#include "filteratlas/ascent/transform.h"
#include "filteratlas/base/error.h"
#include "filteratlas/model/octaves.h"
#include "filteratlas/net/executor.h"

#include <stdbool.h>
#include <stdint.h>

enum { ASCENT_MAX_BATCH = 64, ASCENT_JITTER_ALL = -1 };

enum recipe_kind { RECIPE_KERAS, RECIPE_FOURIER, RECIPES };

/* "keras" or "fourier". Static. */
const char *recipe_name(enum recipe_kind recipe);

/* What a picture depends on, apart from weights, layer and filter. Plain data; zero is the Keras recipe with everything
 * that can be switched off switched off. */
struct ascent_job {
    enum recipe_kind recipe;
    struct octaves octaves;     /* of the Fourier recipe, the last is as large as the finished picture */
    int epochs;                 /* gradient steps per octave */
    uint64_t seed;              /* of all random numbers */
    struct objective objective; /* with .leak, silence only ends an ascent without a gradient */
    int retries;                /* how often a filter that died starts anew, from other noise */
    bool marks_leaks;           /* results say whether the objective leaked */
    bool grey; /* the network takes one channel: the picture's three are the same, and what it is given is their mean */
    int jitter; /* each gradient is that of the picture shifted by at most so many rows and columns, or by
                   ASCENT_JITTER_ALL as far as it goes; 0: not at all */
    enum winograd_precision precision; /* of the network's kernels; here for what drawing costs */
    /* The Keras recipe: */
    double step;             /* length of a step, of the gradient normalised to root mean square 1 */
    bool restore_statistics; /* between octaves, the picture's own mean and deviation instead of x = p / 255 */
    bool bgr;                /* channel 2 is written as red; the ascent is the same */
    double decay;            /* as decay_picture takes it, after every step; 0: off */
    int blur;                /* steps from one blur_picture to the next, counted over all octaves; 0: off */
    double blur_sigma;       /* of each [pixels] */
    /* The Fourier recipe: */
    double rate;         /* Adam's learning rate */
    double spectrum;     /* P of filteratlas/ascent/waves.h */
    double rotate, zoom; /* each gradient is that of the picture turned by at most so many degrees and enlarged or
                            shrunk by at most that share */
    enum preprocess preprocess; /* what the network is given */
};

struct ascent_result {
    int filter;
    bool dead;       /* its loss fell to OBJECTIVE_SILENT or less, and nothing leaked; behind anything but a ReLU: there
                        was no gradient. No picture */
    bool overflowed; /* an activation or a gradient left the range of single precision: no picture either */
    int attempt;     /* from which noise, 0 being the first */
    bool leaked;     /* with job.marks_leaks: the objective leaked in one iteration at least */
    double loss;     /* Keras: the last one computed, before the last update; Fourier: of the finished picture */
    int iterations;  /* losses in trace */
    float *trace;    /* [octaves.steps * epochs] loss of every iteration of this attempt, the smallest octave first */
    uint8_t *picture; /* [height][width][3], RGB */
};

struct ascent;

/* The memory to draw up to `batch` <= ASCENT_MAX_BATCH filters at once of the layers that the executor was made for, at
 * the job's sizes, which must be among the executor's. executor and job must outlive it; a layer is the number of its
 * node. STATUS_USAGE if the network's pictures have neither 3 channels nor, with job->grey, 1. */
int ascent_make(const struct executor *executor, const struct ascent_job *job, int batch, struct ascent **ascent,
                struct error *error);
void ascent_free(struct ascent *ascent);

/* Bytes of that memory. */
double ascent_bytes(const struct ascent *ascent);

/* Draws filters[count] of a layer, count <= batch. results[count] point into *ascent and hold until the next call.
 * A filter's result does not depend on the others. The interrupt (NULL: none) is asked before every iteration and, on
 * the way, at each layer of each picture; STATUS_STOPPED if it said so. */
int ascent_draw(struct ascent *ascent, int layer, const int *filters, int count, const struct interrupt *interrupt,
                struct ascent_result *results, struct error *error);

/* Seconds that one iteration at an octave takes for the layer's first `count` <= batch filters, from their first
 * pictures. *lives: whether any of them lives; the way back through nothing but zeros takes no time. */
double ascent_time(struct ascent *ascent, int layer, int octave, int count, bool *lives);

#endif
