/* The picture as its pixels, in the arithmetic of Keras's conv_filter_visualization.py (2019): noise around 128,
 * enlarged between two octaves by way of 8 bits. */
#include "recipe.h"

#include "filteratlas/ascent/smooth.h"
#include "filteratlas/image/resize.h"
#include "picture8.h"

#include <stdlib.h>

/* Scratch memory: a picture of the finished size, before and after it is enlarged. */
struct pixels_scratch {
    uint8_t *small, *enlarged;
};

static size_t picture_floats(const struct ascent_job *job, int octave) {
    return (size_t)job->octaves.height[octave] * job->octaves.width[octave] * 3;
}

static size_t count(const struct ascent_job *job) { return picture_floats(job, job->octaves.steps); }

static double bytes(const struct ascent_job *job) { return 2.0 * (double)count(job); }

static int make(struct canvas *canvas, struct error *error) {
    size_t size = count(canvas->job);
    struct pixels_scratch *scratch = canvas->own = calloc(1, sizeof *scratch);
    if (scratch) {
        scratch->small = malloc(size);
        scratch->enlarged = malloc(size);
    }
    return scratch && scratch->small && scratch->enlarged ? STATUS_OK
                                                          : error_memory(error, 2.0 * (double)size, "pictures");
}

static void release(struct canvas *canvas) {
    struct pixels_scratch *scratch = canvas->own;
    if (!scratch)
        return;
    free(scratch->small);
    free(scratch->enlarged);
    free(scratch);
}

/* Numbers of one channel, in place, become those of three: from the end on, where nothing is lost. */
static void spread_grey(size_t pixels, float *x) {
    for (size_t i = pixels; i-- > 0;)
        x[3 * i] = x[3 * i + 1] = x[3 * i + 2] = x[i];
}

static void start(const struct canvas *canvas, const struct noise_stream *noise, int octave, float *x) {
    size_t floats = picture_floats(canvas->job, octave), pixels = floats / 3;
    noise_picture(noise, canvas->job->grey ? pixels : floats, x);
    if (canvas->job->grey)
        spread_grey(pixels, x);
}

static void settle(const struct canvas *canvas, int octave, int steps, float *x, float *scratch) {
    const struct ascent_job *job = canvas->job;
    if (job->decay > 0)
        decay_picture(x, picture_floats(job, octave), job->decay);
    if (job->blur && steps % job->blur == 0)
        blur_picture(x, job->octaves.height[octave], job->octaves.width[octave], job->blur_sigma, scratch);
}

static int widen(const struct canvas *canvas, int octave, float *x, struct error *error) {
    const struct pixels_scratch *scratch = canvas->own;
    const struct octaves *o = &canvas->job->octaves;
    struct picture_statistics was = picture8(x, picture_floats(canvas->job, octave), scratch->small);
    int status = resize_bicubic(scratch->small, o->width[octave], o->height[octave], scratch->enlarged,
                                o->width[octave + 1], o->height[octave + 1], error);
    if (status)
        return status;
    bool restore = canvas->job->restore_statistics;
    size_t size = picture_floats(canvas->job, octave + 1);
    for (size_t i = 0; i < size; i++) {
        double value = scratch->enlarged[i] / 255.0;
        x[i] = (float)(restore ? (value - 0.5) * 4 * was.deviation + was.mean : value);
    }
    return STATUS_OK;
}

static void swap_red_and_blue(uint8_t *picture, size_t size) {
    for (size_t i = 0; i < size; i += 3) {
        uint8_t red = picture[i + 2];
        picture[i + 2] = picture[i];
        picture[i] = red;
    }
}

static void finish(const struct canvas *canvas, const float *x, uint8_t *rgb) {
    picture8(x, count(canvas->job), rgb);
    if (canvas->job->bgr)
        swap_red_and_blue(rgb, count(canvas->job));
}

const struct parameterisation pixels = {.count = count,
                                        .bytes = bytes,
                                        .make = make,
                                        .free = release,
                                        .start = start,
                                        .settle = settle,
                                        .widen = widen,
                                        .finish = finish};
