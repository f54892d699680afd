#include "options.h"

#include "option_table.h"

#include <string.h>

/* Pairs of a term and what it means; the texts of a page that don't come from the table. */
struct entry {
    const char *term, *meaning;
};

static const struct entry statuses[] = {
    {"0", "All done."},
    {"1", "A failure that is nobody's mistake: a full disk, a lost rank, no memory left."},
    {"2", "Bad usage or bad input."},
    {"3", "DIR holds another job, and the options that differ are named; or pictures drawn with other kernels, see "
          "--mixed-kernels."},
    {"75", "Stopped early on purpose, by a signal or --time-limit, with all finished work kept: run the same command "
           "again."},
};

static const struct entry files[] = {
    {"DIR/vgg_LAYER_NxN.png",
     "A mosaic per layer, the filter with the highest loss first; for other networks, NETWORK_LAYER_NxN.png."},
    {"DIR/index.html", "The atlas to look at with a browser, from the disk; it needs DIR/page/ and DIR/filters/."},
    {"DIR/filters/LAYER/NNNN.png", "The picture of each live filter."},
    {"DIR/losses.csv",
     "Layer, filter, status (live or dead), loss, seconds and rank of every filter; with --dead also rescue."},
    {"DIR/trace.csv", "Layer, filter, octave, epoch and loss of every iteration, with --trace."},
    {"DIR/atlas.h5", "Pictures, losses and options in one HDF5 file, with --hdf5."},
    {"DIR/job.txt", "Every option that defines the pictures, and the weights' SHA-256."},
    {"DIR/units/", "The records of finished units of work, from which a run goes on."},
    {"DIR/stop", "Made by hand, lets a run finish its units in flight and end with status 75."},
};

static const struct entry examples[] = {
    {"mpirun -n 8 --bind-to core filteratlas render --weights vgg16.h5 --out atlas",
     "Draws all filters of all layers on 8 cores, or goes on with what is missing."},
    {"mpirun -n 8 --bind-to core filteratlas render --recipe fourier --weights vgg16.h5 --out legible",
     "The same by the Fourier recipe, in pictures that a person can read."},
    {"filteratlas plan --weights vgg16.h5 --ranks 64,256", "Says how long that would take on so many ranks."},
    {"filteratlas stitch --out atlas --layers 'block5_*' --grid 10", "Makes these layers' mosaics again, 10 by 10."},
};

/* As roff wants it: hyphens that can be copied, no line that looks like a request. */
static void append_escaped(struct text *text, const char *words) {
    if (*words == '.' || *words == '\'')
        text_append(text, "\\&");
    for (; *words; words++)
        switch (*words) {
        case '-':
            text_append(text, "\\-");
            break;
        case '\\':
            text_append(text, "\\e");
            break;
        case '\n':
            text_append(text, " ");
            break;
        case '\'':
            text_append(text, "\\(aq");
            break;
        default:
            text_append(text, "%c", *words);
        }
}

static void append_entries(struct text *text, const char *title, const struct entry *entries, size_t count) {
    text_append(text, ".SH %s\n", title);
    for (size_t i = 0; i < count; i++) {
        text_append(text, ".TP\n.B ");
        append_escaped(text, entries[i].term);
        text_append(text, "\n");
        append_escaped(text, entries[i].meaning);
        text_append(text, "\n");
    }
}

static void append_commands(struct text *text) {
    text_append(text, ".SH SYNOPSIS\n");
    for (int c = 0; c < COMMANDS; c++) {
        text_append(text, c ? ".br\n.B filteratlas\n" : ".B filteratlas\n");
        append_escaped(text, option_commands[c].usage);
        text_append(text, "\n");
    }
    text_append(text, ".SH DESCRIPTION\n"
                      "For every filter of every convolution layer of a Keras network,\n.B filteratlas\n"
                      "draws the picture that excites the filter most, by gradient ascent in input space,\n"
                      "and stitches the pictures of each layer into one mosaic.\n"
                      ".SH COMMANDS\n");
    for (int c = 0; c < COMMANDS; c++) {
        text_append(text, ".TP\n.B %s\n", option_commands[c].name);
        append_escaped(text, option_commands[c].purpose);
        text_append(text, "\n");
    }
}

/* Which commands have the option, the default, and what is allowed. */
static void append_facts(struct text *text, const struct row *row) {
    char allowed[OPTION_ALLOWED_SIZE];
    const char *between = "Of ";
    struct text standard = {0};
    for (int c = 0; c < COMMANDS; c++)
        if (row->commands >> c & 1) {
            text_append(text, "%s%s", between, option_commands[c].name);
            between = ", ";
        }
    option_format_standard(row, &standard);
    if (standard.size) {
        text_append(text, "; default: ");
        append_escaped(text, standard.bytes);
    }
    text_free(&standard);
    text_append(text, ".\n");
    if (row->type == TYPE_FLAG || row->type == TYPE_TEXT || row->type == TYPE_CHOICE)
        return;
    option_describe_allowed(row, allowed, sizeof allowed);
    text_append(text, "G"); /* of "give", the first word of all of them */
    append_escaped(text, allowed + 1);
    text_append(text, ".\n");
}

static void append_option(struct text *text, const struct row *row) {
    text_append(text, ".TP\n.B ");
    if (row->letter)
        text_append(text, "\\-%c\\fR,\\fB ", row->letter);
    text_append(text, "\\-\\-");
    append_escaped(text, row->name);
    if (row->argument) {
        text_append(text, " \\fI");
        append_escaped(text, row->argument);
        text_append(text, "\\fR");
    }
    text_append(text, "\n");
    append_escaped(text, row->help);
    text_append(text, ".\n");
    append_facts(text, row);
}

void options_manual(struct text *text) {
    text_append(text, ".TH FILTERATLAS 1 " FILTERATLAS_DATE " \"filteratlas " FILTERATLAS_VERSION
                      "\" \"User Commands\"\n.nh\n.ad l\n"
                      ".SH NAME\nfilteratlas \\- draw what every filter of a convolutional network looks for\n");
    append_commands(text);
    text_append(text, ".SH OPTIONS\nOptions may be shortened as long as they stay unique.\n");
    int group = -1;
    for (int r = 0; r < OPTION_ROWS; r++) {
        if (group < 0 || strcmp(option_groups[option_rows[r].group], option_groups[group]))
            text_append(text, ".SS %s\n", option_groups[option_rows[r].group]);
        group = option_rows[r].group;
        append_option(text, &option_rows[r]);
    }
    append_entries(text, "FILES", files, sizeof files / sizeof *files);
    append_entries(text, "EXIT STATUS", statuses, sizeof statuses / sizeof *statuses);
    text_append(text, ".PP\nErrors are one line on standard error.\n");
    append_entries(text, "EXAMPLES", examples, sizeof examples / sizeof *examples);
    text_append(text, ".SH SEE ALSO\n.BR filteratlas\\-formats (5),\n.BR filteratlas\\-benchmark (7),\n"
                      ".BR filteratlas\\-jobs (7),\n.BR filteratlas\\-recipes (7),\n.BR mpirun (1),\n.BR srun (1)\n");
}
