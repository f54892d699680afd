/* A new folder for every test that writes files; the test stands in it. For cmocka's setup and teardown. */
#ifndef FOLDER_H
#define FOLDER_H

#include "filteratlas/base/text.h"

int folder_enter(void **state);

/* Goes back and removes the folder with all that is in it. */
int folder_leave(void **state);

/* The content of a file; one that can't be read fails the test. */
struct text read_file(const char *path);

#endif
