#include "filteratlas/model/octaves.h"

#include <math.h>

void octaves_make(int width, int height, double factor, int steps, struct octaves *octaves) {
    octaves->steps = steps;
    for (int i = 0; i <= steps; i++) {
        double shrink = pow(factor, steps - i);
        octaves->width[i] = (int)(width / shrink);
        octaves->height[i] = (int)(height / shrink);
    }
}

void octaves_climb_last(struct octaves *octaves) {
    int last = octaves->steps++;
    octaves->width[last + 1] = octaves->width[last];
    octaves->height[last + 1] = octaves->height[last];
}

int octaves_least_extent(int extent, double factor, int steps) {
    double shrink = pow(factor, steps);
    if (extent * shrink > OCTAVES_MAX_EXTENT)
        return 0;
    int least = (int)(extent * shrink);
    while ((int)(least / shrink) < extent)
        least++;
    return least;
}
