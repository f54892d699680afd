/* state.txt: what a run goes on from. */
#include "filteratlas/atlas/examples.h"

#include "filteratlas/base/checksum.h"
#include "filteratlas/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void state_path(const char *folder, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/examples/state.txt", folder);
}

/* Writing -------------------------------------------------------------------------------------------------------- */

static void append_name(struct text *text, const char *name) {
    for (; *name; name++)
        text_append(text, iscntrl((unsigned char)*name) || *name == '%' ? "%%%02X" : "%c", (unsigned char)*name);
}

static void append_images(struct text *text, const struct examples *examples, int *line) {
    int seen = 0;
    for (int i = 0; i < examples->images; i++) {
        line[i] = seen;
        seen += examples->image[i].seen;
    }
    text_append(text, "images %d\n", seen);
    for (int i = 0; i < examples->images; i++)
        if (examples->image[i].seen) {
            text_append(text, "%lld ", examples->image[i].size);
            append_name(text, examples->image[i].name);
            text_append(text, "\n");
        }
}

static void append_filter(struct text *text, const struct examples *examples, const char *layer, int index, int filter,
                          const int *line) {
    text_append(text, "%s %d %d %d", layer, index, examples->answered[filter], examples->count[filter]);
    for (int i = 0; i < examples->count[filter]; i++) {
        const struct example *e = &examples->list[(size_t)filter * examples->top + i];
        text_append(text, " %d:%d:%d:%.9g", line[e->image], e->row, e->column, e->activation);
    }
    text_append(text, "\n");
}

int examples_write_state(const char *folder, const struct examples *examples, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    struct text text = {0};
    int *line = calloc(examples->images + 1, sizeof *line); /* in the file, of an image */
    if (!line)
        return error_memory(error, examples->images * (double)sizeof *line, "the state of the examples");
    text_append(&text, "filteratlas examples 1\n");
    append_images(&text, examples, line);
    text_append(&text, "top %d\n", examples->top);
    for (int l = 0; l < examples->layers; l++)
        for (int f = 0; f < examples->layer[l].filters; f++)
            append_filter(&text, examples, examples->layer[l].name, f, examples->layer[l].first + f, line);
    text_append(&text, "crc %08" PRIx32 "\n", checksum_crc32(text.bytes, text.size));
    state_path(folder, path);
    int status = durable_write(path, text.bytes, text.size, error);
    text_free(&text);
    free(line);
    return status;
}

/* Reading -------------------------------------------------------------------------------------------------------- */

/* Cuts "crc CRC\n" off, which must be right. */
static bool cut_checksum(struct text *text) {
    enum { LINE = sizeof "crc 01234567\n" - 1 };
    uint32_t crc;
    if (text->size <= LINE || sscanf(text->bytes + text->size - LINE, "crc %8" SCNx32, &crc) != 1)
        return false;
    text->size -= LINE;
    text->bytes[text->size] = 0;
    return crc == checksum_crc32(text->bytes, text->size);
}

static void decode_name(char *name) {
    char *to = name;
    for (unsigned code; *name; name++) {
        if (*name == '%' && sscanf(name + 1, "%2X", &code) == 1) {
            *to++ = (char)code;
            name += 2;
        } else {
            *to++ = *name;
        }
    }
    *to = 0;
}

/* The images, in the order of their names as they were written. */
static bool parse_images(char **rest, struct examples *examples) {
    int count, end;
    char *line = strsep(rest, "\n");
    if (!line || sscanf(line, "images %d", &count) != 1 || count < 0)
        return false;
    examples->image = calloc(count + 1, sizeof *examples->image);
    if (!examples->image)
        abort(); /* smaller than the text that it comes from */
    for (; examples->images < count; examples->images++) {
        struct examples_image *image = &examples->image[examples->images];
        if (!(line = strsep(rest, "\n")) || sscanf(line, "%lld %n", &image->size, &end) != 1)
            return false;
        decode_name(line + end);
        image->name = strdup(line + end);
        image->seen = true;
        if (!image->name)
            abort(); /* likewise */
    }
    return true;
}

/* The layer that a line of a filter belongs to: the last one, or the next. */
static struct examples_layer *layer_of(struct examples *examples, const char *name) {
    if (examples->layers && !strcmp(examples->layer[examples->layers - 1].name, name))
        return &examples->layer[examples->layers - 1];
    if ((examples->layers & (examples->layers - 1)) == 0) { /* a power of two: so many there is room for */
        size_t room = examples->layers ? 2 * (size_t)examples->layers : 1;
        struct examples_layer *larger = realloc(examples->layer, room * sizeof *larger);
        if (!larger)
            abort(); /* likewise */
        examples->layer = larger;
    }
    struct examples_layer *next = &examples->layer[examples->layers++];
    snprintf(next->name, sizeof next->name, "%s", name);
    next->filters = 0;
    next->first = examples->filters;
    return next;
}

static bool parse_entries(const char *entries, struct examples *examples, int filter) {
    for (int i = 0, end; i < examples->count[filter]; i++, entries += end) {
        struct example *e = &examples->list[(size_t)filter * examples->top + i];
        if (sscanf(entries, " %d:%" SCNu16 ":%" SCNu16 ":%g%n", &e->image, &e->row, &e->column, &e->activation, &end) !=
                4 ||
            e->image < 0 || e->image >= examples->images)
            return false;
    }
    return true;
}

static bool parse_filter(const char *line, struct examples *examples) {
    char name[LAYER_NAME_SIZE];
    int index, answered, count, end;
    if (sscanf(line, "%127s %d %d %d%n", name, &index, &answered, &count, &end) != 4 || count > examples->top)
        return false;
    struct examples_layer *layer = layer_of(examples, name);
    if (index != layer->filters)
        return false;
    layer->filters++;
    int filter = examples->filters++;
    examples->answered[filter] = answered;
    examples->count[filter] = count;
    return parse_entries(line + end, examples, filter);
}

static bool parse_filters(char **rest, struct examples *examples) {
    char *line = strsep(rest, "\n");
    if (!line || sscanf(line, "top %d", &examples->top) != 1 || examples->top < 1 || examples->top > EXAMPLES_MOST)
        return false;
    size_t filters = 0;
    for (const char *c = *rest; c && *c; c++)
        filters += *c == '\n';
    examples->list = calloc(filters * examples->top + 1, sizeof *examples->list);
    examples->count = calloc(filters + 1, sizeof *examples->count);
    examples->answered = calloc(filters + 1, sizeof *examples->answered);
    if (!examples->list || !examples->count || !examples->answered)
        abort(); /* as above */
    while (*rest && **rest)
        if (!parse_filter(strsep(rest, "\n"), examples))
            return false;
    return true;
}

int examples_read(const char *folder, struct examples *examples, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    struct text text = {0};
    *examples = (struct examples){0};
    state_path(folder, path);
    if (access(path, F_OK) && errno == ENOENT)
        return STATUS_OK;
    int status = text_read_regular(path, &text, error);
    char *rest = text.bytes;
    if (!status && !(cut_checksum(&text) && !strcmp(strsep(&rest, "\n"), "filteratlas examples 1") &&
                     parse_images(&rest, examples) && parse_filters(&rest, examples)))
        status =
            error_set(error, STATUS_FAILURE,
                      "%s: is damaged; remove the folder it is in and run examples again, which begins anew", path);
    text_free(&text);
    return status;
}
