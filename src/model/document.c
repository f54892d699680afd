#include "document.h"

#include <jansson.h>

static const json_t *json(const struct document *value) { return (const json_t *)value; }
static const struct document *wrap(const json_t *value) { return (const struct document *)value; }

int document_parse(const char *text, size_t size, const char *what, struct document **document, struct error *error) {
    json_error_t why;
    *document = NULL;
    if (size > DOCUMENT_MAX_BYTES)
        return error_set(error, STATUS_USAGE, "%s is of %zu bytes, more than the %d that are read; save it again", what,
                         size, DOCUMENT_MAX_BYTES);
    json_t *value = json_loadb(text, size, 0, &why);
    if (!value)
        return error_set(error, STATUS_USAGE, "%s is not the JSON that Keras writes (line %d: %s); save it again", what,
                         why.line, why.text);
    *document = (struct document *)value;
    return STATUS_OK;
}

void document_free(struct document *document) { json_decref((json_t *)document); }

bool document_is_object(const struct document *value) { return json_is_object(json(value)); }
bool document_is_array(const struct document *value) { return json_is_array(json(value)); }
bool document_is_null(const struct document *value) { return !value || json_is_null(json(value)); }
bool document_is_constant(const struct document *value) {
    return json_is_number(json(value)) || json_is_string(json(value));
}

const struct document *document_get(const struct document *object, const char *key) {
    return wrap(json_object_get(json(object), key));
}

const struct document *document_at(const struct document *array, size_t i) {
    return wrap(json_array_get(json(array), i));
}

size_t document_size(const struct document *value) {
    return json_is_object(json(value)) ? json_object_size(json(value)) : json_array_size(json(value));
}

const struct document *document_value(const struct document *object, size_t i) {
    json_t *mutable = (json_t *)object;
    void *place = json_object_iter(mutable);
    while (place && i--)
        place = json_object_iter_next(mutable, place);
    return place ? wrap(json_object_iter_value(place)) : NULL;
}

const char *document_text(const struct document *value) { return json_string_value(json(value)); }

bool document_number(const struct document *value, double *number) {
    if (!json_is_number(json(value)))
        return false;
    *number = json_number_value(json(value));
    return true;
}

bool document_integer(const struct document *value, int least, int most, int *number) {
    double read;
    if (!document_number(value, &read) || !(read >= least && read <= most) || read != (int)read)
        return false;
    *number = (int)read;
    return true;
}

bool document_bool(const struct document *value, bool otherwise) {
    int number;
    if (json_is_boolean(json(value)))
        return json_is_true(json(value));
    return document_integer(value, 0, 1, &number) ? number : otherwise;
}
