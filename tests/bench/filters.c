#include "filters.h"

#include "filteratlas/ascent/ascent.h"

#include "filteratlas/base/clock.h"

#include "../unit/filled.h"
#include "layers.h"
#include "live_weights.h"

#include <stdlib.h>

static void must(int status, const struct error *error) {
    if (!status)
        return;
    fprintf(stderr, "bench: %s\n", error->message);
    exit(1);
}

/* When each iteration began, and the end; the best seconds of each octave so far. */
struct stopwatch {
    const struct ascent_result *result; /* of the first filter */
    int laps;
    double *time;
    double best[OCTAVES_MAX_STEPS];
};

/* Asked at every layer: a lap begins where an iteration more is done. */
static bool note_time(void *context) {
    struct stopwatch *watch = context;
    if (watch->result->iterations == watch->laps)
        watch->time[watch->laps++] = clock_now();
    return true;
}

/* Seconds of an octave at FILTERS_EPOCHS from its `epochs` laps: the last one has the enlarging in it, which comes once
 * at any number of epochs. time[epochs] is when the last lap ended. */
static double scale_octave(const double *time, int epochs) {
    double best = 1e9;
    for (int epoch = 0; epoch < epochs - 1; epoch++)
        best = time[epoch + 1] - time[epoch] < best ? time[epoch + 1] - time[epoch] : best;
    return (FILTERS_EPOCHS - 1) * best + (time[epochs] - time[epochs - 1]);
}

static void draw(const struct executor *executor, const struct ascent_job *job, int layer, struct stopwatch *watch) {
    struct ascent *ascent;
    struct ascent_result results[LAYERS_BATCH] = {0};
    struct error error;
    int filters[LAYERS_BATCH];
    for (int i = 0; i < LAYERS_BATCH; i++)
        filters[i] = i;
    watch->laps = 0;
    watch->result = results;
    must(ascent_make(executor, job, LAYERS_BATCH, &ascent, &error), &error);
    const struct interrupt interrupt = {note_time, watch};
    must(ascent_draw(ascent, layer, filters, LAYERS_BATCH, &interrupt, results, &error), &error);
    note_time(watch);
    for (int octave = 0; octave < job->octaves.steps; octave++) {
        double seconds = scale_octave(watch->time + octave * job->epochs, job->epochs);
        watch->best[octave] = seconds < watch->best[octave] ? seconds : watch->best[octave];
    }
    for (int i = 0; i < LAYERS_BATCH; i++)
        if (results[i].dead)
            must(error_set(&error, STATUS_FAILURE, "filter %d is dead: its batch can't be measured", i), &error);
    ascent_free(ascent);
}

static void print_row(const struct report *report, const char *layer, const char *row, double seconds, double flops) {
    double speed = flops / seconds / 1e9;
    printf("%6s %10.3f %10.0f %9.0f%%\n", row, seconds, speed, 100 * speed / report->peak);
    char column[64];
    snprintf(column, sizeof column, "%s_seconds_per_filter", layer);
    report_value(report, "filters", row, column, seconds);
    snprintf(column, sizeof column, "%s_gflops", layer);
    report_value(report, "filters", row, column, speed);
}

static void print_batch(const struct report *report, const struct vgg *net, int layer, const struct ascent_job *job,
                        const struct stopwatch *watch) {
    const struct octaves *octaves = &job->octaves;
    double total = 0;
    printf("\nA batch of %d filters of %s: seconds per filter, direct-equivalent GF/s, share of the FMA peak\n"
           "(%d epochs measured, scaled to %d; the best turn of each octave)\n%6s %10s %10s %10s\n",
           LAYERS_BATCH, net->layer[layer].name, job->epochs, FILTERS_EPOCHS, "pixels", "s/filter", "GF/s", "of peak");
    for (int octave = 0; octave < octaves->steps; octave++) {
        double seconds = watch->best[octave] / LAYERS_BATCH;
        char row[16];
        snprintf(row, sizeof row, "%d", octaves->width[octave]);
        print_row(report, net->layer[layer].name, row, seconds,
                  FILTERS_EPOCHS * vgg_gradient_flops(net, layer, octaves->height[octave], octaves->width[octave]));
        total += seconds;
    }
    print_row(report, net->layer[layer].name, "all", total, vgg_filter_flops(net, layer, octaves, FILTERS_EPOCHS));
    fflush(stdout);
}

static void bench_layer(const char *name, const struct ascent_job *job, const struct winograd_kernels *kernels,
                        int turns, const struct report *report) {
    struct weights weights = live_weights_make();
    struct filled_vgg vgg;
    struct error error;
    int layer = vgg_find(&weights.net, name);
    struct stopwatch watch = {.time = calloc((size_t)job->octaves.steps * job->epochs + 1, sizeof *watch.time)};
    must(watch.time ? STATUS_OK : error_memory(&error, 0, "the stopwatch"), &error);
    live_weights_wake(&weights, layer);
    filled_vgg_make(&weights, &job->octaves, layer, kernels, &vgg);
    for (int octave = 0; octave < job->octaves.steps; octave++)
        watch.best[octave] = 1e9;
    for (int turn = 0; turn < turns; turn++)
        draw(vgg.executor, job, vgg.node[layer], &watch);
    print_batch(report, &weights.net, layer, job, &watch);
    free(watch.time);
    filled_vgg_free(&vgg);
    weights_free(&weights);
}

void filters_bench(const char *const *layers, const struct octaves *octaves, const struct winograd_kernels *kernels,
                   int epochs, int turns, const struct report *report) {
    const struct ascent_job job = {.octaves = *octaves, .epochs = epochs, .step = 1};
    for (; *layers; layers++)
        bench_layer(*layers, &job, kernels, turns, report);
}

/* Two recipes --------------------------------------------------------------------------------------------------- */

enum { RECIPE_EPOCHS = 5 };

/* The best seconds of an iteration for a picture of a batch, of a second octave of the same size: in the first one the
 * Keras recipe climbs noise around 128, which opens fewer ReLUs than a picture does, and the way back through zeros is
 * shorter. */
static void time_iterations(const struct executor *executor, const struct ascent_job *job, int layer, double *best) {
    double time[2 * RECIPE_EPOCHS + 1];
    struct stopwatch watch = {.time = time};
    struct ascent_result results[LAYERS_BATCH] = {0};
    struct ascent *ascent;
    struct error error;
    int filters[LAYERS_BATCH];
    for (int i = 0; i < LAYERS_BATCH; i++)
        filters[i] = i;
    watch.result = results;
    must(ascent_make(executor, job, LAYERS_BATCH, &ascent, &error), &error);
    const struct interrupt interrupt = {note_time, &watch};
    must(ascent_draw(ascent, layer, filters, LAYERS_BATCH, &interrupt, results, &error), &error);
    ascent_free(ascent);
    for (int lap = RECIPE_EPOCHS; lap < 2 * RECIPE_EPOCHS - 1; lap++)
        *best = (time[lap + 1] - time[lap]) / LAYERS_BATCH < *best ? (time[lap + 1] - time[lap]) / LAYERS_BATCH : *best;
}

static void compare_recipes(const char *name, int extent, const struct winograd_kernels *kernels, int turns,
                            const struct report *report) {
    const struct octaves two = {.steps = 2, .width = {extent, extent, extent}, .height = {extent, extent, extent}};
    const struct ascent_job jobs[RECIPES] = {{.octaves = two, .epochs = RECIPE_EPOCHS, .step = 1},
                                             {.recipe = RECIPE_FOURIER,
                                              .octaves = two,
                                              .epochs = RECIPE_EPOCHS,
                                              .objective.leak = true,
                                              .rate = 0.05,
                                              .spectrum = 1,
                                              .jitter = ASCENT_JITTER_ALL}};
    struct weights weights = live_weights_make();
    struct filled_vgg vgg;
    double best[RECIPES] = {1e9, 1e9};
    int layer = vgg_find(&weights.net, name);
    live_weights_wake(&weights, layer);
    filled_vgg_make(&weights, &two, layer, kernels, &vgg);
    for (int turn = 0; turn < turns; turn++)
        for (int r = 0; r < RECIPES; r++)
            time_iterations(vgg.executor, &jobs[r], vgg.node[layer], &best[r]);
    printf("%-14s %10.2f %10.2f %10.3f\n", name, 1e3 * best[RECIPE_KERAS], 1e3 * best[RECIPE_FOURIER],
           best[RECIPE_FOURIER] / best[RECIPE_KERAS]);
    report_value(report, "recipes", name, "fourier_over_keras", best[RECIPE_FOURIER] / best[RECIPE_KERAS]);
    filled_vgg_free(&vgg);
    weights_free(&weights);
}

void filters_bench_recipes(const char *const *layers, int extent, const struct winograd_kernels *kernels, int turns,
                           const struct report *report) {
    printf("\nAn iteration at %d pixels by either recipe, ms per picture of a batch of %d (the best of %d turns)\n"
           "%-14s %10s %10s %10s\n",
           extent, LAYERS_BATCH, turns, "layer", "keras", "fourier", "ratio");
    for (; *layers; layers++)
        compare_recipes(*layers, extent, kernels, turns, report);
    fflush(stdout);
}
