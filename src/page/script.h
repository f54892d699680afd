/* The data of the page as scripts, which a browser loads from the disk where it would refuse to fetch JSON. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "filteratlas/base/text.h"

/* Appends a string with its quotes. */
void script_append_string(struct text *text, const char *string);

#endif
