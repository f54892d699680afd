/* A layer as filteratlas computes it: convolution, bias, ReLU, pooling and gates, and all that back. */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include "filteratlas/net/network.h"

#include "task.h"

struct ours;

/* Everything that ours_forward and ours_backward need, made beforehand, with the network's own tables: the network must
 * hold the task's layer, and outlive *ours. The first layer goes its own route, one picture at a time. Release with
 * ours_free. A failure ends the process. */
struct ours *ours_make(const struct network *network, const struct task *task);
void ours_free(struct ours *ours);

/* ours_backward goes by the gates that ours_forward wrote. */
void ours_forward(struct ours *ours);
void ours_backward(struct ours *ours);

/* The pictures of a batch that the network takes through a layer in one call: all of them where the maps are small,
 * else one. extent is the picture's. The rule of pass_of() in src/net/network.c. */
int ours_pictures(const struct vgg *net, int layer, int extent, int batch);

/* Multiplications of the direct method over ours, tiles that reach beyond the map's edge counted in full: what the
 * ratio would be if both were bound by them alone. */
double ours_saving(const struct ours *ours);

#endif
