#include "record.h"

#include "filteratlas/base/checksum.h"
#include "filteratlas/base/text.h"
#include "trace_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of a layer's name, for scanf. */
#define LAYER_WIDTH "127"
_Static_assert(STORE_NAME_SIZE == 128, "LAYER_WIDTH is one less");

static const char RECORD_HEAD[] = "filteratlas unit 1\n", UNKNOWN_KERNELS[] = "unknown";

struct record_place record_place_of(const struct store *store, const char *layer, int unit) {
    struct record_place place = {.layer = layer, .unit = unit};
    snprintf(place.path, sizeof place.path, "%s/units/%s/%05d.txt", store->folder, layer, unit);
    return place;
}

/* Writing ------------------------------------------------------------------------------------------------------- */

static void format_filter(const struct store_filter *f, struct text *text) {
    text_append(text, "%d %s %.17g %.3f %d %zu %08" PRIx32 "%s%s\n", f->index, f->dead ? "dead" : "live", f->loss,
                f->seconds, f->rank, f->bytes, f->crc, *f->rescue ? " " : "", f->rescue);
}

/* One line of kernels for all filters drawn with the same: a unit is mostly drawn by one rank. */
void record_format(const struct record_place *place, const struct store_filter *filters, int count,
                   const struct text *trace, struct text *text) {
    const char *kernels = "";
    text_append(text, "%sunit %s %d\n", RECORD_HEAD, place->layer, place->unit);
    for (int i = 0; i < count; i++) {
        if (strcmp(filters[i].kernels, kernels) != 0)
            text_append(text, "kernels %s\n", *filters[i].kernels ? filters[i].kernels : UNKNOWN_KERNELS);
        kernels = filters[i].kernels;
        format_filter(&filters[i], text);
    }
    if (trace->size)
        text_append(text, "trace %zu %08" PRIx32 "\n", trace->size, checksum_crc32(trace->bytes, trace->size));
    text_append(text, "crc %08" PRIx32 "\n", checksum_crc32(text->bytes, text->size));
}

/* Reading ------------------------------------------------------------------------------------------------------- */

static bool parse_filter(const char *line, struct store_filter *filter) {
    char status[5];
    int end = 0;
    *filter = (struct store_filter){0};
    int fields = sscanf(line, "%d %4s %lf %lf %d %zu %" SCNx32 "%n", &filter->index, status, &filter->loss,
                        &filter->seconds, &filter->rank, &filter->bytes, &filter->crc, &end);
    if (fields != 7 || filter->index < 0)
        return false;
    if (line[end] == ' ')
        sscanf(line + end + 1, "%15[^\n]", filter->rescue);
    filter->dead = !strcmp(status, "dead");
    return true;
}

static int append_filter(struct store_layer *layer, const struct store_filter *filter, struct error *error) {
    size_t bytes = (layer->count + 1) * sizeof *layer->filter;
    struct store_filter *larger = realloc(layer->filter, bytes);
    if (!larger)
        return error_memory(error, (double)bytes, "records");
    layer->filter = larger;
    layer->filter[layer->count++] = *filter;
    return STATUS_OK;
}

/* Whether the text ends in the checksum of all before. */
static bool is_whole(const struct text *text) {
    const size_t tail = sizeof "crc 00000000\n" - 1;
    uint32_t crc;
    return text->size > tail && !strncmp(text->bytes, RECORD_HEAD, sizeof RECORD_HEAD - 1) &&
           sscanf(text->bytes + text->size - tail, "crc %" SCNx32 "\n", &crc) == 1 &&
           crc == checksum_crc32(text->bytes, text->size - tail);
}

/* The unit that a record says it is of. Those of older programs don't say: then they are where they belong, but in a
 * folder that such a program never made. */
static bool is_of(const char *record, const struct record_place *place, bool *of_layer) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    char layer[STORE_NAME_SIZE] = "";
    int unit;
    if (sscanf(record + sizeof RECORD_HEAD - 1, "unit %" LAYER_WIDTH "s %d\n", layer, &unit) != 2) {
        *of_layer = strspn(place->layer, letters) == strlen(place->layer);
        return *of_layer;
    }
    *of_layer = !strcmp(layer, place->layer);
    return *of_layer && unit == place->unit;
}

static int parse_filters(const char *record, struct store_layer *layer, struct error *error) {
    char kernels[STORE_KERNELS_SIZE] = "";
    int status = STATUS_OK;
    for (const char *line = strchr(record, '\n'); line && !status; line = strchr(line + 1, '\n')) {
        struct store_filter filter;
        if (sscanf(line + 1, "kernels %31[^\n]", kernels) == 1 && !strcmp(kernels, UNKNOWN_KERNELS))
            *kernels = 0;
        if (!parse_filter(line + 1, &filter))
            continue;
        strcpy(filter.kernels, kernels);
        status = append_filter(layer, &filter, error);
    }
    return status;
}

int record_read(const struct record_place *place, struct store_layer *layer, bool *broken, struct error *error) {
    struct text text = {0};
    struct error why;
    struct stat found;
    bool of_layer;
    *broken = false;
    if (lstat(place->path, &found) || !S_ISREG(found.st_mode))
        return STATUS_OK;
    *broken = text_read_regular(place->path, &text, &why) || !is_whole(&text) || !is_of(text.bytes, place, &of_layer) ||
              !trace_file_matches(place->path, text.bytes);
    int status = *broken ? STATUS_OK : parse_filters(text.bytes, layer, error);
    text_free(&text);
    return status;
}

enum record_owner record_owner(const struct record_place *place) {
    struct text text = {0};
    struct error why;
    bool of_layer = true, whole = !text_read_regular(place->path, &text, &why) && is_whole(&text);
    if (whole)
        is_of(text.bytes, place, &of_layer);
    text_free(&text);
    return !whole ? RECORD_BROKEN : of_layer ? RECORD_OF_LAYER : RECORD_OF_ANOTHER;
}

bool record_trace(const struct record_place *place, char path[DURABLE_PATH_SIZE]) {
    struct text text = {0};
    struct error why;
    bool of_layer, found = !text_read_regular(place->path, &text, &why) && is_whole(&text) &&
                           is_of(text.bytes, place, &of_layer) && trace_file_matches(place->path, text.bytes) &&
                           trace_file_of(place->path, text.bytes, path);
    text_free(&text);
    return found;
}

int record_by_index(const void *a, const void *b) {
    const struct store_filter *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

int record_merge(const struct record_place *place, const struct store_filter *filters, int count,
                 struct store_layer *merged, struct error *error) {
    bool broken;
    int status = record_read(place, merged, &broken, error);
    for (int i = 0; i < count && !status; i++) {
        int j = 0;
        while (j < merged->count && merged->filter[j].index != filters[i].index)
            j++;
        if (j < merged->count)
            merged->filter[j] = filters[i];
        else
            status = append_filter(merged, &filters[i], error);
    }
    if (!status)
        qsort(merged->filter, merged->count, sizeof *merged->filter, record_by_index);
    return status;
}
