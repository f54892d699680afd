#include "options.h"

#include "option_table.h"

#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 80 };

const char *const option_groups[] = {"Files",
                                     "Job options (they define the pictures)",
                                     "Job options (they define the pictures)",
                                     "More job options",
                                     "Selection (which of the job's pictures)",
                                     "Run options (they change no picture)",
                                     "Plan",
                                     "Mosaics",
                                     "Examples",
                                     "Inspect",
                                     "Other"};

void options_help(struct text *text) {
    text_append(text, "filteratlas draws what every filter of a network looks for, and stitches an\n"
                      "atlas of it.\n\n");
    for (int c = 0; c < COMMANDS; c++)
        text_append(text, "  filteratlas %s\n", option_commands[c].usage);
    text_append(text, "  filteratlas --version | --help | COMMAND --help\n\n"
                      "All 4,224 filters of VGG16 on 8 cores, or 16 of each layer of the last block:\n"
                      "  mpirun -n 8 filteratlas render --recipe fourier --weights vgg16.h5 --out atlas\n"
                      "  filteratlas render --recipe fourier --weights vgg16.h5 --out few \\\n"
                      "      --layers 'block5_*' --filters 0:16\n\n"
                      "Exit status: 0 all done; 1 failure; 2 bad usage or input; 3 DIR holds another\n"
                      "job; 75 stopped early with all finished work kept, run again.\n");
}

/* Appends words from column `at` on, in lines that begin at HELP_COLUMN and end before HELP_WIDTH. */
static void append_wrapped(struct text *text, int at, const char *words) {
    while (*words) {
        int length = (int)strcspn(words, " ");
        if (at > HELP_COLUMN && at + 1 + length > HELP_WIDTH) {
            text_append(text, "\n");
            at = 0;
        } else if (at > HELP_COLUMN) {
            text_append(text, " ");
            at++;
        }
        if (at < HELP_COLUMN) {
            text_append(text, "%*s", HELP_COLUMN - at, "");
            at = HELP_COLUMN;
        }
        text_append(text, "%.*s", length, words);
        at += length;
        words += length + strspn(words + length, " ");
    }
    text_append(text, "\n");
}

static void append_row(struct text *text, const struct row *row) {
    struct text meaning = {0}, standard = {0};
    size_t before = text->size;
    text_append(text, row->letter ? "  -%c, " : "  ", row->letter);
    text_append(text, "--%s%s%s", row->name, row->argument ? " " : "", row->argument ? row->argument : "");
    int at = (int)(text->size - before);
    if (at > HELP_COLUMN - 1) {
        text_append(text, "\n");
        at = 0;
    }
    option_format_standard(row, &standard);
    text_append(&meaning, standard.size ? "%s [%s]" : "%s", row->help, standard.bytes);
    append_wrapped(text, at, meaning.bytes);
    text_free(&meaning);
    text_free(&standard);
}

void options_command_help(enum command command, struct text *text) {
    text_append(text, "Usage: filteratlas %s\n%s\n", option_commands[command].usage, option_commands[command].purpose);
    int group = -1;
    for (int r = 0; r < OPTION_ROWS; r++) {
        const struct row *row = &option_rows[r];
        if (!(row->commands >> command & 1))
            continue;
        if (group < 0 || strcmp(option_groups[row->group], option_groups[group]))
            text_append(text, "%s:\n", option_groups[row->group]);
        group = row->group;
        append_row(text, row);
    }
}

static void markdown_escape(const char *text, struct text *out) {
    for (; *text; text++)
        text_append(out, *text == '|' ? "\\%c" : "%c", *text);
}

void options_markdown(struct text *text) {
    text_append(text, "| option | default | of | meaning |\n| --- | --- | --- | --- |\n");
    for (int r = 0; r < OPTION_ROWS; r++) {
        text_append(text, "| `--%s%s", option_rows[r].name, option_rows[r].argument ? " " : "");
        markdown_escape(option_rows[r].argument ? option_rows[r].argument : "", text);
        text_append(text, "`");
        if (option_rows[r].letter)
            text_append(text, ", `-%c`", option_rows[r].letter);
        text_append(text, " | ");
        option_format_standard(&option_rows[r], text);
        text_append(text, " | ");
        const char *between = "";
        for (int c = 0; c < COMMANDS; c++)
            if (option_rows[r].commands >> c & 1) {
                text_append(text, "%s%s", between, option_commands[c].name);
                between = ", ";
            }
        text_append(text, " | %s |\n", option_rows[r].help);
    }
}
