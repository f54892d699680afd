#include "picture8.h"

#include <math.h>

struct picture_statistics picture8(const float *x, size_t count, uint8_t *p) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double deviation = sqrt(squares / (double)count);
    for (size_t i = 0; i < count; i++) {
        double value = (x[i] - mean) / (deviation + 1e-7) * 0.25 + 0.5;
        p[i] = (uint8_t)(fmin(fmax(value, 0), 1) * 255);
    }
    return (struct picture_statistics){mean, deviation};
}
