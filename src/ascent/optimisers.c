#include "recipe.h"

#include <math.h>

/* x += step * gradient / (root mean square of the gradient + 1e-7), as Keras's conv_filter_visualization.py has it. */
static bool normalised_step(const struct ascent_job *job, int iteration, size_t count, const float *gradient,
                            float *state, float *parameters) {
    (void)iteration, (void)state;
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (double)gradient[i] * gradient[i];
    float scale = (float)(job->step / (sqrt(squares / (double)count) + 1e-7));
    for (size_t i = 0; i < count; i++)
        parameters[i] += scale * gradient[i];
    return squares > 0;
}

const struct optimiser normalised_gradient = {.step = normalised_step};

/* Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1, upwards. A parameter whose gradient
 * has always been 0 stays as it is. */
static bool adam_step(const struct ascent_job *job, int iteration, size_t count, const float *gradient, float *state,
                      float *parameters) {
    static const float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
    float *mean = state, *square = state + count;
    float mean_scale = (float)(job->rate / (1 - pow(0.9, iteration + 1)));
    float square_scale = (float)(1 / (1 - pow(0.999, iteration + 1)));
    float any = 0;
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i];
        any = fabsf(g) > any ? fabsf(g) : any;
        mean[i] = beta1 * mean[i] + (1 - beta1) * g;
        square[i] = beta2 * square[i] + (1 - beta2) * (g * g);
        parameters[i] += mean_scale * mean[i] / (sqrtf(square[i] * square_scale) + epsilon);
    }
    return any > 0;
}

const struct optimiser adam = {.states = 2, .step = adam_step};
