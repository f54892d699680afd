/* make_weights: writes a weights file for the shell tests and the benchmarks; see the usage below. */
#include "weights_writer.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: make_weights [OPTION]... FILE\n"
    "Writes a VGG network with random weights to FILE, as Keras would.\n"
    "\n"
    "  --variant NAME    vgg11, vgg13, vgg16 (default) or vgg19\n"
    "  --divide N        1/N of VGG's widths (default 1)\n"
    "  --widths N,...    output channels of each convolution, instead of --divide\n"
    "  --layout NAME     legacy (default), theano, model, nested, chunked, keras3 or keras3-nested\n"
    "  --bits N          16, 32 (default) or 64 bits per number\n"
    "  --strings KIND    fixed (default), blanks, fixed-utf8, variable or variable-utf8\n"
    "  --big-endian      numbers in big-endian order\n"
    "  --compress        chunked, shuffled and gzip-compressed datasets\n"
    "  --top             with a dense layer behind the convolutions\n"
    "  --plain-names     layers named conv2d, conv2d_1 ... instead of block1_conv1 ...\n"
    "  --seed N          other random values (default 0)\n"
    "  --defect NAME     none (default), layer, group, dataset, no-bias, kernel, chain, bias, nan, infinity,\n"
    "                    integers, unwritten, order, no-names, numbers or weightless\n"
    "  --culprit N       the layer with the defect, counted from 0 (default 5: VGG16's block3_conv2)\n"
    "  --help            show this text\n";

enum {
    VARIANT = 256,
    DIVIDE,
    WIDTHS,
    LAYOUT,
    BITS,
    STRINGS,
    BIG_ENDIAN_NUMBERS,
    COMPRESS,
    TOP,
    PLAIN_NAMES,
    SEED,
    DEFECT,
    CULPRIT,
    HELP
};

static const struct option options[] = {
    {"variant", required_argument, NULL, VARIANT},
    {"divide", required_argument, NULL, DIVIDE},
    {"widths", required_argument, NULL, WIDTHS},
    {"layout", required_argument, NULL, LAYOUT},
    {"bits", required_argument, NULL, BITS},
    {"strings", required_argument, NULL, STRINGS},
    {"big-endian", no_argument, NULL, BIG_ENDIAN_NUMBERS},
    {"compress", no_argument, NULL, COMPRESS},
    {"top", no_argument, NULL, TOP},
    {"plain-names", no_argument, NULL, PLAIN_NAMES},
    {"seed", required_argument, NULL, SEED},
    {"defect", required_argument, NULL, DEFECT},
    {"culprit", required_argument, NULL, CULPRIT},
    {"help", no_argument, NULL, HELP},
    {0},
};

static _Noreturn void refuse(const char *what, const char *value) {
    fprintf(stderr, "make_weights: %s '%s' is not understood; see make_weights --help\n", what, value);
    exit(2);
}

static int find_name(const char *what, const char *value, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], value))
            return i;
    refuse(what, value);
}

static long parse_number(const char *what, const char *value, long least, long most) {
    char *end;
    long number = strtol(value, &end, 10);
    if (end == value || *end || number < least || number > most)
        refuse(what, value);
    return number;
}

static int parse_bits(const char *value) {
    static const char *const names[] = {"16", "32", "64"};
    return 16 << find_name("--bits", value, names, 3);
}

static int parse_variant(const char *value) {
    static const char *const names[] = {"vgg11", "vgg13", "vgg16", "vgg19"};
    static const int layers[] = {8, 10, 13, 16};
    return layers[find_name("--variant", value, names, 4)];
}

static void parse_widths(char *value, struct weights_recipe *recipe) {
    int count = 0;
    for (char *width = strtok(value, ","); width && count < recipe->layers; width = strtok(NULL, ","))
        recipe->widths[count++] = (int)parse_number("--widths", width, 1, VGG_MAX_CHANNELS);
    if (count < recipe->layers)
        refuse("--widths (too few)", value);
}

struct network {
    int layers, divide;
    char *widths;
};

static void parse_option(int option, struct network *network, struct weights_recipe *recipe) {
    switch (option) {
    case VARIANT:
        network->layers = parse_variant(optarg);
        break;
    case DIVIDE:
        network->divide = (int)parse_number("--divide", optarg, 1, 64);
        break;
    case WIDTHS:
        network->widths = optarg;
        break;
    case LAYOUT:
        recipe->layout = find_name("--layout", optarg, weights_layout_names, LAYOUTS);
        break;
    case BITS:
        recipe->bits = parse_bits(optarg);
        break;
    case STRINGS:
        recipe->strings = find_name("--strings", optarg, weights_strings_names, STRINGS_KINDS);
        break;
    case BIG_ENDIAN_NUMBERS:
        recipe->big_endian = true;
        break;
    case COMPRESS:
        recipe->compressed = true;
        break;
    case TOP:
        recipe->with_top = true;
        break;
    case PLAIN_NAMES:
        recipe->plain_names = true;
        break;
    case SEED:
        recipe->seed = (uint64_t)parse_number("--seed", optarg, 0, 1000000);
        break;
    case DEFECT:
        recipe->defect = find_name("--defect", optarg, weights_defect_names, DEFECTS);
        break;
    case CULPRIT:
        recipe->culprit = (int)parse_number("--culprit", optarg, 0, VGG_MAX_LAYERS - 1);
        break;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        exit(2);
    }
}

int main(int argc, char **argv) {
    struct network network = {.layers = 13, .divide = 1};
    struct weights_recipe recipe = weights_recipe(13, 1);
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        parse_option(option, &network, &recipe);
    if (argc - optind != 1) {
        fputs(usage, stderr);
        return 2;
    }
    struct weights_recipe sized = weights_recipe(network.layers, network.divide);
    recipe.layers = sized.layers;
    memcpy(recipe.widths, sized.widths, sizeof recipe.widths);
    if (network.widths)
        parse_widths(network.widths, &recipe);
    weights_write(argv[optind], &recipe);
    return 0;
}
