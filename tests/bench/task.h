/* What both contestants compute: one convolution layer at one size, for some pictures. */
#ifndef BENCH_TASK_H
#define BENCH_TASK_H

#include "filteratlas/model/vgg.h"

struct task {
    const struct vgg_layer *layer;
    int number;   /* of the layer, 0-based */
    int picture;  /* its extent [pixels] */
    int extent;   /* of the layer's square map [positions] */
    int pictures; /* in one call */
};

#endif
