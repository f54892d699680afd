/* The embedded files of the page, put into a folder. */
#ifndef PAGE_ASSETS_WRITE_H
#define PAGE_ASSETS_WRITE_H

#include "filteratlas/base/error.h"

#include <stdbool.h>

/* Whether the program was built with the viewer of the canvas. */
bool assets_have_viewer(void);

/* Writes FOLDER/index.html and FOLDER/page/..., where they are not there already; FOLDER/page must be. */
int assets_write(const char *folder, bool with_viewer, struct error *error);

#endif
