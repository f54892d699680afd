/* Arrays for measurements. A failure to get memory ends the process. */
#ifndef BENCH_OPERANDS_H
#define BENCH_OPERANDS_H

#include <stddef.h>

/* `bytes` bytes of zeros as the program itself would have them (filteratlas/base/huge_pages.h), and a bit more. Release
 * with free. */
void *operands_zero(size_t bytes);

/* `floats` floats, evenly distributed in +-scale, always the same. Release with free. */
float *operands_noise(size_t floats, float scale);

#endif
