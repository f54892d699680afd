/* Winograd's convolutions against plain loops in double precision, in every set of kernels that this processor runs:
 * values, gates, ties, padding, and that a picture's bits depend on nothing but the picture. */
#include "filteratlas/net/winograd.h"
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

struct shape {
    int cin, cout, pictures, height, width;
    bool pooled;
};

/* Odd, thin and single maps, tiles that reach over every edge, channels that are no multiple of 16 or of 64. */
static const struct shape shapes[] = {
    {16, 16, 1, 1, 1, false},   {5, 20, 2, 1, 7, false},    {20, 5, 3, 2, 2, true},      {48, 80, 5, 4, 4, true},
    {20, 48, 4, 7, 1, false},   {16, 48, 2, 5, 5, true},    {20, 16, 3, 5, 5, false},    {80, 64, 2, 7, 13, true},
    {64, 80, 2, 7, 13, false},  {128, 64, 2, 21, 21, true}, {64, 128, 1, 21, 21, false}, {5, 5, 1, 22, 38, true},
    {48, 20, 1, 22, 38, false}, {16, 16, 4, 13, 9, true},   {64, 64, 1, 43, 37, true},   {128, 128, 5, 10, 11, true},
    {512, 512, 3, 4, 4, false}, {512, 512, 2, 5, 6, true},  {512, 128, 1, 7, 7, false},  {300, 512, 1, 9, 3, true},
    {16, 16, 5, 1, 1, false},   {5, 16, 1, 13, 22, true},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, TILES = 2 };

static const char *const set_names[] = {"avx512", "avx2", "neon", "baseline", "bf16"}; /* bfloat16 last */
enum { SETS = sizeof set_names / sizeof *set_names };

/* The kernel sets that this processor runs. */
static const struct winograd_kernels *sets[SETS];
static int set_count, single_count; /* all; those of single precision */

static int find_sets(void **state) {
    (void)state;
    for (int i = 0; i < SETS; i++) {
        sets[set_count] = winograd_find_kernels(set_names[i]);
        if (sets[set_count])
            single_count += winograd_precision(sets[set_count++]) == WINOGRAD_SINGLE;
        else
            printf("# skip: this processor does not run the %s kernels\n", set_names[i]);
    }
    return single_count > 0 ? 0 : -1;
}

/* A layer with random weights and input, and the twin's answer. */
struct subject {
    struct shape shape;
    struct winograd_layer layer;
    struct twin_layer twin;
    size_t in_floats, out_floats; /* of one picture */
    float *weights, *bias, *in, *grad_out;
    float *out, *grad_in;
    void *scratch;
    uint8_t *gate;
    void *table[2][2];
};

static int picture_size(const struct shape *shape) { return shape->height * shape->width; }

static void free_tables(struct subject *s) {
    for (int i = 0; i < 4; i++) {
        guarded_free(s->table[i / 2][i % 2]);
        s->layer.table[i / 2][i % 2] = s->table[i / 2][i % 2] = NULL;
    }
}

/* Tables are the kernels' own. */
static void make_tables(struct subject *s, const struct winograd_kernels *kernels) {
    enum winograd_tile tile = winograd_choose_tile(s->shape.height, s->shape.width);
    free_tables(s);
    for (int direction = 0; direction < 2; direction++) {
        void *table = guarded_allocate(winograd_table_bytes(kernels, tile, s->shape.cin, s->shape.cout));
        winograd_fill_table(kernels, tile, direction, s->shape.cin, s->shape.cout, s->weights, 0, 1, table);
        s->layer.table[direction][tile] = s->table[direction][tile] = table;
    }
    s->layer.kernels[WINOGRAD_FORWARD] = s->layer.kernels[WINOGRAD_BACKWARD] = kernels;
}

static void make_weights(struct subject *s) {
    int padded = winograd_padded(s->shape.cout);
    s->weights = guarded_floats((size_t)9 * s->shape.cin * s->shape.cout);
    random_map(s->weights, (size_t)9 * s->shape.cin, s->shape.cout, s->shape.cout, 1 / sqrtf(3.F * s->shape.cin));
    s->bias = guarded_floats(padded);
    random_map(s->bias, 1, s->shape.cout, padded, 0.25F);
}

static void make_layer(struct subject *s) {
    const struct shape *shape = &s->shape;
    s->layer =
        (struct winograd_layer){.cin = shape->cin, .cout = shape->cout, .pooled = shape->pooled, .bias = s->bias};
    s->twin = (struct twin_layer){
        shape->cin, shape->cout, winograd_padded(shape->cin), winograd_padded(shape->cout), shape->pooled,
        s->weights, s->bias};
    s->in_floats = twin_in_count(&s->twin, shape->height, shape->width);
    s->out_floats = twin_out_count(&s->twin, shape->height, shape->width);
}

static struct subject make_subject(struct shape shape) {
    struct subject s = {.shape = shape};
    make_weights(&s);
    make_layer(&s);
    s.in = guarded_floats(shape.pictures * s.in_floats);
    random_map(s.in, (size_t)shape.pictures * picture_size(&shape), shape.cin, s.twin.in_stride, 1);
    s.grad_out = guarded_floats(shape.pictures * s.out_floats);
    random_map(s.grad_out, shape.pictures * s.out_floats / s.twin.out_stride, shape.cout, s.twin.out_stride, 1);
    return s;
}

static void free_results(struct subject *s) {
    guarded_free(s->out);
    guarded_free(s->gate);
    guarded_free(s->grad_in);
    guarded_free(s->scratch);
    s->out = s->grad_in = NULL;
    s->scratch = NULL;
    s->gate = NULL;
}

static void free_subject(struct subject *s) {
    void *const owned[] = {s->weights, s->bias, s->in, s->grad_out};
    free_results(s);
    free_tables(s);
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        guarded_free(owned[i]);
}

/* Results and scratch memory that nobody has written to. */
static void renew_results(struct subject *s, const struct winograd_kernels *kernels) {
    const struct shape *shape = &s->shape;
    free_results(s);
    if (s->layer.kernels[0] != kernels)
        make_tables(s, kernels);
    s->out = guarded_floats(shape->pictures * s->out_floats);
    s->gate = guarded_allocate(shape->pictures * s->out_floats);
    s->grad_in = guarded_floats(shape->pictures * s->in_floats);
    s->scratch = guarded_allocate(winograd_scratch_bytes(&s->layer, shape->pictures, shape->height, shape->width));
}

static void run_forward(struct subject *s) {
    winograd_forward(&s->layer, s->in, s->shape.pictures, s->shape.height, s->shape.width, s->out, s->gate, s->scratch);
}

static void run_backward(struct subject *s) {
    winograd_backward(&s->layer, s->grad_out, s->gate, s->shape.pictures, s->shape.height, s->shape.width, s->grad_in,
                      s->scratch);
}

static void run(struct subject *s, const struct winograd_kernels *kernels) {
    renew_results(s, kernels);
    run_forward(s);
    run_backward(s);
}

static const char *describe(const struct shape *s) {
    static char text[80];
    snprintf(text, sizeof text, "%d -> %d channels, %d of %d x %d%s", s->cin, s->cout, s->pictures, s->height, s->width,
             s->pooled ? ", pooled" : "");
    return text;
}

/* A check that says of which shape and kernels it speaks. */
static void check(bool fine, const struct subject *s, const char *what, double value) {
    if (!fine)
        fail_msg("%s: %s (%g) with the %s kernels", describe(&s->shape), what, value,
                 winograd_kernels_name(s->layer.kernels[0]));
}

/* Errors ---------------------------------------------------------------------------------------------------------- */

static const double bounds[2][TILES] = {{1.5e-6, 5e-6}, {0.06, 0.12}}; /* [precision][tile] */
static double worst[SETS][TILES][2];                                   /* [kernels][tile][direction] */

static void note_error(struct subject *s, int set, enum winograd_direction direction, double error) {
    enum winograd_tile tile = winograd_choose_tile(s->shape.height, s->shape.width);
    worst[set][tile][direction] = fmax(worst[set][tile][direction], error);
    check(error < bounds[winograd_precision(sets[set])][tile], s,
          direction == WINOGRAD_FORWARD ? "error of the output" : "error of the gradient", error);
}

/* The twin's z of every picture. */
static double *twin_z(const struct subject *s) {
    size_t z_count = (size_t)picture_size(&s->shape) * s->twin.out_stride;
    double *in = twin_widen(s->in, s->shape.pictures * s->in_floats), *z = twin_zeros(s->shape.pictures * z_count);
    for (int p = 0; p < s->shape.pictures; p++)
        twin_convolve(&s->twin, in + p * s->in_floats, s->shape.height, s->shape.width, z + p * z_count);
    free(in);
    return z;
}

/* The twin's output and gates of every picture. */
static void twin_outputs(const struct subject *s, const double *z, double *out, uint8_t *gate) {
    size_t z_count = (size_t)picture_size(&s->shape) * s->twin.out_stride;
    for (int p = 0; p < s->shape.pictures; p++)
        twin_rectify(&s->twin, z + p * z_count, s->shape.height, s->shape.width, out + p * s->out_floats,
                     gate + p * s->out_floats);
}

static void compare_outputs(struct subject *s) {
    size_t count = s->shape.pictures * s->out_floats;
    double *z = twin_z(s), *out = twin_zeros(count);
    uint8_t *gate = guarded_allocate(count);
    twin_outputs(s, z, out, gate);
    for (int set = 0; set < set_count; set++) {
        renew_results(s, sets[set]);
        run_forward(s);
        note_error(s, set, WINOGRAD_FORWARD, twin_error(s->out, out, count));
    }
    guarded_free(gate);
    free(out);
    free(z);
}

static void outputs_equal_double_precision(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct subject s = make_subject(shapes[i]);
        compare_outputs(&s);
        free_subject(&s);
    }
}

/* With the gates that the kernels wrote. */
static void compare_gradients(struct subject *s, int set) {
    size_t in_count = s->shape.pictures * s->in_floats;
    double *grad_out = twin_widen(s->grad_out, s->shape.pictures * s->out_floats), *wanted = twin_zeros(in_count);
    for (int p = 0; p < s->shape.pictures; p++)
        twin_backward(&s->twin, grad_out + p * s->out_floats, s->gate + p * s->out_floats, s->shape.height,
                      s->shape.width, wanted + p * s->in_floats);
    note_error(s, set, WINOGRAD_BACKWARD, twin_error(s->grad_in, wanted, in_count));
    free(wanted);
    free(grad_out);
}

static void gradients_equal_double_precision(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct subject s = make_subject(shapes[i]);
        for (int set = 0; set < set_count; set++) {
            run(&s, sets[set]);
            compare_gradients(&s, set);
        }
        free_subject(&s);
    }
}

static int print_worst(void **state) {
    (void)state;
    for (int set = 0; set < set_count; set++)
        printf("# %s: relative error forward %.1e (F4), %.1e (F6), backward %.1e (F4), %.1e (F6)\n",
               winograd_kernels_name(sets[set]), worst[set][0][0], worst[set][1][0], worst[set][0][1],
               worst[set][1][1]);
    return 0;
}

/* Both tiles must have been tried. */
static void shapes_use_both_tiles(void **state) {
    (void)state;
    int uses[TILES] = {0};
    for (int i = 0; i < SHAPES; i++)
        uses[winograd_choose_tile(shapes[i].height, shapes[i].width)]++;
    assert_true(uses[WINOGRAD_F4] >= 5 && uses[WINOGRAD_F6] >= 5);
}

/* Gates ----------------------------------------------------------------------------------------------------------- */

/* Values this near to each other, or to 0, may fall out either way: about ten times the greatest rounding error. */
static const double NEAR = 3e-5;

/* The twin's value at the place that a gate names; 0 if it is closed. z is the window's first value. */
static double gated_value(const struct subject *s, const double *z, int gate) {
    size_t position = s->twin.out_stride, row = s->shape.width * position;
    if (!s->shape.pooled)
        return gate ? *z : 0;
    return gate < 4 ? z[gate / 2 * row + gate % 2 * position] : 0;
}

/* Whether a gate is as the twin's, or names a value that is as great within rounding. */
static bool fits(const struct subject *s, const double *z, int gate, int wanted) {
    bool possible = s->shape.pooled ? gate <= 4 : gate == 0 || gate == 255;
    return gate == wanted || (possible && fabs(gated_value(s, z, gate) - gated_value(s, z, wanted)) < NEAR);
}

/* One picture's; returns how many gates are not the twin's. */
static int compare_gates(const struct subject *s, const double *z, const uint8_t *gate, const uint8_t *wanted,
                         const float *out) {
    int step = s->shape.pooled ? 2 : 1, stride = s->twin.out_stride, columns = s->shape.width / step, other = 0;
    for (size_t i = 0; i < s->out_floats; i++) {
        size_t y = i / stride / columns, x = i / stride % columns;
        const double *window = z + (step * y * s->shape.width + step * x) * stride + i % stride;
        bool open = s->shape.pooled ? gate[i] < 4 : gate[i];
        check(fits(s, window, gate[i], wanted[i]), s, "wrong gate", gate[i]);
        check(open == (out[i] > 0), s, "gate and output contradict each other", out[i]);
        other += gate[i] != wanted[i];
    }
    return other;
}

static void compare_all_gates(struct subject *s) {
    size_t count = s->shape.pictures * s->out_floats, z_count = (size_t)picture_size(&s->shape) * s->twin.out_stride;
    double *z = twin_z(s), *out = twin_zeros(count);
    uint8_t *gate = guarded_allocate(count);
    twin_outputs(s, z, out, gate);
    for (int set = 0; set < single_count; set++) {
        int other = 0;
        run(s, sets[set]);
        for (int p = 0; p < s->shape.pictures; p++)
            other += compare_gates(s, z + p * z_count, s->gate + p * s->out_floats, gate + p * s->out_floats,
                                   s->out + p * s->out_floats);
        check((size_t)other <= 1 + count / 2000, s, "too many gates within rounding of a tie", other);
    }
    guarded_free(gate);
    free(out);
    free(z);
}

static void gates_are_those_of_double_precision(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct subject s = make_subject(shapes[i]);
        compare_all_gates(&s);
        free_subject(&s);
    }
}

/* Channel c passes the middle of its window on, times 1, and adds a bias so great that the sum rounds to a multiple of
 * 8: the output is exact, and ties are. */
static const float GREAT = 1 << 26;

static void make_exact(struct subject *s) {
    size_t weights = (size_t)9 * s->shape.cin * s->shape.cout;
    memset(s->weights, 0, weights * sizeof(float));
    for (int c = 0; c < s->shape.cin && c < s->shape.cout; c++)
        s->weights[((size_t)4 * s->shape.cin + c) * s->shape.cout + c] = 1;
    for (int c = 0; c < s->shape.cout; c++)
        s->bias[c] = GREAT;
    for (size_t i = 0; i < s->shape.pictures * s->in_floats; i++)
        s->in[i] = s->in[i] > 0 ? 64 : 0; /* padding stays 0 */
}

/* Windows with every pattern of two values: the first of the greatest has the gate. */
static void the_first_of_equal_maxima_has_the_gate(void **state) {
    (void)state;
    const struct shape tied[] = {{20, 20, 2, 9, 8, true}, {64, 64, 2, 21, 20, true}, {5, 16, 1, 10, 11, true}};
    for (int i = 0; i < 3; i++) {
        struct subject s = make_subject(tied[i]);
        size_t count = s.shape.pictures * s.out_floats;
        make_exact(&s);
        double *z = twin_z(&s), *out = twin_zeros(count);
        uint8_t *gate = guarded_allocate(count);
        twin_outputs(&s, z, out, gate);
        for (int set = 0; set < single_count; set++) {
            run(&s, sets[set]);
            for (size_t j = 0; j < count; j++)
                check(s.out[j] == out[j] && s.gate[j] == gate[j], &s, "not the first of equals", s.gate[j]);
        }
        guarded_free(gate);
        free(out);
        free(z);
        free_subject(&s);
    }
}

/* Of an input of zeros, all outputs of a channel are equal: its bias. */
static void of_no_input_the_bias_remains(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct subject s = make_subject(shapes[i]);
        int open = s.shape.pooled ? 0 : 255, closed = s.shape.pooled ? 4 : 0;
        memset(s.in, 0, s.shape.pictures * s.in_floats * sizeof(float));
        for (int set = 0; set < set_count; set++) {
            run(&s, sets[set]);
            for (size_t j = 0; j < s.shape.pictures * s.out_floats; j++) {
                float bias = s.bias[j % s.twin.out_stride];
                check(s.out[j] == fmaxf(bias, 0), &s, "not the bias", s.out[j]);
                check(s.gate[j] == (bias > 0 ? open : closed), &s, "not the bias's gate", s.gate[j]);
            }
        }
        free_subject(&s);
    }
}

/* Bits ------------------------------------------------------------------------------------------------------------ */

static void check_padding(const struct subject *s, const float *map, size_t count, int channels) {
    static const float zero;
    for (size_t i = 0; i < count; i++)
        if ((int)(i % winograd_padded(channels)) >= channels)
            check(!memcmp(map + i, &zero, sizeof zero), s, "padding is not 0", map[i]);
}

static void padding_stays_zero(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct subject s = make_subject(shapes[i]);
        for (int set = 0; set < set_count; set++) {
            run(&s, sets[set]);
            check_padding(&s, s.out, s.shape.pictures * s.out_floats, s.shape.cout);
            check_padding(&s, s.grad_in, s.shape.pictures * s.in_floats, s.shape.cin);
        }
        free_subject(&s);
    }
}

/* A subject of some pictures of another, beginning with number `first` and counting on in a circle. */
static struct subject make_company(const struct subject *all, int first, int pictures) {
    struct subject s = *all;
    s.shape.pictures = pictures;
    s.out = s.grad_in = NULL;
    s.scratch = NULL;
    s.gate = NULL;
    s.in = guarded_floats(pictures * s.in_floats);
    s.grad_out = guarded_floats(pictures * s.out_floats);
    for (int p = 0; p < pictures; p++) {
        int from = (first + p) % all->shape.pictures;
        memcpy(s.in + p * s.in_floats, all->in + from * s.in_floats, s.in_floats * sizeof(float));
        memcpy(s.grad_out + p * s.out_floats, all->grad_out + from * s.out_floats, s.out_floats * sizeof(float));
    }
    return s;
}

static void free_company(struct subject *s) {
    free_results(s);
    guarded_free(s->in);
    guarded_free(s->grad_out);
}

static void compare_company(struct subject *all, int first, int pictures) {
    struct subject some = make_company(all, first, pictures);
    run(&some, all->layer.kernels[0]);
    for (int p = 0; p < pictures; p++) {
        size_t at = (first + p) % all->shape.pictures, out = all->out_floats, in = all->in_floats;
        check(!memcmp(some.out + p * out, all->out + at * out, out * sizeof(float)), all, "output of picture", p);
        check(!memcmp(some.gate + p * out, all->gate + at * out, out), all, "gates of picture", p);
        check(!memcmp(some.grad_in + p * in, all->grad_in + at * in, in * sizeof(float)), all, "gradient of picture",
              p);
    }
    free_company(&some);
}

/* One gradient is zero in most places, so that its tiles are skipped and other pictures' tiles move up. */
static void thin_out(struct subject *s, int picture) {
    float *grad_out = s->grad_out + picture * s->out_floats;
    for (size_t i = 0; i < s->out_floats; i++)
        if (i / s->twin.out_stride != 1)
            grad_out[i] = 0;
}

static void bits_do_not_depend_on_company(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct shape shape = shapes[i];
        if (shape.cin * shape.cout <= 128 * 128)
            shape.pictures = 5;
        struct subject s = make_subject(shape);
        thin_out(&s, shape.pictures / 2);
        for (int set = 0; set < set_count; set++) {
            run(&s, sets[set]);
            for (int first = 0; first < shape.pictures; first++)
                compare_company(&s, first, 1);
            for (int pictures = 2; pictures <= shape.pictures; pictures++)
                compare_company(&s, shape.pictures - 1, pictures);
        }
        free_subject(&s);
    }
}

/* Opens the gates in the left upper part of the map alone, at random. */
static void draw_gates(struct subject *s) {
    int step = s->shape.pooled ? 2 : 1, columns = s->shape.width / step, rows = s->shape.height / step;
    for (size_t i = 0; i < s->shape.pictures * s->out_floats; i++) {
        int x = i / s->twin.out_stride % columns, y = i % s->out_floats / s->twin.out_stride / columns;
        bool open = x <= columns / 3 && y <= rows / 3 && random_float() > 0;
        s->gate[i] = s->shape.pooled ? (open ? (uint8_t)(2 * random_float() + 2) : 4) : (open ? 255 : 0);
    }
}

static void compare_skipped(struct subject *s) {
    size_t count = s->shape.pictures * s->out_floats, in_count = s->shape.pictures * s->in_floats;
    float *whole = guarded_floats(in_count);
    draw_gates(s);
    run_backward(s);
    memcpy(whole, s->grad_in, in_count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        if (s->shape.pooled ? s->gate[i] == 4 : !s->gate[i])
            s->grad_out[i] = i % 2 ? 0 : -0.F;
    memset(s->grad_in, 0xff, in_count * sizeof(float));
    run_backward(s);
    check(!memcmp(whole, s->grad_in, in_count * sizeof(float)), s, "bits of a gradient with skipped tiles", 0);
    guarded_free(whole);
}

/* A gradient behind closed gates counts for nothing, whatever it is: with zeros there, most tiles can be skipped, with
 * other numbers none, and the bits are the same. */
static void skipped_tiles_change_no_bits(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        struct subject s = make_subject(shapes[i]);
        for (int set = 0; set < set_count; set++) {
            renew_results(&s, sets[set]);
            random_map(s.grad_out, s.shape.pictures * s.out_floats / s.twin.out_stride, s.shape.cout, s.twin.out_stride,
                       1);
            compare_skipped(&s);
            compare_gradients(&s, set);
        }
        free_subject(&s);
    }
}

/* Memory for some pictures must do for fewer. Every run above has exactly what its own number asks for. */
static void more_pictures_never_need_less_memory(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        const struct winograd_layer layer = {
            .cin = shapes[i].cin, .cout = shapes[i].cout, .pooled = shapes[i].pooled, .kernels = {sets[0], sets[0]}};
        size_t before = 0;
        for (int pictures = 1; pictures <= 64; pictures++) {
            size_t bytes = winograd_scratch_bytes(&layer, pictures, shapes[i].height, shapes[i].width);
            assert_true(bytes >= before);
            before = bytes;
        }
    }
}

/* Tables and kernels ---------------------------------------------------------------------------------------------- */

static void compare_parts(const struct winograd_kernels *kernels, enum winograd_tile tile,
                          enum winograd_direction direction, int cin, int cout, int parts) {
    size_t bytes = winograd_table_bytes(kernels, tile, cin, cout), taps = (size_t)9 * cin * cout;
    float *weights = guarded_floats(taps), *whole = guarded_allocate(bytes), *pieces = guarded_allocate(bytes);
    random_map(weights, taps, 1, 1, 1);
    winograd_fill_table(kernels, tile, direction, cin, cout, weights, 0, 1, whole);
    for (int part = parts - 1; part >= 0; part--)
        winograd_fill_table(kernels, tile, direction, cin, cout, weights, part, parts, pieces);
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        assert_false(isnan(whole[i])); /* every number was written */
    assert_memory_equal(whole, pieces, bytes);
    guarded_free(weights);
    guarded_free(whole);
    guarded_free(pieces);
}

static void a_table_filled_in_parts_is_the_same(void **state) {
    (void)state;
    static const int channels[][2] = {{5, 20}, {16, 16}, {80, 48}, {128, 64}};
    static const int parts[] = {2, 3, 7, 200};
    for (int set = 0; set < set_count; set++)
        for (int tile = 0; tile < TILES; tile++)
            for (int direction = 0; direction < 2; direction++)
                for (int i = 0; i < 4; i++)
                    compare_parts(sets[set], tile, direction, channels[i][0], channels[i][1], parts[i]);
}

/* NULL is the first of the sets that run, fastest first; the baseline always runs. */
static void kernels_are_found_by_name(void **state) {
    (void)state;
    assert_ptr_equal(winograd_find_kernels(NULL), sets[0]);
    assert_string_equal(winograd_kernels_name(sets[single_count - 1]), "baseline");
    for (int i = 0; i < set_count; i++)
        assert_ptr_equal(winograd_find_kernels(winograd_kernels_name(sets[i])), sets[i]);
    assert_null(winograd_find_kernels("avx"));
    assert_null(winograd_find_kernels(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_are_found_by_name),
        cmocka_unit_test(shapes_use_both_tiles),
        cmocka_unit_test(outputs_equal_double_precision),
        cmocka_unit_test(gradients_equal_double_precision),
        cmocka_unit_test(gates_are_those_of_double_precision),
        cmocka_unit_test(the_first_of_equal_maxima_has_the_gate),
        cmocka_unit_test(of_no_input_the_bias_remains),
        cmocka_unit_test(padding_stays_zero),
        cmocka_unit_test(bits_do_not_depend_on_company),
        cmocka_unit_test(skipped_tiles_change_no_bits),
        cmocka_unit_test(more_pictures_never_need_less_memory),
        cmocka_unit_test(a_table_filled_in_parts_is_the_same),
    };
    return cmocka_run_group_tests(tests, find_sets, print_worst);
}
