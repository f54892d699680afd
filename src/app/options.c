#include "filteratlas/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum type {
    TYPE_FLAG,
    TYPE_TEXT,
    TYPE_INTEGER,
    TYPE_REAL,
    TYPE_SEED,
    TYPE_SIZE,
    TYPE_RANGE,
    TYPE_CHOICE,
    TYPE_RANKS,
    TYPE_TIME
};

enum group { GROUP_FILES, GROUP_JOB, GROUP_SELECTION, GROUP_RUN, GROUP_OTHER };

static const char *const group_titles[] = {"Files", "Job options (they define the pictures)",
                                           "Selection (which of the job's pictures)",
                                           "Run options (they change no picture)", "Other"};

#define RENDER (1u << COMMAND_RENDER)
#define PLAN (1u << COMMAND_PLAN)
#define INSPECT (1u << COMMAND_INSPECT)
#define STITCH (1u << COMMAND_STITCH)

struct row {
    const char *name;
    char letter; /* of the short form, or 0 */
    enum type type;
    enum group group;
    unsigned commands;
    size_t offset;
    const char *argument; /* as --help shows it */
    const char *standard; /* the default, as a person would type it; NULL: none */
    double least, most;   /* of numbers */
    const char *help;
};

#define FIELD(name) offsetof(struct options, name)

static const struct row rows[] = {
    {"weights", 0, TYPE_TEXT, GROUP_FILES, RENDER | PLAN, FIELD(weights), "FILE", NULL, 0, 0,
     "the network's weights, a Keras HDF5 file; only rank 0 reads it"},
    {"out", 0, TYPE_TEXT, GROUP_FILES, RENDER | STITCH, FIELD(out), "DIR", NULL, 0, 0,
     "the atlas; made if it isn't there, continued if it holds the same job"},
    {"size", 0, TYPE_SIZE, GROUP_JOB, RENDER | PLAN, FIELD(size), "W[xH]", "412", 1, 16384,
     "pixels of a finished picture"},
    {"upscaling-steps", 0, TYPE_INTEGER, GROUP_JOB, RENDER | PLAN, FIELD(steps), "N", "9", 1, OCTAVES_MAX_STEPS,
     "octaves: how often a picture is enlarged on its way"},
    {"upscaling-factor", 0, TYPE_REAL, GROUP_JOB, RENDER | PLAN, FIELD(factor), "F", "1.2", 1, 16,
     "by how much each time"},
    {"epochs", 0, TYPE_INTEGER, GROUP_JOB, RENDER | PLAN, FIELD(epochs), "N", "15", 1, 100000,
     "ascent steps per octave"},
    {"step", 0, TYPE_REAL, GROUP_JOB, RENDER | PLAN, FIELD(step), "S", "1", 1e-6, 1e6,
     "length of an ascent step along the normalised gradient"},
    {"seed", 0, TYPE_SEED, GROUP_JOB, RENDER | PLAN, FIELD(seed), "N", "0", 0, 0,
     "of the noise that pictures start from"},
    {"rescale", 0, TYPE_CHOICE, GROUP_JOB, RENDER | PLAN, FIELD(rescale), "seed|stats", "seed", 0, 0,
     "between octaves: x = p / 255 as the original does, or the picture's own mean and deviation"},
    {"channels", 0, TYPE_CHOICE, GROUP_JOB, RENDER | PLAN, FIELD(channels), "rgb|bgr", "rgb", 0, 0,
     "show channel 0 as red as the original does, or channel 2: the colours as the network saw them"},
    {"batch", 0, TYPE_INTEGER, GROUP_JOB, RENDER | PLAN, FIELD(batch), "N", "8", 1, SCHEDULE_MAX_BATCH,
     "filters in a unit of work"},
    {"layers", 0, TYPE_TEXT, GROUP_SELECTION, RENDER | PLAN | STITCH, FIELD(layers), "LIST", NULL, 0, 0,
     "comma-separated names or globs such as 'block5_*' (default: all)"},
    {"filters", 0, TYPE_RANGE, GROUP_SELECTION, RENDER | PLAN, FIELD(filters), "LO:HI", "0:", 0, 0,
     "filters LO to HI - 1 of each layer"},
    {"trace", 0, TYPE_FLAG, GROUP_RUN, RENDER, FIELD(trace), NULL, NULL, 0, 0,
     "keep the loss of every iteration, in trace.csv"},
    {"progress", 0, TYPE_CHOICE, GROUP_RUN, RENDER, FIELD(progress), "auto|bar|lines|none", "auto", 0, 0,
     "a bar on a terminal, lines in a log"},
    {"time-limit", 0, TYPE_TIME, GROUP_RUN, RENDER, FIELD(time_limit), "[H:]M:S|auto", NULL, 0, 0,
     "stop ahead of this time since the start, with exit status 75; auto: ahead of the Slurm job's end"},
    {"grace", 0, TYPE_REAL, GROUP_RUN, RENDER, FIELD(grace), "S", NULL, 0, 1e6,
     "seconds that units in flight may go on after a signal (default: 1 after SIGTERM, else until they are finished)"},
    {"rank-timeout", 0, TYPE_REAL, GROUP_RUN, RENDER, FIELD(rank_timeout), "S", "300", 1, 1e6,
     "seconds without a sign of life after which a rank is taken for lost"},
    {"quiet", 'q', TYPE_FLAG, GROUP_RUN, RENDER | STITCH, FIELD(quiet), NULL, NULL, 0, 0, "print nothing but errors"},
    {"verbose", 'v', TYPE_FLAG, GROUP_RUN, RENDER, FIELD(verbose), NULL, NULL, 0, 0, "a line for every filter"},
    {"ranks", 0, TYPE_RANKS, GROUP_OTHER, PLAN, FIELD(ranks), "N[,M...]", "1", 1, 1000000,
     "numbers of ranks to plan for; of the first the slices are shown"},
    {"speed", 0, TYPE_REAL, GROUP_OTHER, PLAN, FIELD(speed), "GFLOPS", "100", 1e-3, 1e9,
     "a rank's speed, in direct-convolution GF/s"},
    {"grid", 0, TYPE_INTEGER, GROUP_OTHER, STITCH, FIELD(grid), "N", NULL, 1, 1000,
     "pictures per row and column (default: the largest full square)"},
    {"sort", 0, TYPE_CHOICE, GROUP_OTHER, STITCH, FIELD(sort), "loss|index", "loss", 0, 0,
     "order of the pictures: highest loss first, or as in the network"},
    {"margin", 0, TYPE_INTEGER, GROUP_OTHER, STITCH, FIELD(margin), "PX", "5", 0, 1000,
     "black pixels between neighbours"},
    {"help", 'h', TYPE_FLAG, GROUP_OTHER, RENDER | PLAN | INSPECT | STITCH, FIELD(help), NULL, NULL, 0, 0,
     "print this and exit"},
};

enum { ROWS = sizeof rows / sizeof *rows };

static const struct {
    const char *name, *usage, *purpose;
} commands[COMMANDS] = {
    {"render", "render --weights FILE --out DIR [options]",
     "Draws the pictures and stitches them, under mpirun or srun, or alone as one rank. Running the same\n"
     "command again continues; other --layers and --filters of the same job add to the atlas."},
    {"plan", "plan --weights FILE [options]",
     "Shows what a job would compute, how long it would take and how it would be divided."},
    {"inspect", "inspect FILE", "Prints the network that a weights file holds."},
    {"stitch", "stitch --out DIR [options]", "Makes the mosaics and tables again from the stored pictures."},
};

int options_command(const char *name) {
    for (int c = 0; c < COMMANDS; c++)
        if (!strcmp(commands[c].name, name))
            return c;
    return -1;
}

/* Values -------------------------------------------------------------------------------------------------------- */

static bool parse_long(const char *text, char **end, long least, long most, long *value) {
    errno = 0;
    *value = strtol(text, end, 10);
    return *end != text && !errno && *value >= least && *value <= most;
}

static bool parse_integer(const struct row *row, const char *text, int *value) {
    char *end;
    long number;
    bool valid = parse_long(text, &end, (long)row->least, (long)row->most, &number) && !*end;
    *value = (int)number;
    return valid;
}

static bool parse_real(const struct row *row, const char *text, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && !*end && isfinite(*value) && *value >= row->least && *value <= row->most;
}

static bool parse_seed(const char *text, uint64_t *value) {
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return end != text && !*end && !errno && !strchr(text, '-');
}

static bool parse_size(const struct row *row, const char *text, struct extent *size) {
    char *end;
    long width, height;
    if (!parse_long(text, &end, (long)row->least, (long)row->most, &width))
        return false;
    height = width;
    if (*end == 'x' && !parse_long(end + 1, &end, (long)row->least, (long)row->most, &height))
        return false;
    *size = (struct extent){(int)width, (int)height};
    return !*end;
}

static bool parse_range(const char *text, struct range *range) {
    char *end;
    long first, last = -1;
    if (!parse_long(text, &end, 0, INT_MAX, &first) || *end != ':')
        return false;
    if (end[1] && (!parse_long(end + 1, &end, 0, INT_MAX, &last) || *end || last <= first))
        return false;
    *range = (struct range){(int)first, (int)last};
    return true;
}

static bool parse_choice(const char *choices, const char *text, int *value) {
    size_t length = strlen(text);
    for (int i = 0; choices; i++) {
        size_t size = strcspn(choices, "|");
        *value = i;
        if (size == length && !strncmp(choices, text, size))
            return true;
        choices = choices[size] ? choices + size + 1 : NULL;
    }
    return false;
}

static bool parse_ranks(const struct row *row, const char *text, struct options *options) {
    options->ranks_count = 0;
    for (char *end;; text = end + 1) {
        long ranks;
        if (options->ranks_count == OPTIONS_MAX_RANKS ||
            !parse_long(text, &end, (long)row->least, (long)row->most, &ranks))
            return false;
        options->ranks[options->ranks_count++] = (int)ranks;
        if (*end != ',')
            return !*end;
    }
}

/* [H:]M:S in seconds, or "auto". */
static bool parse_time(const char *text, double *seconds) {
    *seconds = 0;
    if (!strcmp(text, "auto")) {
        *seconds = OPTIONS_TIME_AUTO;
        return true;
    }
    for (int fields = 1;; fields++) {
        char *end;
        long value;
        if (!parse_long(text, &end, 0, 1000000, &value) || (fields > 1 && value > 59))
            return false;
        *seconds = *seconds * 60 + (double)value;
        if (*end != ':')
            return !*end && fields > 1 && fields <= 3 && *seconds > 0;
        text = end + 1;
    }
}

static bool parse_value(const struct row *row, const char *text, struct options *options) {
    void *field = (char *)options + row->offset;
    switch (row->type) {
    case TYPE_FLAG:
        *(bool *)field = true;
        return true;
    case TYPE_TEXT:
        *(const char **)field = text;
        return *text;
    case TYPE_INTEGER:
        return parse_integer(row, text, field);
    case TYPE_REAL:
        return parse_real(row, text, field);
    case TYPE_SEED:
        return parse_seed(text, field);
    case TYPE_SIZE:
        return parse_size(row, text, field);
    case TYPE_RANGE:
        return parse_range(text, field);
    case TYPE_CHOICE:
        return parse_choice(row->argument, text, field);
    case TYPE_RANKS:
        return parse_ranks(row, text, options);
    case TYPE_TIME:
        return parse_time(text, field);
    }
    return false;
}

/* What a value may be, for the message about one that it may not. */
static void describe_allowed(const struct row *row, char *text, size_t size) {
    switch (row->type) {
    case TYPE_INTEGER:
        snprintf(text, size, "give a whole number from %.0f to %.0f", row->least, row->most);
        break;
    case TYPE_REAL:
        snprintf(text, size, "give a number from %g to %g", row->least, row->most);
        break;
    case TYPE_SEED:
        snprintf(text, size, "give a whole number from 0 to 18446744073709551615");
        break;
    case TYPE_SIZE:
        snprintf(text, size, "give pixels, W or WxH, each from %.0f to %.0f", row->least, row->most);
        break;
    case TYPE_RANGE:
        snprintf(text, size, "give LO:HI with 0 <= LO < HI, or LO: for all from LO on");
        break;
    case TYPE_CHOICE:
        snprintf(text, size, "give one of %s", row->argument);
        break;
    case TYPE_RANKS:
        snprintf(text, size, "give numbers of ranks from 1 to %.0f, at most %d of them, with commas between", row->most,
                 OPTIONS_MAX_RANKS);
        break;
    case TYPE_TIME:
        snprintf(text, size, "give M:S or H:M:S, or auto in a Slurm job");
        break;
    case TYPE_FLAG:
    case TYPE_TEXT:
        snprintf(text, size, "give %s", row->argument);
        break;
    }
}

/* The command line ---------------------------------------------------------------------------------------------- */

enum { FIRST_LONG = 256 }; /* getopt_long's value of row 0, beyond all short letters */

static void getopt_tables(enum command command, struct option *longs, char *shorts) {
    *shorts++ = ':';
    for (int r = 0; r < ROWS; r++) {
        if (!(rows[r].commands >> command & 1))
            continue;
        *longs++ =
            (struct option){rows[r].name, rows[r].argument ? required_argument : no_argument, NULL, FIRST_LONG + r};
        if (rows[r].letter)
            *shorts++ = rows[r].letter;
    }
    *longs = (struct option){0};
    *shorts = 0;
}

/* Restricted Damerau-Levenshtein distance (optimal string alignment), for words of an option's length. */
static int distance(const char *a, const char *b) {
    enum { MOST = 32 };
    int d[MOST + 1][MOST + 1], n = (int)strnlen(a, MOST), m = (int)strnlen(b, MOST);
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

static int unknown_option(enum command command, const char *word, struct error *error) {
    char name[40];
    const char *nearest = NULL;
    int least = 3; /* further away is no typing error */
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    for (int r = 0; r < ROWS && !strncmp(name, "--", 2); r++)
        if (rows[r].commands >> command & 1 && distance(name + 2, rows[r].name) < least) {
            least = distance(name + 2, rows[r].name);
            nearest = rows[r].name;
        }
    if (nearest)
        return error_set(error, STATUS_USAGE, "%s: no such option; did you mean --%s?", name, nearest);
    return error_set(error, STATUS_USAGE, "%s: no such option of %s; see filteratlas %s --help", name,
                     commands[command].name, commands[command].name);
}

/* The options that an abbreviation may stand for, as "--a or --b"; returns their number. */
static int abbreviated(enum command command, const char *name, struct text *candidates) {
    int count = 0;
    for (int r = 0; r < ROWS; r++)
        if (rows[r].commands >> command & 1 && !strncmp(rows[r].name, name, strlen(name)))
            text_append(candidates, "%s--%s", count++ ? " or " : "", rows[r].name);
    return count;
}

/* What getopt_long answers with '?'. optopt is the letter, the code of a flag that was given a value, or else 0. */
static int refuse_option(enum command command, const char *word, struct error *error) {
    if (optopt >= FIRST_LONG)
        return error_set(error, STATUS_USAGE, "%s: --%s takes no value; leave it out", word,
                         rows[optopt - FIRST_LONG].name);
    if (optopt)
        return error_set(error, STATUS_USAGE, "-%c: no such option of %s; see filteratlas %s --help", optopt,
                         commands[command].name, commands[command].name);
    struct text candidates = {0};
    char name[40];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    int status = abbreviated(command, name + 2, &candidates) > 1
                     ? error_set(error, STATUS_USAGE, "%s: may be %s; write it out", name, candidates.bytes)
                     : unknown_option(command, word, error);
    text_free(&candidates);
    return status;
}

static void set_defaults(struct options *options) {
    *options = (struct options){.grace = -1};
    for (int r = 0; r < ROWS; r++)
        if (rows[r].standard)
            parse_value(&rows[r], rows[r].standard, options);
}

static int parse_option(enum command command, int code, const char *word, struct options *options,
                        struct error *error) {
    if (code == '?')
        return refuse_option(command, word, error);
    if (code == ':')
        return error_set(error, STATUS_USAGE, "%s: a value is missing; see filteratlas %s --help", word,
                         commands[command].name);
    int r = code - FIRST_LONG;
    for (int i = 0; i < ROWS && code < FIRST_LONG; i++)
        if (rows[i].letter == code)
            r = i;
    if (parse_value(&rows[r], optarg, options))
        return STATUS_OK;
    char allowed[128];
    describe_allowed(&rows[r], allowed, sizeof allowed);
    return error_set(error, STATUS_USAGE, "--%s %s: not a valid value; %s", rows[r].name, optarg, allowed);
}

static int check_complete(enum command command, int argc, char **argv, struct options *options, struct error *error) {
    int arguments = argc - optind, wanted = command == COMMAND_INSPECT;
    if (arguments > wanted)
        return error_set(error, STATUS_USAGE, "%s: one argument too many; see filteratlas %s --help",
                         argv[optind + wanted], commands[command].name);
    if (arguments < wanted)
        return error_set(error, STATUS_USAGE, "inspect: FILE is missing; give the weights file");
    if (command == COMMAND_INSPECT)
        options->file = argv[optind];
    if ((command == COMMAND_RENDER || command == COMMAND_PLAN) && !options->weights)
        return error_set(error, STATUS_USAGE, "%s: --weights FILE is missing; give a Keras HDF5 file of a VGG network",
                         commands[command].name);
    if ((command == COMMAND_RENDER || command == COMMAND_STITCH) && !options->out)
        return error_set(error, STATUS_USAGE, "%s: --out DIR is missing; give the folder of the atlas",
                         commands[command].name);
    return STATUS_OK;
}

int options_parse(enum command command, int argc, char **argv, struct options *options, struct error *error) {
    struct option longs[ROWS + 1];
    char shorts[ROWS + 2];
    int code, status = STATUS_OK;
    getopt_tables(command, longs, shorts);
    set_defaults(options);
    opterr = 0;
    optind = 0; /* 0, not 1: also resets glibc's inner state */
    while (!status && !options->help) {
        int at = optind ? optind : 1;
        if ((code = getopt_long(argc, argv, shorts, longs, NULL)) == -1)
            break;
        status = parse_option(command, code, argv[code == '?' || code == ':' ? optind - 1 : at], options, error);
    }
    return status || options->help ? status : check_complete(command, argc, argv, options, error);
}

/* job.txt ------------------------------------------------------------------------------------------------------- */

static void format_value(const struct row *row, const struct options *options, struct text *text) {
    const void *field = (const char *)options + row->offset;
    const struct extent *size = field;
    switch (row->type) {
    case TYPE_INTEGER:
        text_append(text, "%d", *(const int *)field);
        break;
    case TYPE_REAL:
        text_append(text, "%.17g", *(const double *)field);
        break;
    case TYPE_SEED:
        text_append(text, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case TYPE_SIZE:
        text_append(text, "%dx%d", size->width, size->height);
        break;
    case TYPE_CHOICE: {
        const char *choice = row->argument;
        for (int i = *(const int *)field; i > 0; i--)
            choice = strchr(choice, '|') + 1;
        text_append(text, "%.*s", (int)strcspn(choice, "|"), choice);
        break;
    }
    default: /* no job option is of another type */
        break;
    }
}

int options_job_entries(const struct options *options, struct text *text, struct store_entry *entries) {
    size_t offsets[OPTIONS_JOB_ENTRIES];
    int count = 0;
    for (int r = 0; r < ROWS; r++)
        if (rows[r].group == GROUP_JOB) {
            offsets[count] = text->size;
            entries[count++].name = rows[r].name;
            format_value(&rows[r], options, text);
            text_append(text, "%c", 0);
        }
    for (int i = 0; i < count; i++)
        entries[i].value = text->bytes + offsets[i];
    return count;
}

/* Help ---------------------------------------------------------------------------------------------------------- */

void options_help(struct text *text) {
    text_append(text,
                "filteratlas draws what every filter of a VGG network looks for, and stitches an atlas of it.\n\n");
    for (int c = 0; c < COMMANDS; c++)
        text_append(text, "  filteratlas %s\n", commands[c].usage);
    text_append(text,
                "  filteratlas --version | --help | COMMAND --help\n\n"
                "  mpirun -n 8 filteratlas render --weights vgg16.h5 --out atlas    all 4,224 filters on 8 cores\n"
                "  filteratlas render --weights vgg16.h5 --out atlas --layers 'block5_*' --filters 0:16\n\n"
                "Exit status: 0 all done; 1 failure; 2 bad usage or input; 3 DIR holds another job;\n"
                "75 stopped early with all finished work kept, run again.\n");
}

void options_command_help(enum command command, struct text *text) {
    text_append(text, "Usage: filteratlas %s\n%s\n", commands[command].usage, commands[command].purpose);
    int group = -1;
    for (int r = 0; r < ROWS; r++) {
        const struct row *row = &rows[r];
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
    for (int r = 0; r < ROWS; r++) {
        text_append(text, "| `--%s%s", rows[r].name, rows[r].argument ? " " : "");
        markdown_escape(rows[r].argument ? rows[r].argument : "", text);
        text_append(text, "`");
        if (rows[r].letter)
            text_append(text, ", `-%c`", rows[r].letter);
        text_append(text, " | %s | ", rows[r].standard ? rows[r].standard : "");
        const char *between = "";
        for (int c = 0; c < COMMANDS; c++)
            if (rows[r].commands >> c & 1) {
                text_append(text, "%s%s", between, commands[c].name);
                between = ", ";
            }
        text_append(text, " | %s |\n", rows[r].help);
    }
}
