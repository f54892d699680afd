#include "filteratlas/app/app.h"

#include "command.h"
#include "filteratlas/base/text.h"
#include "filteratlas/image/png_file.h"
#include "filteratlas/model/model_file.h"
#include "filteratlas/net/gemm.h"
#include "filteratlas/net/winograd.h"
#include "nearest.h"
#include "option_table.h"
#include "options.h"
#include "report.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
           model_file_library());
    return STATUS_OK;
}

static int refuse_command(const char *word) {
    struct error error;
    const char *names[COMMANDS];
    for (int c = 0; c < COMMANDS; c++)
        names[c] = option_commands[c].name;
    const char *nearest = nearest_word(word, names, COMMANDS);
    if (nearest)
        error_set(&error, STATUS_USAGE, "%s: no such command; did you mean %s?", word, nearest);
    else if (word[0] == '-')
        error_set(&error, STATUS_USAGE,
                  "%s: a command comes first, as in filteratlas render %s; see filteratlas --help", word, word);
    else
        error_set(&error, STATUS_USAGE, "%s: no such command; see filteratlas --help", word);
    return report_error(&error);
}

/* "filteratlas help [COMMAND]", as other programs have it. */
static int print_help(const char *name) {
    int command = name ? options_command(name) : -1;
    if (!name)
        return print_text(options_help);
    if (command < 0)
        return refuse_command(name);
    command_print_help(command);
    return STATUS_OK;
}

int app_run(int argc, char **argv) {
    static const struct {
        const char *option;
        void (*fill)(struct text *text);
    } texts[] = {
        {"--help", options_help},
        {"-h", options_help},
        {"--options-markdown", options_markdown}, /* for scripts/update_manual */
        {"--man", options_manual},                /* these two for make install */
        {"--bash-completion", options_completion},
    };
    static int (*const run[COMMANDS])(int, char **) = {app_render, app_plan,     app_inspect,
                                                       app_stitch, app_examples, app_gallery};
    signal(SIGXFSZ, SIG_IGN); /* a file that grows beyond ulimit -f is an error like a full disk, with EFBIG */
    if (argc < 2)
        return print_text(options_help), STATUS_USAGE;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(argv[1], texts[i].option))
            return print_text(texts[i].fill);
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
        return print_version();
    if (!strcmp(argv[1], "help"))
        return print_help(argv[2]);
    int command = options_command(argv[1]);
    if (command >= 0)
        return run[command](argc - 1, argv + 1);
    return refuse_command(argv[1]);
}
