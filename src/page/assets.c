#include "assets.h"

#include "filteratlas/atlas/durable.h"
#include "filteratlas/base/text.h"
#include "page_assets.h"

#include <stdio.h>
#include <string.h>

static bool is_of_viewer(const struct page_asset *asset) { return !strncmp(asset->name, "openseadragon", 13); }

bool assets_have_viewer(void) {
    for (const struct page_asset *asset = page_assets; asset->name; asset++)
        if (is_of_viewer(asset))
            return true;
    return false;
}

/* Half a megabyte that only another version of the program changes. */
static bool is_there(const char *path, const struct page_asset *asset) {
    struct text found = {0};
    struct error ignored;
    bool same = text_read(path, &found, &ignored) == STATUS_OK && found.size == asset->size &&
                !memcmp(found.bytes, asset->bytes, asset->size);
    text_free(&found);
    return same;
}

int assets_write(const char *folder, bool with_viewer, struct error *error) {
    int status = STATUS_OK;
    for (const struct page_asset *asset = page_assets; asset->name && !status; asset++) {
        char path[DURABLE_PATH_SIZE];
        snprintf(path, sizeof path, "%s%s/%s", folder, strcmp(asset->name, "index.html") ? "/page" : "", asset->name);
        if ((with_viewer || !is_of_viewer(asset)) && !is_there(path, asset))
            status = durable_write(path, asset->bytes, asset->size, error);
    }
    return status;
}
