#include "filteratlas/options.h"

#include "option_table.h"

#include <stdio.h>

static const char *const group_titles[] = {"Files",
                                           "Job options (they define the pictures)",
                                           "More job options (off unless given)",
                                           "Selection (which of the job's pictures)",
                                           "Run options (they change no picture)",
                                           "Other"};

void options_help(struct text *text) {
    text_append(text,
                "filteratlas draws what every filter of a VGG network looks for, and stitches an atlas of it.\n\n");
    for (int c = 0; c < COMMANDS; c++)
        text_append(text, "  filteratlas %s\n", option_commands[c].usage);
    text_append(text,
                "  filteratlas --version | --help | COMMAND --help\n\n"
                "  mpirun -n 8 filteratlas render --weights vgg16.h5 --out atlas    all 4,224 filters on 8 cores\n"
                "  filteratlas render --weights vgg16.h5 --out atlas --layers 'block5_*' --filters 0:16\n\n"
                "Exit status: 0 all done; 1 failure; 2 bad usage or input; 3 DIR holds another job;\n"
                "75 stopped early with all finished work kept, run again.\n");
}

void options_command_help(enum command command, struct text *text) {
    text_append(text, "Usage: filteratlas %s\n%s\n", option_commands[command].usage, option_commands[command].purpose);
    int group = -1;
    for (int r = 0; r < OPTION_ROWS; r++) {
        const struct row *row = &option_rows[r];
        if (!(row->commands >> command & 1))
            continue;
        if ((int)row->group != group)
            text_append(text, "\n%s:\n", group_titles[group = row->group]);
        char name[64], letter[8] = "    ";
        if (row->letter)
            snprintf(letter, sizeof letter, "-%c, ", row->letter);
        snprintf(name, sizeof name, "%s--%s %s", letter, row->name, row->argument ? row->argument : "");
        text_append(text, "  %-31s %s", name, row->help);
        text_append(text, row->standard ? " [%s]\n" : "\n", row->standard);
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
        text_append(text, " | %s | ", option_rows[r].standard ? option_rows[r].standard : "");
        const char *between = "";
        for (int c = 0; c < COMMANDS; c++)
            if (option_rows[r].commands >> c & 1) {
                text_append(text, "%s%s", between, option_commands[c].name);
                between = ", ";
            }
        text_append(text, " | %s |\n", option_rows[r].help);
    }
}
