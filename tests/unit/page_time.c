/* page_time: writes the page of an atlas again and says how long that took, apart from all else that stitch does.
 *
 *   page_time DIR */
#include "filteratlas/base/clock.h"
#include "filteratlas/model/vgg.h"
#include "filteratlas/page/page.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static int write_page(const char *folder, double *seconds, double *cpu, struct error *error) {
    static struct store_layer layers[VGG_MAX_LAYERS];
    struct store store;
    struct store_names names = {0};
    struct store_damage damage = {0};
    struct store_job job = {0};
    int status = store_open_existing(folder, &store, error);
    if (!status)
        status = store_layers(&store, &names, error);
    int count = names.count < VGG_MAX_LAYERS ? names.count : VGG_MAX_LAYERS;
    for (int l = 0; l < count && !status; l++)
        status = store_read_layer(&store, names.name[l], NULL, &layers[l], &damage, error);
    if (!status)
        status = store_read_job(folder, &job, error);
    double start = clock_now();
    clock_t cpu_start = clock();
    for (int l = 0; l < count && !status; l++)
        status = page_write_layer(&store, &layers[l], NULL, error);
    if (!status)
        status = page_write_index(&store, &job, layers, count, error);
    *seconds = clock_now() - start;
    *cpu = (double)(clock() - cpu_start) / CLOCKS_PER_SEC;
    for (int l = 0; l < count; l++)
        store_layer_free(&layers[l]);
    store_job_free(&job);
    store_names_free(&names);
    return status;
}

int main(int argc, char **argv) {
    struct error error = {.message = "which atlas?"};
    struct rusage usage;
    double seconds, cpu;
    if (argc != 2 || write_page(argv[1], &seconds, &cpu, &error)) {
        fprintf(stderr, "page_time: %s\n", error.message);
        return 1;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("  %.1f s of the processor, %.1f s in all, %.0f MB of memory at most\n", cpu, seconds,
           usage.ru_maxrss / 1024.);
    return 0;
}
