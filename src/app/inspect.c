#include "command.h"
#include "filteratlas/app.h"
#include "filteratlas/weights.h"

#include <stdio.h>

/* As Keras's summary() does: "920,123". */
static void print_thousands(int width, size_t number) {
    char digits[32], grouped[48];
    int length = snprintf(digits, sizeof digits, "%zu", number), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            grouped[at++] = ',';
        grouped[at++] = digits[i];
    }
    grouped[at] = 0;
    printf("%*s", width, grouped);
}

static void print_row(const char *name, size_t channels, size_t parameters) {
    printf("%-16s", name);
    print_thousands(16, channels);
    print_thousands(16, parameters);
    printf("\n");
}

static void print_summary(const char *path, const struct weights *weights) {
    size_t parameters = 0;
    printf("%s: %s\n\n", path, weights->net.variant);
    printf("%-16s%16s%16s\n", "Layer", "Output channels", "Parameters");
    for (int l = 0; l < weights->net.layers; l++) {
        const struct vgg_layer *layer = &weights->net.layer[l];
        parameters += vgg_parameters(layer);
        print_row(layer->name, layer->out_channels, vgg_parameters(layer));
    }
    print_row("Total", vgg_filters(&weights->net), parameters);
    printf("\nLayout:  %s\nSHA-256: %s\n", weights->layout, weights->sha256);
}

int app_inspect(int argc, char **argv) {
    struct options options;
    struct weights weights;
    struct error error;
    int status = command_options(COMMAND_INSPECT, argc, argv, &options);
    if (status || options.help)
        return status;
    if (weights_read(options.file, &weights, &error))
        return app_report(&error);
    print_summary(options.file, &weights);
    weights_free(&weights);
    return STATUS_OK;
}
