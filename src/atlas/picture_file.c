#include "filteratlas/picture_file.h"

#include "filteratlas/png_file.h"

#include <stdio.h>

void picture_file_note_rescue(struct store_filter *filter, int attempt, bool leaked) {
    *filter->rescue = 0;
    if (!filter->dead && leaked)
        snprintf(filter->rescue, sizeof filter->rescue, "leak");
    else if (!filter->dead && attempt)
        snprintf(filter->rescue, sizeof filter->rescue, "retry %d", attempt);
}

int picture_file_encode(const uint8_t *rgb, int width, int height, const char *layer, const struct store_filter *filter,
                        const char *job_digest, uint8_t **png, size_t *size, struct error *error) {
    char index[16], loss[32];
    snprintf(index, sizeof index, "%d", filter->index);
    snprintf(loss, sizeof loss, "%.17g", filter->loss);
    const struct png_text texts[] = {{"Software", "filteratlas"}, {"layer", layer},
                                     {"filter", index},           {"loss", loss},
                                     {"job", job_digest},         {"rescue", filter->rescue}};
    return png_encode(rgb, width, height, texts, *filter->rescue ? 6 : 5, png, size, error);
}
