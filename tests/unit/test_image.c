/* Images of every kind come out as the pixels they are, upright; what is damaged or too large is refused with a reason.
 */
#include "filteratlas/image/image.h"
#include "filteratlas/image/resize.h"
#include "folder.h"
#include "image_writer.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 40, LEVELS = 5 }; /* of JPEG: how far a pixel may be off */

static void save(const struct image_content *content, const char *path) {
    size_t size;
    uint8_t *bytes = image_encode(content, &size);
    image_save(path, bytes, size);
    free(bytes);
}

/* An image of SIDE pixels that is not resized. */
static void assert_read(const struct image_content *content) {
    uint8_t got[SIDE * SIDE * 3], wanted[3];
    struct error error;
    int most = content->kind >= IMAGE_JPEG ? LEVELS : 0;
    save(content, "image");
    if (image_read("image", SIDE, SIDE, got, &error))
        fail_msg("kind %d: %s", content->kind, error.message);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            image_pixel(content, x, y, wanted);
            for (int c = 0; c < 3; c++)
                if (abs(got[(y * SIDE + x) * 3 + c] - wanted[c]) > most)
                    fail_msg("kind %d, orientation %d, (%d, %d) channel %d: %d, not %d", content->kind,
                             content->orientation, x, y, c, got[(y * SIDE + x) * 3 + c], wanted[c]);
        }
}

static void every_kind_is_read(void **state) {
    (void)state;
    for (int kind = 0; kind < IMAGE_KINDS; kind++)
        for (uint32_t seed = 0; seed < 5; seed++)
            assert_read(&(struct image_content){kind, SIDE, SIDE, 1, seed});
}

static void images_are_turned_upright(void **state) {
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        assert_read(&(struct image_content){IMAGE_PNG, SIDE, SIDE, orientation, 3});
        assert_read(&(struct image_content){IMAGE_PNG_INTERLACED, SIDE, SIDE, orientation, 4});
        assert_read(&(struct image_content){IMAGE_JPEG, SIDE, SIDE, orientation, 5});
    }
}

/* The middle of the whole picture's resize. */
static void the_middle_of_the_resized_image_is_taken(void **state) {
    (void)state;
    static const int sizes[][2] = {{60, 45}, {45, 61}, {20, 33}, {300, 24}, {24, 24}};
    enum { SHORT = 24, CROP = 16 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int orientation = 1; orientation <= 6; orientation += 5) {
            int w = sizes[i][0], h = sizes[i][1], least = w < h ? w : h;
            int out_w = SHORT * w / least, out_h = SHORT * h / least, left = (out_w - CROP) / 2,
                top = (out_h - CROP) / 2;
            const struct image_content content = {IMAGE_PNG, w, h, orientation, (uint32_t)i};
            uint8_t got[CROP * CROP * 3], *whole = malloc((size_t)w * h * 3),
                                          *small = malloc((size_t)out_w * out_h * 3);
            struct error error;
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++)
                    image_pixel(&content, x, y, whole + (y * w + x) * 3);
            assert_int_equal(resize_bicubic(whole, w, h, small, out_w, out_h, &error), STATUS_OK);
            save(&content, "image");
            assert_int_equal(image_read("image", SHORT, CROP, got, &error), STATUS_OK);
            for (int y = 0; y < CROP; y++)
                assert_memory_equal(got + y * CROP * 3, small + ((top + y) * out_w + left) * 3, CROP * 3);
            free(whole);
            free(small);
        }
}

static void assert_unreadable(const char *path, const char *part) {
    uint8_t got[SIDE * SIDE * 3];
    struct error error = {.message = ""};
    assert_int_equal(image_read(path, SIDE, SIDE, got, &error), STATUS_USAGE);
    if (!*error.message || !strstr(error.message, part))
        fail_msg("'%s' does not contain '%s'", error.message, part);
}

static void a_file_that_was_cut_is_refused(void **state) {
    (void)state;
    for (int kind = 0; kind < IMAGE_KINDS; kind++) {
        const struct image_content content = {kind, SIDE, SIDE, 1, 1};
        size_t size;
        uint8_t *bytes = image_encode(&content, &size);
        for (size_t cut = 1; cut < size; cut += size / 37 + 1) {
            image_save("image", bytes, size - cut);
            assert_unreadable("image", "");
        }
        free(bytes);
    }
}

/* Whatever it makes of them, it comes back; and a PNG file, which has checksums, is never taken for sound. */
static void flipped_bytes_do_no_harm(void **state) {
    (void)state;
    uint32_t random = 1;
    for (int kind = 0; kind < IMAGE_KINDS; kind++) {
        const struct image_content content = {kind, SIDE, SIDE, 1, 1};
        size_t size;
        uint8_t *bytes = image_encode(&content, &size), got[SIDE * SIDE * 3];
        for (int i = 0; i < 200; i++) {
            struct error error;
            random = random * 1664525u + 1013904223u;
            size_t at = (random >> 4) % size;
            bytes[at] ^= (uint8_t)(1 << (random >> 29));
            image_save("image", bytes, size);
            int status = image_read("image", SIDE, SIDE, got, &error);
            assert_true(status == STATUS_OK || status == STATUS_USAGE);
            if (kind < IMAGE_JPEG && at > 33 && at < size - 12)
                assert_int_equal(status, STATUS_USAGE);
            bytes[at] ^= (uint8_t)(1 << (random >> 29));
        }
        free(bytes);
    }
}

static void what_is_no_image_is_refused(void **state) {
    (void)state;
    image_save("empty", "", 0);
    image_save("text.jpg", "These are not the pixels.", 25);
    image_save("gif.png", "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2", 24);
    mkdir("folder.png", 0777);
    mkfifo("pipe.png", 0666);
    assert_unreadable("empty", "empty");
    assert_unreadable("text.jpg", "neither JPEG nor PNG");
    assert_unreadable("gif.png", "neither JPEG nor PNG");
    assert_unreadable("folder.png", "not a regular file");
    assert_unreadable("pipe.png", "not a regular file");
    assert_unreadable("nowhere.png", "No such file");
}

/* A head that promises more pixels than there is memory for. */
static void too_many_pixels_are_refused(void **state) {
    (void)state;
    const struct image_content content = {IMAGE_JPEG_PROGRESSIVE, SIDE, SIDE, 1, 1};
    size_t size;
    uint8_t *bytes = image_encode(&content, &size);
    for (size_t i = 0; i + 9 < size; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xc2) { /* SOF2: length, bits, height, width */
            bytes[i + 5] = bytes[i + 7] = 0xf0;
            break;
        }
    image_save("large.jpg", bytes, size);
    free(bytes);
    assert_unreadable("large.jpg", "pixels are too many");
}

static void a_wide_image_is_read_row_by_row(void **state) {
    (void)state;
    assert_int_equal(SIDE, 40);
    const struct image_content content = {IMAGE_JPEG, 30000, 64, 1, 2};
    uint8_t got[SIDE * SIDE * 3];
    struct error error;
    save(&content, "wide.jpg");
    assert_int_equal(image_read("wide.jpg", SIDE, SIDE, got, &error), STATUS_OK);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_enter, folder_leave)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_is_read),
        TEST(images_are_turned_upright),
        TEST(the_middle_of_the_resized_image_is_taken),
        TEST(a_file_that_was_cut_is_refused),
        TEST(flipped_bytes_do_no_harm),
        TEST(what_is_no_image_is_refused),
        TEST(too_many_pixels_are_refused),
        TEST(a_wide_image_is_read_row_by_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
