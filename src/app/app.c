#include "filteratlas/app.h"

#include "filteratlas/gemm.h"
#include "filteratlas/options.h"
#include "filteratlas/png_file.h"
#include "filteratlas/text.h"
#include "filteratlas/weights.h"

#include <stdio.h>
#include <string.h>

int app_report(const struct error *error) {
    fprintf(stderr, "filteratlas: %s\n", error->message);
    return error->status;
}

static int print_text(struct text *text) {
    fputs(text->bytes, stdout);
    text_free(text);
    return fflush(stdout) ? STATUS_FAILURE : STATUS_OK;
}

static int print_help(void) {
    struct text text = {0};
    options_help(&text);
    return print_text(&text);
}

static int print_options(void) {
    struct text text = {0};
    options_markdown(&text);
    return print_text(&text);
}

static int print_version(void) {
    printf("filteratlas %s\n%s\n%s\n%s\n", FILTERATLAS_VERSION, gemm_description(), png_description(),
           weights_description());
    return STATUS_OK;
}

int app_run(int argc, char **argv) {
    static int (*const run[COMMANDS])(int, char **) = {app_render, app_plan, app_inspect, app_stitch};
    struct error error;
    if (argc < 2)
        return print_help() ? STATUS_FAILURE : STATUS_USAGE;
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return print_help();
    if (!strcmp(argv[1], "--version"))
        return print_version();
    if (!strcmp(argv[1], "--options-markdown")) /* for scripts/update_readme */
        return print_options();
    int command = options_command(argv[1]);
    if (command >= 0)
        return run[command](argc - 1, argv + 1);
    error_set(&error, STATUS_USAGE, "%s: no such command; see filteratlas --help", argv[1]);
    return app_report(&error);
}
