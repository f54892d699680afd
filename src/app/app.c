#include "filteratlas/app.h"

#include "filteratlas/gemm.h"
#include "filteratlas/options.h"
#include "filteratlas/png_file.h"
#include "filteratlas/text.h"
#include "filteratlas/weights.h"
#include "filteratlas/winograd.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a launcher started this process as another rank than the first: Open MPI's, PMIx's or Slurm's variable. Only
 * for commands that do without MPI. */
static bool is_later_rank(void) {
    static const char *const variables[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"};
    for (int i = 0; i < 3; i++) {
        const char *rank = getenv(variables[i]);
        if (rank)
            return strcmp(rank, "0") != 0;
    }
    return false;
}

int app_report(const struct error *error) {
    if (is_later_rank())
        return error->status;
    fprintf(stderr, "filteratlas: %s\n", error->message);
    return error->status;
}

static int print_text(void (*fill)(struct text *text)) {
    struct text text = {0};
    fill(&text);
    fputs(text.bytes, stdout);
    text_free(&text);
    return STATUS_OK;
}

static int print_version(void) {
    printf("filteratlas %s\n%s convolutions\n%s\n%s\n%s\n", FILTERATLAS_VERSION,
           winograd_kernels_name(winograd_find_kernels(NULL)), gemm_description(), png_description(),
           weights_description());
    return STATUS_OK;
}

int app_run(int argc, char **argv) {
    static int (*const run[COMMANDS])(int, char **) = {app_render, app_plan, app_inspect, app_stitch};
    struct error error;
    if (argc < 2)
        return print_text(options_help), STATUS_USAGE;
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return print_text(options_help);
    if (!strcmp(argv[1], "--version"))
        return print_version();
    if (!strcmp(argv[1], "--options-markdown")) /* for scripts/update_readme */
        return print_text(options_markdown);
    int command = options_command(argv[1]);
    if (command >= 0)
        return run[command](argc - 1, argv + 1);
    error_set(&error, STATUS_USAGE, "%s: no such command; see filteratlas --help", argv[1]);
    return app_report(&error);
}
