#include "legibility.h"

#include "filteratlas/ascent/waves.h"
#include "filteratlas/image/png_file.h"
#include "selection.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHANNELS = 3 };

static const double FINE = 0.25; /* cycles per pixel */

/* Pictures of one size, as sums of waves. */
struct spectrum {
    int width, height;
    struct waves *waves;
    float *t;     /* [height][3][width] */
    float *c;     /* [3][2 K(height) + 1][K(width) + 1][2] */
    uint8_t *row; /* [width][3] */
};

static void spectrum_free(struct spectrum *spectrum) {
    waves_free(spectrum->waves);
    free(spectrum->t);
    free(spectrum->c);
    free(spectrum->row);
    *spectrum = (struct spectrum){0};
}

/* Makes room for pictures of that size, if they were of another one before. */
static int spectrum_fit(int width, int height, struct spectrum *spectrum, struct error *error) {
    const struct octaves one = {.steps = 1, .width = {width, width}, .height = {height, height}};
    size_t floats = (size_t)CHANNELS * height * width, waves = waves_floats(height, width);
    if (spectrum->width == width && spectrum->height == height)
        return STATUS_OK;
    spectrum_free(spectrum);
    *spectrum = (struct spectrum){.width = width, .height = height};
    spectrum->t = malloc(floats * sizeof *spectrum->t);
    spectrum->c = malloc(waves * sizeof *spectrum->c);
    spectrum->row = malloc((size_t)width * CHANNELS);
    if (!spectrum->t || !spectrum->c || !spectrum->row)
        return error_memory(error, (double)(floats + waves) * sizeof(float), "a spectrum");
    return waves_make(&one, 0, &spectrum->waves, error);
}

static int read_pixels(struct png_reader *reader, const struct spectrum *spectrum, struct error *error) {
    int status = STATUS_OK, width = spectrum->width;
    for (int y = 0; y < spectrum->height && !status; y++) {
        status = png_reader_row(reader, spectrum->row, error);
        float *line = spectrum->t + (size_t)y * CHANNELS * width;
        for (int i = 0; i < width * CHANNELS && !status; i++)
            line[i % CHANNELS * width + i / CHANNELS] = spectrum->row[i];
    }
    return status;
}

/* The squared deviations from each channel's mean. */
static double deviation(const struct spectrum *spectrum) {
    double energy = 0, pixels = (double)spectrum->height * spectrum->width;
    for (int channel = 0; channel < CHANNELS; channel++) {
        double sum = 0, squares = 0;
        for (int y = 0; y < spectrum->height; y++)
            for (int x = 0; x < spectrum->width; x++) {
                double value = spectrum->t[((size_t)y * CHANNELS + channel) * spectrum->width + x];
                sum += value;
                squares += value * value;
            }
        energy += squares - sum * sum / pixels;
    }
    return energy;
}

/* The same of the waves up to FINE alone. With P = 0 every wave has the amplitude 1 / (4 S), those with kx > 0, which
 * stand for their mirrors too, twice that. */
static double coarse_energy(const struct spectrum *spectrum) {
    int height = spectrum->height, width = spectrum->width, columns = waves_band(width) + 1;
    int rows = 2 * waves_band(height) + 1;
    double scale = 4.0 * (height > width ? height : width), energy = 0;
    waves_pull_back(spectrum->waves, 0, spectrum->t, spectrum->c);
    for (int i = 0; i < CHANNELS * rows * columns; i++) {
        int kx = i % columns, ky = i / columns % rows - waves_band(height);
        double re = scale * spectrum->c[2 * i], im = scale * spectrum->c[2 * i + 1];
        if ((kx || ky) && hypot((double)kx / width, (double)ky / height) <= FINE)
            energy += (re * re + im * im) / (kx ? 2 : 1);
    }
    return energy / ((double)height * width);
}

/* The share of fine grain of a stored picture. */
static int measure_picture(const char *path, struct spectrum *spectrum, double *share, struct error *error) {
    struct png_reader *reader;
    int width, height, status = png_reader_open(path, &reader, &width, &height, error);
    if (!status)
        status = spectrum_fit(width, height, spectrum, error);
    if (!status)
        status = read_pixels(reader, spectrum, error);
    png_reader_close(reader);
    if (status)
        return status;
    double all = deviation(spectrum);
    *share = all > 0 ? fmax(1 - coarse_energy(spectrum) / all, 0) : 0;
    return STATUS_OK;
}

/* The shares of the pictures seen so far. */
struct shares {
    double *share;
    int pictures, filters;
};

static int add_layer(const struct store *store, const struct store_layer *layer, struct spectrum *spectrum,
                     struct shares *shares, struct error *error) {
    double *larger = realloc(shares->share, (size_t)(shares->pictures + layer->count + 1) * sizeof *larger);
    int status = STATUS_OK;
    if (!larger)
        return error_memory(error, layer->count * (double)sizeof *larger, "a spectrum");
    shares->share = larger;
    for (int i = 0; i < layer->count && !status; i++) {
        char path[DURABLE_PATH_SIZE];
        if (layer->filter[i].dead)
            continue;
        store_picture_path(store, layer->name, layer->filter[i].index, path);
        status = measure_picture(path, spectrum, &shares->share[shares->pictures++], error);
    }
    shares->filters += layer->count;
    return status;
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the shares for their median. */
static void print_line(const char *name, double *shares, int pictures, int filters) {
    printf("%-24s %8d %9d", name, filters, pictures);
    if (pictures) {
        qsort(shares, (size_t)pictures, sizeof *shares, rising);
        printf(" %10.1f %%", 50 * (shares[pictures / 2] + shares[(pictures - 1) / 2]));
    }
    printf("\n");
}

int legibility_print(const struct store *store, const char *list, const struct interrupt *interrupt,
                     struct error *error) {
    struct store_names names;
    int status = store_layers(store, &names, error);
    struct spectrum spectrum = {0};
    struct shares all = {0};
    printf("%-24s %8s %9s %12s\n", "Layer", "Filters", "Pictures", "Fine grain");
    for (int l = 0; l < names.count && !status; l++) {
        struct store_layer layer;
        struct store_damage told = {0}; /* by those who made the files */
        int before = all.pictures;
        if (!selection_list_matches(list, names.name[l]))
            continue;
        status = store_read_layer(store, names.name[l], interrupt, &layer, &told, error);
        if (!status)
            status = add_layer(store, &layer, &spectrum, &all, error);
        if (!status)
            print_line(names.name[l], all.share + before, all.pictures - before, layer.count);
        store_layer_free(&layer);
        store_damage_free(&told);
    }
    if (!status)
        print_line("All", all.share, all.pictures, all.filters);
    spectrum_free(&spectrum);
    free(all.share);
    store_names_free(&names);
    return status;
}
