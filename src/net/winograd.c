/* See winograd.h. Tables, and the driver that runs the kernels over blocks of tiles. */
#include "filteratlas/net/winograd.h"

#include <assert.h>
#include <string.h>

#include "aligned.h"
#include "winograd_kernels.h"

enum { POINTS_MAX = 8 };

static int tile_side(enum winograd_tile tile) { return tile == WINOGRAD_F6 ? 6 : 4; }

static int tile_points(enum winograd_tile tile) { return tile_side(tile) + 2; }

static int least(int a, int b) { return a < b ? a : b; }

static int most(int a, int b) { return a > b ? a : b; }

static int ceil_div(int a, int b) { return (a + b - 1) / b; }

int winograd_padded(int channels) { return ceil_div(channels, WINOGRAD_LINE) * WINOGRAD_LINE; }

/* ---- tables: U[xi][panel][in / group][out within the panel][in % group], in the set's own numbers */

/* One row of G: (1, p, p^2) / prod (p - q) over the other finite points q; (0, 0, 1) for infinity. */
static void fill_weight_transform(enum winograd_tile tile, double g[POINTS_MAX][3]) {
    static const double finite[2][POINTS_MAX - 1] = {{0, 0.625, -0.625, 1.5, -1.5}, {0, 1, -1, 2, -2, 0.5, -0.5}};
    const int count = tile_points(tile) - 1;
    for (int i = 0; i < count; ++i) {
        const double p = finite[tile][i];
        double product = 1;
        for (int j = 0; j < count; ++j)
            product *= j == i ? 1 : p - finite[tile][j];
        g[i][0] = 1 / product;
        g[i][1] = p / product;
        g[i][2] = p * p / product;
    }
    g[count][0] = g[count][1] = 0;
    g[count][2] = 1;
}

/* Bytes of one number of V and of a table. */
static size_t operand_bytes(const struct winograd_kernels *kernels) { return sizeof(float) / (size_t)kernels->group; }

size_t winograd_table_bytes(const struct winograd_kernels *kernels, enum winograd_tile tile, int cin, int cout) {
    const size_t points = (size_t)tile_points(tile);
    return points * points * (size_t)winograd_padded(cin) * (size_t)winograd_padded(cout) * operand_bytes(kernels);
}

/* A weight of the convolution as the direction sees it, tap = 3 * row + column: the way back turns the kernel by 180
 * degrees and takes the layer's outputs for inputs. 0 in the padding. */
static double weight_at(const float *weights, enum winograd_direction direction, int cin, int cout, int tap, int from,
                        int to) {
    const bool forward = direction == WINOGRAD_FORWARD;
    const int in = forward ? from : to, out = forward ? to : from, at = forward ? tap : 8 - tap;
    if (in >= cin || out >= cout)
        return 0;
    return (double)weights[((size_t)at * (size_t)cin + (size_t)in) * (size_t)cout + (size_t)out];
}

/* Row i of G w G^T, for 16 output channels: w[tap][channel] -> line[point][channel]. */
static void transform_row(int points, double g[POINTS_MAX][3], int i, double w[9][WINOGRAD_LINE],
                          float line[POINTS_MAX][WINOGRAD_LINE]) {
    double half[3][WINOGRAD_LINE];
    for (int x = 0; x < 3; ++x)
        for (int n = 0; n < WINOGRAD_LINE; ++n)
            half[x][n] = g[i][0] * w[x][n] + g[i][1] * w[3 + x][n] + g[i][2] * w[6 + x][n];
    for (int j = 0; j < points; ++j)
        for (int n = 0; n < WINOGRAD_LINE; ++n)
            line[j][n] = (float)(half[0][n] * g[j][0] + half[1][n] * g[j][1] + half[2][n] * g[j][2]);
}

/* The transforms of a group of input channels with 16 output channels, w[input][tap][channel]: a line of the table for
 * each xi, written to table + xi * plane [bytes]. */
static void transform_weights(const struct winograd_kernels *kernels, int points, double g[POINTS_MAX][3],
                              double w[WINOGRAD_GROUP_MAX][9][WINOGRAD_LINE], char *table, size_t plane) {
    float line[WINOGRAD_GROUP_MAX][POINTS_MAX][WINOGRAD_LINE];
    for (int i = 0; i < points; ++i) {
        for (int from = 0; from < kernels->group; ++from)
            transform_row(points, g, i, w[from], line[from]);
        for (int j = 0; j < points; ++j, table += plane)
            kernels->store_weights(line[0][j], line[kernels->group - 1][j], table);
    }
}

void winograd_fill_table(const struct winograd_kernels *kernels, enum winograd_tile tile,
                         enum winograd_direction direction, int cin, int cout, const float *weights, int part,
                         int parts, void *table) {
    const int depth = winograd_padded(direction == WINOGRAD_FORWARD ? cin : cout), group = kernels->group;
    const int width = winograd_padded(direction == WINOGRAD_FORWARD ? cout : cin);
    double g[POINTS_MAX][3], w[WINOGRAD_GROUP_MAX][9][WINOGRAD_LINE];
    assert(is_aligned(table, WINOGRAD_BYTES) && depth % WINOGRAD_LINE == 0 && width % WINOGRAD_LINE == 0);
    fill_weight_transform(tile, g);
    for (int from = part * group; from < depth; from += parts * group)
        for (int to = 0; to < width; to += WINOGRAD_LINE) {
            const int panel = to / WINOGRAD_PANEL * WINOGRAD_PANEL, panel_width = least(WINOGRAD_PANEL, width - panel);
            const size_t at =
                (size_t)panel * (size_t)depth + (size_t)from * (size_t)panel_width + (size_t)((to - panel) * group);
            for (int member = 0; member < group; ++member)
                for (int tap = 0; tap < 9; ++tap)
                    for (int n = 0; n < WINOGRAD_LINE; ++n)
                        w[member][tap][n] = weight_at(weights, direction, cin, cout, tap, from + member, to + n);
            transform_weights(kernels, tile_points(tile), g, w, (char *)table + at * operand_bytes(kernels),
                              (size_t)depth * (size_t)width * operand_bytes(kernels));
        }
}

/* ---- the driver */

/* Tiles that go through the products together, at most. All weights are read once for them: with up to 256 x 256
 * channels out of the third cache, so that few tiles will do and V and M (6 MB each) stay near; the 67 MB of 512 x 512
 * come from memory, 4.5 GB/s for 96 tiles at a time. Two processes on two cores of Zen 5 that share 32 MB, all VGG16
 * layers at 343 pixels, forward and back, ms a picture: 36 tiles 165, 48 167, 66 166, 96 170, 132 170; one process is
 * as fast as each of two. */
enum { BLOCK_NARROW = 48, BLOCK_WIDE = 96, NARROW = 256 * 256 };

/* One convolution: what is read, by which table, and what is written. */
struct convolution {
    const struct winograd_kernels *kernels;
    enum winograd_tile tile;
    enum winograd_mode input_mode, output_mode;
    struct winograd_map from, to; /* of the first picture */
    const void *table;
    const float *bias;
    int pictures, tile_rows, tile_columns; /* tiles in each picture */
    int from_row, to_row;                  /* those of them that are wanted, where there is but one picture */
};

/* A block of tiles on its way. */
struct block {
    int count, tile[BLOCK_WIDE]; /* tile numbers, over all pictures */
    char *v;                     /* [xi][place in the block][channel], operands of the product */
    float *m;                    /* likewise */
    size_t v_plane, m_plane;     /* numbers from one xi to the next */
};

static int block_limit(int depth, int channels) { return depth * channels <= NARROW ? BLOCK_NARROW : BLOCK_WIDE; }

static int whole_rows(int tiles) { return ceil_div(tiles, WINOGRAD_ROWS) * WINOGRAD_ROWS; }

/* Room for tiles: a multiple of WINOGRAD_ROWS, the tiles shared out evenly over the blocks. */
static int block_room(int tiles, int depth, int channels) {
    return whole_rows(ceil_div(tiles, ceil_div(tiles, block_limit(depth, channels))));
}

/* Numbers from one xi to the next. A power of two would put a tile's points into the same few sets of the caches, and
 * make the input transform two to three times slower: hence a cache line more. */
static size_t plane_size(int room, int channels, size_t bytes) {
    return (size_t)room * (size_t)channels + WINOGRAD_BYTES / bytes;
}

/* The map of the picture that holds tile t, and the tile's place in it. */
static struct winograd_map locate_tile(const struct convolution *c, const struct winograd_map *first, int t, int *row,
                                       int *column) {
    const int each = c->tile_rows * c->tile_columns, picture = t / each;
    const size_t skip = (size_t)picture * (size_t)first->height * (size_t)first->width * (size_t)first->channels;
    *row = t % each / c->tile_columns;
    *column = t % each % c->tile_columns;
    return (struct winograd_map){first->data + skip, first->gate ? first->gate + skip : NULL,
                                 first->height,      first->width,
                                 first->channels,    first->first};
}

/* Numbers of a position: a multiple of WINOGRAD_LINE. */
static bool is_zero(const float *data, size_t floats) {
    for (size_t i = 0; i < floats; i += WINOGRAD_LINE) {
        uint64_t pairs[WINOGRAD_LINE / 2], bits = 0;
        memcpy(pairs, data + i, sizeof pairs);
        for (int j = 0; j < WINOGRAD_LINE / 2; ++j)
            bits |= pairs[j];
        if (bits & 0x7fffffff7fffffff) /* -0 is zero too */
            return false;
    }
    return true;
}

/* Whether the patch that tile t reads holds nothing but zeros. */
static bool is_patch_zero(const struct convolution *c, int t) {
    int row, column;
    const struct winograd_map map = locate_tile(c, &c->from, t, &row, &column);
    const int side = tile_side(c->tile), step = c->input_mode == WINOGRAD_POOLED ? side / 2 : side;
    const int left = most(0, column * step - 1), right = least(map.width, column * step + step + 1);
    for (int y = most(0, row * step - 1); y < least(map.height, row * step + step + 1); ++y)
        for (int x = left; x < right; ++x)
            if (!is_zero(map.data + ((size_t)(y - map.first) * (size_t)map.width + (size_t)x) * (size_t)map.channels,
                         (size_t)map.channels))
                return false;
    return true;
}

/* Writes the zeros that a tile without bias makes of a patch of zeros. */
static void clear_tile(const struct convolution *c, int t) {
    int row, column;
    const struct winograd_map map = locate_tile(c, &c->to, t, &row, &column);
    const int side = tile_side(c->tile), columns = least(side, map.width - column * side);
    for (int y = row * side; y < least(map.height, row * side + side); ++y) {
        const size_t at =
            ((size_t)(y - map.first) * (size_t)map.width + (size_t)(column * side)) * (size_t)map.channels;
        memset(map.data + at, 0, (size_t)columns * (size_t)map.channels * sizeof *map.data);
    }
}

static int end_tile(const struct convolution *c) {
    return ((c->pictures - 1) * c->tile_rows + c->to_row) * c->tile_columns;
}

/* Takes tiles from number *next on into the block until it is full, and sets *next behind them. Gradients are zero in
 * whole regions where a filter sees little: such tiles are cleared at once. */
static void fill_block(const struct convolution *c, int room, int *next, struct block *b) {
    const int tiles = end_tile(c);
    for (b->count = 0; *next < tiles && b->count < room; ++*next) {
        if (c->output_mode == WINOGRAD_PLAIN && is_patch_zero(c, *next))
            clear_tile(c, *next);
        else
            b->tile[b->count++] = *next;
    }
}

/* V of the block's tiles; zero from there to the end of the last six. */
static void transform_input(const struct convolution *c, struct block *b) {
    const size_t depth = (size_t)c->from.channels, bytes = operand_bytes(c->kernels);
    const int points = tile_points(c->tile), rest = (WINOGRAD_ROWS - b->count % WINOGRAD_ROWS) % WINOGRAD_ROWS;
    for (int i = 0; i < b->count; ++i) {
        int row, column;
        const struct winograd_map map = locate_tile(c, &c->from, b->tile[i], &row, &column);
        c->kernels->input[c->tile][c->input_mode](&map, row, column, b->v + (size_t)i * depth * bytes, b->v_plane);
    }
    for (int xi = 0; rest > 0 && xi < points * points; ++xi)
        memset(b->v + ((size_t)xi * b->v_plane + (size_t)b->count * depth) * bytes, 0, (size_t)rest * depth * bytes);
}

/* One panel of one xi for all tiles of the block. The first width / 16 calls bring in the next panel, so that it comes
 * from the second cache. */
static void multiply_panel(const struct convolution *c, const struct block *b, const char *v, const char *panel,
                           int width, float *m, const char *next) {
    const size_t depth = (size_t)c->from.channels, m_stride = (size_t)c->to.channels;
    const size_t bytes = operand_bytes(c->kernels);
    for (int t = 0; t < b->count; t += WINOGRAD_ROWS) {
        c->kernels->product(v + (size_t)t * depth * bytes, depth, panel, (int)depth, width, m + (size_t)t * m_stride,
                            m_stride, next);
        if (t / WINOGRAD_ROWS < width / WINOGRAD_LINE - 1)
            next += depth * WINOGRAD_LINE * bytes;
    }
}

/* M[xi] = V[xi] U[xi] for every xi. */
static void multiply(const struct convolution *c, struct block *b) {
    const int depth = c->from.channels, channels = c->to.channels, points = tile_points(c->tile);
    const size_t bytes = operand_bytes(c->kernels);
    const char *panel = c->table;
    for (int xi = 0; xi < points * points; ++xi)
        for (int n = 0; n < channels; n += WINOGRAD_PANEL) {
            const int width = least(WINOGRAD_PANEL, channels - n);
            const bool last = xi == points * points - 1 && n + width == channels;
            const char *next = last ? c->table : panel + (size_t)depth * (size_t)width * bytes;
            multiply_panel(c, b, b->v + (size_t)xi * b->v_plane * bytes, panel, width,
                           b->m + (size_t)xi * b->m_plane + n, next);
            panel = next;
        }
}

static void transform_output(const struct convolution *c, const struct block *b) {
    for (int i = 0; i < b->count; ++i) {
        int row, column;
        const struct winograd_map map = locate_tile(c, &c->to, b->tile[i], &row, &column);
        c->kernels->output[c->tile][c->output_mode](b->m + (size_t)i * (size_t)c->to.channels, b->m_plane, c->bias,
                                                    &map, row, column);
    }
}

/* What winograd.h asks of its callers: with less, the kernels of some processors crash and those of others don't. */
static bool is_fit(const struct winograd_map *map) {
    return is_aligned(map->data, WINOGRAD_BYTES) && is_aligned(map->gate, WINOGRAD_LINE) &&
           map->channels % WINOGRAD_LINE == 0;
}

static void convolve(const struct convolution *c, void *scratch) {
    assert(is_fit(&c->from) && is_fit(&c->to));
    assert(is_aligned(c->table, WINOGRAD_BYTES) && is_aligned(scratch, WINOGRAD_BYTES));
    const int begin = c->from_row * c->tile_columns, end = end_tile(c),
              room = block_room(end - begin, c->from.channels, c->to.channels);
    const size_t xis = (size_t)(tile_points(c->tile) * tile_points(c->tile)), bytes = operand_bytes(c->kernels);
    struct block b = {.v_plane = plane_size(room, c->from.channels, bytes),
                      .m_plane = plane_size(room, c->to.channels, sizeof(float))};
    b.v = scratch;
    b.m = (float *)(b.v + xis * b.v_plane * bytes);
    for (int next = begin; next < end;) {
        fill_block(c, room, &next, &b);
        transform_input(c, &b);
        multiply(c, &b);
        transform_output(c, &b);
    }
}

enum winograd_tile winograd_used_tile(const struct winograd_layer *layer, enum winograd_direction direction, int height,
                                      int width) {
    const enum winograd_tile chosen = winograd_choose_tile(height, width);
    const enum winograd_tile other = chosen == WINOGRAD_F6 ? WINOGRAD_F4 : WINOGRAD_F6;
    return layer->table[direction][chosen] ? chosen : other;
}

static size_t direction_bytes(const struct winograd_layer *layer, enum winograd_direction direction, int pictures,
                              int height, int width) {
    const enum winograd_tile tile = winograd_used_tile(layer, direction, height, width);
    const int side = tile_side(tile), points = tile_points(tile);
    const int in = winograd_padded(direction == WINOGRAD_FORWARD ? layer->cin : layer->cout);
    const int out = winograd_padded(direction == WINOGRAD_FORWARD ? layer->cout : layer->cin);
    const int tiles = pictures * ceil_div(height, side) * ceil_div(width, side);
    /* Not block_room, which may be larger for fewer pictures. */
    const int room = least(block_limit(in, out), whole_rows(tiles));
    const size_t bytes = operand_bytes(layer->kernels[direction]);
    return (size_t)(points * points) *
           (plane_size(room, in, bytes) * bytes + plane_size(room, out, sizeof(float)) * sizeof(float));
}

size_t winograd_scratch_bytes(const struct winograd_layer *layer, int pictures, int height, int width) {
    const size_t forward = direction_bytes(layer, WINOGRAD_FORWARD, pictures, height, width),
                 backward = direction_bytes(layer, WINOGRAD_BACKWARD, pictures, height, width);
    return forward > backward ? forward : backward;
}

/* 6x6 tiles where they are fewer than half as many as 4x4 tiles, that is, where their products take less than 8/9 of
 * the multiplications (64 a tile against 36), for their transforms take longer and their tables are larger. Measured on
 * Zen 5, time of F6 over F4, in brackets the multiplications' ratio, forward and back: 512 channels, 8 pictures: 4
 * pixels 1.85 (1.78), 7 1.84 (1.78), 9 0.95 (0.79), 10 0.91 (0.79), 12 0.89 (0.79), 14 1.00 (1.00), 17 0.66 (0.64),
 * 19 1.16 (1.14), 21 0.83 (0.79); 256 channels: 28 1.05 (0.91), 34 0.79 (0.79), 41 0.84 (0.72), 59 0.87 (0.79), 85 0.90
 * (0.83); 128: 39 1.01 (0.87), 47 0.89 (0.79), 68 0.93 (0.89), 119 0.85 (0.79); 64: 95 0.85 (0.79), 198 0.80 (0.77).
 * The choice must not look at the number of pictures: it would change their bits. */
enum winograd_tile winograd_choose_tile(int height, int width) {
    const int f4 = ceil_div(height, 4) * ceil_div(width, 4), f6 = ceil_div(height, 6) * ceil_div(width, 6);
    return 2 * f6 < f4 ? WINOGRAD_F6 : WINOGRAD_F4;
}

static struct convolution describe(const struct winograd_layer *layer, enum winograd_direction direction, int pictures,
                                   int height, int width) {
    const enum winograd_tile tile = winograd_used_tile(layer, direction, height, width);
    const int side = tile_side(tile), rows = ceil_div(height, side);
    return (struct convolution){.kernels = layer->kernels[direction],
                                .tile = tile,
                                .table = layer->table[direction][tile],
                                .pictures = pictures,
                                .tile_rows = rows,
                                .tile_columns = ceil_div(width, side),
                                .to_row = rows};
}

static enum winograd_mode mode_of(const struct winograd_layer *layer) {
    return layer->linear ? WINOGRAD_PLAIN : layer->pooled ? WINOGRAD_POOLED : WINOGRAD_GATED;
}

static struct convolution describe_forward(const struct winograd_layer *layer, const float *in, int pictures,
                                           int height, int width, float *out, uint8_t *gate) {
    struct convolution c = describe(layer, WINOGRAD_FORWARD, pictures, height, width);
    const int shrink = layer->pooled ? 2 : 1;
    c.input_mode = WINOGRAD_PLAIN;
    c.output_mode = mode_of(layer);
    c.from = (struct winograd_map){(float *)in, NULL, height, width, winograd_padded(layer->cin), 0};
    c.to = (struct winograd_map){out, gate, height / shrink, width / shrink, winograd_padded(layer->cout), 0};
    c.bias = layer->bias;
    return c;
}

static struct convolution describe_backward(const struct winograd_layer *layer, const float *grad_out,
                                            const uint8_t *gate, int pictures, int height, int width, float *grad_in) {
    struct convolution c = describe(layer, WINOGRAD_BACKWARD, pictures, height, width);
    const int shrink = layer->pooled ? 2 : 1;
    c.input_mode = mode_of(layer);
    c.output_mode = WINOGRAD_PLAIN;
    c.from = (struct winograd_map){
        (float *)grad_out, (uint8_t *)gate, height / shrink, width / shrink, winograd_padded(layer->cout), 0};
    c.to = (struct winograd_map){grad_in, NULL, height, width, winograd_padded(layer->cin), 0};
    return c;
}

void winograd_forward(const struct winograd_layer *layer, const float *in, int pictures, int height, int width,
                      float *out, uint8_t *gate, void *scratch) {
    const struct convolution c = describe_forward(layer, in, pictures, height, width, out, gate);
    convolve(&c, scratch);
}

void winograd_backward(const struct winograd_layer *layer, const float *grad_out, const uint8_t *gate, int pictures,
                       int height, int width, float *grad_in, void *scratch) {
    const struct convolution c = describe_backward(layer, grad_out, gate, pictures, height, width, grad_in);
    convolve(&c, scratch);
}

static int count_blocks(const struct winograd_layer *layer, int tiles) {
    return ceil_div(tiles, block_limit(winograd_padded(layer->cin), winograd_padded(layer->cout)));
}

static struct winograd_traffic traffic_of(const struct winograd_layer *layer, enum winograd_direction direction,
                                          int pictures, int height, int width, int blocks) {
    const enum winograd_tile tile = winograd_used_tile(layer, direction, height, width);
    const double shrink = layer->pooled ? 4 : 1, positions = (double)pictures * height * width;
    const double below = positions * winograd_padded(layer->cin) * sizeof(float);
    const double above = positions / shrink * winograd_padded(layer->cout) * (sizeof(float) + sizeof(uint8_t));
    const double table =
        (double)blocks * (double)winograd_table_bytes(layer->kernels[direction], tile, layer->cin, layer->cout);
    return direction == WINOGRAD_FORWARD ? (struct winograd_traffic){table, below, above}
                                         : (struct winograd_traffic){table, above, below};
}

struct winograd_traffic winograd_traffic(const struct winograd_layer *layer, enum winograd_direction direction,
                                         int pictures, int height, int width) {
    const int side = tile_side(winograd_used_tile(layer, direction, height, width));
    const int tiles = pictures * ceil_div(height, side) * ceil_div(width, side);
    return traffic_of(layer, direction, pictures, height, width, count_blocks(layer, tiles));
}

/* ---- strips */

int winograd_strip_rows(const struct winograd_layer *layer, enum winograd_direction direction, int height, int width) {
    const int side = tile_side(winograd_used_tile(layer, direction, height, width));
    return side * ceil_div(BLOCK_NARROW, ceil_div(width, side));
}

struct winograd_traffic winograd_strip_traffic(const struct winograd_layer *layer, enum winograd_direction direction,
                                               int height, int width) {
    const int side = tile_side(winograd_used_tile(layer, direction, height, width));
    const int each = winograd_strip_rows(layer, direction, height, width), rest = height % each;
    const int columns = ceil_div(width, side), last = ceil_div(rest, side) * columns;
    const int blocks =
        height / each * count_blocks(layer, each / side * columns) + (rest ? count_blocks(layer, last) : 0);
    return traffic_of(layer, direction, 1, height, width, blocks);
}

/* The rows of tiles that write rows [top, bottom). */
static void choose_rows(struct convolution *c, int top, int bottom) {
    c->from_row = top / tile_side(c->tile);
    c->to_row = ceil_div(bottom, tile_side(c->tile));
}

void winograd_forward_strip(const struct winograd_layer *layer, const float *in, int in_top, int top, int bottom,
                            int height, int width, float *out, uint8_t *gate, void *scratch) {
    struct convolution c = describe_forward(layer, in, 1, height, width, out, gate);
    c.from.first = in_top;
    choose_rows(&c, top, bottom);
    convolve(&c, scratch);
}

void winograd_backward_strip(const struct winograd_layer *layer, const float *grad_out, const uint8_t *gate, int top,
                             int bottom, int height, int width, float *grad_in, void *scratch) {
    struct convolution c = describe_backward(layer, grad_out, gate, 1, height, width, grad_in);
    c.to.first = top;
    choose_rows(&c, top, bottom);
    convolve(&c, scratch);
}
