#include "filteratlas/atlas/picture_file.h"

#include "filteratlas/atlas/png_file.h"

#include <stdio.h>

void picture_file_note_rescue(struct store_filter *filter, int attempt, bool leaked) {
    *filter->rescue = 0;
    if (!filter->dead && leaked)
        snprintf(filter->rescue, sizeof filter->rescue, "leak");
    else if (!filter->dead && attempt)
        snprintf(filter->rescue, sizeof filter->rescue, "retry %d", attempt);
}

int picture_file_encode(const uint8_t *rgb, int width, int height, const char *layer, const struct store_filter *filter,
                        const char *job_digest, const char *recipe, uint8_t **png, size_t *size, struct error *error) {
    char index[16], loss[32];
    snprintf(index, sizeof index, "%d", filter->index);
    snprintf(loss, sizeof loss, "%.17g", filter->loss);
    struct png_text texts[7] = {
        {"Software", "filteratlas"}, {"layer", layer}, {"filter", index}, {"loss", loss}, {"job", job_digest}};
    int count = 5;
    if (*filter->rescue)
        texts[count++] = (struct png_text){"rescue", filter->rescue};
    if (*recipe)
        texts[count++] = (struct png_text){"recipe", recipe};
    return png_encode(rgb, width, height, texts, count, png, size, error);
}
