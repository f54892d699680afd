#include "filteratlas/ascent.h"

#include "filteratlas/noise.h"
#include "filteratlas/picture8.h"
#include "filteratlas/resize.h"

#include <math.h>
#include <stdlib.h>

static const double DEAD_LOSS = 1e-7;

struct ascent {
    const struct network *network;
    const struct ascent_job *job;
    struct network_memory memory;
    int batch;
    size_t floats;     /* of a picture of the final size */
    float *x;          /* [batch][floats] */
    float *gradients;  /* [batch][floats] */
    float *traces;     /* [batch][steps * epochs] */
    uint8_t *pictures; /* [batch][floats] */
    uint8_t *enlarged; /* [floats] */
};

static size_t picture_floats(const struct octaves *octaves, int octave) {
    return (size_t)octaves->height[octave] * octaves->width[octave] * 3;
}

double ascent_picture_bytes(const struct ascent_job *job, int batch) {
    double floats = (double)picture_floats(&job->octaves, job->octaves.steps);
    return floats * (batch * (2 * sizeof(float) + 1) + 1) +
           sizeof(float) * (double)batch * job->octaves.steps * job->epochs;
}

int ascent_make(const struct network *network, const struct ascent_job *job, int deepest, int batch,
                struct ascent **ascent, struct error *error) {
    const struct octaves *octaves = &job->octaves;
    struct ascent *a = *ascent = calloc(1, sizeof *a);
    if (!a)
        return error_memory(error, sizeof *a, "the ascent");
    size_t iterations = (size_t)octaves->steps * job->epochs;
    *a = (struct ascent){.network = network, .job = job, .batch = batch};
    a->floats = picture_floats(octaves, octaves->steps);
    a->x = malloc(batch * a->floats * sizeof *a->x);
    a->gradients = malloc(batch * a->floats * sizeof *a->gradients);
    a->traces = malloc(batch * iterations * sizeof *a->traces);
    a->pictures = malloc(batch * a->floats);
    a->enlarged = malloc(a->floats);
    if (!a->x || !a->gradients || !a->traces || !a->pictures || !a->enlarged)
        return error_memory(error, ascent_picture_bytes(job, batch), "pictures");
    return network_memory_make(network, octaves, deepest, batch, &a->memory, error);
}

void ascent_free(struct ascent *ascent) {
    if (!ascent)
        return;
    network_memory_free(&ascent->memory);
    free(ascent->x);
    free(ascent->gradients);
    free(ascent->traces);
    free(ascent->pictures);
    free(ascent->enlarged);
    free(ascent);
}

static void begin(struct ascent *ascent, int layer, const int *filters, int count, struct ascent_result *results) {
    const struct ascent_job *job = ascent->job;
    for (int i = 0; i < count; i++) {
        results[i] = (struct ascent_result){.filter = filters[i],
                                            .trace = ascent->traces + (size_t)i * job->octaves.steps * job->epochs,
                                            .picture = ascent->pictures + i * ascent->floats};
        noise_picture(job->seed, layer, filters[i], picture_floats(&job->octaves, 0), ascent->x + i * ascent->floats);
    }
}

/* x += step * gradient / (root mean square of the gradient + 1e-7) */
static void climb(float *x, const float *gradient, size_t count, double step) {
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (double)gradient[i] * gradient[i];
    float scale = (float)(step / (sqrt(squares / (double)count) + 1e-7));
    for (size_t i = 0; i < count; i++)
        x[i] += scale * gradient[i];
}

/* One iteration, at an octave, of the filters that are not dead. */
static void iterate(struct ascent *ascent, int layer, int octave, struct ascent_result *results, int count) {
    const struct octaves *octaves = &ascent->job->octaves;
    struct network_picture pictures[ASCENT_MAX_BATCH];
    struct ascent_result *alive[ASCENT_MAX_BATCH];
    int n = 0;
    for (int i = 0; i < count; i++)
        if (!results[i].dead) {
            alive[n] = &results[i];
            pictures[n++] = (struct network_picture){.filter = results[i].filter,
                                                     .x = ascent->x + i * ascent->floats,
                                                     .gradient = ascent->gradients + i * ascent->floats};
        }
    if (!n)
        return;
    network_gradients(ascent->network, &ascent->memory, layer, octaves->height[octave], octaves->width[octave],
                      pictures, n);
    for (int i = 0; i < n; i++) {
        float *x = ascent->x + (alive[i] - results) * ascent->floats;
        climb(x, pictures[i].gradient, picture_floats(octaves, octave), ascent->job->step);
        alive[i]->loss = pictures[i].loss;
        alive[i]->trace[alive[i]->iterations++] = (float)pictures[i].loss;
        alive[i]->dead = pictures[i].loss <= DEAD_LOSS;
    }
}

/* Brings x from the size of an octave to that of the next, by way of 8 bits. */
static int enlarge(struct ascent *ascent, int octave, float *x, struct ascent_result *result, struct error *error) {
    const struct octaves *o = &ascent->job->octaves;
    struct picture_statistics was = picture8(x, picture_floats(o, octave), result->picture);
    int status = resize_bicubic(result->picture, o->width[octave], o->height[octave], ascent->enlarged,
                                o->width[octave + 1], o->height[octave + 1], error);
    if (status)
        return status;
    bool restore = ascent->job->restore_statistics;
    size_t count = picture_floats(o, octave + 1);
    for (size_t i = 0; i < count; i++) {
        double value = ascent->enlarged[i] / 255.0;
        x[i] = (float)(restore ? (value - 0.5) * 4 * was.deviation + was.mean : value);
    }
    return STATUS_OK;
}

static void swap_red_and_blue(uint8_t *picture, size_t count) {
    for (size_t i = 0; i < count; i += 3) {
        uint8_t red = picture[i + 2];
        picture[i + 2] = picture[i];
        picture[i] = red;
    }
}

static void finish(const struct ascent *ascent, const float *x, struct ascent_result *result) {
    picture8(x, ascent->floats, result->picture);
    if (ascent->job->bgr)
        swap_red_and_blue(result->picture, ascent->floats);
}

int ascent_draw(struct ascent *ascent, int layer, const int *filters, int count, ascent_goes_on *goes_on, void *context,
                struct ascent_result *results, struct error *error) {
    begin(ascent, layer, filters, count, results);
    for (int octave = 0; octave < ascent->job->octaves.steps; octave++) {
        for (int epoch = 0; epoch < ascent->job->epochs; epoch++) {
            if (!goes_on(context))
                return error_set(error, STATUS_STOPPED, "stopped");
            iterate(ascent, layer, octave, results, count);
        }
        for (int i = 0; i < count; i++) {
            float *x = ascent->x + i * ascent->floats;
            int status = results[i].dead ? STATUS_OK : enlarge(ascent, octave, x, &results[i], error);
            if (status)
                return status;
        }
    }
    for (int i = 0; i < count; i++)
        if (!results[i].dead)
            finish(ascent, ascent->x + i * ascent->floats, &results[i]);
    return STATUS_OK;
}
