/* What the page is made of: thumbnails, tiles and data, held against the stored pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/base/text.h"
#include "filteratlas/image/png_file.h"
#include "filteratlas/page/page.h"
#include "folder.h"
#include "page/pyramid.h"
#include "page/thumbnail.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <jpeglib.h>

static const char LAYER[] = "block1_conv1";

static uint32_t state = 1;
static int next(int below) { return (int)((state = state * 1664525u + 1013904223u) >> 16) % below; }

/* Thumbnails --------------------------------------------------------------------------------------------------- */

/* The mean over the area of pixel (i, j), by floating point and pixel by pixel. */
static double area_mean(const uint8_t *rgb, const struct thumbnail *t, int i, int j, int c) {
    double sum = 0, sx = (double)t->in_width / t->width, sy = (double)t->in_height / t->height;
    for (int y = 0; y < t->in_height; y++)
        for (int x = 0; x < t->in_width; x++) {
            double w = fmin(x + 1, (i + 1) * sx) - fmax(x, i * sx), h = fmin(y + 1, (j + 1) * sy) - fmax(y, j * sy);
            if (w > 0 && h > 0)
                sum += w * h * rgb[3 * (y * t->in_width + x) + c];
        }
    return sum / (sx * sy);
}

static void assert_thumbnail(int in_width, int in_height, int width, int height) {
    struct thumbnail t;
    struct error error;
    uint8_t *in = malloc((size_t)in_width * in_height * 3), *out = malloc((size_t)width * height * 3);
    assert_int_equal(thumbnail_make(in_width, in_height, width, height, &t, &error), STATUS_OK);
    for (int picture = 0; picture < 2; picture++) { /* the second one after the first, in the same memory */
        for (int i = 0; i < in_width * in_height * 3; i++)
            in[i] = (uint8_t)next(256);
        for (int y = 0; y < in_height; y++)
            thumbnail_row(&t, in + (size_t)y * in_width * 3, out, (size_t)width * 3);
        for (int i = 0; i < width * height * 3; i++) {
            double mean = area_mean(in, &t, i / 3 % width, i / 3 / width, i % 3);
            if (fabs(out[i] - mean) > 0.5 + 1e-6)
                fail_msg("%d x %d to %d x %d: %d, not %g", in_width, in_height, width, height, out[i], mean);
        }
    }
    thumbnail_free(&t);
    free(in);
    free(out);
}

static void a_thumbnail_is_the_mean_over_its_areas(void **unused) {
    (void)unused;
    static const int sizes[][4] = {{64, 64, 16, 16}, {41, 37, 13, 9}, {50, 20, 49, 19}, {7, 9, 7, 9},
                                   {33, 12, 1, 1},   {13, 40, 12, 3}, {1, 5, 1, 2},     {41, 41, 12, 40}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_thumbnail(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
}

static void a_thumbnail_keeps_the_pictures_shape(void **unused) {
    (void)unused;
    static const int sizes[][4] = {{412, 412, 128, 128}, {400, 200, 128, 64}, {200, 400, 64, 128},
                                   {64, 48, 64, 48},     {128, 1, 128, 1},    {1000, 1, 128, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int width, height;
        thumbnail_fit(sizes[i][0], sizes[i][1], 128, &width, &height);
        assert_int_equal(width, sizes[i][2]);
        assert_int_equal(height, sizes[i][3]);
    }
}

/* A store of pictures ------------------------------------------------------------------------------------------- */

/* A picture is told by its colours: a smooth ramp over a colour of its own. */
static uint8_t pixel(int filter, int x, int y, int c) {
    static const int colour[3] = {37, 101, 59};
    return (uint8_t)(40 + (filter * colour[c]) % 120 + (c == 0 ? x / 5 : c == 1 ? y / 5 : 0));
}

static void put_picture(const struct store *store, int width, int height, struct store_filter *filter) {
    uint8_t *rgb = malloc((size_t)width * height * 3), *png = NULL;
    size_t size = 0;
    struct error error;
    for (int i = 0; i < width * height * 3; i++)
        rgb[i] = pixel(filter->index, i / 3 % width, i / 3 / width, i % 3);
    assert_int_equal(png_encode(rgb, width, height, NULL, 0, &png, &size, &error), STATUS_OK);
    assert_int_equal(store_put_picture(store, LAYER, filter, png, size, &error), STATUS_OK);
    free(png);
    free(rgb);
}

/* Every third filter is dead; losses fall and rise, with a tie. */
static struct store_filter filter_of(int index) {
    struct store_filter filter = {.index = index, .dead = index % 3 == 2, .seconds = index * .7, .rank = index % 2};
    filter.loss = filter.dead ? 0 : index == 4 ? 12.5 : 10 + index * 7 % 11;
    return filter;
}

static struct store make_store(int count, int width, int height) {
    static const struct store_entry job[] = {{"network", "VGG16"}, {"odd", "a \"b\" \\ c"}};
    struct store store;
    struct error error;
    assert_int_equal(store_open("atlas", job, 2, NULL, &store, &error), STATUS_OK);
    for (int f = 0; f < count; f++) {
        struct store_filter filter = filter_of(f);
        if (!filter.dead)
            put_picture(&store, width, height, &filter);
        assert_int_equal(store_commit_unit(&store, LAYER, f, &filter, 1, NULL, &error), STATUS_OK);
    }
    return store;
}

static struct store_layer read_layer(const struct store *store) {
    struct store_layer layer;
    struct error error;
    struct store_damage damage = {0};
    assert_int_equal(store_read_layer(store, LAYER, NULL, &layer, &damage, &error), STATUS_OK);
    assert_int_equal(damage.count, 0);
    return layer;
}

/* Layer and index of a store, as render and stitch write them. */
static void write_page(const struct store *store) {
    struct store_layer layer = read_layer(store);
    struct store_job job = {0};
    struct error error = {.message = ""};
    if (store_read_job(store->folder, &job, &error) || page_write_layer(store, &layer, NULL, &error) ||
        page_write_index(store, &job, &layer, 1, &error))
        fail_msg("%s", error.message);
    store_job_free(&job);
    store_layer_free(&layer);
}

static void assert_contains(const char *path, const char *part) {
    struct text text = read_file(path);
    if (!strstr(text.bytes, part))
        fail_msg("%s does not contain '%s'", path, part);
    text_free(&text);
}

static int is_there(const char *path) { return access(path, F_OK) == 0; }

/* A decoded JPEG file. */
struct picture {
    int width, height;
    uint8_t *rgb;
};

static struct picture read_jpeg(const char *path) {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr manager;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    jpeg.err = jpeg_std_error(&manager);
    jpeg_create_decompress(&jpeg);
    jpeg_stdio_src(&jpeg, file);
    jpeg_read_header(&jpeg, TRUE);
    jpeg_start_decompress(&jpeg);
    struct picture picture = {(int)jpeg.output_width, (int)jpeg.output_height, NULL};
    picture.rgb = malloc((size_t)picture.width * picture.height * 3);
    while (jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW row = picture.rgb + (size_t)jpeg.output_scanline * picture.width * 3;
        jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    fclose(file);
    return picture;
}

/* The order of the live ones of 8 filters: losses 10, 17, -, 20, 12.5, -, 19, 15. */
static const int ORDER[] = {3, 6, 1, 7, 4, 0};
enum { LIVE = 6 };

/* Thumbnail `place` of a sheet, 4 pixels from its edges where no neighbour is mixed in, shows the picture of a filter.
 */
static void assert_shows(const struct picture *sheet, int columns, int size, int place, int filter, double scale) {
    int x0 = place % columns * size, y0 = place / columns * size;
    for (int y = 4; y < size - 4; y += 3)
        for (int x = 4; x < size - 4; x += 3)
            for (int c = 0; c < 3; c++) {
                int got = sheet->rgb[3 * ((y0 + y) * sheet->width + x0 + x) + c];
                int wanted = pixel(filter, (int)((x + .5) * scale), (int)((y + .5) * scale), c);
                if (abs(got - wanted) > 8)
                    fail_msg("place %d, filter %d at %d %d: %d, not %d", place, filter, x, y, got, wanted);
            }
}

static void thumbnails_stand_by_loss(void **unused) {
    (void)unused;
    struct store store = make_store(8, 256, 256);
    write_page(&store);
    struct picture sheet = read_jpeg("atlas/page/block1_conv1/sheet.jpg");
    assert_int_equal(sheet.width, 3 * 128);
    assert_int_equal(sheet.height, 2 * 128);
    for (int i = 0; i < LIVE; i++)
        assert_shows(&sheet, 3, 128, i, ORDER[i], 2);
    struct picture cover = read_jpeg("atlas/page/block1_conv1/cover.jpg");
    assert_int_equal(cover.width, LIVE * 192);
    assert_int_equal(cover.height, 192);
    for (int i = 0; i < LIVE; i++)
        assert_shows(&cover, LIVE, 192, i, ORDER[i], 256 / 192.);
    assert_contains("atlas/page/block1_conv1/sheet.js", "\"columns\": 3, \"rows\": 2, \"width\": 256, \"height\": 256");
    assert_contains("atlas/page/block1_conv1/sheet.js", "\"filters\": [3,6,1,7,4,0]");
    free(sheet.rgb);
    free(cover.rgb);
}

/* A pixel of the whole grid at full size, its edge beyond the edge. 6 pictures of 300 x 200, 4 pixels between. */
enum { WIDTH = 300, HEIGHT = 200, MARGIN = 4, FULL_WIDTH = 3 * WIDTH + 2 * MARGIN, FULL_HEIGHT = 2 * HEIGHT + MARGIN };

static double grid_pixel(int x, int y, int c) {
    x = x < FULL_WIDTH ? x : FULL_WIDTH - 1;
    y = y < FULL_HEIGHT ? y : FULL_HEIGHT - 1;
    int column = x / (WIDTH + MARGIN), row = y / (HEIGHT + MARGIN);
    x -= column * (WIDTH + MARGIN);
    y -= row * (HEIGHT + MARGIN);
    return x >= WIDTH || y >= HEIGHT ? 0 : pixel(ORDER[3 * row + column], x, y, c);
}

/* Every pixel of a tile but those that the format blurs, at the margins, is the mean of the grid's pixels below it. */
static void assert_tile(const char *path, int x0, int y0, int width, int height, int scale) {
    struct picture tile = read_jpeg(path);
    int wrong = 0;
    assert_int_equal(tile.width, width);
    assert_int_equal(tile.height, height);
    for (int i = 0; i < width * height * 3; i++) {
        int x = (x0 + i / 3 % width) * scale, y = (y0 + i / 3 / width) * scale;
        double mean = 0;
        for (int k = 0; k < scale * scale; k++)
            mean += grid_pixel(x + k % scale, y + k / scale, i % 3) / (scale * scale);
        wrong += fabs(tile.rgb[i] - mean) > 8;
    }
    if (wrong > width * height * 3 / 8)
        fail_msg("%s: %d of %d values differ by more than 8", path, wrong, width * height * 3);
    free(tile.rgb);
}

static void tiles_show_the_grid_smaller_and_smaller(void **unused) {
    (void)unused;
    struct store store = make_store(8, WIDTH, HEIGHT);
    write_page(&store);
    assert_contains("atlas/page/block1_conv1/sheet.js", "\"margin\": 4");
    assert_contains("atlas/page/block1_conv1/sheet.js", "\"tile\": 512, \"levels\": 1");
    assert_tile("atlas/page/block1_conv1/tiles/0/0_0.jpg", 0, 0, FULL_WIDTH / 2, FULL_HEIGHT / 2, 2);
    assert_false(is_there("atlas/page/block1_conv1/tiles/1"));
}

/* Row by row into a pyramid of its own: the ramp makes every pixel known. Odd extents, tiles that end early. */
static void a_pyramid_has_its_tiles_where_they_belong(void **unused) {
    (void)unused;
    enum { W = 2101, H = 1035 };
    struct pyramid *pyramid;
    struct error error;
    uint8_t row[3 * W];
    assert_int_equal(pyramid_levels(W, H), 3);
    assert_int_equal(pyramid_open(".", W, H, &pyramid, &error), STATUS_OK);
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            row[3 * x] = (uint8_t)(x / 10);
            row[3 * x + 1] = (uint8_t)(y / 5);
            row[3 * x + 2] = 128;
        }
        assert_int_equal(pyramid_row(pyramid, row, &error), STATUS_OK);
    }
    assert_int_equal(pyramid_close(pyramid, 1, &error), STATUS_OK);
    for (int level = 2, w = (W + 1) / 2, h = (H + 1) / 2, scale = 2; level >= 0; level--) {
        for (int ty = 0; ty * 512 < h; ty++)
            for (int tx = 0; tx * 512 < w; tx++) {
                char path[64];
                snprintf(path, sizeof path, "%d/%d_%d.jpg", level, tx, ty);
                struct picture tile = read_jpeg(path);
                assert_int_equal(tile.width, w - tx * 512 < 512 ? w - tx * 512 : 512);
                assert_int_equal(tile.height, h - ty * 512 < 512 ? h - ty * 512 : 512);
                for (int i = 0; i < tile.width * tile.height; i += 7) {
                    int x = (tx * 512 + i % tile.width) * scale, y = (ty * 512 + i / tile.width) * scale;
                    assert_in_range(tile.rgb[3 * i] + 6, x / 10, x / 10 + 12);
                    assert_in_range(tile.rgb[3 * i + 1] + 6, y / 5, y / 5 + 13);
                }
                free(tile.rgb);
            }
        w = (w + 1) / 2;
        h = (h + 1) / 2;
        scale *= 2;
    }
    assert_false(is_there("3"));
}

/* Bytes ------------------------------------------------------------------------------------------------------- */

static unsigned long tree_sum;
static int tree_files;

static int add_file(const char *path, const struct stat *found, int type) {
    (void)found;
    if (type == FTW_F) {
        struct text text = read_file(path);
        unsigned long sum = crc32(crc32(0, (const Bytef *)path, (unsigned)strlen(path)), (const Bytef *)text.bytes,
                                  (unsigned)text.size);
        tree_sum ^= sum * 2654435761u; /* whatever order they come in */
        tree_files++;
        text_free(&text);
    }
    return 0;
}

/* A checksum over all names and bytes of the page. */
static unsigned long page_sum(void) {
    tree_sum = tree_files = 0;
    assert_int_equal(ftw("atlas/page", add_file, 16), 0);
    add_file("atlas/index.html", NULL, FTW_F);
    return tree_sum;
}

static void the_same_pictures_make_the_same_bytes(void **unused) {
    (void)unused;
    struct store store = make_store(8, 64, 64);
    write_page(&store);
    unsigned long before = page_sum();
    int files = tree_files;
    write_page(&store);
    assert_true(page_sum() == before && tree_files == files);
    for (int f = 0; f < 8; f++) { /* drawn again by another rank, in another time */
        struct store_filter filter = filter_of(f);
        struct error error;
        filter.seconds = 100;
        filter.rank = 7;
        if (!filter.dead)
            put_picture(&store, 64, 64, &filter);
        assert_int_equal(store_commit_unit(&store, LAYER, f, &filter, 1, NULL, &error), STATUS_OK);
    }
    write_page(&store);
    assert_true(page_sum() == before && tree_files == files);
}

static void what_a_crash_or_an_older_page_left_goes(void **unused) {
    (void)unused;
    struct store store = make_store(8, 64, 64);
    write_page(&store);
    unsigned long before = page_sum();
    static const char *const folders[] = {"atlas/page/.block1_conv1.part", "atlas/page/.block1_conv1.part/tiles",
                                          "atlas/page/.block1_conv1.old", "atlas/page/block1_conv1/tiles/9"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal(mkdir(folders[i], 0777), 0);
    fclose(fopen("atlas/page/.block1_conv1.part/tiles/0_0.jpg", "w"));
    fclose(fopen("atlas/page/.block1_conv1.old/sheet.jpg", "w"));
    fclose(fopen("atlas/page/block1_conv1/tiles/9/0_0.jpg", "w"));
    assert_true(page_sum() != before);
    write_page(&store);
    assert_true(page_sum() == before);
    assert_int_equal(rename("atlas/page/block1_conv1", "atlas/page/.block1_conv1.old"), 0); /* between two renames */
    write_page(&store);
    assert_true(page_sum() == before);
}

static void a_picture_that_cannot_be_read_leaves_the_page_as_it_was(void **unused) {
    (void)unused;
    struct store store = make_store(8, 64, 64);
    write_page(&store);
    struct store_filter filter = filter_of(1);
    struct error error;
    put_picture(&store, 65, 64, &filter);
    assert_int_equal(store_commit_unit(&store, LAYER, 1, &filter, 1, NULL, &error), STATUS_OK);
    struct text before = read_file("atlas/page/block1_conv1/sheet.jpg");
    struct store_layer layer = read_layer(&store);
    assert_int_equal(page_write_layer(&store, &layer, NULL, &error), STATUS_FAILURE);
    assert_non_null(strstr(error.message, "0001.png: is 65 x 64 pixels"));
    struct text after = read_file("atlas/page/block1_conv1/sheet.jpg");
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.bytes, after.bytes, before.size);
    store_layer_free(&layer);
    text_free(&before);
    text_free(&after);
}

/* Data ---------------------------------------------------------------------------------------------------------- */

static void the_data_name_every_filter(void **unused) {
    (void)unused;
    struct store store = make_store(8, 64, 64);
    write_page(&store);
    for (int f = 0; f < 8; f++) {
        struct store_filter filter = filter_of(f);
        char line[128];
        snprintf(line, sizeof line, "{\"filter\": %d, \"loss\": %.17g%s}", f, filter.loss,
                 filter.dead ? ", \"dead\": true" : "");
        assert_contains("atlas/page/atlas.js", line);
    }
    assert_contains("atlas/page/atlas.js", store.job_digest);
    assert_contains("atlas/page/atlas.js", "[\"odd\", \"a \\u0022b\\u0022 \\u005c c\"]");
    assert_contains("atlas/index.html", "<script src=\"page/atlas.js\">");
    assert_contains("atlas/page/page.js", "window.filteratlas");
    assert_true(is_there("atlas/page/page.css"));
}

static void a_layer_without_a_live_filter_has_its_counts_alone(void **unused) {
    (void)unused;
    struct store store = make_store(3, 64, 64);
    write_page(&store);
    assert_true(is_there("atlas/page/block1_conv1/sheet.jpg"));
    for (int f = 0; f < 3; f++) {
        struct store_filter filter = {.index = f, .dead = true};
        struct error error;
        assert_int_equal(store_commit_unit(&store, LAYER, f, &filter, 1, NULL, &error), STATUS_OK);
    }
    write_page(&store);
    assert_false(is_there("atlas/page/block1_conv1"));
    assert_contains("atlas/page/atlas.js", "{\"filter\": 0, \"loss\": 0, \"dead\": true}");
}

static void one_picture_of_a_pixel_is_an_atlas_too(void **unused) {
    (void)unused;
    struct store store = make_store(1, 1, 1);
    write_page(&store);
    struct picture sheet = read_jpeg("atlas/page/block1_conv1/sheet.jpg");
    struct picture tile = read_jpeg("atlas/page/block1_conv1/tiles/0/0_0.jpg");
    assert_true(sheet.width == 1 && sheet.height == 1 && tile.width == 1 && tile.height == 1);
    free(sheet.rgb);
    free(tile.rgb);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter, folder_leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thumbnail_is_the_mean_over_its_areas),
        cmocka_unit_test(a_thumbnail_keeps_the_pictures_shape),
        IN_FOLDER(thumbnails_stand_by_loss),
        IN_FOLDER(tiles_show_the_grid_smaller_and_smaller),
        IN_FOLDER(a_pyramid_has_its_tiles_where_they_belong),
        IN_FOLDER(the_same_pictures_make_the_same_bytes),
        IN_FOLDER(what_a_crash_or_an_older_page_left_goes),
        IN_FOLDER(a_picture_that_cannot_be_read_leaves_the_page_as_it_was),
        IN_FOLDER(the_data_name_every_filter),
        IN_FOLDER(a_layer_without_a_live_filter_has_its_counts_alone),
        IN_FOLDER(one_picture_of_a_pixel_is_an_atlas_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
