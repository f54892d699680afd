/* The images that a person gave: the files below a folder, or those of a list. */
#ifndef IMAGE_LIST_H
#define IMAGE_LIST_H

#include "filteratlas/atlas/examples.h"
#include "filteratlas/base/error.h"

#include <stddef.h>

struct image_list {
    char folder[DURABLE_PATH_SIZE]; /* that the names are relative to */
    struct examples_image *image;   /* [count], rising by name, each name once */
    int count;
    size_t capacity;
};

/* path: a folder, of which all regular files and links to some below it are taken, but for hidden ones; or a file with
 * a path per line, relative to its own folder, of files that need not be there. Nothing there:
 * STATUS_USAGE. Release
 * with image_list_free, after a failure too. */
int image_list_read(const char *path, struct image_list *list, struct error *error);
void image_list_free(struct image_list *list);

#endif
