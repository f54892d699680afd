/* What a reader of models needs from JSON, and nothing more. jansson.h is included in document.c alone. All questions
 * may be asked of NULL, which is nothing at all. */
#ifndef MODEL_DOCUMENT_H
#define MODEL_DOCUMENT_H

#include "filteratlas/base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { DOCUMENT_MAX_BYTES = 8 << 20 }; /* ten times the largest of Keras's own networks */

struct document;

/* Parses a text of `size` bytes; `what` names it in messages, "FILE: its model_config". STATUS_USAGE if it is no JSON,
 * too long or too deep. On success the caller ends with document_free. */
int document_parse(const char *text, size_t size, const char *what, struct document **document, struct error *error);
void document_free(struct document *document);

bool document_is_object(const struct document *value);
bool document_is_array(const struct document *value);
bool document_is_null(const struct document *value);     /* null, or nothing at all */
bool document_is_constant(const struct document *value); /* a number or a text */

/* The value of an object's key, element i of an array; NULL if there is none. */
const struct document *document_get(const struct document *object, const char *key);
const struct document *document_at(const struct document *array, size_t i);

/* Elements of an array, or values of an object; else 0. */
size_t document_size(const struct document *value);

/* Value i of an object in the order in which they were written: for those that are walked as a whole. */
const struct document *document_value(const struct document *object, size_t i);

/* A text; NULL if it is none. */
const char *document_text(const struct document *value);

/* false if it is no number, or none from least to most. */
bool document_number(const struct document *value, double *number);
bool document_integer(const struct document *value, int least, int most, int *number);

/* true or false (also 1 and 0); `otherwise` if it is neither. */
bool document_bool(const struct document *value, bool otherwise);

#endif
