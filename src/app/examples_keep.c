#include "examples_keep.h"

#include "filteratlas/base/clock.h"
#include "filteratlas/page/page.h"
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is to be done ---------------------------------------------------------------------------------------------- */

/* A state of these lists, or none: what prepared it was compared before. */
static int read_state(struct examples_keeper *keeper, int top, struct error *error) {
    struct examples empty, *examples = &keeper->examples;
    int status = examples_read(keeper->folder, examples, error);
    if (status || examples->top)
        return status;
    status = examples_make(&keeper->worker->model->layers, keeper->worker->chosen, top, &empty, error);
    *examples = empty;
    return status;
}

static int is_listed(const struct image_list *list, const char *name) {
    int low = 0, high = list->count;
    while (low < high) {
        int middle = (low + high) / 2, order = strcmp(list->image[middle].name, name);
        if (!order)
            return true;
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

int examples_keeper_make(struct examples_keeper *keeper, int top, struct error *error) {
    struct examples *examples = &keeper->examples;
    int status = read_state(keeper, top, error);
    if (!status)
        status = examples_add_images(examples, keeper->list->image, keeper->list->count, error);
    if (status)
        return status;
    keeper->to_do = calloc(examples->images + 1, sizeof *keeper->to_do);
    keeper->skipped = calloc(examples->images + 1, sizeof *keeper->skipped);
    if (!keeper->to_do || !keeper->skipped)
        return error_memory(error, examples->images * (double)sizeof *keeper->skipped, "the names of images");
    for (int i = 0; i < examples->images; i++)
        if (!examples->image[i].seen && is_listed(keeper->list, examples->image[i].name))
            keeper->to_do[keeper->images_to_do++] = i;
    return STATUS_OK;
}

void examples_keeper_free(struct examples_keeper *keeper) {
    for (int i = 0; i < keeper->skipped_count; i++)
        free(keeper->skipped[i].why);
    examples_free(&keeper->examples);
    free(keeper->to_do);
    free(keeper->skipped);
    free(keeper->need);
    free(keeper->first_need);
    free(keeper->field);
}

static void append_path(const struct examples_keeper *keeper, int image, struct text *order) {
    const char *name = keeper->examples.image[image].name;
    text_append(order, *name == '/' ? "%.0s%s%c" : "%s/%s%c", keeper->list->folder, name, 0);
}

/* Looking --------------------------------------------------------------------------------------------------------- */

static void compose_look(void *context, int task, struct text *order) {
    const struct examples_keeper *keeper = context;
    int first = task * keeper->block, last = first + keeper->block;
    text_append(order, "%c", EXAMPLES_LOOK);
    for (int i = first; i < last && i < keeper->images_to_do; i++)
        append_path(keeper, keeper->to_do[i], order);
}

static void skip(struct examples_keeper *keeper, int image, const char *why) {
    keeper->skipped[keeper->skipped_count++] =
        (struct examples_skipped){keeper->examples.image[image].name, strdup(why)};
}

static const char *enter_image(struct examples_keeper *keeper, int image, const char *bytes) {
    struct activation highest;
    for (int f = 0; f < keeper->examples.filters; f++, bytes += sizeof highest) {
        memcpy(&highest, bytes, sizeof highest);
        const struct example example = {image, highest.row, highest.column, highest.value};
        if (highest.value > 0)
            examples_enter(&keeper->examples, f, &example);
    }
    keeper->examples.image[image].seen = true;
    return bytes;
}

static int keep_look(void *context, int task, const struct text *result, struct error *error) {
    struct examples_keeper *keeper = context;
    int first = task * keeper->block, left = keeper->images_to_do - first;
    int count = left < keeper->block ? left : keeper->block;
    const char *why = result->bytes, *values = why;
    (void)error;
    for (int i = 0; i < count; i++)
        values += strlen(values) + 1;
    for (int i = 0; i < count; i++, why += strlen(why) + 1)
        if (*why)
            skip(keeper, keeper->to_do[first + i], why);
        else
            values = enter_image(keeper, keeper->to_do[first + i], values);
    keeper->done += count;
    keeper->changed = true;
    return STATUS_OK;
}

int examples_write_known(struct examples_keeper *keeper, struct error *error) {
    if (!keeper->changed)
        return STATUS_OK;
    keeper->changed = false;
    return examples_write_state(keeper->folder, &keeper->examples, error);
}

static void say_progress(struct examples_keeper *keeper, double now) {
    static const double interval = 10;
    char left[24];
    if (keeper->quiet || now < keeper->next_say || !keeper->done)
        return;
    double speed = keeper->done / (now - keeper->start);
    progress_format_time((keeper->images_to_do - keeper->done) / speed, left);
    printf("%d of %d images, %.1f a second, %s left\n", keeper->done, keeper->images_to_do, speed, left);
    fflush(stdout);
    keeper->next_say = now + interval;
}

/* Writes what is known every second, and at most a twentieth of the time. */
static int tick_look(void *context, struct error *error) {
    struct examples_keeper *keeper = context;
    double now = clock_now();
    say_progress(keeper, now);
    if (!keeper->changed || now < keeper->next_write)
        return STATUS_OK;
    int status = examples_write_known(keeper, error);
    double after = clock_now();
    keeper->next_write = after + 1 + 20 * (after - now);
    return status;
}

struct task_keeping examples_looking(struct examples_keeper *keeper, int ranks) {
    int each = keeper->images_to_do / (2 * ranks);
    keeper->block = each < 1 ? 1 : each > ACTIVATIONS_MOST_IMAGES ? ACTIVATIONS_MOST_IMAGES : each;
    keeper->start = clock_now();
    keeper->next_say = keeper->start + 2;
    return (struct task_keeping){.tasks = (keeper->images_to_do + keeper->block - 1) / keeper->block,
                                 .compose = compose_look,
                                 .keep = keep_look,
                                 .tick = tick_look,
                                 .context = keeper};
}

/* Cutting --------------------------------------------------------------------------------------------------------- */

enum { PARTS_TOGETHER = 64 }; /* in a task, or a few more: those of an image stay together */

static int by_image(const void *a, const void *b) {
    const struct examples_need *x = a, *y = b;
    return x->image != y->image ? x->image - y->image : x->filter - y->filter;
}

static int find_needs(struct examples_keeper *keeper, struct error *error) {
    const struct examples *examples = &keeper->examples;
    size_t most = (size_t)examples->filters * examples->top + 1;
    int status = STATUS_OK;
    keeper->need = malloc(most * sizeof *keeper->need);
    keeper->first_need = malloc((most + 1) * sizeof *keeper->first_need);
    if (!keeper->need || !keeper->first_need)
        return error_memory(error, (double)most * sizeof *keeper->need, "the examples to be cut");
    for (int f = 0; f < examples->filters; f++)
        for (int i = 0; i < examples->count[f] && !status; i++) {
            char path[DURABLE_PATH_SIZE];
            int image = examples->list[(size_t)f * examples->top + i].image;
            status = examples_part_path(keeper->folder, examples, f, image, path, error);
            if (!status && !examples_has_part(path))
                keeper->need[keeper->needs++] = (struct examples_need){image, f};
        }
    qsort(keeper->need, keeper->needs, sizeof *keeper->need, by_image);
    return status;
}

static void divide(struct examples_keeper *keeper) {
    keeper->tasks = 0;
    for (int i = 0, first = 0; i < keeper->needs; i++) {
        bool begins = !i || keeper->need[i].image != keeper->need[i - 1].image;
        if (!i || (begins && i - first >= PARTS_TOGETHER))
            keeper->first_need[keeper->tasks++] = first = i;
    }
    keeper->first_need[keeper->tasks] = keeper->needs;
}

/* How many of the needs from `first` on are of one image, before `end`. */
static int count_same(const struct examples_keeper *keeper, int first, int end) {
    int next = first + 1;
    while (next < end && keeper->need[next].image == keeper->need[first].image)
        next++;
    return next - first;
}

static int find_fields(struct examples_keeper *keeper, struct error *error) {
    const struct examples *examples = &keeper->examples;
    const struct model *model = keeper->worker->model;
    int crop = keeper->worker->crop, status = STATUS_OK;
    keeper->field = calloc((size_t)examples->layers + 1, sizeof *keeper->field);
    if (!keeper->field)
        return error_memory(error, examples->layers * (double)sizeof *keeper->field, "the layers");
    for (int l = 0; l < examples->layers && !status; l++) {
        int layer = layers_find(&model->layers, examples->layer[l].name);
        int stage = model->graph.node[model->layers.layer[layer].node].stage;
        status = graph_find_field(&model->graph, stage, crop, crop, &keeper->field[l], error);
    }
    return status;
}

/* The field of a position along one axis, within the square, of which it always has a pixel. */
static void clip_field(const struct graph_field *field, int axis, int position, int crop, int *from, int *extent) {
    double moved = position * field->step[axis];
    double first = fmax(floor(moved + field->first[axis]), 0), last = fmin(ceil(moved + field->last[axis]), crop - 1);
    *from = (int)fmin(first, crop - 1);
    *extent = (int)fmax(last - *from + 1, 1);
}

static struct examples_part part_of(const struct examples_keeper *keeper, const struct examples_need *need) {
    const struct examples *examples = &keeper->examples;
    const struct example *e = examples->list + (size_t)need->filter * examples->top;
    struct examples_part part = {.filter = need->filter};
    int l = 0;
    while (need->filter >= examples->layer[l].first + examples->layer[l].filters)
        l++;
    while (e->image != need->image)
        e++;
    clip_field(&keeper->field[l], 1, e->column, keeper->worker->crop, &part.x, &part.width);
    clip_field(&keeper->field[l], 0, e->row, keeper->worker->crop, &part.y, &part.height);
    return part;
}

static void compose_cut(void *context, int task, struct text *order) {
    const struct examples_keeper *keeper = context;
    int end = keeper->first_need[task + 1];
    text_append(order, "%c", EXAMPLES_CUT);
    for (int i = keeper->first_need[task], count; i < end; i += count) {
        count = count_same(keeper, i, end);
        append_path(keeper, keeper->need[i].image, order);
        text_append_bytes(order, &count, sizeof count);
        for (int j = i; j < i + count; j++) {
            struct examples_part part = part_of(keeper, &keeper->need[j]);
            text_append_bytes(order, &part, sizeof part);
        }
    }
}

static int keep_part(const struct examples_keeper *keeper, const struct examples_need *need, const char **bytes,
                     struct error *error) {
    char path[DURABLE_PATH_SIZE];
    int size, status = examples_part_path(keeper->folder, &keeper->examples, need->filter, need->image, path, error);
    memcpy(&size, *bytes, sizeof size);
    *bytes += sizeof size;
    if (!status)
        status = examples_write_part(path, *bytes, size, error);
    *bytes += size;
    return status;
}

static int keep_cut(void *context, int task, const struct text *result, struct error *error) {
    struct examples_keeper *keeper = context;
    const char *bytes = result->bytes;
    int end = keeper->first_need[task + 1], status = STATUS_OK;
    for (int i = keeper->first_need[task], count; i < end && !status; i += count) {
        bool usable = !*bytes;
        count = count_same(keeper, i, end);
        bytes += strlen(bytes) + 1;
        keeper->missing += usable ? 0 : count;
        for (int j = i; j < i + count && usable && !status; j++)
            status = keep_part(keeper, &keeper->need[j], &bytes, error);
    }
    return status;
}

static int tick_cut(void *context, struct error *error) {
    (void)context, (void)error;
    return STATUS_OK;
}

int examples_cutting(struct examples_keeper *keeper, struct task_keeping *keeping, struct error *error) {
    int status = find_needs(keeper, error);
    if (!status)
        status = find_fields(keeper, error);
    if (status)
        return status;
    divide(keeper);
    *keeping = (struct task_keeping){
        .tasks = keeper->tasks, .compose = compose_cut, .keep = keep_cut, .tick = tick_cut, .context = keeper};
    return STATUS_OK;
}

/* The end --------------------------------------------------------------------------------------------------------- */

static int by_skipped_name(const void *a, const void *b) {
    const struct examples_skipped *x = a, *y = b;
    return strcmp(x->name, y->name);
}

int examples_finish(struct examples_keeper *keeper, struct error *error) {
    qsort(keeper->skipped, keeper->skipped_count, sizeof *keeper->skipped, by_skipped_name);
    int status = examples_settle_parts(keeper->folder, &keeper->examples, error);
    if (!status)
        status = examples_write_skipped(keeper->folder, keeper->skipped, keeper->skipped_count, error);
    if (!status)
        status = examples_write_tables(keeper->folder, &keeper->examples, error);
    return status ? status : page_write_examples(keeper->folder, &keeper->examples, error);
}
