/* PNG files and the mosaics made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/atlas/mosaic.h"
#include "filteratlas/base/text.h"
#include "filteratlas/image/png_file.h"
#include "folder.h"
#include "memory_limit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

/* Every test stands in a new folder with the beginnings of an atlas. */
static int enter_new_folder(void **state) {
    return folder_enter(state) || mkdir("atlas", 0777) || mkdir("atlas/filters", 0777) ||
           mkdir("atlas/filters/block1_conv1", 0777);
}

static void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' does not contain '%s'", text, part);
}

static bool is_there(const char *path) { return access(path, F_OK) == 0; }

static void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* A pattern in which no two pixels near each other are alike, different for every seed. */
static uint8_t pattern(int seed, int x, int y, int channel) {
    return (uint8_t)(seed * 37 + x * 5 + y * 11 + channel * 101 + 1);
}

/* [height][width][3]; the caller frees it. */
static uint8_t *make_picture(int seed, int width, int height) {
    uint8_t *rgb = malloc((size_t)width * height * 3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                rgb[((size_t)y * width + x) * 3 + c] = pattern(seed, x, y, c);
    return rgb;
}

static struct text encode(const uint8_t *rgb, int width, int height, const struct png_text *texts, int count) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct error error = {.message = ""};
    if (png_encode(rgb, width, height, texts, count, &bytes, &size, &error))
        fail_msg("%s", error.message);
    return (struct text){(char *)bytes, size, size};
}

/* A PNG file of a pattern. */
static void write_picture(const char *path, int seed, int width, int height) {
    uint8_t *rgb = make_picture(seed, width, height);
    struct text png = encode(rgb, width, height, NULL, 0);
    write_file(path, png.bytes, png.size);
    free(rgb);
    text_free(&png);
}

/* Reads a whole picture; the caller frees it. */
static uint8_t *read_picture(const char *path, int *width, int *height) {
    struct png_reader *reader;
    struct error error = {.message = ""};
    if (png_reader_open(path, &reader, width, height, &error))
        fail_msg("%s", error.message);
    uint8_t *rgb = malloc((size_t)*width * *height * 3);
    for (int y = 0; y < *height; y++)
        if (png_reader_row(reader, rgb + (size_t)y * *width * 3, &error))
            fail_msg("%s", error.message);
    png_reader_close(reader);
    return rgb;
}

/* One picture -------------------------------------------------------------------------------------------------- */

static void what_was_encoded_is_read_back(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 17}, {17, 1}, {64, 48}, {255, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int width, height;
        uint8_t *rgb = make_picture((int)i, sizes[i][0], sizes[i][1]);
        write_picture("one.png", (int)i, sizes[i][0], sizes[i][1]);
        uint8_t *again = read_picture("one.png", &width, &height);
        assert_int_equal(width, sizes[i][0]);
        assert_int_equal(height, sizes[i][1]);
        assert_memory_equal(rgb, again, (size_t)width * height * 3);
        free(rgb);
        free(again);
    }
}

static const struct png_text facts[] = {
    {"Software", "filteratlas"}, {"layer", "block5_conv1"}, {"filter", "42"}, {"loss", "1.2345678901234567"}};

static void the_same_picture_has_the_same_bytes(void **state) {
    (void)state;
    uint8_t *rgb = make_picture(3, 64, 64);
    struct text one = encode(rgb, 64, 64, facts, 4), other = encode(rgb, 64, 64, facts, 4);
    assert_int_equal(one.size, other.size);
    assert_memory_equal(one.bytes, other.bytes, one.size);
    free(rgb);
    text_free(&one);
    text_free(&other);
}

static uint32_t big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The text of a tEXt chunk's key, NULL if there is none (PNG specification, 11.3.4.3). */
static const char *find_text(const struct text *png, const char *key, size_t *length) {
    const uint8_t *bytes = (const uint8_t *)png->bytes;
    for (size_t at = 8; at + 12 <= png->size; at += 12 + big_endian(bytes + at)) {
        const char *content = png->bytes + at + 8;
        if (!memcmp(bytes + at + 4, "tEXt", 4) && !strcmp(content, key)) {
            *length = big_endian(bytes + at) - strlen(key) - 1;
            return content + strlen(key) + 1;
        }
    }
    return NULL;
}

static void assert_text(const struct text *png, const char *key, const char *wanted) {
    size_t length = 0;
    const char *text = find_text(png, key, &length);
    assert_non_null(text);
    assert_int_equal(length, strlen(wanted));
    assert_memory_equal(text, wanted, length);
}

static void texts_stand_in_the_file(void **state) {
    (void)state;
    uint8_t *rgb = make_picture(3, 8, 8);
    struct text png = encode(rgb, 8, 8, facts, 4);
    for (int i = 0; i < 4; i++)
        assert_text(&png, facts[i].key, facts[i].text);
    free(rgb);
    text_free(&png);
}

static void rows_make_the_picture_that_the_encoder_makes(void **state) {
    (void)state;
    enum { WIDTH = 37, HEIGHT = 21 };
    struct png_writer *writer;
    struct error error;
    int width, height;
    uint8_t *rgb = make_picture(5, WIDTH, HEIGHT);
    assert_int_equal(png_writer_open("rows.png", WIDTH, HEIGHT, facts, 4, &writer, &error), STATUS_OK);
    for (int y = 0; y < HEIGHT; y++)
        assert_int_equal(png_writer_row(writer, rgb + (size_t)y * WIDTH * 3, &error), STATUS_OK);
    assert_int_equal(png_writer_close(writer, 1, &error), STATUS_OK);
    uint8_t *again = read_picture("rows.png", &width, &height);
    assert_int_equal(width, WIDTH);
    assert_int_equal(height, HEIGHT);
    assert_memory_equal(rgb, again, WIDTH * HEIGHT * 3);
    struct text png = read_file("rows.png");
    assert_text(&png, "loss", facts[3].text);
    text_free(&png);
    free(rgb);
    free(again);
}

static void a_writer_without_room_names_the_file(void **state) {
    (void)state;
    struct png_writer *writer;
    struct error error = {.message = ""};
    assert_int_equal(png_writer_open("nowhere/one.png", 4, 4, NULL, 0, &writer, &error), STATUS_FAILURE);
    assert_contains(error.message, "nowhere/one.png");
    png_writer_close(writer, 0, &error);
    struct rlimit before, none;
    uint8_t row[12] = {0};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    signal(SIGXFSZ, SIG_IGN); /* a write beyond the limit fails then, as on a full disk */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int status = png_writer_open("full.png", 4, 4, NULL, 0, &writer, &error);
    for (int y = 0; y < 4 && !status; y++)
        status = png_writer_row(writer, row, &error);
    int closed = png_writer_close(writer, !status, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status ? status : closed, STATUS_FAILURE);
    assert_contains(error.message, "full.png");
}

static void a_device_is_not_replaced(void **state) {
    (void)state;
    struct png_writer *writer;
    struct error error;
    struct stat found;
    assert_int_equal(png_writer_open("/dev/null", 4, 4, NULL, 0, &writer, &error), STATUS_FAILURE);
    assert_contains(error.message, "/dev/null");
    png_writer_close(writer, 0, &error);
    assert_true(stat("/dev/null", &found) == 0 && S_ISCHR(found.st_mode));
}

/* Opens and reads to the end: the first failure. */
static int read_to_end(const char *path, struct error *error) {
    struct png_reader *reader;
    static uint8_t row[4 * 8 * 64];
    int width, height, status = png_reader_open(path, &reader, &width, &height, error);
    for (int y = 0; !status && y < height; y++)
        status = png_reader_row(reader, row, error);
    png_reader_close(reader);
    return status;
}

static void assert_unreadable(const char *path) {
    struct error error = {.message = ""};
    assert_int_equal(read_to_end(path, &error), STATUS_FAILURE);
    assert_contains(error.message, path);
    assert_null(strchr(error.message, '\n'));
}

static void what_is_no_png_is_refused_by_name(void **state) {
    (void)state;
    write_file("text.png", "This is not a picture at all.\n", 30);
    write_file("empty.png", "", 0);
    assert_unreadable("text.png");
    assert_unreadable("empty.png");
    assert_unreadable("missing.png");
    assert_unreadable("atlas");
}

static void a_file_cut_short_is_refused_by_name(void **state) {
    (void)state;
    write_picture("whole.png", 1, 32, 32);
    struct text png = read_file("whole.png");
    for (size_t size = 8; size < png.size - 60; size += 40) {
        write_file("cut.png", png.bytes, size);
        assert_unreadable("cut.png");
    }
    text_free(&png);
}

static void append_chunk(struct text *png, const char *type, const void *content, size_t size) {
    uint8_t chunk[1024];
    size_t total = size + 12;
    const uint8_t length[4] = {0, 0, (uint8_t)(size >> 8), (uint8_t)size};
    memcpy(chunk, length, 4);
    memcpy(chunk + 4, type, 4);
    if (size)
        memcpy(chunk + 8, content, size);
    uint32_t crc = (uint32_t)crc32(0, chunk + 4, (uInt)size + 4);
    for (int i = 0; i < 4; i++)
        chunk[8 + size + i] = (uint8_t)(crc >> (24 - 8 * i));
    for (size_t i = 0; i < total; i++)
        text_append(png, "%c", chunk[i]);
}

/* An 8 x 8 picture of zeros in any of PNG's kinds, made without libpng. */
static void write_kind(const char *path, uint8_t depth, uint8_t color, uint8_t interlace) {
    const uint8_t header[13] = {0, 0, 0, 8, 0, 0, 0, 8, depth, color, 0, 0, interlace}, palette[3] = {0};
    static const uint8_t zeros[8 * (1 + 8 * 8) + 64];
    uint8_t packed[512];
    uLongf size = sizeof packed;
    struct text png = {0};
    text_append(&png, "\x89PNG\r\n\x1a\n");
    append_chunk(&png, "IHDR", header, sizeof header);
    if (color == 3)
        append_chunk(&png, "PLTE", palette, sizeof palette);
    assert_int_equal(compress(packed, &size, zeros, sizeof zeros), Z_OK);
    append_chunk(&png, "IDAT", packed, size);
    append_chunk(&png, "IEND", NULL, 0);
    write_file(path, png.bytes, png.size);
    text_free(&png);
}

static void only_eight_bit_rgb_is_read(void **state) {
    (void)state;
    struct error error = {.message = ""};
    write_kind("rgb.png", 8, 2, 0);
    if (read_to_end("rgb.png", &error))
        fail_msg("%s", error.message);
    write_kind("gray.png", 8, 0, 0);
    write_kind("palette.png", 8, 3, 0);
    write_kind("alpha.png", 8, 6, 0);
    write_kind("deep.png", 16, 2, 0);
    write_kind("interlaced.png", 8, 2, 1);
    assert_unreadable("gray.png");
    assert_unreadable("palette.png");
    assert_unreadable("alpha.png");
    assert_unreadable("deep.png");
    assert_unreadable("interlaced.png");
}

/* Mosaics ------------------------------------------------------------------------------------------------------ */

enum { W = 9, H = 6, MOST = 600 };

static const struct store store = {.folder = "atlas", .job_digest = "0123456789abcdef", .prefix = "vgg"};

/* A layer of filters 0 ... count-1 with these losses; a negative loss stands for a dead filter. */
static struct store_layer make_layer(const double *losses, int count) {
    static struct store_filter filters[MOST];
    for (int i = 0; i < count; i++) {
        filters[i] = (struct store_filter){.index = i, .dead = losses[i] < 0, .loss = losses[i]};
        char path[DURABLE_PATH_SIZE];
        store_picture_path(&store, "block1_conv1", i, path);
        if (losses[i] >= 0)
            write_picture(path, i, W, H);
    }
    struct store_layer layer = {.filter = filters, .count = count};
    strcpy(layer.name, "block1_conv1");
    return layer;
}

static struct mosaic write_mosaic(const struct store_layer *layer, int grid, bool by_index, int margin) {
    const struct mosaic_options options = {.grid = grid, .by_index = by_index, .margin = margin};
    struct mosaic mosaic = {.grid = -1};
    struct error error = {.message = ""};
    if (mosaic_write(&store, layer, &options, NULL, &mosaic, &error))
        fail_msg("%s", error.message);
    return mosaic;
}

/* The picture in a cell, or black for -1. */
static void assert_cell(const uint8_t *rgb, int width, int margin, int column, int row, int filter) {
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < 3; c++) {
                size_t at = ((size_t)(row * (H + margin) + y) * width + column * (W + margin) + x) * 3 + c;
                if (rgb[at] != (filter < 0 ? 0 : pattern(filter, x, y, c)))
                    fail_msg("cell %d, %d is not filter %d", column, row, filter);
            }
}

static void assert_black_margins(const uint8_t *rgb, int width, int height, int margin) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            if (x % (W + margin) >= W || y % (H + margin) >= H)
                for (int c = 0; c < 3; c++)
                    assert_int_equal(rgb[((size_t)y * width + x) * 3 + c], 0);
}

/* The mosaic shows these filters, row by row, -1 for black. */
static void assert_mosaic(const char *path, int grid, int margin, const int *filters) {
    int width, height;
    uint8_t *rgb = read_picture(path, &width, &height);
    assert_int_equal(width, grid * W + margin * (grid - 1));
    assert_int_equal(height, grid * H + margin * (grid - 1));
    for (int i = 0; i < grid * grid; i++)
        assert_cell(rgb, width, margin, i % grid, i / grid, filters[i]);
    assert_black_margins(rgb, width, height, margin);
    free(rgb);
}

static void the_strongest_filters_fill_the_largest_square(void **state) {
    (void)state;
    static const double losses[] = {1, 9, -1, 3, 7, 5, -1, 8}; /* 6 live: 2 x 2 */
    struct store_layer layer = make_layer(losses, 8);
    struct mosaic mosaic = write_mosaic(&layer, 0, false, 5);
    assert_int_equal(mosaic.live, 6);
    assert_int_equal(mosaic.grid, 2);
    assert_string_equal(mosaic.path, "atlas/vgg_block1_conv1_2x2.png");
    assert_mosaic(mosaic.path, 2, 5, (const int[]){1, 7, 4, 5});
    assert_false(is_there("atlas/.vgg_block1_conv1_2x2.png.part"));
}

static void the_grid_is_the_root_of_the_live_filters(void **state) {
    (void)state;
    double losses[26];
    for (int i = 0; i < 26; i++)
        losses[i] = i;
    for (int live = 1; live <= 26; live++) {
        struct store_layer layer = make_layer(losses, live);
        int grid = 1;
        while ((grid + 1) * (grid + 1) <= live)
            grid++;
        assert_int_equal(write_mosaic(&layer, 0, false, 0).grid, grid);
    }
}

static void ties_go_to_the_lower_index(void **state) {
    (void)state;
    static const double losses[] = {2, 3, 2, 3, 2, 3, 2, 3, 2};
    struct store_layer layer = make_layer(losses, 9);
    struct mosaic mosaic = write_mosaic(&layer, 0, false, 5);
    assert_mosaic(mosaic.path, 3, 5, (const int[]){1, 3, 5, 7, 0, 2, 4, 6, 8});
}

static void losses_that_differ_in_the_last_digit_are_ordered(void **state) {
    (void)state;
    static const double losses[] = {1, 1 + 2e-16, 1e-300, 1e300};
    struct store_layer layer = make_layer(losses, 4);
    struct mosaic mosaic = write_mosaic(&layer, 0, false, 5);
    assert_mosaic(mosaic.path, 2, 5, (const int[]){3, 1, 0, 2});
}

static void by_index_the_layer_comes_in_order(void **state) {
    (void)state;
    static const double losses[] = {1, 9, -1, 3, 7, 5, -1, 8};
    struct store_layer layer = make_layer(losses, 8);
    struct mosaic mosaic = write_mosaic(&layer, 0, true, 5);
    assert_mosaic(mosaic.path, 2, 5, (const int[]){0, 1, 3, 4});
}

static void any_margin_is_black(void **state) {
    (void)state;
    static const double losses[] = {4, 3, 2, 1};
    static const int margins[] = {0, 1, 17};
    struct store_layer layer = make_layer(losses, 4);
    for (int i = 0; i < 3; i++)
        assert_mosaic(write_mosaic(&layer, 0, false, margins[i]).path, 2, margins[i], (const int[]){0, 1, 2, 3});
}

static void a_larger_grid_is_filled_up_with_black(void **state) {
    (void)state;
    static const double losses[] = {5, 4, 3, 2, 1};
    struct store_layer layer = make_layer(losses, 5);
    struct mosaic mosaic = write_mosaic(&layer, 4, false, 5);
    assert_string_equal(mosaic.path, "atlas/vgg_block1_conv1_4x4.png");
    assert_mosaic(mosaic.path, 4, 5, (const int[]){0, 1, 2, 3, 4, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1});
    mosaic = write_mosaic(&layer, 1, false, 5);
    assert_mosaic(mosaic.path, 1, 5, (const int[]){0});
}

static void a_layer_of_dead_filters_has_no_mosaic(void **state) {
    (void)state;
    static const double losses[] = {-1, -1, -1};
    struct store_layer layer = make_layer(losses, 3);
    for (int grid = 0; grid < 3; grid++) {
        struct mosaic mosaic = write_mosaic(&layer, grid, false, 5);
        assert_int_equal(mosaic.live, 0);
        assert_int_equal(mosaic.grid, 0);
    }
    assert_false(is_there("atlas/vgg_block1_conv1_0x0.png") || is_there("atlas/vgg_block1_conv1_1x1.png") ||
                 is_there("atlas/vgg_block1_conv1_2x2.png"));
}

static void a_mosaic_says_what_it_is(void **state) {
    (void)state;
    static const double losses[] = {4, 3, 2, 1};
    struct store_layer layer = make_layer(losses, 4);
    struct text png = read_file(write_mosaic(&layer, 0, false, 5).path);
    assert_text(&png, "Software", "filteratlas");
    assert_text(&png, "layer", "block1_conv1");
    assert_text(&png, "job", store.job_digest);
    text_free(&png);
}

static void older_grids_of_the_layer_go_and_nothing_else(void **state) {
    (void)state;
    static const char *const others[] = {
        "vgg_block1_conv2_3x3.png",     "vgg_block1_conv10_3x3.png",    "vgg_block1_conv1_3x4.png",
        "vgg_block1_conv1_3x3.png.bak", "vgg_block1_conv1_3x3.jpg",     "vgg_block1_conv1_best.png",
        "my_vgg_block1_conv1_3x3.png",  "vgg_block1_conv1_3x3_old.png", "vgg_block1_conv1_3x3.pngx"};
    static const double losses[] = {4, 3, 2, 1};
    enum { OTHERS = sizeof others / sizeof *others };
    struct store_layer layer = make_layer(losses, 4);
    char path[128];
    for (int i = 0; i < OTHERS; i++) {
        snprintf(path, sizeof path, "atlas/%s", others[i]);
        write_file(path, "mine", 4);
    }
    write_mosaic(&layer, 1, false, 5);
    write_mosaic(&layer, 3, false, 5);
    assert_true(is_there("atlas/vgg_block1_conv1_3x3.png"));
    assert_false(is_there("atlas/vgg_block1_conv1_1x1.png"));
    write_mosaic(&layer, 0, false, 5);
    assert_true(is_there("atlas/vgg_block1_conv1_2x2.png"));
    assert_false(is_there("atlas/vgg_block1_conv1_3x3.png"));
    for (int i = 0; i < OTHERS; i++) {
        snprintf(path, sizeof path, "atlas/%s", others[i]);
        if (!is_there(path))
            fail_msg("%s was removed", path);
    }
}

/* Whatever stops a mosaic, the one that was there stays, and no half file. */
static void assert_refused_without_harm(const struct store_layer *layer, const char *named) {
    const struct mosaic_options options = {.margin = 5};
    struct mosaic mosaic;
    struct error error = {.message = ""};
    struct text before = read_file("atlas/vgg_block1_conv1_2x2.png");
    assert_int_equal(mosaic_write(&store, layer, &options, NULL, &mosaic, &error), STATUS_FAILURE);
    assert_contains(error.message, named);
    struct text after = read_file("atlas/vgg_block1_conv1_2x2.png");
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.bytes, after.bytes, before.size);
    assert_false(is_there("atlas/.vgg_block1_conv1_2x2.png.part"));
    text_free(&before);
    text_free(&after);
}

static void a_bad_picture_stops_the_mosaic_without_harm(void **state) {
    (void)state;
    static const double losses[] = {4, 3, 2, 1};
    struct store_layer layer = make_layer(losses, 4);
    write_mosaic(&layer, 0, false, 5);
    for (int filter = 0; filter < 4; filter += 3) { /* of the first strip, and of the last */
        char path[128];
        snprintf(path, sizeof path, "atlas/filters/block1_conv1/%04d.png", filter);
        write_picture(path, filter, W + 1, H); /* of two sizes either may be the wrong one */
        assert_refused_without_harm(&layer, "block1_conv1/000");
        write_picture(path, filter, W, H + 1);
        assert_refused_without_harm(&layer, "block1_conv1/000");
        write_file(path, "no picture", 10);
        assert_refused_without_harm(&layer, path);
        assert_int_equal(unlink(path), 0);
        assert_refused_without_harm(&layer, path);
        write_picture(path, filter, W, H);
    }
}

/* In a child, with files limited to 60 bytes, as a full disk would. */
static void a_full_disk_stops_the_mosaic_without_harm(void **state) {
    (void)state;
    static const double losses[] = {4, 3, 2, 1};
    struct store_layer layer = make_layer(losses, 4);
    int status = 0;
    write_mosaic(&layer, 0, false, 5);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {60, 60};
        const struct mosaic_options options = {.margin = 5};
        struct mosaic mosaic;
        struct error error = {.message = ""};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        status = mosaic_write(&store, &layer, &options, NULL, &mosaic, &error);
        _exit(status == STATUS_FAILURE && strstr(error.message, "block1_conv1") ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_false(is_there("atlas/.vgg_block1_conv1_2x2.png.part"));
    assert_mosaic("atlas/vgg_block1_conv1_2x2.png", 2, 5, (const int[]){0, 1, 2, 3});
}

/* 22 x 22 pictures of 128 pixels are 26 MB; they must do with 6 MB (22 open files, one row, the compressor). */
static void a_large_mosaic_needs_little_memory(void **state) {
    (void)state;
    if (!address_space_limits_hold())
        skip();
    enum { GRID = 22, SIDE = 128, MEGABYTES = 6 };
    static struct store_filter filters[GRID * GRID];
    struct store_layer layer = {.name = "block1_conv1", .filter = filters, .count = GRID * GRID};
    write_picture("one.png", 1, SIDE, SIDE);
    for (int i = 0; i < GRID * GRID; i++) {
        char path[DURABLE_PATH_SIZE];
        filters[i] = (struct store_filter){.index = i, .loss = i};
        store_picture_path(&store, layer.name, i, path);
        assert_int_equal(link("one.png", path), 0);
    }
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        const struct mosaic_options options = {.margin = 5};
        struct mosaic mosaic;
        struct error error = {.message = ""};
        limit_address_space(address_space() + (MEGABYTES << 20));
        _exit(mosaic_write(&store, &layer, &options, NULL, &mosaic, &error));
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(is_there("atlas/vgg_block1_conv1_22x22.png"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_new_folder, folder_leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_was_encoded_is_read_back),
        IN_FOLDER(the_same_picture_has_the_same_bytes),
        IN_FOLDER(texts_stand_in_the_file),
        IN_FOLDER(rows_make_the_picture_that_the_encoder_makes),
        IN_FOLDER(a_writer_without_room_names_the_file),
        IN_FOLDER(a_device_is_not_replaced),
        IN_FOLDER(what_is_no_png_is_refused_by_name),
        IN_FOLDER(a_file_cut_short_is_refused_by_name),
        IN_FOLDER(only_eight_bit_rgb_is_read),
        IN_FOLDER(the_strongest_filters_fill_the_largest_square),
        IN_FOLDER(the_grid_is_the_root_of_the_live_filters),
        IN_FOLDER(ties_go_to_the_lower_index),
        IN_FOLDER(losses_that_differ_in_the_last_digit_are_ordered),
        IN_FOLDER(by_index_the_layer_comes_in_order),
        IN_FOLDER(any_margin_is_black),
        IN_FOLDER(a_larger_grid_is_filled_up_with_black),
        IN_FOLDER(a_layer_of_dead_filters_has_no_mosaic),
        IN_FOLDER(a_mosaic_says_what_it_is),
        IN_FOLDER(older_grids_of_the_layer_go_and_nothing_else),
        IN_FOLDER(a_bad_picture_stops_the_mosaic_without_harm),
        IN_FOLDER(a_full_disk_stops_the_mosaic_without_harm),
        IN_FOLDER(a_large_mosaic_needs_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
