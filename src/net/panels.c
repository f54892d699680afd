#include "panels.h"

#include "aligned.h"
#include "winograd_kernels.h"

#include <assert.h>
#include <string.h>

/* Rows of the matrix that are multiplied at a time: 128 KB of a panel, so that it stays in the second cache. */
enum { SLAB = 512 };

static int least(int a, int b) { return a < b ? a : b; }

size_t panels_floats(int depth, int columns) { return (size_t)depth * (size_t)winograd_padded(columns); }

size_t panels_at(int depth, int columns, int row, int column) {
    int padded = winograd_padded(columns), slab = row / SLAB * SLAB, panel = column / WINOGRAD_PANEL * WINOGRAD_PANEL;
    size_t high = (size_t)least(SLAB, depth - slab), wide = (size_t)least(WINOGRAD_PANEL, padded - panel);
    return (size_t)slab * (size_t)padded + (size_t)panel * high + (size_t)(row - slab) * wide +
           (size_t)(column - panel);
}

/* One slab of one panel, for all rows of v. */
struct product {
    const struct winograd_kernels *kernels;
    const float *panel, *next; /* next: what will be needed after it */
    int depth, width;
    bool first; /* the first slab, whose sums are not added to others */
};

static void add_block(const float *sums, int rows, int width, float *out, size_t out_stride) {
    for (int t = 0; t < rows; t++)
        for (int n = 0; n < width; n++)
            out[(size_t)t * out_stride + (size_t)n] += sums[t * WINOGRAD_PANEL + n];
}

static void copy_block(const float *sums, int rows, int width, float *out, size_t out_stride) {
    for (int t = 0; t < rows; t++)
        memcpy(out + (size_t)t * out_stride, sums + t * WINOGRAD_PANEL, (size_t)width * sizeof *out);
}

/* Up to six rows: as many as there are, completed by rows of 0. */
static void multiply_rows(const struct product *p, const float *v, size_t v_stride, int rows, const float *next,
                          float *out, size_t out_stride) {
    float padded[WINOGRAD_ROWS * SLAB], sums[WINOGRAD_ROWS * WINOGRAD_PANEL] __attribute__((aligned(64)));
    bool whole = rows == WINOGRAD_ROWS;
    if (!whole) {
        for (int t = 0; t < rows; t++)
            memcpy(padded + t * p->depth, v + (size_t)t * v_stride, (size_t)p->depth * sizeof *v);
        memset(padded + rows * p->depth, 0, (size_t)(WINOGRAD_ROWS - rows) * (size_t)p->depth * sizeof *v);
        v = padded;
        v_stride = (size_t)p->depth;
    }
    if (whole && p->first) {
        p->kernels->product(v, v_stride, p->panel, p->depth, p->width, out, out_stride, next);
        return;
    }
    p->kernels->product(v, v_stride, p->panel, p->depth, p->width, sums, WINOGRAD_PANEL, next);
    if (p->first)
        copy_block(sums, rows, p->width, out, out_stride);
    else
        add_block(sums, rows, p->width, out, out_stride);
}

static void multiply_panel(const struct product *p, const float *v, size_t v_stride, size_t rows, float *out,
                           size_t out_stride) {
    const float *next = p->next;
    for (size_t t = 0; t < rows; t += WINOGRAD_ROWS) {
        int count = rows - t < WINOGRAD_ROWS ? (int)(rows - t) : WINOGRAD_ROWS;
        multiply_rows(p, v + t * v_stride, v_stride, count, next, out + t * out_stride, out_stride);
        if (t / WINOGRAD_ROWS + 1 < (size_t)p->width / WINOGRAD_LINE)
            next += (size_t)p->depth * WINOGRAD_LINE;
    }
}

void panels_multiply(const struct winograd_kernels *kernels, const float *panels, int depth, int columns,
                     const float *v, size_t v_stride, size_t rows, float *out, size_t out_stride) {
    int padded = winograd_padded(columns);
    const float *panel = panels;
    assert(is_aligned(panels, WINOGRAD_BYTES) && is_aligned(out, WINOGRAD_BYTES) && out_stride % WINOGRAD_LINE == 0);
    for (int slab = 0; slab < depth; slab += SLAB)
        for (int n = 0; n < padded; n += WINOGRAD_PANEL) {
            struct product p = {.kernels = kernels, .panel = panel, .first = slab == 0};
            p.depth = least(SLAB, depth - slab);
            p.width = least(WINOGRAD_PANEL, padded - n);
            panel += (size_t)p.depth * (size_t)p.width;
            bool last = slab + p.depth == depth && n + p.width == padded;
            p.next = last ? panels : panel;
            multiply_panel(&p, v + slab, v_stride, rows, out + n, out_stride);
        }
}
