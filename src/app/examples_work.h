/* What every rank does for `examples`: runs images through the network, and cuts the parts out of them that filters
 * saw. Orders and results are bytes, one machine's kind.
 *
 *   look    EXAMPLES_LOOK, paths, each with its null byte
 *           -> per path why it could not be used, "" if it could; then of each that could a struct activation per
 * filter cut     EXAMPLES_CUT, per image its path, a number of parts (int) and that many struct examples_part
 *           -> per image why, as above; if it could be used, per part its size (int) and the bytes of a JPEG file */
#ifndef EXAMPLES_WORK_H
#define EXAMPLES_WORK_H

#include "filteratlas/ascent/transform.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/base/text.h"
#include "filteratlas/model/model.h"
#include "filteratlas/net/responses.h"

#include <stdbool.h>

enum { EXAMPLES_LOOK = 'L', EXAMPLES_CUT = 'C' };

/* A rectangle of the square that the network is given. */
struct examples_part {
    int filter; /* number among all, for the one who asked */
    int x, y, width, height;
};

struct examples_worker {
    const struct model *model;
    bool *chosen; /* [layers]; not owned */
    int shorter, crop;
    enum preprocess preprocess;
    struct responses *responses; /* of the chosen layers */
    uint8_t *rgb;                /* [crop][crop][3] */
    float *scaled, *coloured;    /* the same in [0, 1], and preprocessed */
    float *x;                    /* [ACTIVATIONS_MOST_IMAGES][crop][crop][the network's channels] */
    struct activation *highest;  /* [ACTIVATIONS_MOST_IMAGES][filters] */
};

/* Memory for it; what stands before rgb is there already. Release with examples_worker_free, after a failure too. */
int examples_worker_make(struct examples_worker *worker, struct error *error);
void examples_worker_free(struct examples_worker *worker);

/* As tasks.h has it: the context is the worker. */
int examples_carry_out(void *worker, const struct text *order, const struct interrupt *interrupt, struct text *result,
                       struct error *error);

#endif
