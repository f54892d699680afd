/* bench: how fast filteratlas computes, on this processor, against oneDNN's direct convolution in the same process. The
 * usage below says how to run it. */
#include "app/selection.h"
#include "filteratlas/net/gemm.h"

#include "../unit/filled.h"
#include "bandwidth.h"
#include "filters.h"
#include "layers.h"
#include "live_weights.h"
#include "peak.h"
#include "peer.h"

#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: bench [OPTION]...\n"
    "Times the layers of VGG16, forward and backward, against oneDNN, and whole batches of filters, on one core; then "
    "what\n"
    "memory bandwidth they take, at either precision, and what company on another core costs. Tables go to standard\n"
    "output, the same numbers to a CSV file. About four minutes on an idle machine.\n"
    "\n"
    "  --quick           the largest octave alone, fewer repetitions\n"
    "  --layers LIST     comma-separated names or globs such as 'block5_*' (default: all); without whole filters\n"
    "  --bandwidth       memory bandwidth alone, two and a half minutes\n"
    "  --kernels NAME    avx512, avx2, neon, baseline or bf16 (default: the fastest of single precision that runs "
    "here)\n"
    "  --csv FILE        default build/bench.csv\n"
    "  --help            show this text\n";

enum { QUICK = 256, LAYERS, BANDWIDTH, KERNELS, CSV, HELP };

static const struct option options[] = {
    {"quick", no_argument, NULL, QUICK},
    {"layers", required_argument, NULL, LAYERS},
    {"bandwidth", no_argument, NULL, BANDWIDTH},
    {"kernels", required_argument, NULL, KERNELS},
    {"csv", required_argument, NULL, CSV},
    {"help", no_argument, NULL, HELP},
    {0},
};

struct wishes {
    bool quick, bandwidth;
    const char *layers, *kernels, *csv;
};

static _Noreturn void refuse(const char *what) {
    fprintf(stderr, "bench: %s; see bench --help\n", what);
    exit(2);
}

static struct wishes parse(int argc, char **argv) {
    struct wishes wishes = {.csv = "build/bench.csv"};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == QUICK)
            wishes.quick = true;
        else if (option == LAYERS)
            wishes.layers = optarg;
        else if (option == BANDWIDTH)
            wishes.bandwidth = true;
        else if (option == KERNELS)
            wishes.kernels = optarg;
        else if (option == CSV)
            wishes.csv = optarg;
        else if (option == HELP)
            exit(fputs(usage, stdout) < 0);
        else
            exit(2);
    }
    if (optind < argc)
        refuse("no arguments but options");
    return wishes;
}

static void choose_layers(const struct vgg *net, const char *list, bool chosen[VGG_MAX_LAYERS]) {
    const char *names[VGG_MAX_LAYERS];
    struct error error;
    for (int l = 0; l < net->layers; l++)
        names[l] = net->layer[l].name;
    if (selection_of_names(list, names, net->layers, chosen, &error))
        refuse(error.message);
}

/* Stays on the core it runs on; its number. */
static int stay_on_core(void) {
    cpu_set_t one;
    int core = sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
    return core;
}

/* The value of a field of /proc/cpuinfo, "?" if there is none. */
static void read_cpuinfo(const char *field, char value[128]) {
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    strcpy(value, "?");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, field, strlen(field)) && strchr("\t:", line[strlen(field)])) {
            sscanf(strchr(line, ':') + 1, " %127[^\n]", value);
            break;
        }
    if (file)
        fclose(file);
}

static void print_header(const char *kernels, int core, double peak) {
    char name[128], family[128], model[128];
    read_cpuinfo("model name", name);
    read_cpuinfo("cpu family", family);
    read_cpuinfo("model", model);
    printf("filteratlas %s against %s\n", FILTERATLAS_VERSION, peer_name());
    printf("processor  %s (family %s, model %s), core %d alone, one thread\n", name, family, model, core);
    printf("kernels    %s; FMA peak of this core, measured now: %.0f GF/s (%s, registers only)\n", kernels, peak,
           strcmp(kernels, "bf16") ? "single precision" : "products of bfloat16 numbers");
    printf(
        "Ours and the peer's take turns on the same core in the same process; the best turn of each counts. GF/s are\n"
        "those of direct convolution, 18 x in x out channels per position. Ours is timed with bias, ReLU, pooling and\n"
        "masks, the peer's convolution alone, every operand in the layout it prefers. Maps that the program takes\n"
        "through a layer for a whole batch are %d pictures for both; the others 1.\n",
        LAYERS_BATCH);
    fflush(stdout);
}

/* The layers alone. */
static void run_layers(const struct wishes *wishes, const struct octaves *octaves,
                       const struct winograd_kernels *kernels, const struct report *report) {
    struct weights weights = live_weights_make();
    struct network network;
    struct layers_plan plan = {.network = &network, .octaves = octaves, .turns = wishes->quick ? 2 : 3};
    plan.first_octave = wishes->quick ? octaves->steps - 1 : 0;
    choose_layers(&weights.net, wishes->layers, plan.chosen);
    void *tables = filled_network(&weights, octaves, weights.net.layers, kernels, &network);
    layers_bench(&plan, report);
    network_free(&network);
    free(tables);
    weights_free(&weights);
}

/* Of the sets that were chosen, or of the fastest at either precision. */
static void run_bandwidth(const struct wishes *wishes, const struct octaves *octaves,
                          const struct winograd_kernels *kernels, const struct report *report) {
    const struct winograd_kernels *sets[] = {kernels, wishes->kernels ? NULL : winograd_choose_kernels(WINOGRAD_BF16),
                                             NULL};
    bandwidth_bench("block5_conv1", octaves, wishes->quick ? octaves->steps - 1 : 0, sets, wishes->quick ? 2 : 3,
                    report);
}

static void run(const struct wishes *wishes, const struct winograd_kernels *kernels, const struct report *report) {
    static const char *const drawn[] = {"block5_conv1", "block3_conv3", NULL};
    struct octaves octaves;
    octaves_make(412, 412, 1.2, 9, &octaves);
    if (wishes->bandwidth) {
        run_bandwidth(wishes, &octaves, kernels, report);
        return;
    }
    run_layers(wishes, &octaves, kernels, report);
    if (wishes->layers)
        return;
    filters_bench(drawn, &octaves, kernels, wishes->quick ? 2 : 3, wishes->quick ? 1 : 2, report);
    filters_bench_recipes(drawn, 224, kernels, wishes->quick ? 2 : 4, report);
    run_bandwidth(wishes, &octaves, kernels, report);
}

int main(int argc, char **argv) {
    struct wishes wishes = parse(argc, argv);
    const struct winograd_kernels *kernels = winograd_find_kernels(wishes.kernels);
    if (!kernels)
        refuse("--kernels: this processor doesn't run them");
    struct report report = {.csv = fopen(wishes.csv, "w")};
    if (!report.csv)
        refuse("--csv: can't be written");
    gemm_use_one_thread();
    int core = stay_on_core();
    report.peak = peak_measure(winograd_kernels_name(kernels), 20);
    fprintf(report.csv, "table,row,column,value\n");
    report_value(&report, "processor", winograd_kernels_name(kernels), "peak_gflops", report.peak);
    print_header(winograd_kernels_name(kernels), core, report.peak);
    run(&wishes, kernels, &report);
    printf("\nThe same numbers: %s\n", wishes.csv);
    return fclose(report.csv) != 0;
}
