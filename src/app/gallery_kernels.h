/* The kernels of the networks of a gallery's atlases, compared. */
#ifndef GALLERY_KERNELS_H
#define GALLERY_KERNELS_H

#include "filteratlas/base/error.h"
#include "filteratlas/page/gallery.h"
#include "options.h"

/* The cosines of each further atlas' kernels and those of the first, of the atlases whose weights are among the files:
 * told by `digests[atlases]`, what their job.txt says of the weights' SHA-256. Atlases of the same weights are not
 * compared. A file of no atlas, or files of fewer than two networks, are STATUS_USAGE. Release with
 * page_comparisons_free, after a failure too. */
int gallery_compare_kernels(const struct files *files, const char *const *digests, int atlases,
                            struct page_comparisons *comparisons, struct error *error);

#endif
