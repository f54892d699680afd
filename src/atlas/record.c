#include "record.h"

#include "filteratlas/text.h"
#include "trace_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const char RECORD_HEAD[] = "filteratlas unit 1\n";

uint32_t record_checksum(const void *bytes, size_t size) { return (uint32_t)crc32_z(0, bytes, size); }

void record_format(const struct store_filter *filters, int count, const struct text *trace, struct text *text) {
    text_append(text, "%s", RECORD_HEAD);
    for (int i = 0; i < count; i++) {
        const struct store_filter *f = &filters[i];
        text_append(text, "%d %s %.17g %.3f %d %zu %08" PRIx32 "%s%s\n", f->index, f->dead ? "dead" : "live", f->loss,
                    f->seconds, f->rank, f->bytes, f->crc, *f->rescue ? " " : "", f->rescue);
    }
    if (trace->size)
        text_append(text, "trace %zu %08" PRIx32 "\n", trace->size, record_checksum(trace->bytes, trace->size));
    text_append(text, "crc %08" PRIx32 "\n", record_checksum(text->bytes, text->size));
}

static bool parse_filter(const char *line, struct store_filter *filter) {
    char status[5];
    int end = 0;
    *filter = (struct store_filter){0};
    int fields = sscanf(line, "%d %4s %lf %lf %d %zu %" SCNx32 "%n", &filter->index, status, &filter->loss,
                        &filter->seconds, &filter->rank, &filter->bytes, &filter->crc, &end);
    if (line[end] == ' ')
        sscanf(line + end + 1, "%15[^\n]", filter->rescue);
    filter->dead = fields == 7 && !strcmp(status, "dead");
    return fields == 7 && filter->index >= 0;
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
           crc == record_checksum(text->bytes, text->size - tail);
}

int record_read(const char *path, struct store_layer *layer, bool *broken, struct error *error) {
    struct text text = {0};
    *broken = false;
    if (access(path, F_OK))
        return STATUS_OK;
    int status = text_read(path, &text, error);
    if (!status)
        *broken = !is_whole(&text) || !trace_file_matches(path, text.bytes);
    if (!status && !*broken) {
        struct store_filter filter;
        for (char *line = strchr(text.bytes, '\n'); line && !status; line = strchr(line + 1, '\n'))
            if (parse_filter(line + 1, &filter))
                status = append_filter(layer, &filter, error);
    }
    text_free(&text);
    return status;
}

int record_by_index(const void *a, const void *b) {
    const struct store_filter *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

int record_merge(const char *path, const struct store_filter *filters, int count, struct store_layer *merged,
                 struct error *error) {
    bool broken;
    int status = record_read(path, merged, &broken, error);
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
