#include "filteratlas/ascent/waves.h"

#include "filteratlas/base/huge_pages.h"
#include "filteratlas/net/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cosines are even and sines odd about the middle of an extent, so that half of the pixels are enough: those at i and n
 * - i are the sum and the difference of the two halves. And a wave ky and its mirror -ky share cosines and sines, so
 * that their sum and their difference are enough: four real products of a quarter of the size for each complex one. */

enum { CHANNELS = 3, PARTS = 2 /* real, imaginary */ };

/* One extent: cosine and sine of 2 pi k i / extent for i = 0 ... extent / 2 and k = 0 ... band. */
struct axis {
    int extent, half, waves;    /* pixels; extent / 2 + 1; band + 1 */
    float *cosine, *sine;       /* [half][waves] */
    float *cosine_by, *sine_by; /* the same as [waves][half] */
};

struct waves {
    int octaves, band_y, band_x;            /* of the whole picture */
    float *amplitude;                       /* [2 band_y + 1][band_x + 1], (kx = 0 ? 1 : 2) a */
    struct axis rows[OCTAVES_MAX_STEPS];    /* [octaves], along the height */
    struct axis columns[OCTAVES_MAX_STEPS]; /* [octaves], along the width */
    /* Scratch. A block is [part][channel][kx], the columns of the products along the height. */
    float *even, *odd;           /* [rows.waves][block]: sums and differences of waves ky and -ky */
    float *even_rows, *odd_rows; /* [rows.half][block] */
    float *lines;                /* [part][extent][channel][kx] */
    float *even_t, *odd_t;       /* [extent][channel][columns.half] */
};

int waves_band(int extent) { return (extent - 1) / 2; }

size_t waves_floats(int height, int width) {
    return (size_t)CHANNELS * (2 * waves_band(height) + 1) * (waves_band(width) + 1) * PARTS;
}

static size_t block_floats(int width) { return (size_t)PARTS * CHANNELS * (waves_band(width) + 1); }

static size_t axis_floats(int extent) { return (size_t)(extent / 2 + 1) * (waves_band(extent) + 1); }

/* Floats of the scratch arrays, in the order of their declaration. */
enum { SCRATCH = 7 };
static void scratch_sizes(int height, int width, size_t sizes[SCRATCH]) {
    size_t block = block_floats(width), rows = waves_band(height) + 1, half = height / 2 + 1;
    size_t t = (size_t)height * CHANNELS * (width / 2 + 1);
    const size_t all[SCRATCH] = {rows * block, rows * block, half * block, half * block, height * block, t, t};
    memcpy(sizes, all, sizeof all);
}

double waves_bytes(const struct octaves *octaves) {
    int height = octaves->height[octaves->steps - 1], width = octaves->width[octaves->steps - 1];
    size_t sizes[SCRATCH];
    double floats = (double)waves_floats(height, width) / (PARTS * CHANNELS);
    scratch_sizes(height, width, sizes);
    for (int i = 0; i < SCRATCH; i++)
        floats += (double)sizes[i];
    for (int o = 0; o < octaves->steps; o++)
        floats += 4.0 * (double)(axis_floats(octaves->height[o]) + axis_floats(octaves->width[o]));
    return sizeof(float) * floats;
}

double waves_flops(int height, int width) {
    double rows = 2.0 * 2 * (double)axis_floats(height) * (double)block_floats(width);
    double columns = 2.0 * 2 * (double)axis_floats(width) * CHANNELS * height;
    return rows + columns;
}

/* Making --------------------------------------------------------------------------------------------------------- */

static int axis_make(int extent, struct axis *axis, struct error *error) {
    size_t floats = axis_floats(extent);
    *axis = (struct axis){.extent = extent, .half = extent / 2 + 1, .waves = waves_band(extent) + 1};
    axis->cosine = huge_pages_allocate(4 * floats * sizeof(float));
    if (!axis->cosine)
        return error_memory(error, 4.0 * (double)floats * sizeof(float), "waves");
    axis->sine = axis->cosine + floats;
    axis->cosine_by = axis->sine + floats;
    axis->sine_by = axis->cosine_by + floats;
    for (int i = 0; i < axis->half; i++)
        for (int k = 0; k < axis->waves; k++) {
            double angle = 2 * M_PI * (double)((long)i * k % extent) / extent;
            axis->cosine[i * axis->waves + k] = axis->cosine_by[k * axis->half + i] = (float)cos(angle);
            axis->sine[i * axis->waves + k] = axis->sine_by[k * axis->half + i] = (float)sin(angle);
        }
    return STATUS_OK;
}

static int make_amplitudes(int height, int width, double spectrum, struct waves *waves, struct error *error) {
    size_t columns = waves->band_x + 1, floats = (2 * waves->band_y + 1) * columns;
    double larger = height > width ? height : width;
    waves->amplitude = malloc(floats * sizeof *waves->amplitude);
    if (!waves->amplitude)
        return error_memory(error, (double)floats * sizeof *waves->amplitude, "waves");
    for (int ky = -waves->band_y; ky <= waves->band_y; ky++)
        for (int kx = 0; kx <= waves->band_x; kx++) {
            double k = larger * hypot((double)ky / height, (double)kx / width);
            double a = pow(larger, spectrum - 1) / (4 * pow(fmax(k, 1), spectrum));
            waves->amplitude[(ky + waves->band_y) * columns + kx] = (float)(kx ? 2 * a : a);
        }
    return STATUS_OK;
}

static int make_scratch(int height, int width, struct waves *waves, struct error *error) {
    float **const arrays[SCRATCH] = {&waves->even,  &waves->odd,    &waves->even_rows, &waves->odd_rows,
                                     &waves->lines, &waves->even_t, &waves->odd_t};
    size_t sizes[SCRATCH];
    scratch_sizes(height, width, sizes);
    for (int i = 0; i < SCRATCH; i++) {
        *arrays[i] = huge_pages_allocate(sizes[i] * sizeof(float));
        if (!*arrays[i])
            return error_memory(error, (double)sizes[i] * sizeof(float), "waves");
    }
    return STATUS_OK;
}

int waves_make(const struct octaves *octaves, double spectrum, struct waves **waves, struct error *error) {
    int last = octaves->steps - 1, height = octaves->height[last], width = octaves->width[last];
    struct waves *w = *waves = calloc(1, sizeof *w);
    if (!w)
        return error_memory(error, sizeof *w, "waves");
    w->octaves = octaves->steps;
    w->band_y = waves_band(height);
    w->band_x = waves_band(width);
    int status = make_amplitudes(height, width, spectrum, w, error);
    for (int o = 0; o < octaves->steps && !status; o++) {
        status = axis_make(octaves->height[o], &w->rows[o], error);
        if (!status)
            status = axis_make(octaves->width[o], &w->columns[o], error);
    }
    return status ? status : make_scratch(height, width, w, error);
}

void waves_free(struct waves *waves) {
    if (!waves)
        return;
    for (int o = 0; o < waves->octaves; o++) {
        free(waves->rows[o].cosine);
        free(waves->columns[o].cosine);
    }
    float *const owned[] = {waves->amplitude, waves->even,  waves->odd,    waves->even_rows,
                            waves->odd_rows,  waves->lines, waves->even_t, waves->odd_t};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(waves);
}

/* Along the height ------------------------------------------------------------------------------------------------ */

/* Where the waves ky, -ky of a channel stand in c, and their amplitude. */
static size_t row_of(const struct waves *w, int channel, int ky) {
    return (size_t)(channel * (2 * w->band_y + 1) + w->band_y + ky) * (w->band_x + 1);
}

/* The sum c(ky) + c(-ky) and the difference I (c(ky) - c(-ky)) of all waves of the octave, times their amplitudes. */
static void gather_waves(const struct waves *w, int octave, const float *c) {
    int rows = w->rows[octave].waves, columns = w->columns[octave].waves;
    size_t block = (size_t)PARTS * CHANNELS * columns;
    for (int ky = 0; ky < rows; ky++)
        for (int channel = 0; channel < CHANNELS; channel++) {
            const float *plus = c + PARTS * row_of(w, channel, ky), *minus = c + PARTS * row_of(w, channel, -ky);
            const float *amplitude = w->amplitude + row_of(w, 0, ky);
            float *even = w->even + ky * block + channel * columns, *odd = w->odd + ky * block + channel * columns;
            float *even_imaginary = even + CHANNELS * columns, *odd_imaginary = odd + CHANNELS * columns;
            float twice = ky ? 1 : 0; /* the wave 0 is its own mirror */
            for (int kx = 0; kx < columns; kx++) {
                float a = amplitude[kx], re = plus[2 * kx], im = plus[2 * kx + 1];
                float re_minus = twice * minus[2 * kx], im_minus = twice * minus[2 * kx + 1];
                even[kx] = a * (re + re_minus);
                even_imaginary[kx] = a * (im + im_minus);
                odd[kx] = a * (im_minus - im);
                odd_imaginary[kx] = a * (re - re_minus);
            }
        }
}

/* The adjoint of gather_waves. */
static void scatter_waves(const struct waves *w, int octave, float *c) {
    int rows = w->rows[octave].waves, columns = w->columns[octave].waves;
    size_t block = (size_t)PARTS * CHANNELS * columns;
    for (int ky = 0; ky < rows; ky++)
        for (int channel = 0; channel < CHANNELS; channel++) {
            float *plus = c + PARTS * row_of(w, channel, ky), *minus = c + PARTS * row_of(w, channel, -ky);
            const float *amplitude = w->amplitude + row_of(w, 0, ky);
            const float *even = w->even + ky * block + channel * columns, *even_imaginary = even + CHANNELS * columns;
            const float *odd = w->odd + ky * block + channel * columns, *odd_imaginary = odd + CHANNELS * columns;
            for (int kx = 0; kx < columns; kx++) {
                float a = amplitude[kx];
                minus[2 * kx] = a * (even[kx] - odd_imaginary[kx]);
                minus[2 * kx + 1] = a * (even_imaginary[kx] + odd[kx]);
                plus[2 * kx] = a * (even[kx] + odd_imaginary[kx]);     /* behind minus, which for ky = 0 is the same: */
                plus[2 * kx + 1] = a * (even_imaginary[kx] - odd[kx]); /* there the sines, and so odd, are 0 */
            }
        }
}

/* lines of row i and extent - i from the two halves. */
static void unfold_rows(const struct waves *w, int octave) {
    const struct axis *axis = &w->rows[octave];
    size_t part = (size_t)CHANNELS * w->columns[octave].waves, block = PARTS * part;
    for (int i = 0; i < axis->half; i++)
        for (int p = 0; p < PARTS; p++) {
            const float *even = w->even_rows + i * block + p * part, *odd = w->odd_rows + i * block + p * part;
            float *first = w->lines + ((size_t)p * axis->extent + i) * part;
            float *mirror = w->lines + ((size_t)p * axis->extent + (axis->extent - i) % axis->extent) * part;
            for (size_t n = 0; n < part; n++) {
                float e = even[n], o = odd[n];
                mirror[n] = e - o;
                first[n] = e + o; /* rows 0 and extent / 2 may be their own mirrors, and have no sine */
            }
        }
}

/* The adjoint of unfold_rows. */
static void fold_rows(const struct waves *w, int octave) {
    const struct axis *axis = &w->rows[octave];
    size_t part = (size_t)CHANNELS * w->columns[octave].waves, block = PARTS * part;
    for (int i = 0; i < axis->half; i++)
        for (int p = 0; p < PARTS; p++) {
            int other = (axis->extent - i) % axis->extent;
            float *even = w->even_rows + i * block + p * part, *odd = w->odd_rows + i * block + p * part;
            const float *first = w->lines + ((size_t)p * axis->extent + i) * part;
            const float *mirror = w->lines + ((size_t)p * axis->extent + other) * part;
            float twice = other == i ? 0 : 1;
            for (size_t n = 0; n < part; n++) {
                even[n] = first[n] + twice * mirror[n];
                odd[n] = first[n] - mirror[n];
            }
        }
}

/* Along the width ------------------------------------------------------------------------------------------------- */

/* t from the two halves of its columns: the real parts' cosines minus the imaginary parts' sines. */
static void unfold_columns(const struct waves *w, int octave, float *t) {
    const struct axis *axis = &w->columns[octave];
    int width = axis->extent;
    for (int line = 0; line < w->rows[octave].extent * CHANNELS; line++, t += width) {
        const float *even = w->even_t + (size_t)line * axis->half, *odd = w->odd_t + (size_t)line * axis->half;
        t[0] = even[0];
        for (int j = 1; j < axis->half; j++)
            t[j] = even[j] - odd[j];
        for (int j = axis->half; j < width; j++)
            t[j] = even[width - j] + odd[width - j];
    }
}

/* The adjoint of unfold_columns. */
static void fold_columns(const struct waves *w, int octave, const float *t) {
    const struct axis *axis = &w->columns[octave];
    int width = axis->extent;
    for (int line = 0; line < w->rows[octave].extent * CHANNELS; line++, t += width) {
        float *even = w->even_t + (size_t)line * axis->half, *odd = w->odd_t + (size_t)line * axis->half;
        for (int j = 0; j < axis->half; j++) {
            int other = (width - j) % width;
            even[j] = other == j ? t[j] : t[j] + t[other];
            odd[j] = t[other] - t[j];
        }
    }
}

/* Both --------------------------------------------------------------------------------------------------------------
 */

void waves_synthesize(struct waves *w, int octave, const float *c, float *t) {
    const struct axis *rows = &w->rows[octave], *columns = &w->columns[octave];
    int block = PARTS * CHANNELS * columns->waves, lines = rows->extent * CHANNELS;
    gather_waves(w, octave, c);
    gemm(rows->half, block, rows->waves, rows->cosine, rows->waves, w->even, block, 0, w->even_rows, block);
    gemm(rows->half, block, rows->waves, rows->sine, rows->waves, w->odd, block, 0, w->odd_rows, block);
    unfold_rows(w, octave);
    gemm(lines, columns->half, columns->waves, w->lines, columns->waves, columns->cosine_by, columns->half, 0,
         w->even_t, columns->half);
    gemm(lines, columns->half, columns->waves, w->lines + (size_t)lines * columns->waves, columns->waves,
         columns->sine_by, columns->half, 0, w->odd_t, columns->half);
    unfold_columns(w, octave, t);
}

void waves_pull_back(struct waves *w, int octave, const float *t_gradient, float *c_gradient) {
    const struct axis *rows = &w->rows[octave], *columns = &w->columns[octave];
    int block = PARTS * CHANNELS * columns->waves, lines = rows->extent * CHANNELS;
    fold_columns(w, octave, t_gradient);
    gemm(lines, columns->waves, columns->half, w->even_t, columns->half, columns->cosine, columns->waves, 0, w->lines,
         columns->waves);
    gemm(lines, columns->waves, columns->half, w->odd_t, columns->half, columns->sine, columns->waves, 0,
         w->lines + (size_t)lines * columns->waves, columns->waves);
    fold_rows(w, octave);
    gemm(rows->waves, block, rows->half, rows->cosine_by, rows->half, w->even_rows, block, 0, w->even, block);
    gemm(rows->waves, block, rows->half, rows->sine_by, rows->half, w->odd_rows, block, 0, w->odd, block);
    memset(c_gradient, 0, waves_floats(2 * w->band_y + 1, 2 * w->band_x + 1) * sizeof *c_gradient);
    scatter_waves(w, octave, c_gradient);
}
