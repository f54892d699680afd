#include "options.h"

struct ascent_job options_job(const struct options *options) {
    bool fourier = options->recipe == RECIPE_FOURIER;
    struct ascent_job job = {.recipe = options->recipe,
                             .epochs = options->epochs,
                             .seed = options->seed,
                             .objective = {.neuron = options->objective == 1,
                                           .border = options->border,
                                           .leak = options->dead.what == DEAD_LEAK},
                             .retries = options->dead.retries,
                             .marks_leaks = !fourier, /* the Fourier recipe leaks by itself: nothing is rescued */
                             .jitter = options->jitter,
                             .step = options->step,
                             .restore_statistics = options->rescale == 1,
                             .bgr = options->channels == 1,
                             .decay = options->decay,
                             .blur = options->blur,
                             .blur_sigma = options->blur_sigma,
                             .rate = options->rate,
                             .spectrum = options->spectrum,
                             .rotate = options->rotate,
                             .zoom = options->zoom,
                             .preprocess = options->preprocess,
                             .precision = options->precision};
    octaves_make(options->size.width, options->size.height, options->factor, options->steps - fourier, &job.octaves);
    if (fourier)
        octaves_climb_last(&job.octaves);
    return job;
}

int options_kernels(const struct options *options, const struct winograd_kernels **kernels, struct error *error) {
    *kernels = winograd_choose_kernels(options->precision);
    if (*kernels)
        return STATUS_OK;
    return error_set(
        error, STATUS_USAGE,
        "--precision bf16: this processor, or the compiler that built the program, lacks AVX512-BF16 (Zen 4, "
        "Cooper Lake, Sapphire Rapids and later have it); give --precision single");
}
