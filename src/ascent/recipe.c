#include "recipe.h"

#include "filteratlas/ascent/transform.h"

#include <math.h>

/* The transforms ------------------------------------------------------------------------------------------------- */

static bool has_shift(const struct view *view) { return !view->still && view->job->jitter; }

static void shift(const struct view *view, const float *in, float *out) {
    shift_picture(in, view->height, view->width, view->rows, view->columns, out);
}

static void shift_back(const struct view *view, const float *out_gradient, float *in_gradient) {
    shift_picture(out_gradient, view->height, view->width, -view->rows, -view->columns, in_gradient);
}

static bool has_turn(const struct view *view) { return !view->still && (view->job->rotate > 0 || view->job->zoom > 0); }

static struct turn turn_of(const struct view *view) {
    return (struct turn){.angle = (2 * view->uniform[0] - 1) * view->job->rotate * M_PI / 180,
                         .zoom = 1 + (2 * view->uniform[1] - 1) * view->job->zoom};
}

static void turn(const struct view *view, const float *in, float *out) {
    const struct turn turn = turn_of(view);
    turn_picture(&turn, in, view->height, view->width, out);
}

static void turn_gradient_back(const struct view *view, const float *out_gradient, float *in_gradient) {
    const struct turn turn = turn_of(view);
    turn_back(&turn, out_gradient, view->height, view->width, in_gradient);
}

static bool always(const struct view *view) {
    (void)view;
    return true;
}

static void preprocess(const struct view *view, const float *in, float *out) {
    preprocess_picture(view->job->preprocess, in, (size_t)view->height * view->width, out);
}

static void preprocess_gradient_back(const struct view *view, const float *out_gradient, float *in_gradient) {
    preprocess_back(view->job->preprocess, out_gradient, (size_t)view->height * view->width, in_gradient);
}

static bool has_grey(const struct view *view) { return view->job->grey; }

static void make_grey(const struct view *view, const float *in, float *out) {
    grey_picture(in, (size_t)view->height * view->width, out);
}

static void make_grey_back(const struct view *view, const float *out_gradient, float *in_gradient) {
    grey_back(out_gradient, (size_t)view->height * view->width, in_gradient);
}

static const struct transform greying = {has_grey, make_grey, make_grey_back};
static const struct transform shifting = {has_shift, shift, shift_back};
static const struct transform turning = {has_turn, turn, turn_gradient_back};
static const struct transform preprocessing = {always, preprocess, preprocess_gradient_back};

/* The views ------------------------------------------------------------------------------------------------------- */

/* Which shift a number in [0, 1) is: of at most `most` pixels, or any at all. */
static int shift_by(double uniform, int most, int extent) {
    return most == ASCENT_JITTER_ALL ? (int)(uniform * extent) : (int)(uniform * (2 * most + 1)) - most;
}

static void look_shifted(const struct noise_stream *noise, int iteration, struct view *view) {
    double uniform[2];
    if (!view->job->jitter)
        return;
    noise_offset(noise, iteration, uniform);
    view->rows = shift_by(uniform[0], view->job->jitter, view->height);
    view->columns = shift_by(uniform[1], view->job->jitter, view->width);
}

static void look_turned(const struct noise_stream *noise, int iteration, struct view *view) {
    double uniform[4];
    noise_view(noise, iteration, uniform);
    view->rows = shift_by(uniform[0], view->job->jitter, view->height);
    view->columns = shift_by(uniform[1], view->job->jitter, view->width);
    view->uniform[0] = uniform[2];
    view->uniform[1] = uniform[3];
}

/* The recipes ----------------------------------------------------------------------------------------------------- */

static const struct recipe recipes[] = {
    [RECIPE_KERAS] = {.name = "keras",
                      .parameterisation = &pixels,
                      .transforms = {&shifting, &greying},
                      .optimiser = &normalised_gradient,
                      .look = look_shifted},
    [RECIPE_FOURIER] = {.name = "fourier",
                        .parameterisation = &fourier,
                        .transforms = {&shifting, &turning, &preprocessing, &greying},
                        .optimiser = &adam,
                        .look = look_turned,
                        .looks_again = true},
};

const char *recipe_name(enum recipe_kind recipe) { return recipes[recipe].name; }

const struct recipe *recipe_of(const struct ascent_job *job) { return &recipes[job->recipe]; }
