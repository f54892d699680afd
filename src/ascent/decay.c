#include "filteratlas/regularize.h"

void decay_picture(float *x, size_t count, double decay) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(mean + (x[i] - mean) * (1 - decay));
}
