/* How libpng's errors come back: it reports one by a call that must not return, from which a long jump leads to the
 * function that does. The one place that includes png.h. */
#ifndef PNG_FAILURE_H
#define PNG_FAILURE_H

#include <png.h>
#include <setjmp.h>
#include <stdio.h>

struct png_failure {
    jmp_buf place; /* set before any call that may fail */
    char message[160];
};

static inline void png_failure_note(png_structp png, png_const_charp message) {
    struct png_failure *failure = png_get_error_ptr(png);
    snprintf(failure->message, sizeof failure->message, "%s", message);
    longjmp(failure->place, 1);
}

static inline void png_failure_ignore(png_structp png, png_const_charp warning) { (void)png, (void)warning; }

/* Of libpng, reading or writing; *info is NULL without memory. */
static inline png_structp png_failure_make_reader(struct png_failure *failure, png_infop *info) {
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, failure, png_failure_note, png_failure_ignore);
    *info = png ? png_create_info_struct(png) : NULL;
    return png;
}

static inline png_structp png_failure_make_writer(struct png_failure *failure, png_infop *info) {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, failure, png_failure_note, png_failure_ignore);
    *info = png ? png_create_info_struct(png) : NULL;
    return png;
}

#endif
