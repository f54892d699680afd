#ifndef MODEL_READER_H
#define MODEL_READER_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/model/model.h"

#include <stdbool.h>

/* model_read, which the interrupt may end at any time with STATUS_STOPPED, even while a file system does not answer:
 * then a thread that reads stays behind in the process (*abandoned), which must end without exit(). */
int model_reader_read(const char *path, const char *config, bool with_top, const struct interrupt *interrupt,
                      struct model *model, bool *abandoned, struct error *error);

#endif
