/* The page that shows several atlases side by side, from their own files: it holds no picture.
 *
 *   SITE/index.html                 as an atlas' own
 *   SITE/page/page.css, page.js     likewise
 *   SITE/page/atlas.js              the names of the atlases, the links to their folders, the kernels' cosines
 *
 * A browser that opens it reads page/atlas.js of every atlas, so what is drawn later shows at once, and the pictures
 * from there. Links are relative: SITE can be moved together with the atlases, or all of them be put on a server. Moved
 * alone it says which atlas it does not find. */
#ifndef FILTERATLAS_GALLERY_H
#define FILTERATLAS_GALLERY_H

#include "filteratlas/base/error.h"

#include <stdbool.h>

struct page_gallery_atlas {
    const char *name; /* as the page shows it */
    const char *link; /* from SITE to its folder, an encoded relative address with a slash at its end */
};

/* The kernels of a layer in two of the atlases. */
struct page_comparison {
    int atlas, other; /* by number */
    char *layer;      /* owned */
    double *cosine;   /* [filters], NAN where there is none; owned */
    int filters;
};

/* Starts as {0}. */
struct page_comparisons {
    struct page_comparison *comparison; /* [count] */
    int count;
};

void page_comparisons_free(struct page_comparisons *comparisons);

/* Whether FOLDER holds a page of this kind, or none at all. */
bool page_gallery_may_write(const char *folder);

/* Writes the page into a folder, which is made if it isn't there. */
int page_write_gallery(const char *folder, const struct page_gallery_atlas *atlases, int count,
                       const struct page_comparisons *comparisons, struct error *error);

#endif
