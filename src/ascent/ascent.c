#include "filteratlas/ascent.h"

#include "filteratlas/noise.h"
#include "filteratlas/picture8.h"
#include "filteratlas/regularize.h"
#include "filteratlas/resize.h"

#include <fenv.h>
#include <math.h>
#include <stdlib.h>

struct ascent {
    const struct network *network;
    const struct ascent_job *job;
    struct network_memory memory;
    int batch;
    size_t floats;     /* of a picture of the final size */
    float *x;          /* [batch][floats] */
    float *gradients;  /* [batch][floats] */
    float *shifted;    /* [batch][floats], or NULL without jitter */
    float *traces;     /* [batch][steps * epochs] */
    uint8_t *pictures; /* [batch][floats] */
    uint8_t *enlarged; /* [floats] */
};

static size_t picture_floats(const struct octaves *octaves, int octave) {
    return (size_t)octaves->height[octave] * octaves->width[octave] * 3;
}

double ascent_picture_bytes(const struct ascent_job *job, int batch) {
    double floats = (double)picture_floats(&job->octaves, job->octaves.steps);
    int maps = job->jitter ? 3 : 2; /* of floats */
    return floats * (batch * (maps * sizeof(float) + 1) + 1) +
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
    a->shifted = job->jitter ? malloc(batch * a->floats * sizeof *a->shifted) : NULL;
    a->traces = malloc(batch * iterations * sizeof *a->traces);
    a->pictures = malloc(batch * a->floats);
    a->enlarged = malloc(a->floats);
    if (!a->x || !a->gradients || (job->jitter && !a->shifted) || !a->traces || !a->pictures || !a->enlarged)
        return error_memory(error, ascent_picture_bytes(job, batch), "pictures");
    return network_memory_make(network, octaves, deepest, batch, &a->memory, error);
}

void ascent_free(struct ascent *ascent) {
    if (!ascent)
        return;
    network_memory_free(&ascent->memory);
    free(ascent->x);
    free(ascent->gradients);
    free(ascent->shifted);
    free(ascent->traces);
    free(ascent->pictures);
    free(ascent->enlarged);
    free(ascent);
}

/* A filter on its way up. Its place in the batch is that of its buffers. */
struct climber {
    struct ascent_result *result;
    struct noise_stream noise;
    float *x, *gradient, *shifted;
    int rows, columns; /* of the shift */
};

static struct climber climber_of(const struct ascent *ascent, int layer, int place, struct ascent_result *result) {
    size_t at = place * ascent->floats;
    return (struct climber){.result = result,
                            .noise = {ascent->job->seed, layer, result->filter, result->attempt},
                            .x = ascent->x + at,
                            .gradient = ascent->gradients + at,
                            .shifted = ascent->shifted ? ascent->shifted + at : NULL};
}

/* x += step * gradient / (root mean square of the gradient + 1e-7). False if the gradient is 0 all over. */
static bool climb(float *x, const float *gradient, size_t count, double step) {
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (double)gradient[i] * gradient[i];
    float scale = (float)(step / (sqrt(squares / (double)count) + 1e-7));
    for (size_t i = 0; i < count; i++)
        x[i] += scale * gradient[i];
    return squares > 0;
}

/* The picture of which the network shall give the gradient. */
static const float *show(const struct ascent *ascent, int octave, struct climber *climber) {
    const struct ascent_job *job = ascent->job;
    if (!job->jitter)
        return climber->x;
    noise_offset(&climber->noise, climber->result->iterations, job->jitter, &climber->rows, &climber->columns);
    shift_picture(climber->x, job->octaves.height[octave], job->octaves.width[octave], climber->rows, climber->columns,
                  climber->shifted);
    return climber->shifted;
}

/* One step along the gradient, and what smooths the picture after it. */
static void step(const struct ascent *ascent, int octave, struct climber *climber, double loss) {
    const struct ascent_job *job = ascent->job;
    struct ascent_result *result = climber->result;
    int height = job->octaves.height[octave], width = job->octaves.width[octave];
    size_t count = picture_floats(&job->octaves, octave);
    if (job->jitter)
        shift_picture(climber->gradient, height, width, -climber->rows, -climber->columns, climber->shifted);
    bool moved = climb(climber->x, job->jitter ? climber->shifted : climber->gradient, count, job->step);
    result->loss = loss;
    result->trace[result->iterations++] = (float)loss;
    if (job->decay > 0)
        decay_picture(climber->x, count, job->decay);
    if (job->blur && result->iterations % job->blur == 0)
        blur_picture(climber->x, height, width, job->blur_sigma, climber->gradient);
    bool silent = loss <= OBJECTIVE_SILENT, leaks = silent && job->objective.leak && moved;
    result->leaked |= leaks;
    result->dead = silent && !leaks;
}

/* Whether a batch's way through the network left the range of single precision. The processor notes it by itself, in
 * the flags of the thread; a look at every activation would take longer. */
static bool take_gradients(struct ascent *ascent, int octave, int layer, struct network_picture *pictures, int count) {
    const struct octaves *octaves = &ascent->job->octaves;
    feclearexcept(FE_OVERFLOW);
    network_gradients(ascent->network, &ascent->memory, &ascent->job->objective, layer, octaves->height[octave],
                      octaves->width[octave], pictures, count);
    return fetestexcept(FE_OVERFLOW) != 0;
}

/* One by one, which of a batch it was: a filter's result does not depend on its company. */
static void find_overflow(struct ascent *ascent, int octave, int layer, struct network_picture *pictures, int count,
                          struct climber **climbers) {
    for (int i = 0; i < count; i++)
        if (take_gradients(ascent, octave, layer, &pictures[i], 1))
            climbers[i]->result->overflowed = climbers[i]->result->dead = true;
}

/* One iteration, at an octave, of the filters that are not dead. */
static void iterate(struct ascent *ascent, int octave, int layer, struct climber *climbers, int count) {
    struct network_picture pictures[ASCENT_MAX_BATCH];
    struct climber *alive[ASCENT_MAX_BATCH];
    int n = 0;
    for (int i = 0; i < count; i++)
        if (!climbers[i].result->dead) {
            alive[n] = &climbers[i];
            pictures[n++] = (struct network_picture){.filter = climbers[i].result->filter,
                                                     .x = show(ascent, octave, &climbers[i]),
                                                     .gradient = climbers[i].gradient};
        }
    if (!n)
        return;
    if (take_gradients(ascent, octave, layer, pictures, n))
        find_overflow(ascent, octave, layer, pictures, n, alive);
    for (int i = 0; i < n; i++)
        if (!alive[i]->result->overflowed)
            step(ascent, octave, alive[i], pictures[i].loss);
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

/* Through all octaves, from the noise. */
static int draw(struct ascent *ascent, int layer, struct climber *climbers, int count, ascent_goes_on *goes_on,
                void *context, struct error *error) {
    const struct ascent_job *job = ascent->job;
    for (int i = 0; i < count; i++)
        noise_picture(&climbers[i].noise, picture_floats(&job->octaves, 0), climbers[i].x);
    for (int octave = 0; octave < job->octaves.steps; octave++) {
        for (int epoch = 0; epoch < job->epochs; epoch++) {
            if (!goes_on(context))
                return error_set(error, STATUS_STOPPED, "stopped");
            iterate(ascent, octave, layer, climbers, count);
        }
        for (int i = 0; i < count; i++) {
            struct ascent_result *result = climbers[i].result;
            int status = result->dead ? STATUS_OK : enlarge(ascent, octave, climbers[i].x, result, error);
            if (status)
                return status;
        }
    }
    for (int i = 0; i < count; i++)
        if (!climbers[i].result->dead)
            finish(ascent, climbers[i].x, climbers[i].result);
    return STATUS_OK;
}

/* An attempt draws the filters that died in the one before; the others' pictures and traces stay where they are. */
int ascent_draw(struct ascent *ascent, int layer, const int *filters, int count, ascent_goes_on *goes_on, void *context,
                struct ascent_result *results, struct error *error) {
    size_t iterations = (size_t)ascent->job->octaves.steps * ascent->job->epochs;
    int status = STATUS_OK;
    for (int attempt = 0; attempt <= ascent->job->retries && !status; attempt++) {
        struct climber climbers[ASCENT_MAX_BATCH];
        int n = 0;
        for (int i = 0; i < count; i++) {
            if (attempt && (!results[i].dead || results[i].overflowed))
                continue;
            results[i] = (struct ascent_result){.filter = filters[i],
                                                .attempt = attempt,
                                                .trace = ascent->traces + i * iterations,
                                                .picture = ascent->pictures + i * ascent->floats};
            climbers[n] = climber_of(ascent, layer, n, &results[i]);
            n++;
        }
        if (n)
            status = draw(ascent, layer, climbers, n, goes_on, context, error);
    }
    return status;
}
