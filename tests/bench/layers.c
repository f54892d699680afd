#include "layers.h"

#include "clock.h"
#include "ours.h"
#include "peer.h"

#include <string.h>

/* Small layers are repeated for at least this long, to find a moment when nobody disturbs. */
static const double LEAST_SECONDS = 0.05;

/* Best seconds of a call, or sums of seconds per picture; multiplications likewise. */
struct times {
    double ours[2], peer[2]; /* [forward, backward] */
    double direct, winograd; /* multiplications one way, of the direct method and of ours */
};

static double both(const double way[2]) { return way[0] + way[1]; }

static double ratio(const struct times *t) { return both(t->peer) / both(t->ours); }

static void add_per_picture(struct times *sum, const struct times *t, int pictures) {
    for (int way = 0; way < 2; way++) {
        sum->ours[way] += t->ours[way] / pictures;
        sum->peer[way] += t->peer[way] / pictures;
    }
    sum->direct += t->direct / pictures;
    sum->winograd += t->winograd / pictures;
}

/* Floating-point operations of the direct method, one way. */
static double direct_flops(const struct task *task) {
    return 18.0 * task->layer->in_channels * task->layer->out_channels * task->extent * task->extent * task->pictures;
}

static struct times take_turns(struct ours *ours, struct peer *peer, int turns) {
    struct times best = {.ours = {1e9, 1e9}, .peer = {1e9, 1e9}};
    double start = clock_now();
    for (int turn = 0; turn < turns || clock_now() - start < LEAST_SECONDS; turn++) {
        double t = clock_now();
        ours_forward(ours);
        clock_keep_least(&best.ours[0], t);
        t = clock_now();
        ours_backward(ours);
        clock_keep_least(&best.ours[1], t);
        t = clock_now();
        peer_forward(peer);
        clock_keep_least(&best.peer[0], t);
        t = clock_now();
        peer_backward(peer);
        clock_keep_least(&best.peer[1], t);
    }
    return best;
}

static struct times time_task(const struct layers_plan *plan, const struct task *task) {
    struct ours *ours = ours_make(plan->network, task);
    struct peer *peer = peer_make(task);
    if (!strstr(peer_method(peer), "jit"))
        printf("(%s has no direct convolution of its own for the way back of %s: %s)\n", peer_name(), task->layer->name,
               peer_method(peer));
    struct times times = take_turns(ours, peer, plan->turns);
    times.direct = direct_flops(task) / 2;
    times.winograd = times.direct / ours_saving(ours);
    peer_free(peer);
    ours_free(ours);
    return times;
}

/* The largest octave, layer by layer ----------------------------------------------------------------------------- */

static void print_layers_title(const struct report *report, int extent) {
    printf("\nLayers at %d pixels: direct-equivalent GF/s of ours (and %% of the FMA peak of %.0f) and of %s\n", extent,
           report->peak, peer_name());
    printf("%-13s %4s %8s | %-22s | %-22s | %-22s\n", "", "", "pictures", "forward", "backward", "both");
    printf("%-13s %4s %8s |", "layer", "map", "per call");
    for (int i = 0; i < 3; i++)
        printf(" %11s %4s %5s%s", "ours", "peer", "ratio", i < 2 ? " |" : "\n");
}

static void print_speeds(const struct report *report, const char *layer, const char *way, double flops, double ours,
                         double peer) {
    char column[32];
    printf(" | %5.0f (%3.0f%%) %4.0f %5.2f", flops / ours / 1e9, flops / ours / 1e7 / report->peak, flops / peer / 1e9,
           peer / ours);
    snprintf(column, sizeof column, "%s_gflops", way);
    report_value(report, "layers", layer, column, flops / ours / 1e9);
    snprintf(column, sizeof column, "%s_peer_gflops", way);
    report_value(report, "layers", layer, column, flops / peer / 1e9);
    snprintf(column, sizeof column, "%s_ratio", way);
    report_value(report, "layers", layer, column, peer / ours);
}

static void print_layer(const struct report *report, const struct task *task, const struct times *t) {
    const char *name = task->layer->name;
    double flops = direct_flops(task);
    printf("%-13s %4d %8d", name, task->extent, task->pictures);
    print_speeds(report, name, "forward", flops, t->ours[0], t->peer[0]);
    print_speeds(report, name, "backward", flops, t->ours[1], t->peer[1]);
    print_speeds(report, name, "both", 2 * flops, both(t->ours), both(t->peer));
    printf("\n");
    fflush(stdout);
}

/* All octaves ---------------------------------------------------------------------------------------------------- */

static void print_octaves_title(const struct layers_plan *plan) {
    printf(
        "\nRatio to %s, forward and backward together, by octave and layer; how many times fewer multiplications ours\n"
        "takes (tiles beyond an edge counted in full); milliseconds per picture\n%6s",
        peer_name(), "pixels");
    for (int l = 0; l < plan->network->net.layers; l++)
        if (plan->chosen[l])
            printf("  %c_%c", plan->network->net.layer[l].name[5], plan->network->net.layer[l].name[11]);
    printf(" | %5s %6s %7s %7s\n", "all", "fewer", "ours", "peer");
}

static void print_octave(const struct layers_plan *plan, const struct report *report, const char *row,
                         const struct times layers[VGG_MAX_LAYERS]) {
    struct times sum = {.direct = 0};
    printf("%6s", row);
    for (int l = 0; l < plan->network->net.layers; l++)
        if (plan->chosen[l]) {
            printf(" %4.1f", ratio(&layers[l]));
            report_value(report, "octaves", row, plan->network->net.layer[l].name, ratio(&layers[l]));
            add_per_picture(&sum, &layers[l], 1);
        }
    printf(" | %5.2f %6.2f %7.1f %7.1f\n", ratio(&sum), sum.direct / sum.winograd, both(sum.ours) * 1e3,
           both(sum.peer) * 1e3);
    report_value(report, "octaves", row, "fewer_multiplications", sum.direct / sum.winograd);
    report_value(report, "octaves", row, "all_layers", ratio(&sum));
    report_value(report, "octaves", row, "ms_per_picture", both(sum.ours) * 1e3);
    report_value(report, "octaves", row, "peer_ms_per_picture", both(sum.peer) * 1e3);
    fflush(stdout);
}

/* Seconds per picture of each chosen layer at an octave; prints them one by one if so asked. */
static void time_octave(const struct layers_plan *plan, const struct report *report, int octave, bool print,
                        struct times layers[VGG_MAX_LAYERS]) {
    int extent = plan->octaves->width[octave];
    for (int l = 0; l < plan->network->net.layers; l++)
        if (plan->chosen[l]) {
            const struct vgg *net = &plan->network->net;
            const struct task task = {&net->layer[l], l, extent, vgg_extent(net, l, extent),
                                      ours_pictures(net, l, extent, LAYERS_BATCH)};
            struct times times = time_task(plan, &task);
            layers[l] = (struct times){.direct = 0};
            add_per_picture(&layers[l], &times, task.pictures);
            if (print)
                print_layer(report, &task, &times);
        }
}

void layers_bench(const struct layers_plan *plan, const struct report *report) {
    struct times layers[VGG_MAX_LAYERS], total[VGG_MAX_LAYERS];
    int largest = plan->octaves->steps - 1;
    memset(total, 0, sizeof total);
    print_layers_title(report, plan->octaves->width[largest]);
    for (int octave = largest; octave >= plan->first_octave; octave--) {
        char row[16];
        snprintf(row, sizeof row, "%d", plan->octaves->width[octave]);
        time_octave(plan, report, octave, octave == largest, layers);
        if (octave == largest)
            print_octaves_title(plan);
        print_octave(plan, report, row, layers);
        for (int l = 0; l < plan->network->net.layers; l++)
            if (plan->chosen[l])
                add_per_picture(&total[l], &layers[l], 1);
    }
    if (plan->first_octave < largest)
        print_octave(plan, report, "all", total);
}
