#include "strips.h"

#include <string.h>

enum { LINE = 64 };

static int least(int a, int b) { return a < b ? a : b; }

static size_t round_up(size_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }

static size_t row_floats(const struct first_layer *first, int width) { return (size_t)width * first->channels; }

static int strip_rows(const struct winograd_layer *second, enum winograd_direction direction, int height, int width) {
    return least(winograd_strip_rows(second, direction, height, width), height);
}

/* A strip of the map between the layers, with a row more above and below that the second layer's tiles look at. */
static size_t strip_bytes(const struct first_layer *first, const struct winograd_layer *second, int height, int width) {
    int forward = strip_rows(second, WINOGRAD_FORWARD, height, width) + 2,
        backward = strip_rows(second, WINOGRAD_BACKWARD, height, width);
    return (size_t)(forward > backward ? forward : backward) * row_floats(first, width) * sizeof(float);
}

/* The parts of the scratch memory. */
struct parts {
    float *strip, *first;
    void *second;
};

static struct parts divide(const struct first_layer *first, const struct winograd_layer *second, int height, int width,
                           void *scratch) {
    char *strip = scratch, *own = strip + round_up(strip_bytes(first, second, height, width));
    return (struct parts){(float *)strip, (float *)own,
                          own + round_up(first_layer_scratch(first, width) * sizeof(float))};
}

size_t strips_scratch(const struct first_layer *first, const struct winograd_layer *second, int height, int width) {
    return round_up(strip_bytes(first, second, height, width)) +
           round_up(first_layer_scratch(first, width) * sizeof(float)) +
           winograd_scratch_bytes(second, 1, height, width);
}

bool strips_forward(const struct first_layer *first, const struct winograd_layer *second, const float *x, int height,
                    int width, uint8_t *first_gate, float *out, uint8_t *gate, void *scratch,
                    const struct interrupt *interrupt) {
    struct parts part = divide(first, second, height, width, scratch);
    int rows = strip_rows(second, WINOGRAD_FORWARD, height, width), begin = 0, end = 0; /* rows in the strip */
    size_t row = row_floats(first, width);
    for (int top = 0; top < height; top += rows) {
        if (top && !interrupt_goes_on(interrupt))
            return false;
        int bottom = least(top + rows, height), wanted = least(bottom + 1, height), keep = top ? top - 1 : 0;
        memmove(part.strip, part.strip + (size_t)(keep - begin) * row, (size_t)(end - keep) * row * sizeof *part.strip);
        begin = keep;
        first_layer_forward_rows(first, x, end, wanted, height, width, part.strip + (size_t)(end - begin) * row,
                                 first_gate + (size_t)end * row, part.first);
        end = wanted;
        winograd_forward_strip(second, part.strip, begin, top, bottom, height, width, out, gate, part.second);
    }
    return true;
}

bool strips_backward(const struct first_layer *first, const struct winograd_layer *second, const float *out_gradient,
                     const uint8_t *gate, const uint8_t *first_gate, int height, int width, float *x_gradient,
                     void *scratch, const struct interrupt *interrupt) {
    struct parts part = divide(first, second, height, width, scratch);
    int rows = strip_rows(second, WINOGRAD_BACKWARD, height, width);
    for (int top = 0; top < height; top += rows) {
        if (top && !interrupt_goes_on(interrupt))
            return false;
        int bottom = least(top + rows, height);
        winograd_backward_strip(second, out_gradient, gate, top, bottom, height, width, part.strip, part.second);
        first_layer_backward_rows(first, part.strip, first_gate + (size_t)top * row_floats(first, width), top, bottom,
                                  height, width, x_gradient, part.first);
    }
    return true;
}
