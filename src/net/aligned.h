/* What the kernels take for granted of their pointers, for assertions where callers hand them over. */
#ifndef ALIGNED_H
#define ALIGNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool is_aligned(const void *pointer, size_t bytes) { return (uintptr_t)pointer % bytes == 0; }

#endif
