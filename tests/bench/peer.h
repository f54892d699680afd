/* The peer: oneDNN's direct convolution, the one that PyTorch runs. Its version 2; single precision, one thread, every
 * operand in the layout it prefers, so that it never reorders. It computes the convolution alone, without bias, ReLU
 * and pooling. A failure ends the process. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "task.h"

struct peer;

/* "oneDNN 2.6.3" */
const char *peer_name(void);

/* Everything that peer_forward and peer_backward need, made beforehand. Release with peer_free. */
struct peer *peer_make(const struct task *task);
void peer_free(struct peer *peer);

/* The convolution, and the gradient with respect to its input. */
void peer_forward(struct peer *peer);
void peer_backward(struct peer *peer);

/* What oneDNN calls its implementation of the way back: "jit:avx512_core" is a direct one. */
const char *peer_method(const struct peer *peer);

#endif
