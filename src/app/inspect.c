#include "command.h"
#include "filteratlas/app/app.h"
#include "filteratlas/base/sha256.h"
#include "filteratlas/model/model.h"
#include "filteratlas/model/weight_sizes.h"
#include "filteratlas/model/weights.h"
#include "inspect_graph.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What inspect says of the weights of a layer. */
struct layer_report {
    struct weight_sizes sizes;
    int silent;        /* channels that can never fire */
    struct text names; /* the first of them, "3, 17, 40 ..." */
};

static void print_row(const char *name, size_t channels, size_t parameters) {
    printf("%-16s", name);
    inspect_print_thousands(16, channels);
    inspect_print_thousands(16, parameters);
    printf("\n");
}

static void print_layers(const struct vgg *net) {
    size_t parameters = 0;
    printf("%-16s%16s%16s\n", "Layer", "Output channels", "Parameters");
    for (int l = 0; l < net->layers; l++) {
        const struct vgg_layer *layer = &net->layer[l];
        parameters += vgg_parameters(layer);
        print_row(layer->name, layer->out_channels, vgg_parameters(layer));
    }
    print_row("Total", vgg_filters(net), parameters);
}

/* Whether the terminal, or who reads the file, takes UTF-8: as the locale's variables say, in their order. */
static bool takes_utf8(void) {
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

/* A bar per bin, as high as the bin against the highest: an eighth to a full block or, without UTF-8, 1 to 9. */
static void print_histogram(const size_t *bin) {
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    bool utf8 = takes_utf8();
    size_t highest = 1, steps = utf8 ? 8 : 9;
    for (int b = 0; b < WEIGHT_SIZES_BINS; b++)
        highest = bin[b] > highest ? bin[b] : highest;
    for (int b = 0; b < WEIGHT_SIZES_BINS; b++) {
        size_t height = (bin[b] * steps + highest - 1) / highest;
        if (!height)
            printf(utf8 ? " " : ".");
        else if (utf8)
            printf("%s", blocks[height - 1]);
        else
            printf("%zu", height);
    }
}

static void print_weights(const struct vgg *net, const struct layer_report *reports) {
    printf("\nSizes of the weights, |w|, and output channels that no input can make positive:\n"
           "  %-12s %10s%10s%10s  ",
           "log10 |w|", "Least", "Median", "Greatest");
    for (int d = 0; d < WEIGHT_SIZES_DECADES; d++)
        printf("%-*d", WEIGHT_SIZES_PER_DECADE, WEIGHT_SIZES_LEAST + d);
    printf("%8s\n", "Silent");
    for (int l = 0; l < net->layers; l++) {
        const struct weight_sizes *sizes = &reports[l].sizes;
        printf("  %-12s %10.3g%10.3g%10.3g  ", net->layer[l].name, sizes->least, sizes->median, sizes->greatest);
        print_histogram(sizes->bin);
        printf("%8d\n", reports[l].silent);
    }
}

static void print_silent(const struct vgg *net, const struct layer_report *reports) {
    const char *title = "\nSilent channels, whose filters will be dead:\n";
    for (int l = 0; l < net->layers; l++)
        if (reports[l].silent) {
            printf("%s  %-12s %s\n", title, net->layer[l].name, reports[l].names.bytes);
            title = "";
        }
}

static void append_names(const bool *silent, int count, struct text *names) {
    enum { MOST = 12 };
    int found = 0;
    for (int o = 0; o < count && found <= MOST; o++)
        if (silent[o] && found++ < MOST)
            text_append(names, "%s%d", found > 1 ? ", " : "", o);
    if (found > MOST)
        text_append(names, " ...");
}

static int measure(const struct weights *weights, struct layer_report *reports, struct error *error) {
    static const bool none[VGG_MAX_CHANNELS];
    bool silent[2][VGG_MAX_CHANNELS];
    const bool *input = none;
    int status = STATUS_OK;
    for (int l = 0; l < weights->net.layers && !status; l++) {
        const struct vgg_layer *layer = &weights->net.layer[l];
        status = weight_sizes_measure(weights_kernel(weights, l), vgg_parameters(layer) - layer->out_channels,
                                      &reports[l].sizes, error);
        reports[l].silent = weight_sizes_mark_silent(weights, l, input, silent[l % 2]);
        append_names(silent[l % 2], layer->out_channels, &reports[l].names);
        input = silent[l % 2];
    }
    return status;
}

static int print_summary(const char *path, const struct weights *weights, struct error *error) {
    struct layer_report reports[VGG_MAX_LAYERS] = {0};
    int status = measure(weights, reports, error);
    if (!status) {
        printf("%s: %s\n\n", path, weights->net.variant);
        print_layers(&weights->net);
        print_weights(&weights->net, reports);
        print_silent(&weights->net, reports);
        printf("\nLayout:  %s\nSHA-256: %s\n", weights->layout, weights->sha256);
    }
    for (int l = 0; l < weights->net.layers; l++)
        text_free(&reports[l].names);
    return status;
}

/* Any other network than a VGG; its map's sizes at the size asked for, else at its own. */
static int inspect_graph(const struct options *options, struct error *error) {
    enum { USUAL = 224 };
    struct model_file model;
    char sha256[SHA256_HEX_SIZE];
    if (model_file_read(options->file, options->config, false, &model, error))
        return error->status;
    int height = model.graph.height ? model.graph.height : USUAL, width = model.graph.width ? model.graph.width : USUAL;
    if (options->map_size.width) {
        height = options->map_size.height;
        width = options->map_size.width;
    }
    int status = sha256_file(options->file, sha256, error);
    if (!status)
        status = inspect_print_graph(options->file, &model.graph, height, width, error);
    if (!status)
        printf("\nLayout:  %s\nSHA-256: %s\n", model.layout, sha256);
    graph_free(&model.graph);
    return status;
}

/* The names of the layers that a render draws if none are asked for. */
static int print_names(const struct options *options, struct error *error) {
    struct model model;
    if (model_read(options->file, options->config, false, &model, error))
        return error->status;
    for (int l = 0; l < model.layers.count; l++)
        if (model.layers.layer[l].usual)
            printf("%s\n", model.layers.layer[l].name);
    model_free(&model);
    return STATUS_OK;
}

/* A VGG is told as one, unless the size of its maps is asked for. */
static int inspect(const struct options *options, struct error *error) {
    struct weights weights;
    if (options->names_only)
        return print_names(options, error);
    if (options->map_size.width || weights_read(options->file, options->config, &weights, error))
        return options->map_size.width || error->status == STATUS_USAGE ? inspect_graph(options, error) : error->status;
    int status = print_summary(options->file, &weights, error);
    weights_free(&weights);
    return status;
}

int app_inspect(int argc, char **argv) {
    struct options options;
    struct error error;
    int status = command_options(COMMAND_INSPECT, argc, argv, &options);
    if (status || options.help)
        return status;
    return inspect(&options, &error) ? report_error(&error) : STATUS_OK;
}
