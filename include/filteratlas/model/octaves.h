/* The sizes a picture grows through: d[u] = trunc(size / factor^u), u = steps ... 0. */
#ifndef FILTERATLAS_OCTAVES_H
#define FILTERATLAS_OCTAVES_H

enum { OCTAVES_MAX_STEPS = 64, OCTAVES_MAX_EXTENT = 1 << 24 };

/* Index 0 is the smallest size, index `steps` the final one; the ascent runs at sizes 0 ... steps-1, of which the last
 * may be as large as the final one. */
struct octaves {
    int steps;
    int width[OCTAVES_MAX_STEPS + 1];  /* pixels */
    int height[OCTAVES_MAX_STEPS + 1]; /* pixels */
};

/* width, height: the final size; factor >= 1; 0 <= steps <= OCTAVES_MAX_STEPS. Sizes may come out as 0: the caller
 * checks the smallest against the network. */
void octaves_make(int width, int height, double factor, int steps, struct octaves *octaves);

/* Makes the final size one at which the ascent runs too: a step more, whose size is the one before's once again. */
void octaves_climb_last(struct octaves *octaves);

/* The least final extent whose smallest octave is at least `extent`; 0 if it would be beyond OCTAVES_MAX_EXTENT. */
int octaves_least_extent(int extent, double factor, int steps);

#endif
