/* The ascent's options: their parts against plain loops in double precision and against numpy's and scipy's answers,
 * whole ascents against the parts one after the other, and that no filter depends on its company. */
#include "ascent/noise.h"
#include "ascent/picture8.h"
#include "filled.h"
#include "filteratlas/ascent/ascent.h"
#include "filteratlas/ascent/smooth.h"
#include "filteratlas/image/resize.h"
#include "filteratlas/net/gemm.h"
#include "twin.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char DEMO[] = "jobs/demo/demo_weights.h5";

/* Noise -------------------------------------------------------------------------------------------------------------
 */

/* numpy 1.24: Generator(Philox(key=np.array([seed, layer << 32 | filter], np.uint64), counter=[0, attempt, 0, 0]))
 * .random(6), printed by float.hex. */
static void noise_of_an_attempt_equals_numpy(void **state) {
    (void)state;
    static const struct {
        struct noise_stream stream;
        double uniform[6];
    } cases[] = {{{0, 0, 0, 1},
                  {0x1.b1e36aa7c0dd0p-3, 0x1.b9701649ef058p-3, 0x1.830541d11d336p-1, 0x1.112761e1f6ccep-1,
                   0x1.91c9b5e67d553p-1, 0x1.cdeab6c3b6464p-2}},
                 {{7, 12, 511, 2},
                  {0x1.1738bdfdeeec8p-2, 0x1.fab0888f308cap-2, 0x1.565a9103904b7p-1, 0x1.f58d01de4dc30p-3,
                   0x1.65217a2568c7cp-2, 0x1.01647d3517b31p-1}},
                 {{UINT64_MAX, 3, 5, 100},
                  {0x1.be59c2d3a7925p-1, 0x1.662ef43957e19p-1, 0x1.0556ecc9b7f6ep-2, 0x1.3cab7ddbc9aecp-3,
                   0x1.5ba3aac644af4p-2, 0x1.d9f96df4c20e8p-2}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got[6];
        float x[6];
        noise_uniform(&cases[i].stream, 6, got);
        assert_memory_equal(got, cases[i].uniform, sizeof got);
        noise_picture(&cases[i].stream, 6, x);
        for (int j = 0; j < 6; j++)
            assert_true(x[j] == (float)((got[j] - 0.5) * 20 + 128));
    }
}

/* numpy 1.24: np.floor(u * (2 * most + 1)) - most with u = Generator(Philox(key as above, counter=[0, attempt, 1, 0]))
 * .random((6, 2)). */
static void offsets_equal_numpy(void **state) {
    (void)state;
    static const struct {
        struct noise_stream stream;
        int most, offset[6][2];
    } cases[] = {{{0, 0, 0, 0}, 1, {{0, -1}, {-1, 0}, {1, 0}, {1, 1}, {-1, -1}, {0, -1}}},
                 {{7, 12, 511, 2}, 8, {{2, 1}, {-7, -1}, {-7, 8}, {7, -7}, {7, 7}, {4, -6}}},
                 {{3, 5, 9, 1}, 100, {{-33, 40}, {61, -36}, {82, -32}, {8, 17}, {24, 94}, {80, 44}}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int iteration = 5; iteration >= 0; iteration--) {
            double uniform[2];
            noise_offset(&cases[i].stream, iteration, uniform);
            for (int j = 0; j < 2; j++)
                assert_int_equal((int)floor(uniform[j] * (2 * cases[i].most + 1)) - cases[i].most,
                                 cases[i].offset[iteration][j]);
        }
}

/* Decay, blur, shift ------------------------------------------------------------------------------------------------
 */

enum { SIZES = 7 };
static const int size[SIZES][2] = {{1, 1}, {1, 9}, {8, 1}, {2, 3}, {13, 7}, {20, 33}, {41, 40}};

static float *random_x(int height, int width) {
    size_t count = (size_t)height * width * 3;
    float *x = guarded_floats(count);
    for (size_t i = 0; i < count; i++)
        x[i] = 128 + 50 * random_float();
    return x;
}

static void decay_shrinks_towards_the_mean(void **state) {
    (void)state;
    static const double decays[] = {1e-6, 0.05, 0.5, 0.999};
    for (int s = 0; s < SIZES; s++)
        for (int d = 0; d < 4; d++) {
            int count = size[s][0] * size[s][1] * 3;
            float *x = random_x(size[s][0], size[s][1]);
            double *wanted = twin_widen(x, count), mean = 0;
            for (int i = 0; i < count; i++)
                mean += wanted[i] / count;
            for (int i = 0; i < count; i++)
                wanted[i] = decays[d] * mean + (1 - decays[d]) * wanted[i];
            decay_picture(x, count, decays[d]);
            assert_true(twin_error(x, wanted, count) < 1e-7);
            free(wanted);
            guarded_free(x);
        }
}

static double *twin_blur(const double *x, int height, int width, double sigma) {
    double *out = twin_zeros((size_t)height * width * 3);
    int radius = (int)floor(4 * sigma + 0.5);
    for (int i = 0; i < height * width * 3; i++) {
        double sum = 0, weights = 0;
        for (int dy = -radius; dy <= radius; dy++)
            for (int dx = -radius; dx <= radius; dx++) {
                double weight = exp(-(dy * dy + dx * dx) / (2 * sigma * sigma));
                int row = (int)fmin(fmax(i / 3 / width + dy, 0), height - 1);
                int column = (int)fmin(fmax(i / 3 % width + dx, 0), width - 1);
                sum += weight * x[(row * width + column) * 3 + i % 3];
                weights += weight;
            }
        out[i] = sum / weights;
    }
    return out;
}

static void blur_is_gaussian(void **state) {
    (void)state;
    static const double sigmas[] = {0.1, 0.4, 1, 2.3};
    for (int s = 0; s < SIZES; s++)
        for (int i = 0; i < 4; i++) {
            size_t count = (size_t)size[s][0] * size[s][1] * 3;
            float *x = random_x(size[s][0], size[s][1]), *scratch = guarded_floats(count);
            double *from = twin_widen(x, count), *wanted = twin_blur(from, size[s][0], size[s][1], sigmas[i]);
            blur_picture(x, size[s][0], size[s][1], sigmas[i], scratch);
            assert_true(twin_error(x, wanted, count) < 2e-7);
            free(wanted);
            free(from);
            guarded_free(scratch);
            guarded_free(x);
        }
}

/* scipy 1.10: gaussian_filter(x, (1.3, 1.3, 0), mode="nearest") of x = arange(36)^2 mod 17, as (3, 4, 3). */
static void blur_equals_scipy(void **state) {
    (void)state;
    static const double wanted[36] = {
        4.92872596, 7.70076573, 6.54611121, 6.11027734, 9.44056084, 6.78414114, 7.68442452, 10.8286015, 6.178075,
        9.68999436, 11.4553994, 4.47683433, 8.03229961, 8.95592304, 7.77374451, 8.23022299, 8.47578583, 6.87160226,
        8.47578583, 8.23022299, 5.51789702, 8.95592304, 8.03229961, 3.78722638, 11.4553994, 9.68999436, 9.22780203,
        10.8286015, 7.68442452, 7.29049937, 9.44056084, 6.11027734, 5.08414326, 7.70076573, 4.92872596, 3.14458563};
    float x[36], scratch[36];
    for (int i = 0; i < 36; i++)
        x[i] = (float)(i * i % 17);
    blur_picture(x, 3, 4, 1.3, scratch);
    assert_true(twin_error(x, wanted, 36) < 1e-7);
}

static void the_widest_blur_fits(void **state) {
    (void)state;
    float *x = random_x(9, 11), *scratch = guarded_floats(9 * 11 * 3);
    double mean[3] = {0};
    for (int i = 0; i < 9 * 11 * 3; i++)
        x[i] = (float)(i % 3);
    blur_picture(x, 9, 11, BLUR_MOST_SIGMA, scratch);
    for (int i = 0; i < 9 * 11 * 3; i++)
        mean[i % 3] += x[i] / 99;
    for (int c = 0; c < 3; c++)
        assert_true(fabs(mean[c] - c) < 1e-6);
    guarded_free(scratch);
    guarded_free(x);
}

static void shifts_are_cyclic_and_come_back(void **state) {
    (void)state;
    static const int shift[][2] = {{0, 0}, {1, -1}, {-3, 5}, {8, 9}, {-100, 77}, {13, 7}};
    for (int s = 0; s < SIZES; s++)
        for (int i = 0; i < 6; i++) {
            int h = size[s][0], w = size[s][1];
            float *x = random_x(h, w), *out = guarded_floats((size_t)h * w * 3), *back = guarded_floats(h * w * 3);
            shift_picture(x, h, w, shift[i][0], shift[i][1], out);
            for (int at = 0; at < h * w * 3; at++) {
                int row = (at / 3 / w + shift[i][0] + 1000 * h) % h, column = (at / 3 % w + shift[i][1] + 1000 * w) % w;
                assert_true(out[(row * w + column) * 3 + at % 3] == x[at]);
            }
            shift_picture(out, h, w, -shift[i][0], -shift[i][1], back);
            assert_memory_equal(back, x, (size_t)h * w * 3 * sizeof *x);
            guarded_free(back);
            guarded_free(out);
            guarded_free(x);
        }
}

/* Whole ascents -----------------------------------------------------------------------------------------------------
 */

static struct weights demo;

static int set_up(void **state) {
    (void)state;
    struct error error;
    gemm_use_one_thread();
    return weights_read(DEMO, NULL, &demo, &error);
}

static int tear_down(void **state) {
    (void)state;
    weights_free(&demo);
    return 0;
}

static struct ascent_job small_job(void) {
    struct ascent_job job = {.epochs = 3, .step = 1, .marks_leaks = true};
    octaves_make(64, 60, 1.2, 2, &job.octaves);
    return job;
}

static size_t floats(const struct octaves *o, int octave) { return (size_t)o->height[octave] * o->width[octave] * 3; }

/* What an ascent comes to, its arrays in one place. */
struct plain {
    float x[64 * 60 * 3], trace[6];
    uint8_t picture[64 * 60 * 3];
    int iterations;
    bool dead, leaked;
};

/* One iteration as the headers describe it, with buffers of its own. */
static void plain_step(const struct network *network, struct network_memory *memory, const struct ascent_job *job,
                       const struct noise_stream *noise, int octave, struct plain *p) {
    int h = job->octaves.height[octave], w = job->octaves.width[octave], rows = 0, columns = 0;
    size_t count = floats(&job->octaves, octave);
    float *shifted = guarded_floats(count), *gradient = guarded_floats(count), *back = guarded_floats(count);
    if (job->jitter) {
        double uniform[2];
        noise_offset(noise, p->iterations, uniform);
        rows = (int)floor(uniform[0] * (2 * job->jitter + 1)) - job->jitter;
        columns = (int)floor(uniform[1] * (2 * job->jitter + 1)) - job->jitter;
    }
    shift_picture(p->x, h, w, rows, columns, shifted);
    struct network_picture picture = {.filter = noise->filter, .x = shifted, .gradient = gradient};
    network_gradients(network, memory, &job->objective, noise->layer, h, w, &picture, 1, NULL);
    shift_picture(gradient, h, w, -rows, -columns, back);
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (double)back[i] * back[i];
    float scale = (float)(job->step / (sqrt(squares / (double)count) + 1e-7));
    for (size_t i = 0; i < count; i++)
        p->x[i] += scale * back[i];
    p->trace[p->iterations++] = (float)picture.loss;
    decay_picture(p->x, count, job->decay);
    if (job->blur && p->iterations % job->blur == 0)
        blur_picture(p->x, h, w, job->blur_sigma, shifted);
    bool silent = picture.loss <= 1e-7;
    p->leaked |= silent && job->objective.leak && squares > 0;
    p->dead = silent && !(job->objective.leak && squares > 0);
    guarded_free(back);
    guarded_free(gradient);
    guarded_free(shifted);
}

static void plain_ascent(const struct network *network, const struct ascent_job *job, const struct noise_stream *noise,
                         struct plain *p) {
    const struct octaves *o = &job->octaves;
    struct network_memory memory;
    struct error error;
    uint8_t enlarged[sizeof p->picture];
    *p = (struct plain){.iterations = 0};
    assert_int_equal(network_memory_make(network, o, noise->layer, 1, &memory, &error), 0);
    noise_picture(noise, floats(o, 0), p->x);
    for (int octave = 0; octave < o->steps && !p->dead; octave++) {
        for (int epoch = 0; epoch < job->epochs && !p->dead; epoch++)
            plain_step(network, &memory, job, noise, octave, p);
        picture8(p->x, floats(o, octave), p->picture);
        assert_int_equal(resize_bicubic(p->picture, o->width[octave], o->height[octave], enlarged, o->width[octave + 1],
                                        o->height[octave + 1], &error),
                         0);
        for (size_t i = 0; i < floats(o, octave + 1); i++)
            p->x[i] = (float)(enlarged[i] / 255.0);
    }
    picture8(p->x, floats(o, o->steps), p->picture);
    network_memory_free(&memory);
}

static void compare_result(const struct network *network, const struct ascent_job *job, int layer,
                           const struct ascent_result *result) {
    const struct noise_stream noise = {job->seed, layer, result->filter, result->attempt};
    struct plain *plain = malloc(sizeof *plain);
    plain_ascent(network, job, &noise, plain);
    assert_int_equal(result->dead, plain->dead);
    assert_int_equal(result->leaked, plain->leaked);
    assert_int_equal(result->iterations, plain->iterations);
    assert_memory_equal(result->trace, plain->trace, plain->iterations * sizeof(float));
    assert_true((float)result->loss == plain->trace[plain->iterations - 1]);
    if (!result->dead)
        assert_memory_equal(result->picture, plain->picture, floats(&job->octaves, job->octaves.steps));
    free(plain);
}

/* Filters of block4_conv3: at this size 26 and 9 live, 0 dies of every noise, the others of their first one. */
enum { LAYER = 9, FILTERS = 6 };
static const int filters[FILTERS] = {26, 31, 9, 61, 0, 72};

/* How the filters fared. */
struct tally {
    int live, dead, retried, leaked;
};

static struct tally draw(const struct ascent_job *job, const struct weights *weights, int batch) {
    struct tally tally = {0};
    const struct winograd_kernels *kernels = winograd_find_kernels(NULL);
    struct network network;
    struct filled_vgg vgg;
    struct ascent *ascent;
    struct error error;
    void *tables = filled_network(weights, &job->octaves, LAYER, kernels, &network);
    filled_vgg_make(weights, &job->octaves, LAYER, kernels, &vgg);
    assert_int_equal(ascent_make(vgg.executor, job, batch, &ascent, &error), 0);
    for (int from = 0; from < FILTERS; from += batch) {
        struct ascent_result results[FILTERS];
        int count = from + batch < FILTERS ? batch : FILTERS - from;
        assert_int_equal(ascent_draw(ascent, vgg.node[LAYER], filters + from, count, NULL, results, &error), 0);
        for (int i = 0; i < count; i++) {
            compare_result(&network, job, LAYER, &results[i]);
            assert_true(results[i].dead ? results[i].attempt == job->retries : results[i].attempt <= job->retries);
            tally.live += !results[i].dead;
            tally.dead += results[i].dead;
            tally.retried += !results[i].dead && results[i].attempt > 0;
            tally.leaked += results[i].leaked;
        }
    }
    ascent_free(ascent);
    filled_vgg_free(&vgg);
    network_free(&network);
    free(tables);
    return tally;
}

/* Alone, in twos with others, and all together. */
static struct tally draw_all_ways(const struct ascent_job *job, const struct weights *weights) {
    struct tally alone = draw(job, weights, 1), some = draw(job, weights, 4), all = draw(job, weights, FILTERS);
    assert_memory_equal(&alone, &some, sizeof alone);
    assert_memory_equal(&alone, &all, sizeof alone);
    return all;
}

static void options_do_what_their_parts_do(void **state) {
    (void)state;
    struct ascent_job jobs[6];
    for (int i = 0; i < 6; i++)
        jobs[i] = small_job();
    jobs[0].objective = (struct objective){.neuron = true};
    jobs[1].objective = (struct objective){.border = 1};
    jobs[2].decay = 0.1;
    jobs[3].blur = 2;
    jobs[3].blur_sigma = 0.7;
    jobs[4].jitter = 4;
    jobs[5] = (struct ascent_job){.octaves = jobs[0].octaves,
                                  .epochs = 3,
                                  .step = 1,
                                  .seed = 5,
                                  .marks_leaks = true,
                                  .objective = {.border = 1, .leak = true},
                                  .decay = 0.01,
                                  .blur = 4,
                                  .blur_sigma = 1,
                                  .jitter = 70};
    for (int i = 0; i < 6; i++)
        assert_true(draw_all_ways(&jobs[i], &demo).live > 0);
}

static void a_filter_that_died_starts_anew(void **state) {
    (void)state;
    struct ascent_job job = small_job();
    struct tally none = draw_all_ways(&job, &demo);
    job.retries = 5;
    struct tally some = draw_all_ways(&job, &demo);
    printf("# %d of %d live; with 5 retries %d, %d of them retried\n", none.live, FILTERS, some.live, some.retried);
    assert_int_equal(none.retried, 0);
    assert_true(some.retried > 0);
    assert_true(some.dead > 0);
    assert_int_equal(some.live, none.live + some.retried);
}

static void a_filter_that_leaks_does_not_die(void **state) {
    (void)state;
    struct ascent_job job = small_job();
    struct tally none = draw_all_ways(&job, &demo);
    job.objective.leak = true;
    struct tally all = draw_all_ways(&job, &demo);
    assert_true(none.dead > 0);
    assert_int_equal(none.leaked, 0);
    assert_int_equal(all.live, FILTERS);
    assert_int_equal(all.leaked, none.dead);
}

/* Weights of 0 and a bias below it: nothing excites it, so that there is nothing to climb. */
static void a_filter_that_sees_nothing_dies_with_the_leak_too(void **state) {
    (void)state;
    struct weights blind;
    struct error error;
    assert_int_equal(weights_read(DEMO, NULL, &blind, &error), 0);
    const struct vgg_layer *shape = &blind.net.layer[LAYER];
    float *kernel = blind.values + (weights_kernel(&blind, LAYER) - blind.values);
    for (int i = 0; i < 9 * shape->in_channels; i++)
        kernel[i * shape->out_channels + filters[0]] = 0;
    blind.values[weights_bias(&blind, LAYER) - blind.values + filters[0]] = -1;
    struct ascent_job job = small_job();
    job.objective.leak = true;
    assert_int_equal(draw_all_ways(&job, &blind).dead, 1);
    weights_free(&blind);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_of_an_attempt_equals_numpy),
        cmocka_unit_test(offsets_equal_numpy),
        cmocka_unit_test(decay_shrinks_towards_the_mean),
        cmocka_unit_test(blur_is_gaussian),
        cmocka_unit_test(blur_equals_scipy),
        cmocka_unit_test(the_widest_blur_fits),
        cmocka_unit_test(shifts_are_cyclic_and_come_back),
        cmocka_unit_test(options_do_what_their_parts_do),
        cmocka_unit_test(a_filter_that_died_starts_anew),
        cmocka_unit_test(a_filter_that_leaks_does_not_die),
        cmocka_unit_test(a_filter_that_sees_nothing_dies_with_the_leak_too),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
