/* Where atlases lie, as seen from a page, and what to call them. */
#ifndef GALLERY_PATHS_H
#define GALLERY_PATHS_H

#include "filteratlas/base/text.h"

/* Appends the address of folder `to` relative to folder `from`, with a slash at its end, as a page's link: all but
 * letters, digits and -._~ become %XX. Both are absolute, as realpath makes them. "/a/page" to "/a/vgg 16":
 * "../vgg%2016/"; the folder itself: "". */
void gallery_link(const char *from, const char *to, struct text *link);

/* Appends a name for paths[which] of `count` different absolute paths: its last component, or as many of the last ones
 * as no other path ends with. */
void gallery_name(const char *const *paths, int count, int which, struct text *name);

#endif
