#include "options.h"

#include "filteratlas/ascent/smooth.h"
#include "filteratlas/atlas/examples.h"
#include "nearest.h"
#include "option_table.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define RENDER (1u << COMMAND_RENDER)
#define PLAN (1u << COMMAND_PLAN)
#define INSPECT (1u << COMMAND_INSPECT)
#define STITCH (1u << COMMAND_STITCH)
#define EXAMPLES (1u << COMMAND_EXAMPLES)
#define GALLERY (1u << COMMAND_GALLERY)

#define FIELD(name) offsetof(struct options, name)

/* Defaults by recipe. Versions of clang-format disagree here. */
/* clang-format off */
#define EACH(keras, fourier) {keras, fourier}
/* clang-format on */
#define BOTH(value) EACH(value, value)
#define KERAS(value) EACH(value, NULL)
#define FOURIER(value) EACH(NULL, value)
#define NONE EACH(NULL, NULL)

const struct row option_rows[OPTION_ROWS] = {
    {"weights", 0, TYPE_TEXT, GROUP_FILES, RENDER | PLAN | EXAMPLES, FIELD(weights), "FILE", NONE, 0, 0,
     "the network, as Keras saved it; rank 0 reads it"},
    {"out", 0, TYPE_TEXT, GROUP_FILES, RENDER | PLAN | STITCH | EXAMPLES, FIELD(out), "DIR", NONE, 0, 0,
     "the atlas, a folder; plan times its disk"},
    {"config", 0, TYPE_TEXT, GROUP_FILES, RENDER | PLAN | INSPECT | EXAMPLES, FIELD(config), "FILE.json", NONE, 0, 0,
     "its description (JSON), where FILE has none"},
    {"recipe", 0, TYPE_CHOICE, GROUP_RECIPE, RENDER | PLAN, FIELD(recipe), "keras|fourier", BOTH("keras"), 0, 0,
     "Keras's example, or legible waves"},
    {"size", 0, TYPE_SIZE, GROUP_JOB, RENDER | PLAN, FIELD(size), "W[xH]", EACH("412", "224"), 1, OPTIONS_MAX_SIZE,
     "pixels of a finished picture"},
    {"upscaling-steps", 0, TYPE_INTEGER, GROUP_JOB, RENDER | PLAN, FIELD(steps), "N", EACH("9", "3"), 1,
     OCTAVES_MAX_STEPS, "octaves: sizes it grows through"},
    {"upscaling-factor", 0, TYPE_REAL, GROUP_JOB, RENDER | PLAN, FIELD(factor), "F", EACH("1.2", "1.25"), 1, 16,
     "by how much each time"},
    {"epochs", 0, TYPE_INTEGER, GROUP_JOB, RENDER | PLAN, FIELD(epochs), "N", EACH("15", "48"), 1, 100000,
     "ascent steps per octave"},
    {"step", 0, TYPE_REAL, GROUP_JOB, RENDER | PLAN, FIELD(step), "S", KERAS("1"), 1e-6, 1e6,
     "length of a normalised step"},
    {"rate", 0, TYPE_REAL, GROUP_JOB, RENDER | PLAN, FIELD(rate), "R", FOURIER("0.05"), 1e-6, 10,
     "learning rate of the waves"},
    {"spectrum", 0, TYPE_REAL, GROUP_JOB, RENDER | PLAN, FIELD(spectrum), "P", FOURIER("1"), 0, 4,
     "waves scaled by 1 / frequency^P"},
    {"preprocess", 0, TYPE_CHOICE, GROUP_JOB, RENDER | PLAN, FIELD(preprocess), "caffe|tf|torch|unit|none",
     FOURIER("caffe"), 0, 0, "what the network is given"},
    {"seed", 0, TYPE_SEED, GROUP_JOB, RENDER | PLAN, FIELD(seed), "N", BOTH("0"), 0, 0,
     "of the noise that pictures start from"},
    {"rescale", 0, TYPE_CHOICE, GROUP_JOB, RENDER | PLAN, FIELD(rescale), "seed|stats", KERAS("seed"), 0, 0,
     "how to rescale between octaves"},
    {"channels", 0, TYPE_CHOICE, GROUP_JOB, RENDER | PLAN, FIELD(channels), "rgb|bgr", KERAS("rgb"), 0, 0,
     "channel 0 or 2 shown as red"},
    {"batch", 0, TYPE_INTEGER, GROUP_JOB, RENDER | PLAN, FIELD(batch), "N", BOTH("8"), 1, ASCENT_MAX_BATCH,
     "filters in a unit of work"},
    {"dead", 0, TYPE_DEAD, GROUP_MORE, RENDER | PLAN, FIELD(dead), "skip|retry[=N]|leak", EACH("skip", "leak"), 1, 100,
     "what a silent filter does"},
    {"objective", 0, TYPE_CHOICE, GROUP_MORE, RENDER | PLAN, FIELD(objective), "channel|neuron", BOTH("channel"), 0, 0,
     "climb the map's mean, or its middle"},
    {"border", 0, TYPE_INTEGER, GROUP_MORE, RENDER | PLAN, FIELD(border), "B", BOTH("0"), 0, 16384,
     "map positions left out at each edge"},
    {"decay", 0, TYPE_REAL, GROUP_MORE, RENDER | PLAN, FIELD(decay), "D", KERAS("0"), 0, 0.999999,
     "share lost after each step"},
    {"blur", 0, TYPE_INTEGER, GROUP_MORE, RENDER | PLAN, FIELD(blur), "K", KERAS("0"), 0, 1000000,
     "steps from one blur to the next"},
    {"blur-sigma", 0, TYPE_REAL, GROUP_MORE, RENDER | PLAN, FIELD(blur_sigma), "S", KERAS("1"), 0.1, BLUR_MOST_SIGMA,
     "its standard deviation, pixels"},
    {"jitter", 0, TYPE_JITTER, GROUP_MORE, RENDER | PLAN, FIELD(jitter), "K|all", EACH("0", "all"), 0, 16384,
     "random shift for each gradient"},
    {"rotate", 0, TYPE_REAL, GROUP_MORE, RENDER | PLAN, FIELD(rotate), "D", FOURIER("0"), 0, 180,
     "random rotation by degrees"},
    {"zoom", 0, TYPE_REAL, GROUP_MORE, RENDER | PLAN, FIELD(zoom), "Z", FOURIER("0"), 0, 0.9,
     "random enlargement by a share"},
    {"precision", 0, TYPE_CHOICE, GROUP_MORE, RENDER | PLAN, FIELD(precision), "single|bf16", BOTH("single"), 0, 0,
     "bf16: faster where the processor has it"},
    {"layers", 0, TYPE_TEXT, GROUP_SELECTION, RENDER | PLAN | STITCH | EXAMPLES, FIELD(layers), "LIST", NONE, 0, 0,
     "names or globs, 'block5_*,block1_*' (default: all)"},
    {"filters", 0, TYPE_RANGE, GROUP_SELECTION, RENDER | PLAN, FIELD(filters), "LO:HI", BOTH("0:"), 0, 0,
     "filters LO to HI - 1 of each layer"},
    {"trace", 0, TYPE_FLAG, GROUP_RUN, RENDER, FIELD(trace), NULL, NONE, 0, 0,
     "keep every iteration's loss, in trace.csv"},
    {"hdf5", 0, TYPE_FLAG, GROUP_RUN, RENDER | STITCH, FIELD(hdf5), NULL, NONE, 0, 0,
     "also write atlas.h5, and keep it up to date"},
    {"progress", 0, TYPE_CHOICE, GROUP_RUN, RENDER, FIELD(progress), "auto|bar|lines|none", BOTH("auto"), 0, 0,
     "a bar on a terminal, lines in a log"},
    {"time-limit", 0, TYPE_TIME, GROUP_RUN, RENDER | EXAMPLES, FIELD(time_limit), "[H:]M:S|auto", NONE, 0, 0,
     "stop by then, status 75; auto: the Slurm job's end"},
    {"grace", 0, TYPE_REAL, GROUP_RUN, RENDER | EXAMPLES, FIELD(grace), "S", NONE, 0, 1e6,
     "for units in flight (no end; SIGTERM, SIGHUP 0.5)"},
    {"rank-timeout", 0, TYPE_REAL, GROUP_RUN, RENDER | EXAMPLES, FIELD(rank_timeout), "S", BOTH("300"), 1, 1e6,
     "a rank silent for so many seconds is lost"},
    {"no-shared", 0, TYPE_FLAG, GROUP_RUN, RENDER | EXAMPLES, FIELD(no_shared), NULL, NONE, 0, 0,
     "weights and tables per rank, not per node"},
    {"mixed-kernels", 0, TYPE_FLAG, GROUP_RUN, RENDER, FIELD(mixed_kernels), NULL, NONE, 0, 0,
     "draw on processors of another kind, too"},
    {"quiet", 'q', TYPE_FLAG, GROUP_RUN, RENDER | STITCH | EXAMPLES | GALLERY, FIELD(quiet), NULL, NONE, 0, 0,
     "print nothing but errors"},
    {"verbose", 'v', TYPE_FLAG, GROUP_RUN, RENDER, FIELD(verbose), NULL, NONE, 0, 0, "a line for every filter"},
    {"ranks", 0, TYPE_RANKS, GROUP_PLAN, PLAN, FIELD(ranks), "N[,M...]", BOTH("1"), 1, 1000000,
     "numbers of ranks to plan for; the slices shown are those of the first"},
    {"speed", 0, TYPE_REAL, GROUP_PLAN, PLAN, FIELD(speed), "GFLOPS", NONE, 1e-3, 1e9,
     "a rank's speed, in direct-convolution GF/s (default: measured here, in two seconds)"},
    {"costs", 0, TYPE_TEXT, GROUP_PLAN, PLAN, FIELD(costs), "FILE", NONE, 0, 0,
     "losses.csv of an earlier run: what each filter took"},
    {"grid", 0, TYPE_INTEGER, GROUP_MOSAIC, STITCH, FIELD(grid), "N", NONE, 1, 1000,
     "pictures per row and column (default: the largest full square)"},
    {"sort", 0, TYPE_CHOICE, GROUP_MOSAIC, STITCH, FIELD(sort), "loss|index", BOTH("loss"), 0, 0,
     "highest loss first, or as in the network"},
    {"margin", 0, TYPE_INTEGER, GROUP_MOSAIC, STITCH, FIELD(margin), "PX", BOTH("5"), 0, 1000,
     "black pixels between neighbours"},
    {"legibility", 0, TYPE_FLAG, GROUP_MOSAIC, STITCH, FIELD(legibility), NULL, NONE, 0, 0,
     "also print how many filters have a picture, and how much of the pictures is fine grain"},
    {"images", 0, TYPE_TEXT, GROUP_EXAMPLES, EXAMPLES, FIELD(images), "DIR|LIST", NONE, 0, 0,
     "JPEG and PNG files, a folder or a file with a path per line"},
    {"top", 0, TYPE_INTEGER, GROUP_EXAMPLES, EXAMPLES, FIELD(top), "N", BOTH("9"), 1, EXAMPLES_MOST,
     "images kept for each filter"},
    {"short", 0, TYPE_INTEGER, GROUP_EXAMPLES, EXAMPLES, FIELD(shorter), "N", BOTH("256"), 1, 4096,
     "pixels that an image's shorter side is brought to"},
    {"crop", 0, TYPE_INTEGER, GROUP_EXAMPLES, EXAMPLES, FIELD(crop), "N", BOTH("224"), 1, 1024,
     "pixels of the square in its middle that the network is given"},
    {"preprocess", 0, TYPE_CHOICE, GROUP_EXAMPLES, EXAMPLES, FIELD(image_preprocess), "caffe|tf|torch|unit|none",
     BOTH("caffe"), 0, 0, "how it is given"},
    {"out", 0, TYPE_TEXT, GROUP_GALLERY, GALLERY, FIELD(out), "SITE", NONE, 0, 0,
     "the folder of the page, which shows the atlases' own files: they must stay where they are, seen from it"},
    {"titles", 0, TYPE_TEXT, GROUP_GALLERY, GALLERY, FIELD(titles), "A,B,...", NONE, 0, 0,
     "what the page calls the atlases, in their order (default: as their folders)"},
    {"weights", 0, TYPE_FILES, GROUP_GALLERY, GALLERY, FIELD(gallery_weights), "FILE", NONE, 0, 0,
     "weights of an atlas, told by their digest; given for two atlases or more, also compares their kernels"},
    {"size", 0, TYPE_SIZE, GROUP_INSPECT, INSPECT, FIELD(map_size), "W[xH]", NONE, 1, OPTIONS_MAX_SIZE,
     "pixels for which the maps are told (default: the network's own size, or 224)"},
    {"names", 0, TYPE_FLAG, GROUP_INSPECT, INSPECT, FIELD(names_only), NULL, NONE, 0, 0,
     "print the names of the layers that render draws, and nothing else"},
    {"help", 'h', TYPE_FLAG, GROUP_OTHER, RENDER | PLAN | INSPECT | STITCH | EXAMPLES | GALLERY, FIELD(help), NULL,
     NONE, 0, 0, "print this and exit"},
};

_Static_assert(sizeof option_rows / sizeof *option_rows == OPTION_ROWS, "OPTION_ROWS counts the rows");

const struct option_command option_commands[COMMANDS] = {
    {"render", "render --weights FILE --out DIR [options]",
     "Draws and stitches the pictures, under mpirun or srun or alone. The same command\n"
     "again goes on where it stopped; other --layers and --filters add to the atlas."},
    {"plan", "plan --weights FILE [options]",
     "Shows what a job would compute, how long it would take, how it would be divided."},
    {"inspect", "inspect FILE [options]", "Prints the network that a file holds."},
    {"stitch", "stitch --out DIR [options]",
     "Makes the mosaics, the tables and the page again from the stored pictures."},
    {"examples", "examples --weights FILE --images DIR --out DIR [options]",
     "Finds the images that excite every filter most, under mpirun or srun or alone, and\n"
     "shows them in the atlas. The same command again goes on; more images add to it."},
    {"gallery", "gallery --out SITE DIR DIR... [options]",
     "Makes a page that shows two or more atlases side by side, filter by filter."},
};

int options_command(const char *name) {
    for (int c = 0; c < COMMANDS; c++)
        if (!strcmp(option_commands[c].name, name))
            return c;
    return -1;
}

/* The command line ---------------------------------------------------------------------------------------------- */

enum { FIRST_LONG = 256 }; /* getopt_long's value of row 0, beyond all short letters */

static void getopt_tables(enum command command, struct option *longs, char *shorts) {
    *shorts++ = ':';
    for (int r = 0; r < OPTION_ROWS; r++) {
        if (!(option_rows[r].commands >> command & 1))
            continue;
        *longs++ = (struct option){option_rows[r].name, option_rows[r].argument ? required_argument : no_argument, NULL,
                                   FIRST_LONG + r};
        if (option_rows[r].letter)
            *shorts++ = option_rows[r].letter;
    }
    *longs = (struct option){0};
    *shorts = 0;
}

/* The option of the command that `name` was meant to be, or NULL. */
static const char *nearest_option(enum command command, const char *name) {
    const char *names[OPTION_ROWS];
    int count = 0;
    for (int r = 0; r < OPTION_ROWS; r++)
        if (option_rows[r].commands >> command & 1)
            names[count++] = option_rows[r].name;
    return nearest_word(name, names, count);
}

/* A command that has the option of this name, -1 if none has. */
static int command_of_option(const char *name) {
    for (int r = 0; r < OPTION_ROWS; r++)
        for (int c = 0; c < COMMANDS && !strcmp(option_rows[r].name, name); c++)
            if (option_rows[r].commands >> c & 1)
                return c;
    return -1;
}

/* word: "--name" or "--name=value". */
static int unknown_option(enum command command, const char *word, struct error *error) {
    char name[40];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *nearest = nearest_option(command, name + 2), *own = option_commands[command].name;
    int other = command_of_option(name + 2);
    if (other >= 0)
        return error_set(error, STATUS_USAGE, "%s: is an option of %s, not of %s; see filteratlas %s --help", name,
                         option_commands[other].name, own, own);
    if (nearest)
        return error_set(error, STATUS_USAGE, "%s: no such option; did you mean --%s?", name, nearest);
    return error_set(error, STATUS_USAGE, "%s: no such option of %s; see filteratlas %s --help", name, own, own);
}

/* word: "-qx", of which x is no letter of an option, or "-name". */
static int unknown_letter(enum command command, int letter, const char *word, struct error *error) {
    const char *nearest = strlen(word) > 3 ? nearest_option(command, word + 1) : NULL;
    if (nearest)
        return error_set(error, STATUS_USAGE, "%s: no such option; did you mean --%s?", word, nearest);
    return error_set(error, STATUS_USAGE, "-%c: no such option of %s; see filteratlas %s --help", letter,
                     option_commands[command].name, option_commands[command].name);
}

/* The options that an abbreviation may stand for, as "--a or --b"; returns their number. */
static int abbreviated(enum command command, const char *name, struct text *candidates) {
    int count = 0;
    for (int r = 0; r < OPTION_ROWS; r++)
        if (option_rows[r].commands >> command & 1 && !strncmp(option_rows[r].name, name, strlen(name)))
            text_append(candidates, "%s--%s", count++ ? " or " : "", option_rows[r].name);
    return count;
}

/* What getopt_long answers with '?'. optopt is the letter, the code of a flag that was given a value, or else 0. */
static int refuse_option(enum command command, const char *word, struct error *error) {
    if (optopt >= FIRST_LONG)
        return error_set(error, STATUS_USAGE, "%s: --%s takes no value; leave it out", word,
                         option_rows[optopt - FIRST_LONG].name);
    if (optopt)
        return unknown_letter(command, optopt, word, error);
    struct text candidates = {0};
    char name[40];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    int status = abbreviated(command, name + 2, &candidates) > 1
                     ? error_set(error, STATUS_USAGE, "%s: may be %s; write it out", name, candidates.bytes)
                     : unknown_option(command, word, error);
    text_free(&candidates);
    return status;
}

/* The options that are set in `given` stay as they are. */
static void set_defaults(int recipe, uint64_t given, struct options *options) {
    for (int r = 0; r < OPTION_ROWS; r++)
        if (option_rows[r].standard[recipe] && !(given >> r & 1))
            option_parse_value(&option_rows[r], option_rows[r].standard[recipe], options);
}

/* Notes in *given, bit by row, which option it was. */
static int parse_option(enum command command, int code, const char *word, struct options *options, uint64_t *given,
                        struct error *error) {
    if (code == '?')
        return refuse_option(command, word, error);
    if (code == ':')
        return error_set(error, STATUS_USAGE, "%s: a value is missing; see filteratlas %s --help", word,
                         option_commands[command].name);
    int r = code - FIRST_LONG;
    for (int i = 0; i < OPTION_ROWS && code < FIRST_LONG; i++)
        if (option_rows[i].letter == code)
            r = i;
    if (optarg && !strncmp(optarg, "--", 2)) /* getopt takes what comes next, whatever it is */
        return error_set(error, STATUS_USAGE, "--%s: a value is missing before %s; see filteratlas %s --help",
                         option_rows[r].name, optarg, option_commands[command].name);
    *given |= (uint64_t)1 << r;
    if (option_parse_value(&option_rows[r], optarg, options))
        return STATUS_OK;
    char allowed[OPTION_ALLOWED_SIZE];
    option_describe_allowed(&option_rows[r], allowed, sizeof allowed);
    return error_set(error, STATUS_USAGE, "--%s %s: not a valid value; %s", option_rows[r].name,
                     *optarg ? optarg : "''", allowed);
}

/* Whether the option of a field is among those given. */
static bool is_given(uint64_t given, size_t offset) {
    for (int r = 0; r < OPTION_ROWS; r++)
        if (given >> r & 1 && option_rows[r].offset == offset)
            return true;
    return false;
}

/* Which commands can't do without --weights and --out. */
static bool needs_weights(enum command command) {
    return command == COMMAND_RENDER || command == COMMAND_PLAN || command == COMMAND_EXAMPLES;
}

static bool needs_out(enum command command) {
    return command == COMMAND_RENDER || command == COMMAND_STITCH || command == COMMAND_EXAMPLES ||
           command == COMMAND_GALLERY;
}

static int surplus_argument(enum command command, const struct options *options, const char *word,
                            struct error *error) {
    const char *own = option_commands[command].name, *meant = NULL;
    if (!strncmp(word, "\u2013", 3) || !strncmp(word, "\u2014", 3) || !strncmp(word, "\u2212", 3))
        return error_set(error, STATUS_USAGE, "%s: begins with a dash that is no hyphen; type the option with --",
                         word);
    if (needs_weights(command) && !options->weights)
        meant = "weights";
    else if (needs_out(command) && !options->out)
        meant = "out";
    if (meant)
        return error_set(error, STATUS_USAGE, "%s: belongs to no option; did you mean --%s %s?", word, meant, word);
    return error_set(error, STATUS_USAGE,
                     "%s: one argument too many; put values with blanks or * in quotes, see "
                     "filteratlas %s --help",
                     word, own);
}

/* inspect has one argument, gallery two or more, all else none. */
static int check_arguments(enum command command, int argc, char **argv, struct options *options, struct error *error) {
    int arguments = argc - optind, most = command == COMMAND_INSPECT;
    if (command == COMMAND_GALLERY && arguments < 2)
        return error_set(error, STATUS_USAGE, "gallery: DIR is missing; give the folders of two atlases or more");
    if (command != COMMAND_GALLERY && arguments > most)
        return surplus_argument(command, options, argv[optind + most], error);
    if (arguments < most)
        return error_set(error, STATUS_USAGE, "inspect: FILE is missing; give the weights file");
    if (command == COMMAND_INSPECT)
        options->file = argv[optind];
    if (command == COMMAND_GALLERY) {
        options->atlases = argv + optind;
        options->atlas_count = arguments;
    }
    return STATUS_OK;
}

static int check_complete(enum command command, int argc, char **argv, struct options *options, struct error *error) {
    int status = check_arguments(command, argc, argv, options, error);
    if (status)
        return status;
    if (needs_weights(command) && !options->weights)
        return error_set(error, STATUS_USAGE, "%s: --weights FILE is missing; give a file that Keras saved",
                         option_commands[command].name);
    if (needs_out(command) && !options->out)
        return error_set(error, STATUS_USAGE, "%s: --out %s is missing; give the folder of the %s",
                         option_commands[command].name, command == COMMAND_GALLERY ? "SITE" : "DIR",
                         command == COMMAND_GALLERY ? "page" : "atlas");
    if (command == COMMAND_EXAMPLES && !options->images)
        return error_set(error, STATUS_USAGE, "examples: --images DIR is missing; give a folder of JPEG and PNG files");
    if (command == COMMAND_EXAMPLES && options->crop > options->shorter)
        return error_set(error, STATUS_USAGE,
                         "--crop %d: is larger than the image, whose shorter side has %d pixels; "
                         "give at most that, or a larger --short",
                         options->crop, options->shorter);
    if (!options->blur && options->blur_sigma != 1)
        return error_set(error, STATUS_USAGE, "--blur-sigma %g: changes nothing without --blur; give both or neither",
                         options->blur_sigma);
    return STATUS_OK;
}

/* Every option that was given must have a meaning in the recipe. */
static int check_recipe(int recipe, uint64_t given, struct error *error) {
    for (int r = 0; r < OPTION_ROWS; r++)
        if (given >> r & 1 && !option_of_recipe(&option_rows[r], recipe))
            return error_set(error, STATUS_USAGE,
                             "--%s: the %s recipe has no use for it; leave it out, or give --recipe %s",
                             option_rows[r].name, recipe_name(recipe), recipe_name(!recipe));
    return STATUS_OK;
}

/* The word that getopt_long has just stumbled over. Within letters, as in -qx, it goes on to the next word only after
 * the last of them. */
static const char *current_word(int argc, char **argv, int code, int before) {
    if (code != '?' && code != ':')
        return argv[before];
    const char *word = argv[optind - 1];
    bool letter = optopt && optopt < FIRST_LONG;
    return letter && optind < argc && (word[0] != '-' || !strchr(word, optopt)) ? argv[optind] : word;
}

int options_parse(enum command command, int argc, char **argv, struct options *options, struct error *error) {
    struct option longs[OPTION_ROWS + 1];
    char shorts[OPTION_ROWS + 2];
    int code, status = STATUS_OK;
    getopt_tables(command, longs, shorts);
    uint64_t given = 0;
    *options = (struct options){.grace = -1};
    set_defaults(RECIPE_KERAS, 0, options);
    opterr = 0;
    optind = 0; /* 0, not 1: also resets glibc's inner state */
    while (!status && !options->help) {
        int at = optind ? optind : 1;
        if ((code = getopt_long(argc, argv, shorts, longs, NULL)) == -1)
            break;
        status = parse_option(command, code, current_word(argc, argv, code, at), options, &given, error);
    }
    if (status || options->help)
        return status;
    options->size_given = is_given(given, FIELD(size));
    options->preprocess_given = is_given(given, FIELD(preprocess)) || is_given(given, FIELD(image_preprocess));
    set_defaults(options->recipe, given, options);
    status = check_recipe(options->recipe, given, error);
    return status ? status : check_complete(command, argc, argv, options, error);
}

/* job.txt ------------------------------------------------------------------------------------------------------- */

/* Whether the row's value is its default. */
static bool is_standard(const struct row *row, const struct options *options) {
    struct options standard = {0};
    struct text value = {0}, standard_value = {0};
    set_defaults(options->recipe, 0, &standard);
    option_format_value(row, options, &value);
    option_format_value(row, &standard, &standard_value);
    bool same = !strcmp(value.bytes, standard_value.bytes);
    text_free(&value);
    text_free(&standard_value);
    return same;
}

int options_job_entries(const struct options *options, struct text *text, struct store_entry *entries) {
    size_t offsets[OPTIONS_JOB_ENTRIES];
    int count = 0;
    for (int r = 0; r < OPTION_ROWS; r++) {
        const struct row *row = &option_rows[r];
        bool always = row->group == GROUP_JOB, otherwise = row->group == GROUP_RECIPE || row->group == GROUP_MORE;
        if (!option_of_recipe(row, options->recipe) || !(always || (otherwise && !is_standard(row, options))))
            continue;
        offsets[count] = text->size;
        entries[count++].name = row->name;
        option_format_value(row, options, text);
        text_append(text, "%c", 0);
    }
    for (int i = 0; i < count; i++)
        entries[i].value = text->bytes + offsets[i];
    return count;
}
