#include "filteratlas/ascent/ascent.h"

#include "filteratlas/base/clock.h"
#include "recipe.h"

#include <fenv.h>
#include <stdlib.h>
#include <string.h>

struct ascent {
    const struct executor *executor;
    struct executor_memory *memory;
    const struct ascent_job *job;
    const struct recipe *recipe;
    struct canvas canvas;
    int batch;
    size_t parameter_count;    /* of a picture */
    size_t picture_floats;     /* of the largest size that is climbed */
    size_t rgb_bytes;          /* of a finished picture */
    float *parameters;         /* [batch][parameter_count] */
    float *states;             /* [batch][optimiser->states][parameter_count] */
    float *rendered;           /* [batch][picture_floats]; NULL where the parameters are the picture */
    float *shown;              /* [batch][picture_floats]: what the network is given; NULL where that is the picture */
    float *gradients;          /* [batch][picture_floats] */
    float *between;            /* [picture_floats]: between two transforms */
    float *parameter_gradient; /* [parameter_count]; NULL where the parameters are the picture */
    float *traces;             /* [batch][steps * epochs] */
    uint8_t *pictures;         /* [batch][rgb_bytes] */
};

static struct view view_of(const struct ascent_job *job, int octave) {
    return (struct view){.job = job, .height = job->octaves.height[octave], .width = job->octaves.width[octave]};
}

static bool has_transforms(const struct ascent_job *job) {
    const struct recipe *recipe = recipe_of(job);
    struct view view = view_of(job, 0);
    bool any = false;
    for (int i = 0; recipe->transforms[i]; i++)
        any |= recipe->transforms[i]->has(&view);
    return any;
}

/* Elements of the arrays, 0 of those that there is no need of. */
struct sizes {
    size_t parameters, states, rendered, shown, gradients, between, parameter_gradient, traces, rgb;
};

static struct sizes sizes_of(const struct ascent_job *job, int batch) {
    const struct octaves *o = &job->octaves;
    const struct recipe *recipe = recipe_of(job);
    const struct parameterisation *parameterisation = recipe->parameterisation;
    size_t count = parameterisation->count(job);
    size_t picture = (size_t)o->height[o->steps - 1] * o->width[o->steps - 1] * 3;
    bool renders = parameterisation->render, transforms = has_transforms(job);
    return (struct sizes){.parameters = batch * count,
                          .states = batch * recipe->optimiser->states * count,
                          .rendered = renders ? batch * picture : 0,
                          .shown = transforms ? batch * picture : 0,
                          .gradients = batch * picture,
                          .between = transforms ? picture : 0,
                          .parameter_gradient = renders ? count : 0,
                          .traces = (size_t)batch * o->steps * job->epochs,
                          .rgb = (size_t)batch * o->height[o->steps] * o->width[o->steps] * 3};
}

static double bytes_of(const struct ascent_job *job, int batch) {
    struct sizes s = sizes_of(job, batch);
    size_t floats =
        s.parameters + s.states + s.rendered + s.shown + s.gradients + s.between + s.parameter_gradient + s.traces;
    return sizeof(float) * (double)floats + (double)s.rgb + recipe_of(job)->parameterisation->bytes(job);
}

double ascent_bytes(const struct ascent *ascent) {
    return bytes_of(ascent->job, ascent->batch) + executor_memory_bytes(ascent->memory);
}

/* *floats [count], NULL for none; false without memory. */
static bool take(size_t count, float **floats) {
    *floats = count ? malloc(count * sizeof **floats) : NULL;
    return *floats || !count;
}

static int make_arrays(struct ascent *a, struct error *error) {
    struct sizes sizes = sizes_of(a->job, a->batch);
    a->parameter_count = sizes.parameters / a->batch;
    a->picture_floats = sizes.gradients / a->batch;
    a->rgb_bytes = sizes.rgb / a->batch;
    a->pictures = malloc(sizes.rgb);
    bool enough = a->pictures && take(sizes.parameters, &a->parameters) && take(sizes.states, &a->states) &&
                  take(sizes.rendered, &a->rendered) && take(sizes.shown, &a->shown) &&
                  take(sizes.gradients, &a->gradients) && take(sizes.between, &a->between) &&
                  take(sizes.parameter_gradient, &a->parameter_gradient) && take(sizes.traces, &a->traces);
    return enough ? STATUS_OK : error_memory(error, bytes_of(a->job, a->batch), "pictures");
}

int ascent_make(const struct executor *executor, const struct ascent_job *job, int batch, struct ascent **ascent,
                struct error *error) {
    *ascent = NULL;
    if (executor_channels(executor) != (job->grey ? 1 : 3))
        return error_set(error, STATUS_USAGE,
                         "the network: takes pictures of %d channels; networks of 1 or 3 can be drawn",
                         executor_channels(executor));
    struct ascent *a = *ascent = calloc(1, sizeof *a);
    if (!a)
        return error_memory(error, sizeof *a, "the ascent");
    *a = (struct ascent){.executor = executor, .job = job, .recipe = recipe_of(job), .canvas.job = job, .batch = batch};
    int status = make_arrays(a, error);
    if (!status)
        status = a->recipe->parameterisation->make(&a->canvas, error);
    return status ? status : executor_memory_make(executor, batch, &a->memory, error);
}

void ascent_free(struct ascent *ascent) {
    if (!ascent)
        return;
    float *const owned[] = {ascent->parameters, ascent->states,  ascent->rendered,           ascent->shown,
                            ascent->gradients,  ascent->between, ascent->parameter_gradient, ascent->traces};
    executor_memory_free(ascent->memory);
    ascent->recipe->parameterisation->free(&ascent->canvas);
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(ascent->pictures);
    free(ascent);
}

/* A filter on its way up ------------------------------------------------------------------------------------------ */

/* Its place in the batch is that of its buffers. */
struct climber {
    struct ascent_result *result;
    struct noise_stream noise;
    struct view view; /* of this iteration */
    float *parameters, *state, *rendered, *shown, *gradient;
};

static float *part(float *array, size_t floats, int place) { return array ? array + place * floats : NULL; }

static struct climber climber_of(const struct ascent *a, int layer, int place, struct ascent_result *result) {
    return (struct climber){
        .result = result,
        .noise = {a->job->seed, executor_number(a->executor, layer), result->filter, result->attempt},
        .parameters = part(a->parameters, a->parameter_count, place),
        .state = part(a->states, a->recipe->optimiser->states * a->parameter_count, place),
        .rendered = part(a->rendered, a->picture_floats, place),
        .shown = part(a->shown, a->picture_floats, place),
        .gradient = part(a->gradients, a->picture_floats, place)};
}

static void start(const struct ascent *a, int octave, struct climber *climber) {
    if (climber->state)
        memset(climber->state, 0, a->recipe->optimiser->states * a->parameter_count * sizeof *climber->state);
    a->recipe->parameterisation->start(&a->canvas, &climber->noise, octave, climber->parameters);
}

/* The transforms of a view, in order; returns their number. */
static int transforms_of(const struct ascent *a, const struct view *view,
                         const struct transform *used[RECIPE_TRANSFORMS]) {
    int count = 0;
    for (int i = 0; a->recipe->transforms[i]; i++)
        if (a->recipe->transforms[i]->has(view))
            used[count++] = a->recipe->transforms[i];
    return count;
}

/* The picture at an octave. */
static const float *render(const struct ascent *a, int octave, const struct climber *climber) {
    if (!a->rendered)
        return climber->parameters;
    a->recipe->parameterisation->render(&a->canvas, octave, climber->parameters, climber->rendered);
    return climber->rendered;
}

/* The picture as the network is to see it: through all transforms, by turns into two buffers, the last into `shown`. */
static const float *show(const struct ascent *a, int octave, const struct climber *climber) {
    const struct transform *used[RECIPE_TRANSFORMS];
    int count = transforms_of(a, &climber->view, used);
    const float *picture = render(a, octave, climber);
    for (int i = 0; i < count; i++) {
        float *out = (count - i) % 2 ? climber->shown : a->between;
        used[i]->apply(&climber->view, picture, out);
        picture = out;
    }
    return picture;
}

/* The gradient with respect to the parameters, from that with respect to what the network saw. */
static const float *pull_back(const struct ascent *a, int octave, const struct climber *climber) {
    const struct transform *used[RECIPE_TRANSFORMS];
    float *gradient = climber->gradient, *other = a->between;
    for (int i = transforms_of(a, &climber->view, used) - 1; i >= 0; i--) {
        float *in = gradient;
        used[i]->pull_back(&climber->view, in, other);
        gradient = other;
        other = in;
    }
    if (!a->rendered)
        return gradient;
    a->recipe->parameterisation->pull_back(&a->canvas, octave, climber->rendered, gradient, a->parameter_gradient);
    return a->parameter_gradient;
}

/* Parameters that belong to an octave: those of pixels are as many as its picture has. */
static size_t parameters_at(const struct ascent *a, int octave) {
    const struct octaves *o = &a->job->octaves;
    return a->rendered ? a->parameter_count : (size_t)o->height[octave] * o->width[octave] * 3;
}

/* One step along the gradient, and what follows from the loss. Behind a ReLU a filter whose loss is nothing is dead;
 * behind anything else the loss may be negative, and only a gradient of 0 ends the ascent. */
static void step(const struct ascent *a, int octave, struct climber *climber, bool rectifies, double loss) {
    const struct parameterisation *parameterisation = a->recipe->parameterisation;
    struct ascent_result *result = climber->result;
    bool moved = a->recipe->optimiser->step(a->job, result->iterations, parameters_at(a, octave),
                                            pull_back(a, octave, climber), climber->state, climber->parameters);
    result->loss = loss;
    result->trace[result->iterations++] = (float)loss;
    if (parameterisation->settle)
        parameterisation->settle(&a->canvas, octave, result->iterations, climber->parameters, climber->gradient);
    bool silent = rectifies && loss <= OBJECTIVE_SILENT, leaks = silent && a->job->objective.leak && moved;
    result->leaked |= leaks && a->job->marks_leaks;
    result->dead = rectifies ? silent && !leaks : !moved;
}

/* The batch -------------------------------------------------------------------------------------------------------- */

/* Filters that are drawn together. */
struct group {
    struct ascent *ascent;
    int layer, count;
    struct climber climber[ASCENT_MAX_BATCH];
    const struct interrupt *interrupt;
};

/* The filters that are not dead, and what the network is to make of them; with gradients or without. Returns their
 * number. */
static int gather(struct group *group, int octave, bool still, struct climber **alive,
                  struct network_picture *pictures) {
    const struct ascent *a = group->ascent;
    int n = 0;
    for (int i = 0; i < group->count; i++) {
        struct climber *climber = &group->climber[i];
        if (climber->result->dead)
            continue;
        climber->view = view_of(a->job, octave);
        climber->view.still = still;
        a->recipe->look(&climber->noise, climber->result->iterations, &climber->view);
        alive[n] = climber;
        pictures[n++] = (struct network_picture){.filter = climber->result->filter,
                                                 .x = show(a, octave, climber),
                                                 .gradient = still ? NULL : climber->gradient};
    }
    return n;
}

/* Losses and gradients of pictures. False if interrupted. */
static bool take_gradients(struct group *group, int octave, struct network_picture *pictures, int count) {
    struct ascent *a = group->ascent;
    const struct octaves *o = &a->job->octaves;
    return executor_gradients(a->executor, a->memory, &a->job->objective, group->layer, o->height[octave],
                              o->width[octave], pictures, count, group->interrupt);
}

/* The same, with those marked as dead whose way through the network left the range of single precision. The processor
 * notes that by itself, in the flags of the thread; a look at every activation would take longer. Which of a batch it
 * was is asked one by one: a filter's result does not depend on its company. */
static bool look(struct group *group, int octave, struct climber **alive, struct network_picture *pictures, int count) {
    feclearexcept(FE_OVERFLOW);
    bool whole = take_gradients(group, octave, pictures, count);
    if (!whole || !fetestexcept(FE_OVERFLOW))
        return whole;
    for (int i = 0; i < count && whole; i++) {
        feclearexcept(FE_OVERFLOW);
        whole = take_gradients(group, octave, &pictures[i], 1);
        if (fetestexcept(FE_OVERFLOW))
            alive[i]->result->overflowed = alive[i]->result->dead = true;
    }
    return whole;
}

/* One iteration at an octave. False if interrupted. */
static bool iterate(struct group *group, int octave) {
    struct network_picture pictures[ASCENT_MAX_BATCH];
    struct climber *alive[ASCENT_MAX_BATCH];
    bool rectifies = executor_rectifies(group->ascent->executor, group->layer);
    int n = gather(group, octave, false, alive, pictures);
    if (n && !look(group, octave, alive, pictures, n))
        return false;
    for (int i = 0; i < n; i++)
        if (!alive[i]->result->overflowed)
            step(group->ascent, octave, alive[i], rectifies, pictures[i].loss);
    return true;
}

/* The losses of the pictures as they are at the end. False if interrupted. */
static bool look_again(struct group *group) {
    struct network_picture pictures[ASCENT_MAX_BATCH];
    struct climber *alive[ASCENT_MAX_BATCH];
    int last = group->ascent->job->octaves.steps - 1, n = gather(group, last, true, alive, pictures);
    if (n && !look(group, last, alive, pictures, n))
        return false;
    for (int i = 0; i < n; i++)
        alive[i]->result->loss = pictures[i].loss;
    return true;
}

static int widen(const struct group *group, int octave, struct error *error) {
    const struct ascent *a = group->ascent;
    int status = STATUS_OK;
    for (int i = 0; i < group->count && !status && a->recipe->parameterisation->widen; i++)
        if (!group->climber[i].result->dead)
            status = a->recipe->parameterisation->widen(&a->canvas, octave, group->climber[i].parameters, error);
    return status;
}

static void finish(const struct group *group) {
    const struct ascent *a = group->ascent;
    for (int i = 0; i < group->count; i++) {
        const struct climber *climber = &group->climber[i];
        if (!climber->result->dead)
            a->recipe->parameterisation->finish(&a->canvas, a->rendered ? climber->rendered : climber->parameters,
                                                climber->result->picture);
    }
}

static int stopped(struct error *error) { return error_set(error, STATUS_STOPPED, "stopped"); }

/* Through all octaves, from the start. */
static int draw(struct group *group, struct error *error) {
    const struct ascent_job *job = group->ascent->job;
    int status = STATUS_OK;
    for (int i = 0; i < group->count; i++)
        start(group->ascent, 0, &group->climber[i]);
    for (int octave = 0; octave < job->octaves.steps && !status; octave++) {
        for (int epoch = 0; epoch < job->epochs; epoch++)
            if (!interrupt_goes_on(group->interrupt) || !iterate(group, octave))
                return stopped(error);
        status = widen(group, octave, error);
    }
    if (status)
        return status;
    if (group->ascent->recipe->looks_again && !look_again(group))
        return stopped(error);
    finish(group);
    return STATUS_OK;
}

/* An attempt draws the filters that died in the one before; the others' pictures and traces stay where they are. */
int ascent_draw(struct ascent *ascent, int layer, const int *filters, int count, const struct interrupt *interrupt,
                struct ascent_result *results, struct error *error) {
    size_t iterations = (size_t)ascent->job->octaves.steps * ascent->job->epochs;
    int status = STATUS_OK;
    for (int attempt = 0; attempt <= ascent->job->retries && !status; attempt++) {
        struct group group = {.ascent = ascent, .layer = layer, .interrupt = interrupt};
        for (int i = 0; i < count; i++) {
            if (attempt && (!results[i].dead || results[i].overflowed))
                continue;
            results[i] = (struct ascent_result){.filter = filters[i],
                                                .attempt = attempt,
                                                .trace = ascent->traces + i * iterations,
                                                .picture = ascent->pictures + i * ascent->rgb_bytes};
            group.climber[group.count] = climber_of(ascent, layer, group.count, &results[i]);
            group.count++;
        }
        if (group.count)
            status = draw(&group, error);
    }
    return status;
}

double ascent_time(struct ascent *ascent, int layer, int octave, int count, bool *lives) {
    struct group group = {.ascent = ascent, .layer = layer, .count = count};
    struct ascent_result results[ASCENT_MAX_BATCH];
    for (int i = 0; i < count; i++) {
        results[i] = (struct ascent_result){.filter = i, .trace = ascent->traces};
        group.climber[i] = climber_of(ascent, layer, i, &results[i]);
        start(ascent, octave, &group.climber[i]);
    }
    double begin = clock_now();
    iterate(&group, octave);
    double seconds = clock_now() - begin;
    *lives = false;
    bool rectifies = executor_rectifies(ascent->executor, layer);
    for (int i = 0; i < count; i++)
        *lives |= rectifies ? results[i].loss > 0 : !results[i].dead;
    return seconds;
}
