/* The picture as a sum of waves in three decorrelated colour channels, seen through a sigmoid: the Fourier basis of
 * Olah, Mordvintsev & Schubert, "Feature Visualization" (Distill 2017), with waves that an octave adds to those of the
 * smaller ones. */
#include "recipe.h"

#include "filteratlas/ascent/waves.h"
#include "filteratlas/base/huge_pages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3 };

struct fourier_tables {
    struct waves *waves;
    float *t;                         /* [height][3][width] of an octave, or its gradient */
    float colour[CHANNELS][CHANNELS]; /* [red, green, blue][t's channels] */
    float back[CHANNELS][CHANNELS];   /* the same on the way back */
};

static int height_of(const struct ascent_job *job, int octave) { return job->octaves.height[octave]; }
static int width_of(const struct ascent_job *job, int octave) { return job->octaves.width[octave]; }

static size_t picture_floats(const struct ascent_job *job) {
    int last = job->octaves.steps - 1;
    return (size_t)height_of(job, last) * width_of(job, last) * CHANNELS;
}

static size_t count(const struct ascent_job *job) {
    int last = job->octaves.steps - 1;
    return waves_floats(height_of(job, last), width_of(job, last));
}

static double bytes(const struct ascent_job *job) {
    return waves_bytes(&job->octaves) + sizeof(float) * (double)picture_floats(job);
}

/* The square root of the colours' covariance in natural images, as Lucid has it, so that its largest column has norm 1.
 */
static void make_colours(float colour[CHANNELS][CHANNELS]) {
    static const double root[CHANNELS][CHANNELS] = {{.26, .09, .02}, {.27, 0, -.05}, {.27, -.09, .03}};
    double largest = 0;
    for (int t = 0; t < CHANNELS; t++)
        largest = fmax(largest, sqrt(root[0][t] * root[0][t] + root[1][t] * root[1][t] + root[2][t] * root[2][t]));
    for (int c = 0; c < CHANNELS; c++)
        for (int t = 0; t < CHANNELS; t++)
            colour[c][t] = (float)(root[c][t] / largest);
}

/* Of a grey picture all three channels are the first wave's, as strong as the strongest colour. Each has all of the
 * gradient, of which they then get a third. */
static void make_greys(struct fourier_tables *tables) {
    memset(tables->colour, 0, sizeof tables->colour);
    memset(tables->back, 0, sizeof tables->back);
    for (int c = 0; c < CHANNELS; c++) {
        tables->colour[c][0] = (float)(1 / sqrt(CHANNELS));
        tables->back[c][0] = tables->colour[c][0] / CHANNELS;
    }
}

static int make(struct canvas *canvas, struct error *error) {
    struct fourier_tables *tables = canvas->own = calloc(1, sizeof *tables);
    size_t size = picture_floats(canvas->job) * sizeof(float);
    if (tables)
        tables->t = huge_pages_allocate(size);
    if (!tables || !tables->t)
        return error_memory(error, (double)size, "pictures");
    make_colours(tables->colour);
    memcpy(tables->back, tables->colour, sizeof tables->back);
    if (canvas->job->grey)
        make_greys(tables);
    return waves_make(&canvas->job->octaves, canvas->job->spectrum, &tables->waves, error);
}

static void release(struct canvas *canvas) {
    struct fourier_tables *tables = canvas->own;
    if (!tables)
        return;
    waves_free(tables->waves);
    free(tables->t);
    free(tables);
}

/* Of all octaves' waves at once: uniform between -0.01 sqrt(3) and 0.01 sqrt(3), which is a standard deviation of 0.01.
 */
static void start(const struct canvas *canvas, const struct noise_stream *noise, int octave, float *c) {
    (void)octave;
    noise_waves(noise, count(canvas->job), 0.01 * sqrt(3), c);
}

static void render(const struct canvas *canvas, int octave, const float *c, float *picture) {
    const struct fourier_tables *tables = canvas->own;
    int height = height_of(canvas->job, octave), width = width_of(canvas->job, octave);
    waves_synthesize(tables->waves, octave, c, tables->t);
    for (int y = 0; y < height; y++) {
        const float *t = tables->t + (size_t)y * CHANNELS * width;
        for (int channel = 0; channel < CHANNELS; channel++) {
            const float *mix = tables->colour[channel];
            float *out = picture + (size_t)y * width * CHANNELS + channel;
            for (int x = 0; x < width; x++) {
                float u = mix[0] * t[x] + mix[1] * t[width + x] + mix[2] * t[2 * width + x];
                out[x * CHANNELS] = 1 / (1 + expf(-u));
            }
        }
    }
}

static void pull_back(const struct canvas *canvas, int octave, const float *picture, float *picture_gradient,
                      float *c_gradient) {
    const struct fourier_tables *tables = canvas->own;
    int height = height_of(canvas->job, octave), width = width_of(canvas->job, octave);
    const float(*mix)[CHANNELS] = tables->back;
    for (int y = 0; y < height; y++) {
        float *t = tables->t + (size_t)y * CHANNELS * width;
        const float *s = picture + (size_t)y * width * CHANNELS;
        const float *g = picture_gradient + (size_t)y * width * CHANNELS;
        for (int x = 0; x < width; x++, s += CHANNELS, g += CHANNELS) {
            float red = g[0] * s[0] * (1 - s[0]), green = g[1] * s[1] * (1 - s[1]), blue = g[2] * s[2] * (1 - s[2]);
            for (int channel = 0; channel < CHANNELS; channel++)
                t[channel * width + x] = mix[0][channel] * red + mix[1][channel] * green + mix[2][channel] * blue;
        }
    }
    waves_pull_back(tables->waves, octave, tables->t, c_gradient);
}

static void finish(const struct canvas *canvas, const float *picture, uint8_t *rgb) {
    size_t floats = picture_floats(canvas->job);
    for (size_t i = 0; i < floats; i++)
        rgb[i] = (uint8_t)(255 * picture[i] + 0.5f);
}

const struct parameterisation fourier = {.count = count,
                                         .bytes = bytes,
                                         .make = make,
                                         .free = release,
                                         .start = start,
                                         .render = render,
                                         .pull_back = pull_back,
                                         .finish = finish};
