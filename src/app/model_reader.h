#ifndef WEIGHTS_READER_H
#define WEIGHTS_READER_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/model/weights.h"

#include <stdbool.h>

/* weights_read, which the interrupt may end at any time with STATUS_STOPPED, even while a file system does not answer:
 * then a thread that reads stays behind in the process (*abandoned), which must end without exit(). */
int weights_reader_read(const char *path, const char *config, const struct interrupt *interrupt,
                        struct weights *weights, bool *abandoned, struct error *error);

#endif
