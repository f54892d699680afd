#include "filteratlas/net/objective.h"

#include <string.h>

/* Half-open ranges of the rows and columns that count. */
struct window {
    int top, bottom, left, right;
};

static int border_of(int border, int extent) { return border < (extent - 1) / 2 ? border : (extent - 1) / 2; }

static struct window window_of(const struct objective *objective, int height, int width) {
    int rows = border_of(objective->border, height), columns = border_of(objective->border, width);
    if (objective->neuron)
        return (struct window){height / 2, height / 2 + 1, width / 2, width / 2 + 1};
    return (struct window){rows, height - rows, columns, width - columns};
}

static double sum_rectified(const float *z, int width, const struct window *w) {
    double sum = 0;
    for (int y = w->top; y < w->bottom; y++)
        for (int x = w->left; x < w->right; x++) {
            float value = z[(size_t)y * width + x];
            sum += value > 0 ? value : 0;
        }
    return sum;
}

/* The window's z, or those of them that are above 0, become slope; all others 0. */
static void set_slope(float *z, int height, int width, const struct window *w, float slope, bool all) {
    for (int y = 0; y < height; y++, z += width) {
        bool inside = y >= w->top && y < w->bottom;
        for (int x = 0; x < width; x++)
            z[x] = inside && x >= w->left && x < w->right && (all || z[x] > 0) ? slope : 0;
    }
}

double objective_turn(const struct objective *objective, float *z, int height, int width) {
    struct window window = window_of(objective, height, width);
    double count = (double)(window.bottom - window.top) * (window.right - window.left);
    double loss = sum_rectified(z, width, &window) / count;
    bool leaks = objective->leak && loss <= OBJECTIVE_SILENT;
    set_slope(z, height, width, &window, (float)(1.0 / count), leaks);
    return loss;
}

double objective_turn_slopes(const struct objective *objective, const float *values, float *slopes, int height,
                             int width) {
    struct window w = window_of(objective, height, width);
    double count = (double)(w.bottom - w.top) * (w.right - w.left), sum = 0;
    float share = (float)(1.0 / count);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            size_t at = (size_t)y * width + x;
            bool counts = y >= w.top && y < w.bottom && x >= w.left && x < w.right;
            sum += counts ? values[at] : 0;
            slopes[at] *= counts ? share : 0;
        }
    return sum / count;
}
