#include "activation.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* One row: v = z + bias -> out = f(v), notes. */
typedef void row_function(const struct activation *a, size_t count, const float *slopes, const float *z,
                          const float *bias, float *out, void *notes);

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

/* Functions that are 0 or 1 steep --------------------------------------------------------------------------------- */

static void linear_row(const struct activation *a, size_t count, const float *slopes, const float *z, const float *bias,
                       float *out, void *notes) {
    (void)a, (void)slopes, (void)notes;
    if (!bias && out != z)
        memcpy(out, z, count * sizeof *out);
    for (size_t i = 0; bias && i < count; i++)
        out[i] = z[i] + bias[i];
}

static void relu_row(const struct activation *a, size_t count, const float *slopes, const float *z, const float *bias,
                     float *out, void *notes) {
    uint8_t *gate = notes;
    (void)a, (void)slopes;
    for (size_t i = 0; i < count; i++) {
        float v = bias ? z[i] + bias[i] : z[i];
        out[i] = v > 0 ? v : 0;
        gate[i] = v > 0 ? 255 : 0;
    }
}

static void bounded_relu_row(const struct activation *a, size_t count, const float *slopes, const float *z,
                             const float *bias, float *out, void *notes) {
    const float most = a->parameter[0], threshold = a->parameter[2];
    uint8_t *gate = notes;
    (void)slopes;
    for (size_t i = 0; i < count; i++) {
        float v = bias ? z[i] + bias[i] : z[i], kept = v >= threshold ? v : 0;
        out[i] = v >= most ? most : kept;
        gate[i] = v > threshold && v < most ? 255 : 0;
    }
}

/* Functions whose slope is noted ----------------------------------------------------------------------------------- */

/* A row function of the expressions for f and its slope, in v, with `before` computed first. */
#define ROW_FUNCTION(name, before, value, steepness)                                                                   \
    static void name(const struct activation *a, size_t count, const float *slopes, const float *z, const float *bias, \
                     float *out, void *notes) {                                                                        \
        const float p0 = a->parameter[0], p1 = a->parameter[1], p2 = a->parameter[2];                                  \
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

/* Choosing --------------------------------------------------------------------------------------------------------- */

bool activation_is_relu(const struct activation *a) {
    return a->function == GRAPH_RELU && a->parameter[0] == INFINITY && a->parameter[1] == 0 && a->parameter[2] == 0;
}

static row_function *row_of(const struct activation *a) {
    static row_function *const rows[] = {
        [GRAPH_LINEAR] = linear_row,
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
        [GRAPH_EXPONENTIAL] = exponential_row,
    };
    if (a->function != GRAPH_RELU)
        return rows[a->function];
    return activation_is_relu(a) ? relu_row : a->parameter[1] == 0 ? bounded_relu_row : bent_relu_row;
}

size_t activation_note_bytes(const struct activation *a) {
    if (a->function == GRAPH_LINEAR)
        return 0;
    return a->function == GRAPH_RELU && a->parameter[1] == 0 ? sizeof(uint8_t) : sizeof(float);
}

static const float *slopes_of(const struct activation *a, size_t position, int channel) {
    if (a->function != GRAPH_PRELU)
        return NULL;
    return a->slopes + (a->full ? position * (size_t)a->channels : 0) + channel;
}

/* Rows that follow each other without gaps, and don't differ, are as good as one. */
static bool is_one_row(const struct activation *a, const struct activation_rows *rows, const float *bias) {
    size_t channels = (size_t)rows->channels;
    return !bias && a->function != GRAPH_PRELU && rows->z_stride == channels && rows->out_stride == channels;
}

/* Channels of rows that reach into the padding, where PReLU has no slopes. */
static size_t channels_of(const struct activation *a, const struct activation_rows *rows) {
    bool beyond = a->function == GRAPH_PRELU && rows->channel + rows->channels > a->channels;
    return (size_t)(beyond ? a->channels - rows->channel : rows->channels);
}

void activation_forward(const struct activation *a, const struct activation_rows *rows, const float *z,
                        const float *bias, float *out, void *notes) {
    row_function *row = row_of(a);
    size_t bytes = activation_note_bytes(a);
    if (is_one_row(a, rows, bias)) {
        row(a, rows->positions * (size_t)rows->channels, NULL, z, bias, out, notes);
        return;
    }
    size_t count = channels_of(a, rows), padding = (size_t)rows->channels - count;
    for (size_t p = 0; p < rows->positions; p++) {
        size_t at = (rows->position + p) % (size_t)rows->map_positions, to = p * rows->out_stride;
        row(a, count, slopes_of(a, at, rows->channel), z + p * rows->z_stride, bias, out + to,
            (char *)notes + to * bytes);
        memset(out + to + count, 0, padding * sizeof *out);
        memset((char *)notes + (to + count) * bytes, 0, padding * bytes);
    }
}

static void open_gates(size_t count, const float *out_gradient, const uint8_t *gate, float *z_gradient) {
    for (size_t i = 0; i < count; i++)
        z_gradient[i] = gate[i] ? out_gradient[i] : 0;
}

static void multiply(size_t count, const float *out_gradient, const float *slope, float *z_gradient) {
    for (size_t i = 0; i < count; i++)
        z_gradient[i] = out_gradient[i] * slope[i];
}

static void row_back(size_t bytes, size_t count, const float *out_gradient, const char *notes, float *z_gradient) {
    if (bytes == sizeof(uint8_t))
        open_gates(count, out_gradient, (const uint8_t *)notes, z_gradient);
    else if (bytes)
        multiply(count, out_gradient, (const float *)(const void *)notes, z_gradient);
    else if (z_gradient != out_gradient)
        memcpy(z_gradient, out_gradient, count * sizeof *z_gradient);
}

void activation_backward(const struct activation *a, const struct activation_rows *rows, const float *out_gradient,
                         const void *notes, float *z_gradient) {
    size_t bytes = activation_note_bytes(a), channels = (size_t)rows->channels;
    if (rows->z_stride == channels && rows->out_stride == channels) {
        row_back(bytes, rows->positions * channels, out_gradient, notes, z_gradient);
        return;
    }
    for (size_t p = 0; p < rows->positions; p++) {
        size_t from = p * rows->out_stride;
        row_back(bytes, channels, out_gradient + from, (const char *)notes + from * bytes,
                 z_gradient + p * rows->z_stride);
    }
}

float activation_value(const struct activation *a, int position, int channel, float z, float *slope) {
    union {
        uint8_t gate;
        float slope;
    } note;
    float value;
    row_of(a)(a, 1, slopes_of(a, (size_t)position, channel), &z, NULL, &value, &note);
    size_t bytes = activation_note_bytes(a);
    *slope = bytes == sizeof(float) ? note.slope : bytes && !note.gate ? 0 : 1;
    return value;
}
