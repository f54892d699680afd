/* See loops.h. Compiled once per instruction set, with -DLOOPS_ISA=<avx512, avx2 or baseline>. */
#include "loops.h"

#include <math.h>
#include <string.h>

/* --- Activations */

static const double SELU_SCALE = 1.0507009873554804934193349852946, SELU_ALPHA = 1.6732632423543772848170429916717;

/* exp, for |x| up to 87, beyond which it stays what it is there: no overflow, and the compiler makes vectors of it.
 * Cody and Waite's reduction, then Taylor's series up to x^7 on +-0.35: 1.2e-7 relative. */
static inline float bounded_exp(float x) {
    const float rounder = 12582912.F; /* 1.5 * 2^23 */
    x = x < -87.F ? -87.F : x;
    x = x > 87.F ? 87.F : x;
    float n = (x * 1.44269504F + rounder) - rounder;
    float r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
    float sum = 1.98412698e-4F;
    sum = sum * r + 1.38888889e-3F;
    sum = sum * r + 8.33333333e-3F;
    sum = sum * r + 4.16666667e-2F;
    sum = sum * r + 1.66666667e-1F;
    sum = sum * r + 0.5F;
    sum = (sum * r) * r + r + 1.F;
    int32_t bits = ((int32_t)n + 127) * (1 << 23);
    float power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

static inline float sigmoid(float v) { return 1.F / (1.F + bounded_exp(-v)); }

/* Functions that are 0 or 1 steep. */

static void linear_row(const float parameter[3], size_t count, const float *slopes, const float *z, const float *bias,
                       float *out, void *notes) {
    (void)parameter, (void)slopes, (void)notes;
    if (!bias && out != z)
        memcpy(out, z, count * sizeof *out);
    for (size_t i = 0; bias && i < count; i++)
        out[i] = z[i] + bias[i];
}

static void relu_row(const float parameter[3], size_t count, const float *slopes, const float *z, const float *bias,
                     float *out, void *notes) {
    uint8_t *gate = notes;
    (void)parameter, (void)slopes;
    for (size_t i = 0; i < count; i++) {
        float v = bias ? z[i] + bias[i] : z[i];
        out[i] = v > 0 ? v : 0;
        gate[i] = v > 0 ? 255 : 0;
    }
}

static void bounded_relu_row(const float parameter[3], size_t count, const float *slopes, const float *z,
                             const float *bias, float *out, void *notes) {
    const float most = parameter[0], threshold = parameter[2];
    uint8_t *gate = notes;
    (void)slopes;
    for (size_t i = 0; i < count; i++) {
        float v = bias ? z[i] + bias[i] : z[i], kept = v >= threshold ? v : 0;
        out[i] = v >= most ? most : kept;
        gate[i] = v > threshold && v < most ? 255 : 0;
    }
}

/* Functions whose slope is noted. */

/* A row function of the expressions for f and its slope, in v, with `before` computed first. */
#define ROW_FUNCTION(name, before, value, steepness)                                                                   \
    static void name(const float parameter[3], size_t count, const float *slopes, const float *z, const float *bias,   \
                     float *out, void *notes) {                                                                        \
        const float p0 = parameter[0], p1 = parameter[1], p2 = parameter[2];                                           \
        float *slope = notes;                                                                                          \
        (void)p0, (void)p1, (void)p2, (void)slopes;                                                                    \
        for (size_t i = 0; i < count; i++) {                                                                           \
            const float v = bias ? z[i] + bias[i] : z[i];                                                              \
            before;                                                                                                    \
            out[i] = value;                                                                                            \
            slope[i] = steepness;                                                                                      \
        }                                                                                                              \
    }

ROW_FUNCTION(bent_relu_row, const float low = p1 * (v - p2),
             v >= p0   ? p0
             : v >= p2 ? v
                       : low,
             v >= p0  ? 0.F
             : v > p2 ? 1.F
                      : p1)
ROW_FUNCTION(prelu_row, const float low = slopes[i] * v, v > 0 ? v : low, v > 0 ? 1.F : slopes[i])
ROW_FUNCTION(elu_row, const float low = p0 * expm1f(v > 0 ? 0 : v), v > 0 ? v : low, v > 0 ? 1.F : low + p0)
ROW_FUNCTION(selu_row, const float low = (float)(SELU_SCALE * SELU_ALPHA) * expm1f(v > 0 ? 0 : v),
             v > 0 ? (float)SELU_SCALE * v : low, v > 0 ? (float)SELU_SCALE : low + (float)(SELU_SCALE * SELU_ALPHA))
ROW_FUNCTION(swish_row, const float s = sigmoid(v), v *s, s + v * s * (1.F - s))
ROW_FUNCTION(sigmoid_row, const float s = sigmoid(v), s, s *(1.F - s))
ROW_FUNCTION(hard_sigmoid_row, const float s = p0 * v + 0.5F,
             s <= 0   ? 0.F
             : s >= 1 ? 1.F
                      : s,
             s > 0 && s < 1 ? p0 : 0.F)
ROW_FUNCTION(tanh_row, const float t = tanhf(v), t, 1.F - t * t)
ROW_FUNCTION(softplus_row, const float e = expf(-fabsf(v)), (v > 0 ? v : 0) + log1pf(e), sigmoid(v))
ROW_FUNCTION(softsign_row, const float w = 1.F / (1.F + fabsf(v)), v *w, w *w)
ROW_FUNCTION(exponential_row, const float e = expf(v), e, e)

/* v Phi(v), Phi(v) = (1 + erf(v / sqrt 2)) / 2; beyond 20 Phi and its slope are those of 20. */
static inline float bounded(float v) { return v < -20.F ? -20.F : v > 20.F ? 20.F : v; }
ROW_FUNCTION(gelu_row, const float b = bounded(v);
             const float phi = 0.5F + 0.5F * erff(b * (float)M_SQRT1_2), v *phi,
             phi + b * expf(-0.5F * b * b) * (float)(0.5 * M_SQRT1_2 * M_2_SQRTPI))

/* v (1 + tanh(sqrt(2 / pi) (v + 0.044715 v^3))) / 2 */
static const float GELU_INNER = (float)(M_SQRT1_2 * M_2_SQRTPI), GELU_CUBE = 0.044715F;
ROW_FUNCTION(gelu_tanh_row, const float b = bounded(v);
             const float t = tanhf(GELU_INNER * (b + GELU_CUBE * b * b * b)), 0.5F * v * (1.F + t),
             0.5F * (1.F + t) + 0.5F * b * (1.F - t * t) * GELU_INNER * (1.F + 3.F * GELU_CUBE * b * b))

/* --- Back, and sums */

static void open_gates(size_t count, const float *values, const uint8_t *gates, float *out) {
    for (size_t i = 0; i < count; i++)
        out[i] = gates[i] ? values[i] : 0;
}

static void multiply(size_t count, const float *a, const float *b, float *out) {
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] * b[i];
}

static void scale(size_t count, const float *values, float factor, float *out) {
    for (size_t i = 0; i < count; i++)
        out[i] = values[i] * factor;
}

static void sum(size_t count, const float *a, const float *b, float *out) {
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] + b[i];
}

static void add_scaled(size_t count, const float *values, float factor, float *to) {
    for (size_t i = 0; i < count; i++)
        to[i] += values[i] * factor;
}

static void keep_greater(size_t count, const float *values, uint32_t place, float *greatest, uint32_t *places) {
    for (size_t i = 0; i < count; i++) {
        uint32_t before = places[i];
        float value = values[i], most = greatest[i];
        places[i] = value > most ? place : before;
        greatest[i] = value > most ? value : most;
    }
}

/* --- Blocks that stay in registers */

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

enum { PARTS = 16, VECTORS = 4 };

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 4")

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vec load(const float *p) { return *(const vec *)p; }

/* `vectors` vectors of channels. */
INLINE void add_block(int vectors, const struct loop_tap *taps, int tap_count, const float *values,
                      const float *weights, const float *start, float *out) {
    vec sum[VECTORS];
    UNROLL
    for (int i = 0; i < vectors; i++)
        sum[i] = start ? load(start + i * LANES) : (vec){0};
    for (int t = 0; t < tap_count; t++) {
        const float *v = values + taps[t].value, *w = weights + taps[t].weight;
        UNROLL
        for (int i = 0; i < vectors; i++)
            sum[i] += load(v + i * LANES) * load(w + i * LANES);
    }
    UNROLL
    for (int i = 0; i < vectors; i++)
        *(vec *)(out + i * LANES) = sum[i];
}

static void add_taps(const struct loop_tap *taps, int tap_count, const float *values, const float *weights,
                     const float *start, size_t count, float *out) {
    size_t c = 0;
    for (; c + VECTORS * LANES <= count; c += VECTORS * LANES)
        add_block(VECTORS, taps, tap_count, values + c, weights + c, start ? start + c : NULL, out + c);
    for (; c + LANES <= count; c += LANES)
        add_block(1, taps, tap_count, values + c, weights + c, start ? start + c : NULL, out + c);
    for (; c < count; c++) {
        float sum = start ? start[c] : 0;
        for (int t = 0; t < tap_count; t++)
            sum += values[taps[t].value + c] * weights[taps[t].weight + c];
        out[c] = sum;
    }
}

static float dot(size_t count, const float *a, const float *b) {
    float sums[PARTS] = {0}, rest = 0;
    size_t i = 0;
    for (; i + PARTS <= count; i += PARTS)
        for (int j = 0; j < PARTS; j++)
            sums[j] += a[i + j] * b[i + j];
    for (; i < count; i++)
        rest += a[i] * b[i];
    for (int half = PARTS / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            sums[j] += sums[j + half];
    return sums[0] + rest;
}

/* --- The table */

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define STRING_(x) #x
#define STRING(x) STRING_(x)

extern const struct loops JOIN(loops_, LOOPS_ISA);
const struct loops JOIN(loops_, LOOPS_ISA) = {
    .name = STRING(LOOPS_ISA),
    .activation = {[GRAPH_LINEAR] = linear_row,
                   [GRAPH_RELU] = relu_row,
                   [GRAPH_PRELU] = prelu_row,
                   [GRAPH_ELU] = elu_row,
                   [GRAPH_SELU] = selu_row,
                   [GRAPH_SWISH] = swish_row,
                   [GRAPH_GELU] = gelu_row,
                   [GRAPH_GELU_TANH] = gelu_tanh_row,
                   [GRAPH_SIGMOID] = sigmoid_row,
                   [GRAPH_HARD_SIGMOID] = hard_sigmoid_row,
                   [GRAPH_TANH] = tanh_row,
                   [GRAPH_SOFTPLUS] = softplus_row,
                   [GRAPH_SOFTSIGN] = softsign_row,
                   [GRAPH_EXPONENTIAL] = exponential_row},
    .bounded_relu = bounded_relu_row,
    .bent_relu = bent_relu_row,
    .open_gates = open_gates,
    .multiply = multiply,
    .scale = scale,
    .sum = sum,
    .add_scaled = add_scaled,
    .keep_greater = keep_greater,
    .add_taps = add_taps,
    .dot = dot,
};
