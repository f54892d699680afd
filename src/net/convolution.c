#include "convolution.h"

#include "columns.h"
#include "panels.h"

#include <string.h>

/* The same weights serve a convolution and a transposed one, from which its other direction is taken. So here a side of
 * the weights is the one under the window (a convolution's input) or the one of positions (its output): `gather` goes
 * from the window to the positions, `scatter` back. */
struct shape {
    int groups, taps;
    int under, at;            /* channels of a group under the window and at a position */
    int under_deep, at_deep;  /* the same as rows of a product have them: of one group, the map's stride */
    const float *kernel;      /* [taps][under][groups * at] */
    const float *under_scale; /* NULL: 1 */
    const float *at_scale;    /* [groups * at], NULL: 1 */
};

static bool is_transposed(const struct operation *o) { return operation_node(o)->operation == GRAPH_TRANSPOSED; }

static int at_least_one(int n) { return n > 0 ? n : 1; }

static struct shape shape_of(const struct operation *o, int in_stride, int out_stride) {
    const struct graph_node *n = operation_node(o);
    struct shape s = {.groups = at_least_one(n->groups),
                      .taps = at_least_one(n->kernel[0]) * at_least_one(n->kernel[1]),
                      .kernel = operation_weights(o)};
    bool transposed = is_transposed(o), one = s.groups == 1;
    s.under = (transposed ? n->channels : n->in_channels) / s.groups;
    s.at = (transposed ? n->in_channels : n->channels) / s.groups;
    s.under_deep = one ? (transposed ? out_stride : in_stride) : s.under;
    s.at_deep = one ? (transposed ? in_stride : out_stride) : s.at;
    s.under_scale = transposed ? o->scale : NULL;
    s.at_scale = transposed ? NULL : o->scale;
    return s;
}

/* --- Tables: a packed matrix for each group, one after the other */

/* The gathering direction has rows of all values under the window, columns of positions' channels; the scattering one
 * is the transposed matrix. */
static bool gathers(const struct operation *o, enum winograd_direction direction) {
    return is_transposed(o) == (direction == WINOGRAD_BACKWARD);
}

static size_t group_floats(const struct shape *s, bool gather) {
    return gather ? panels_floats(s->taps * s->under_deep, s->at) : panels_floats(s->at_deep, s->taps * s->under_deep);
}

size_t convolution_table_floats(const struct operation *o, enum winograd_direction direction, int in_stride,
                                int out_stride) {
    struct shape s = shape_of(o, in_stride, out_stride);
    return (size_t)s.groups * group_floats(&s, gathers(o, direction));
}

/* The weight between a value under the window and a channel at the position; 0 in the padding. */
static float weight(const struct shape *s, int group, int value, int at) {
    int tap = value / s->under_deep, under = value % s->under_deep, out = group * s->at + at;
    if (tap >= s->taps || under >= s->under || at >= s->at)
        return 0;
    float w = s->kernel[((size_t)tap * (size_t)s->under + (size_t)under) * (size_t)(s->groups * s->at) + (size_t)out];
    if (s->under_scale)
        w *= s->under_scale[under];
    return s->at_scale ? w * s->at_scale[out] : w;
}

static void fill_matrix(const struct shape *s, bool gather, int group, int part, int parts, float *table) {
    int values = s->taps * s->under_deep, depth = gather ? values : s->at_deep, columns = gather ? s->at : values;
    for (int row = part; row < depth; row += parts)
        for (int column = 0; column < winograd_padded(columns); column++)
            table[panels_at(depth, columns, row, column)] =
                gather ? weight(s, group, row, column) : weight(s, group, column, row);
}

void convolution_fill_table(const struct operation *o, enum winograd_direction direction, int in_stride, int out_stride,
                            int part, int parts) {
    struct shape s = shape_of(o, in_stride, out_stride);
    bool gather = gathers(o, direction);
    for (int group = 0; group < s.groups; group++)
        fill_matrix(&s, gather, group, part, parts, o->panels[direction] + (size_t)group * group_floats(&s, gather));
}

/* --- At work, a strip of positions at a time */

/* Positions of a strip: as many as keep its rows in the second cache, and enough for the weights to be read seldom. */
enum { STRIP_FLOATS = 1 << 17, MOST_ROWS = 96, LEAST_ROWS = 24 };

/* A convolution from the map under the window to that of positions, whichever of them is the input. */
struct work {
    const struct operation_call *call;
    struct shape shape;
    struct window window; /* of the first group; over all channels if it is the only one */
    size_t positions;     /* of all pictures */
    size_t values;        /* under the window, of a group */
    size_t strip;         /* positions */
    int gathered;         /* floats of a row of gathered products, and of scattered ones */
    int scattered;
    bool direct;  /* the map under the window serves as rows as it is */
    bool written; /* and products as that map */
    float *columns, *rows;
};

static size_t strip_rows(size_t row, size_t positions) {
    size_t rows = STRIP_FLOATS / row / 6 * 6;
    rows = rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
    return rows < positions ? rows : positions;
}

static struct work begin(const struct operation_call *call) {
    const struct operation *o = call->operation;
    const struct map *under = is_transposed(o) ? &call->out : call->in;
    const struct map *at = is_transposed(o) ? call->in : &call->out;
    struct work w = {.call = call, .shape = shape_of(o, call->in->stride, call->out.stride)};
    w.window = operation_window(o, under, at);
    if (w.shape.groups > 1)
        w.window.channels = w.shape.under;
    w.direct = columns_are_map(&w.window);
    w.positions = (size_t)call->pictures * (size_t)at->height * (size_t)at->width;
    w.values = columns_depth(&w.window);
    w.gathered = winograd_padded(w.shape.at);
    w.scattered = winograd_padded((int)w.values);
    w.written = w.direct && (size_t)w.scattered == w.values;
    int deep = w.gathered > w.shape.at_deep ? w.gathered : w.shape.at_deep;
    w.strip = strip_rows((size_t)w.scattered + (size_t)deep, w.positions);
    w.columns = call->scratch;
    w.rows = call->scratch + w.strip * (size_t)w.scattered;
    return w;
}

static size_t scratch(const struct operation_call *call) {
    struct work w = begin(call);
    int deep = w.gathered > w.shape.at_deep ? w.gathered : w.shape.at_deep;
    return w.strip * ((size_t)w.scattered + (size_t)winograd_padded(deep));
}

static size_t strip_length(const struct work *w, size_t first) {
    return w->positions - first < w->strip ? w->positions - first : w->strip;
}

/* Products of the values under the window -> w->rows [count][gathered]. */
static void gather(struct work *w, enum winograd_direction direction, const float *map, int group, size_t first,
                   size_t count) {
    const struct operation *o = w->call->operation;
    const float *table = o->panels[direction] + (size_t)group * group_floats(&w->shape, true);
    const float *values = w->direct ? map + first * w->values : w->columns;
    w->window.channel = w->shape.groups > 1 ? group * w->shape.under : 0;
    if (!w->direct)
        columns_gather(&w->window, map, first, count, w->columns);
    panels_multiply(o->kernels, table, (int)w->values, w->shape.at, values, w->values, count, w->rows,
                    (size_t)w->gathered);
}

/* Products of rows [count][at_deep], added to the map, or written to it. */
static void scatter(struct work *w, enum winograd_direction direction, const float *rows, size_t row_stride, int group,
                    size_t first, size_t count, float *map) {
    const struct operation *o = w->call->operation;
    const float *table = o->panels[direction] + (size_t)group * group_floats(&w->shape, false);
    float *out = w->written ? map + first * w->values : w->columns;
    panels_multiply(o->kernels, table, w->shape.at_deep, (int)w->values, rows, row_stride, count, out,
                    (size_t)w->scattered);
    w->window.channel = w->shape.groups > 1 ? group * w->shape.under : 0;
    if (!w->written)
        columns_scatter(o->loops, &w->window, w->columns, (size_t)w->scattered, first, count, map);
}

/* Rows of a strip, of one group's channels. */
static struct activation_rows strip_of(const struct work *w, const struct map *map, int channels, int group,
                                       size_t first, size_t count, size_t z_stride) {
    return (struct activation_rows){.position = first,
                                    .positions = count,
                                    .map_positions = map->height * map->width,
                                    .channel = group * w->shape.at,
                                    .channels = channels,
                                    .z_stride = z_stride,
                                    .out_stride = (size_t)map->stride};
}

/* Groups are written one by one: nobody else writes the padding. */
static void clear_padding(const struct operation_call *call, size_t positions) {
    size_t stride = (size_t)call->out.stride, channels = (size_t)call->out.channels;
    for (size_t p = 0; p < positions && stride > channels; p++)
        memset(call->y + p * stride + channels, 0, (stride - channels) * sizeof *call->y);
}

static void convolve(const struct operation_call *call) {
    struct work w = begin(call);
    const struct operation *o = call->operation;
    size_t bytes = activation_note_bytes(&o->activation);
    int channels = w.shape.groups == 1 ? call->out.stride : w.shape.at;
    for (size_t first = 0; first < w.positions; first += w.strip)
        for (int group = 0; group < w.shape.groups; group++) {
            size_t count = strip_length(&w, first), at = first * (size_t)call->out.stride;
            struct activation_rows rows = strip_of(&w, &call->out, channels, group, first, count, (size_t)w.gathered);
            at += (size_t)rows.channel;
            gather(&w, WINOGRAD_FORWARD, call->x[0], group, first, count);
            activation_forward(&o->activation, &rows, w.rows, o->bias ? o->bias + rows.channel : NULL, call->y + at,
                               (char *)call->notes + at * bytes);
        }
    if (w.shape.groups > 1)
        clear_padding(call, w.positions);
}

static void convolve_back(const struct operation_call *call) {
    struct work w = begin(call);
    const struct operation *o = call->operation;
    size_t bytes = activation_note_bytes(&o->activation), deep = (size_t)w.shape.at_deep;
    if (!w.written)
        memset(call->x_gradient, 0, map_floats(call->in, call->pictures) * sizeof *call->x_gradient);
    for (size_t first = 0; first < w.positions; first += w.strip)
        for (int group = 0; group < w.shape.groups; group++) {
            size_t count = strip_length(&w, first), at = first * (size_t)call->out.stride;
            struct activation_rows rows = strip_of(&w, &call->out, w.shape.at_deep, group, first, count, deep);
            at += (size_t)rows.channel;
            if (bytes)
                activation_backward(&o->activation, &rows, call->y_gradient + at, (char *)call->notes + at * bytes,
                                    w.rows);
            scatter(&w, WINOGRAD_BACKWARD, bytes ? w.rows : call->y_gradient + at, bytes ? deep : rows.out_stride,
                    group, first, count, call->x_gradient);
        }
}

/* Maps of the transposed convolution: `x` is at the positions, `y` under the window. Rows of one group are taken as
 * they stand, since Keras's transposed convolution has no groups. */
static void transpose(const struct operation_call *call) {
    struct work w = begin(call);
    size_t stride = (size_t)call->in->stride;
    if (!w.written)
        memset(call->y, 0, map_floats(&call->out, call->pictures) * sizeof *call->y);
    for (size_t first = 0; first < w.positions; first += w.strip)
        scatter(&w, WINOGRAD_FORWARD, call->x[0] + first * stride, stride, 0, first, strip_length(&w, first), call->y);
}

static void transpose_back(const struct operation_call *call) {
    struct work w = begin(call);
    size_t stride = (size_t)call->in->stride;
    for (size_t first = 0; first < w.positions; first += w.strip) {
        size_t count = strip_length(&w, first);
        gather(&w, WINOGRAD_BACKWARD, call->y_gradient, 0, first, count);
        for (size_t p = 0; p < count; p++)
            memcpy(call->x_gradient + (first + p) * stride, w.rows + p * (size_t)w.gathered,
                   stride * sizeof *call->x_gradient);
    }
}

const struct operation_kind product_convolution = {
    .activates = true, .one_channel = true, .scratch = scratch, .forward = convolve, .backward = convolve_back};
const struct operation_kind transposed_convolution = {
    .scratch = scratch, .forward = transpose, .backward = transpose_back};
