/* Memory for large arrays, in huge pages where the system has them: with 4 KB pages the transforms, which touch many
 * places far apart, miss the translation buffer at every step. */
#ifndef FILTERATLAS_HUGE_PAGES_H
#define FILTERATLAS_HUGE_PAGES_H

#include <stddef.h>

/* `bytes` bytes, aligned to 2 MB if there are that many, else to 64; NULL if there is no memory. Release with free. */
void *huge_pages_allocate(size_t bytes);

#endif
