/* The kernels of bfloat16 precision: tightly against a slow twin that rounds as they do, loosely against double
 * precision, and what becomes of gradients through a whole network. That bits depend on nothing but the picture is
 * tested with the other kernels, in test_winograd.c. */
#include "filled.h"
#include "filteratlas/net/network.h"
#include "fixtures.h"
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

static const struct winograd_kernels *kernels;

/* Tests do nothing where the processor, or the compiler, lacks AVX512-BF16. */
static bool is_missing(void) {
    kernels = winograd_choose_kernels(WINOGRAD_BF16);
    if (!kernels)
        skip();
    return !kernels;
}

/* The twin -------------------------------------------------------------------------------------------------------- */

enum { POINTS_MAX = 8 };

/* To the nearest number with 8 significant bits, ties to even; the operands' range needs no more care. */
static double round_bf16(double value) {
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&single, &bits, sizeof single);
    return single;
}

/* The matrices of F(m, 3) by Toom and Cook: outputs A (G g . B d). */
struct scheme {
    int m, points;
    double a[POINTS_MAX][POINTS_MAX], g[POINTS_MAX][3], b[POINTS_MAX][POINTS_MAX]; /* a [m][points] */
};

/* Coefficients of the product of (x - point) over all finite points but number `left_out`. */
static void multiply_out(const double *point, int finite, int left_out, double *coefficient) {
    memset(coefficient, 0, POINTS_MAX * sizeof *coefficient);
    coefficient[0] = 1;
    for (int p = 0; p < finite; p++)
        for (int degree = POINTS_MAX - 1; degree >= 0 && p != left_out; degree--)
            coefficient[degree] = (degree ? coefficient[degree - 1] : 0) - point[p] * coefficient[degree];
}

static struct scheme make_scheme(enum winograd_tile tile) {
    static const double points[2][POINTS_MAX] = {{0, 0.625, -0.625, 1.5, -1.5}, {0, 1, -1, 2, -2, 0.5, -0.5}};
    struct scheme s = {.m = tile == WINOGRAD_F6 ? 6 : 4};
    s.points = s.m + 2;
    const double *point = points[tile];
    for (int i = 0; i < s.points - 1; i++) {
        double product = 1;
        for (int q = 0; q < s.points - 1; q++)
            product *= q == i ? 1 : point[i] - point[q];
        for (int k = 0; k < 3; k++)
            s.g[i][k] = pow(point[i], k) / product;
        for (int k = 0; k < s.m; k++)
            s.a[k][i] = pow(point[i], k);
        multiply_out(point, s.points - 1, i, s.b[i]);
    }
    s.g[s.points - 1][2] = s.a[s.m - 1][s.points - 1] = 1;
    multiply_out(point, s.points - 1, -1, s.b[s.points - 1]);
    return s;
}

/* One tile and channel of V, rounded. map [height][width][stride] at its channel; (top, left) may lie outside. */
static void transform_patch(const struct scheme *s, const double *map, int height, int width, int stride, int top,
                            int left, double v[POINTS_MAX][POINTS_MAX]) {
    double half[POINTS_MAX][POINTS_MAX] = {{0}};
    for (int i = 0; i < s->points; i++)
        for (int x = 0; x < s->points; x++)
            for (int y = 0; y < s->points; y++) {
                int row = top + y, column = left + x;
                bool inside = row >= 0 && row < height && column >= 0 && column < width;
                half[i][x] += inside ? s->b[i][y] * map[((size_t)row * width + column) * stride] : 0;
            }
    for (int i = 0; i < s->points; i++)
        for (int j = 0; j < s->points; j++) {
            double sum = 0;
            for (int x = 0; x < s->points; x++)
                sum += half[i][x] * s->b[j][x];
            v[i][j] = round_bf16(sum);
        }
}

/* U of a kernel k[3][3], rounded. */
static void transform_kernel(const struct scheme *s, double k[3][3], double u[POINTS_MAX][POINTS_MAX]) {
    for (int i = 0; i < s->points; i++)
        for (int j = 0; j < s->points; j++) {
            double sum = 0;
            for (int tap = 0; tap < 9; tap++)
                sum += s->g[i][tap / 3] * k[tap / 3][tap % 3] * s->g[j][tap % 3];
            u[i][j] = round_bf16(sum);
        }
}

/* A convolution whose operands are rounded: in [height][width][ins] -> out [height][width][outs], by kernels
 * [3][3][ins][outs], turned by 180 degrees and from outs to ins if `back`. */
static void convolve(const struct scheme *s, const double *in, int height, int width, int ins, int outs,
                     const float *weights, bool back, double *out) {
    memset(out, 0, (size_t)height * width * outs * sizeof *out);
    for (int i = 0; i < ins; i++)
        for (int o = 0; o < outs; o++) {
            double k[3][3], u[POINTS_MAX][POINTS_MAX], v[POINTS_MAX][POINTS_MAX];
            for (int tap = 0; tap < 9; tap++)
                k[tap / 3][tap % 3] = back ? weights[((size_t)(8 - tap) * outs + o) * ins + i]
                                           : weights[((size_t)tap * ins + i) * outs + o];
            transform_kernel(s, k, u);
            for (int top = 0; top < height; top += s->m)
                for (int left = 0; left < width; left += s->m) {
                    transform_patch(s, in + i, height, width, ins, top - 1, left - 1, v);
                    for (int y = 0; y < s->m && top + y < height; y++)
                        for (int x = 0; x < s->m && left + x < width; x++) {
                            double sum = 0;
                            for (int xi = 0; xi < s->points * s->points; xi++)
                                sum += s->a[y][xi / s->points] * s->a[x][xi % s->points] *
                                       u[xi / s->points][xi % s->points] * v[xi / s->points][xi % s->points];
                            out[((size_t)(top + y) * width + left + x) * outs + o] += sum;
                        }
                }
        }
}

/* Layers against the twins ---------------------------------------------------------------------------------------- */

/* Channels are multiples of 16: what is padded is tested elsewhere. */
struct shape {
    int cin, cout, height, width;
    bool pooled;
};

static const struct shape shapes[] = {
    {16, 16, 1, 1, false}, {16, 32, 4, 7, false},  {32, 16, 9, 8, true},
    {16, 80, 5, 6, true},  {64, 16, 13, 9, false}, {32, 32, 14, 12, true},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct subject {
    struct shape shape;
    struct twin_layer twin;
    struct winograd_layer layer;
    size_t in_count, out_count;
    float *weights, *bias, *in, *grad_out, *out, *grad_in;
    uint8_t *gate;
    void *table[2], *scratch;
};

static struct subject make_subject(struct shape shape, enum winograd_tile tile) {
    struct subject s = {.shape = shape};
    size_t taps = (size_t)9 * shape.cin * shape.cout;
    s.weights = guarded_floats(taps);
    s.bias = guarded_floats(shape.cout);
    random_map(s.weights, taps, 1, 1, 1 / sqrtf(3.F * shape.cin));
    random_map(s.bias, 1, shape.cout, shape.cout, 0.25F);
    s.twin = (struct twin_layer){shape.cin, shape.cout, shape.cin, shape.cout, shape.pooled, s.weights, s.bias};
    s.layer = (struct winograd_layer){
        .cin = shape.cin, .cout = shape.cout, .pooled = shape.pooled, .bias = s.bias, .kernels = {kernels, kernels}};
    for (int d = 0; d < 2; d++) {
        s.layer.table[d][tile] = s.table[d] =
            guarded_allocate(winograd_table_bytes(kernels, tile, shape.cin, shape.cout));
        winograd_fill_table(kernels, tile, d, shape.cin, shape.cout, s.weights, 0, 1, s.table[d]);
    }
    s.in_count = twin_in_count(&s.twin, shape.height, shape.width);
    s.out_count = twin_out_count(&s.twin, shape.height, shape.width);
    s.in = guarded_floats(s.in_count);
    s.grad_out = guarded_floats(s.out_count);
    random_map(s.in, s.in_count, 1, 1, 1);
    random_map(s.grad_out, s.out_count, 1, 1, 1);
    s.out = guarded_floats(s.out_count);
    s.grad_in = guarded_floats(s.in_count);
    s.gate = guarded_allocate(s.out_count);
    s.scratch = guarded_allocate(winograd_scratch_bytes(&s.layer, 1, shape.height, shape.width));
    return s;
}

static void free_subject(struct subject *s) {
    void *const owned[] = {s->weights, s->bias,    s->in,   s->grad_out, s->out,
                           s->grad_in, s->scratch, s->gate, s->table[0], s->table[1]};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        guarded_free(owned[i]);
}

/* The gradient before ReLU and pooling. */
static double *ungate(const struct subject *s) {
    const struct shape *shape = &s->shape;
    int step = shape->pooled ? 2 : 1, columns = shape->width / step;
    double *z = twin_zeros((size_t)shape->height * shape->width * shape->cout);
    for (size_t i = 0; i < s->out_count; i++) {
        int c = i % shape->cout, y = i / shape->cout / columns * step, x = i / shape->cout % columns * step;
        int place = shape->pooled ? s->gate[i] : s->gate[i] ? 0 : 4;
        if (place < 4)
            z[((size_t)(y + place / 2) * shape->width + x + place % 2) * shape->cout + c] = s->grad_out[i];
    }
    return z;
}

struct errors {
    double out, grad_in;
};

/* Errors against the twin that rounds, or against double precision; the way back through the kernels' own gates. */
static struct errors find_errors(const struct subject *s, const struct scheme *scheme) {
    const struct shape *shape = &s->shape;
    size_t z_count = (size_t)shape->height * shape->width * shape->cout;
    double *in = twin_widen(s->in, s->in_count), *z = twin_zeros(z_count), *out = twin_zeros(s->out_count);
    double *grad_out = twin_widen(s->grad_out, s->out_count), *grad_z = ungate(s), *grad_in = twin_zeros(s->in_count);
    uint8_t *gate = malloc(s->out_count);
    if (scheme) {
        convolve(scheme, in, shape->height, shape->width, shape->cin, shape->cout, s->weights, false, z);
        for (size_t i = 0; i < z_count; i++)
            z[i] += s->bias[i % shape->cout];
        convolve(scheme, grad_z, shape->height, shape->width, shape->cout, shape->cin, s->weights, true, grad_in);
    } else {
        twin_convolve(&s->twin, in, shape->height, shape->width, z);
        twin_backward(&s->twin, grad_out, s->gate, shape->height, shape->width, grad_in);
    }
    twin_rectify(&s->twin, z, shape->height, shape->width, out, gate);
    struct errors errors = {twin_error(s->out, out, s->out_count), twin_error(s->grad_in, grad_in, s->in_count)};
    void *const owned[] = {in, z, out, grad_out, grad_z, grad_in, gate};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    return errors;
}

static void widen(struct errors *worst, struct errors errors) {
    worst->out = fmax(worst->out, errors.out);
    worst->grad_in = fmax(worst->grad_in, errors.grad_in);
}

/* An operand within single precision's rounding of the middle between two numbers of bfloat16 may go either way: rare,
 * and 2^-8 of that operand. Without the twin's rounding, errors are those of the bound against double precision. */
static void layers_round_as_the_twin_does(void **state) {
    (void)state;
    static const double exact_bound[] = {0.02, 0.08};
    if (is_missing())
        return;
    for (int tile = 0; tile < 2; tile++) {
        const struct scheme scheme = make_scheme(tile);
        struct errors rounded = {0}, exact = {0};
        for (int i = 0; i < SHAPES; i++) {
            struct subject s = make_subject(shapes[i], tile);
            winograd_forward(&s.layer, s.in, 1, s.shape.height, s.shape.width, s.out, s.gate, s.scratch);
            winograd_backward(&s.layer, s.grad_out, s.gate, 1, s.shape.height, s.shape.width, s.grad_in, s.scratch);
            widen(&rounded, find_errors(&s, &scheme));
            widen(&exact, find_errors(&s, NULL));
            free_subject(&s);
        }
        printf("# F%d: error forward %.1e, backward %.1e; against double precision %.1e, %.1e\n", scheme.m, rounded.out,
               rounded.grad_in, exact.out, exact.grad_in);
        assert_true(rounded.out < 5e-5 && rounded.grad_in < 5e-5);
        assert_true(exact.out < exact_bound[tile] && exact.grad_in < exact_bound[tile]);
        assert_true(exact.out > 100 * rounded.out); /* it does round */
    }
}

/* Networks -------------------------------------------------------------------------------------------------------- */

static double dot(const float *a, const double *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* How far a gradient is from an independent program's in double precision. */
struct distance {
    double error, cosine, loss; /* relative L2; relative */
};

static struct distance measure(const float *got, double loss, const double *wanted, double wanted_loss, size_t count) {
    double *own = twin_widen(got, count), square = 0;
    for (size_t i = 0; i < count; i++)
        square += wanted[i] * wanted[i];
    struct distance distance = {twin_error(got, wanted, count),
                                dot(got, wanted, count) / sqrt(dot(got, own, count) * square),
                                fabs(loss / wanted_loss - 1)};
    free(own);
    return distance;
}

/* One gradient of the demo network at one size. */
static void compute(const struct weights *weights, int layer, int height, int width, struct network_picture *picture) {
    const struct objective mean = {0};
    struct octaves one = {.steps = 1, .height = {height}, .width = {width}};
    struct network network;
    struct network_memory memory;
    struct error error;
    void *tables = filled_network(weights, &one, layer, kernels, &network);
    assert_int_equal(network_memory_make(&network, &one, layer, 1, &memory, &error), 0);
    network_gradients(&network, &memory, &mean, layer, height, width, picture, 1, NULL);
    network_memory_free(&memory);
    network_free(&network);
    free(tables);
}

static struct distance compare_case(const struct weights *weights, const char *group) {
    char path[64], layer[64];
    int shape[3];
    snprintf(path, sizeof path, "%s/x", group);
    float *x = fixture_floats("gradients.h5", path, shape);
    snprintf(path, sizeof path, "%s/gradient", group);
    double *wanted = fixture_doubles("gradients.h5", path, shape);
    size_t count = (size_t)shape[0] * shape[1] * 3;
    struct network_picture picture = {
        .filter = (int)fixture_number("gradients.h5", group, "filter"), .x = x, .gradient = guarded_floats(count)};
    fixture_string("gradients.h5", group, "layer", layer);
    compute(weights, vgg_find(&weights->net, layer), shape[0], shape[1], &picture);
    struct distance distance =
        measure(picture.gradient, picture.loss, wanted, fixture_number("gradients.h5", group, "loss"), count);
    guarded_free(picture.gradient);
    free(wanted);
    free(x);
    return distance;
}

/* All layers of the demo network. The rest is ReLUs and maxima that turn out otherwise. Which they are changes with the
 * last bits before the rounding: a deep layer's loss that is 2e-3 away with one compiler is 2e-2 away with another, and
 * the mean of all 4e-3 or 5e-3. */
static void gradients_point_where_those_of_double_precision_do(void **state) {
    (void)state;
    struct distance mean = {0}, worst = {.cosine = 1};
    struct weights weights;
    struct error error;
    int cases = 0;
    if (is_missing())
        return;
    assert_int_equal(weights_read("jobs/demo/demo_weights.h5", NULL, &weights, &error), 0);
    for (char group[32]; snprintf(group, sizeof group, "case%02d", cases), fixture_exists("gradients.h5", group);
         cases++) {
        struct distance distance = compare_case(&weights, group);
        mean.error += distance.error;
        mean.cosine += distance.cosine;
        mean.loss += distance.loss;
        worst.error = fmax(worst.error, distance.error);
        worst.cosine = fmin(worst.cosine, distance.cosine);
        worst.loss = fmax(worst.loss, distance.loss);
    }
    printf(
        "# %d gradients: error %.3f, at most %.3f; cosine %.4f, at least %.4f; error of the loss %.1e, at most %.1e\n",
        cases, mean.error / cases, worst.error, mean.cosine / cases, worst.cosine, mean.loss / cases, worst.loss);
    assert_true(cases == 2 * weights.net.layers);
    weights_free(&weights);
    assert_true(mean.error / cases < 0.1 && worst.error < 0.3);
    assert_true(mean.cosine / cases > 0.993 && worst.cosine > 0.96);
    assert_true(mean.loss / cases < 0.008 && worst.loss < 0.04);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_round_as_the_twin_does),
        cmocka_unit_test(gradients_point_where_those_of_double_precision_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
