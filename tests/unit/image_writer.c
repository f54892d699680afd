#include "image_writer.h"

#include <math.h>
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { PALETTE = 16, BLACK = 200 }; /* of CMYK: all of it is darkened to BLACK / 255 */

/* What is drawn, before what the kind makes of it. */
static void draw(const struct image_content *content, int x, int y, uint8_t rgba[4]) {
    uint32_t s = content->seed * 2654435761u;
    double angle = s % 628 / 100.0, wave = 0.05 + (s >> 10) % 64 / 200.0;
    double along = x * cos(angle) + y * sin(angle);
    double spot = exp(-(pow(x - (double)(s >> 3) / 0x20000000 * content->width, 2) +
                        pow(y - (double)((s >> 5) & 0xffffff) / 0x1000000 * content->height, 2)) /
                      (20.0 + s % 200));
    for (int c = 0; c < 3; c++)
        rgba[c] = (uint8_t)(128 + 60 * sin(wave * along + c * (s >> 20) % 7) + (c == (int)(s % 3) ? 60 : -60) * spot);
    rgba[3] = (uint8_t)(x * 255 / content->width);
}

void image_pixel(const struct image_content *content, int x, int y, uint8_t rgb[3]) {
    uint8_t rgba[4];
    draw(content, x, y, rgba);
    for (int c = 0; c < 3; c++) {
        if (content->kind == IMAGE_PNG_GREY || content->kind == IMAGE_JPEG_GREY)
            rgb[c] = rgba[1];
        else if (content->kind == IMAGE_PNG_PALETTE)
            rgb[c] = (uint8_t)((rgba[1] / PALETTE * 37 + 90 * c) % 256);
        else if (content->kind == IMAGE_PNG_ALPHA)
            rgb[c] = (uint8_t)((rgba[c] * rgba[3] + 255 * (255 - rgba[3])) / 255.0 + 0.5);
        else if (content->kind == IMAGE_JPEG_CMYK)
            rgb[c] = (uint8_t)(rgba[c] * BLACK / 255.0 + 0.5);
        else
            rgb[c] = rgba[c];
    }
}

/* The upright pixel that stands at (x, y) of the file, as Exif 2.32 describes the eight orientations; width and height
 * are the file's. */
static void source_of(int orientation, int width, int height, int x, int y, int *from_x, int *from_y) {
    const int to[9][2] = {{0},
                          {x, y},
                          {width - 1 - x, y},
                          {width - 1 - x, height - 1 - y},
                          {x, height - 1 - y},
                          {y, x},
                          {height - 1 - y, x},
                          {height - 1 - y, width - 1 - x},
                          {y, width - 1 - x}};
    *from_x = to[orientation][0];
    *from_y = to[orientation][1];
}

static int file_width(const struct image_content *c) { return c->orientation >= 5 ? c->height : c->width; }
static int file_height(const struct image_content *c) { return c->orientation >= 5 ? c->width : c->height; }

/* A row as the file of that kind holds it. */
static void fill_row(const struct image_content *content, int y, uint8_t *row) {
    for (int x = 0; x < file_width(content); x++) {
        uint8_t p[4];
        int from_x, from_y;
        source_of(content->orientation, file_width(content), file_height(content), x, y, &from_x, &from_y);
        draw(content, from_x, from_y, p);
        switch (content->kind) {
        case IMAGE_PNG_GREY:
        case IMAGE_JPEG_GREY:
            *row++ = p[1];
            break;
        case IMAGE_PNG_PALETTE:
            *row++ = p[1] / PALETTE;
            break;
        case IMAGE_PNG_16:
            for (int c = 0; c < 3; c++, row += 2) {
                row[0] = p[c];
                row[1] = (uint8_t)(x * 7);
            }
            break;
        case IMAGE_PNG_ALPHA:
        case IMAGE_JPEG_CMYK:
            if (content->kind == IMAGE_JPEG_CMYK)
                p[3] = BLACK;
            memcpy(row, p, 4);
            row += 4;
            break;
        default:
            memcpy(row, p, 3);
            row += 3;
        }
    }
}

static void fill_exif(int orientation, uint8_t exif[26]) {
    static const uint8_t head[26] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 18, 0, 3, 0, 0, 0, 1};
    memcpy(exif, head, 26);
    exif[19] = (uint8_t)orientation;
}

/* PNG ------------------------------------------------------------------------------------------------------------- */

static void write_png(png_structp png, png_infop info, const struct image_content *content) {
    static const int types[] = {[IMAGE_PNG] = PNG_COLOR_TYPE_RGB,
                                [IMAGE_PNG_GREY] = PNG_COLOR_TYPE_GRAY,
                                [IMAGE_PNG_PALETTE] = PNG_COLOR_TYPE_PALETTE,
                                [IMAGE_PNG_ALPHA] = PNG_COLOR_TYPE_RGB_ALPHA,
                                [IMAGE_PNG_16] = PNG_COLOR_TYPE_RGB,
                                [IMAGE_PNG_INTERLACED] = PNG_COLOR_TYPE_RGB};
    int width = file_width(content), height = file_height(content);
    bool interlaced = content->kind == IMAGE_PNG_INTERLACED;
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, content->kind == IMAGE_PNG_16 ? 16 : 8,
                 types[content->kind], interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_color colour[256 / PALETTE];
    for (int i = 0; i < 256 / PALETTE; i++)
        colour[i] = (png_color){(png_byte)(i * 37), (png_byte)(i * 37 + 90), (png_byte)(i * 37 + 180)};
    if (content->kind == IMAGE_PNG_PALETTE)
        png_set_PLTE(png, info, colour, 256 / PALETTE);
    uint8_t exif[26];
    fill_exif(content->orientation, exif);
    if (content->orientation != 1)
        png_set_eXIf_1(png, info, sizeof exif, exif);
    png_write_info(png, info);
    uint8_t *row = malloc((size_t)width * 6);
    for (int pass = 0; pass < (interlaced ? png_set_interlace_handling(png) : 1); pass++)
        for (int y = 0; y < height; y++) {
            fill_row(content, y, row);
            png_write_row(png, row);
        }
    png_write_end(png, NULL);
    free(row);
}

static uint8_t *encode_png(const struct image_content *content, size_t *size) {
    char *bytes;
    FILE *file = open_memstream(&bytes, size);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    write_png(png, info, content);
    png_destroy_write_struct(&png, &info);
    fclose(file);
    return (uint8_t *)bytes;
}

/* JPEG ------------------------------------------------------------------------------------------------------------ */

static uint8_t *encode_jpeg(const struct image_content *content, size_t *size) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors; /* its own ends the process */
    unsigned char *bytes = NULL;
    unsigned long length = 0;
    bool grey = content->kind == IMAGE_JPEG_GREY, four = content->kind == IMAGE_JPEG_CMYK;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &length);
    jpeg.image_width = (JDIMENSION)file_width(content);
    jpeg.image_height = (JDIMENSION)file_height(content);
    jpeg.input_components = grey ? 1 : four ? 4 : 3;
    jpeg.in_color_space = grey ? JCS_GRAYSCALE : four ? JCS_CMYK : JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 98, TRUE);
    jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1; /* colours as sharp as brightness */
    if (content->kind == IMAGE_JPEG_PROGRESSIVE)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    uint8_t marker[6 + 26] = "Exif\0", *row = malloc((size_t)jpeg.image_width * 4);
    fill_exif(content->orientation, marker + 6);
    if (content->orientation != 1)
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, marker, sizeof marker);
    while (jpeg.next_scanline < jpeg.image_height) {
        fill_row(content, (int)jpeg.next_scanline, row);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    *size = length;
    return bytes;
}

uint8_t *image_encode(const struct image_content *content, size_t *size) {
    return content->kind >= IMAGE_JPEG ? encode_jpeg(content, size) : encode_png(content, size);
}

void image_save(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
        perror(path);
        exit(1);
    }
}
