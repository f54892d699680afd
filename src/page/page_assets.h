/* The files of page/, and of the viewer where there was one to be had, as the build embeds them (scripts/embed). */
#ifndef FILTERATLAS_PAGE_ASSETS_H
#define FILTERATLAS_PAGE_ASSETS_H

#include <stddef.h>

struct page_asset {
    const char *name; /* of the file */
    const unsigned char *bytes;
    size_t size;
};

/* Ends with a name of NULL. */
extern const struct page_asset page_assets[];

#endif
