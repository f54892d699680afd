/* What an ascent is put together from: a parameterisation (what numbers a picture is made of), transforms (how the
 * network looks at the picture), an optimiser (how the numbers climb); the objective is the job's
 * (filteratlas/net/objective.h). A recipe is a named choice of them. Pictures are [height][width][3] of an octave's
 * size.
 */
#ifndef RECIPE_H
#define RECIPE_H

#include "filteratlas/ascent/ascent.h"
#include "noise.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the pictures of a job are drawn on, one at a time. */
struct canvas {
    const struct ascent_job *job;
    void *own; /* what the parameterisation has made for itself */
};

/* A picture as a function of its parameters, which are floats. */
struct parameterisation {
    /* Number of the parameters, enough for every octave, and bytes of what `make` makes. */
    size_t (*count)(const struct ascent_job *job);
    double (*bytes)(const struct ascent_job *job);

    /* canvas->own, for canvas->job; to be released by free, after a failure too. */
    int (*make)(struct canvas *canvas, struct error *error);
    void (*free)(struct canvas *canvas);

    /* The parameters of the first picture, by the filter's random numbers, at the octave where the ascent begins. */
    void (*start)(const struct canvas *canvas, const struct noise_stream *noise, int octave, float *parameters);

    /* The picture of an octave's size, and the gradient with respect to the parameters from that with respect to the
     * picture, which may be overwritten. Both NULL: the parameters are the picture's pixels. */
    void (*render)(const struct canvas *canvas, int octave, const float *parameters, float *picture);
    void (*pull_back)(const struct canvas *canvas, int octave, const float *picture, float *picture_gradient,
                      float *parameter_gradient);

    /* After step number `steps` of the ascent; *scratch has the size of the picture. NULL: nothing. */
    void (*settle)(const struct canvas *canvas, int octave, int steps, float *parameters, float *scratch);

    /* From an octave to the next, or to the finished picture's size. NULL: the parameters are those of every size. */
    int (*widen)(const struct canvas *canvas, int octave, float *parameters, struct error *error);

    /* The finished picture as 8 bits, red, green, blue; `picture` is render's of the last octave, or the parameters. */
    void (*finish)(const struct canvas *canvas, const float *picture, uint8_t *rgb);
};

extern const struct parameterisation pixels, fourier;

/* How the network looks at a picture in one iteration. */
struct view {
    const struct ascent_job *job;
    int height, width;
    bool still;        /* the finished picture, looked at as it is */
    int rows, columns; /* of the shift */
    double uniform[2]; /* in [0, 1), of rotation and zoom */
};

/* From what the network is given, back to the picture, in the reverse order. */
struct transform {
    bool (*has)(const struct view *view); /* whether it does anything */
    void (*apply)(const struct view *view, const float *in, float *out);
    void (*pull_back)(const struct view *view, const float *out_gradient, float *in_gradient);
};

/* Moves parameters[count] along the gradient for the iteration number `iteration`, from 0. state [states][count] is 0
 * before the first. False if the gradient is 0 all over. */
struct optimiser {
    int states;
    bool (*step)(const struct ascent_job *job, int iteration, size_t count, const float *gradient, float *state,
                 float *parameters);
};

extern const struct optimiser normalised_gradient, adam;

enum { RECIPE_TRANSFORMS = 4 };

struct recipe {
    const char *name;
    const struct parameterisation *parameterisation;
    const struct transform *transforms[RECIPE_TRANSFORMS + 1]; /* in the order in which they are applied; NULL ends */
    const struct optimiser *optimiser;
    /* The random numbers of an iteration's view. */
    void (*look)(const struct noise_stream *noise, int iteration, struct view *view);
    bool looks_again; /* the filter's loss is that of the finished picture, not the last one on the way */
};

const struct recipe *recipe_of(const struct ascent_job *job);

#endif
