/* What a person asked for: one table of options from which come parsing, --help, job.txt and the manual. */
#ifndef FILTERATLAS_OPTIONS_H
#define FILTERATLAS_OPTIONS_H

#include "filteratlas/ascent/ascent.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/text.h"
#include "filteratlas/cluster/schedule.h"
#include "filteratlas/model/octaves.h"

#include <stdbool.h>
#include <stdint.h>

enum command { COMMAND_RENDER, COMMAND_PLAN, COMMAND_INSPECT, COMMAND_STITCH, COMMAND_EXAMPLES, COMMANDS };

enum progress_style { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_LINES, PROGRESS_NONE };

enum { OPTIONS_MAX_RANKS = 32, OPTIONS_JOB_ENTRIES = 32, OPTIONS_TIME_AUTO = -1, OPTIONS_MAX_SIZE = 16384 };

struct extent {
    int width, height; /* pixels */
};

/* A half-open range of filters; last is -1 where none was given. */
struct range {
    int first, last;
};

/* What becomes of a filter that falls silent. */
struct dead_rule {
    enum { DEAD_SKIP, DEAD_RETRY, DEAD_LEAK } what;
    int retries; /* 0 but with DEAD_RETRY */
};

struct options {
    const char *weights, *out; /* NULL if not given */
    const char *file;          /* inspect's argument */
    const char *config;        /* NULL if not given */
    struct extent map_size;    /* inspect's --size, 0 x 0 if not given */
    bool names_only;           /* inspect's --names */
    /* job; what the recipe has no use for is of no account */
    int recipe; /* enum recipe_kind */
    struct extent size;
    bool size_given, preprocess_given;
    int steps;
    double factor;
    int epochs;
    double step;
    uint64_t seed;
    int rescale;  /* 0 seed, 1 stats */
    int channels; /* 0 rgb, 1 bgr */
    int batch;
    struct dead_rule dead;
    int objective; /* 0 channel, 1 neuron */
    int border;    /* positions of the map */
    double decay;
    int blur;          /* steps, 0: off */
    double blur_sigma; /* pixels */
    int jitter;        /* pixels, or ASCENT_JITTER_ALL */
    double rate, spectrum;
    double rotate, zoom; /* degrees, share */
    int preprocess;      /* enum preprocess */
    int precision;       /* enum winograd_precision */
    /* selection */
    const char *layers; /* NULL: all */
    struct range filters;
    /* run */
    bool trace, quiet, verbose, no_shared, mixed_kernels;
    int progress;        /* enum progress_style */
    double time_limit;   /* seconds since the start, 0 for none, OPTIONS_TIME_AUTO */
    double grace;        /* seconds, negative if not given */
    double rank_timeout; /* seconds */
    bool hdf5;           /* stitch too */
    /* plan */
    int ranks[OPTIONS_MAX_RANKS], ranks_count;
    double speed;      /* GF/s per rank, 0 if not given */
    const char *costs; /* NULL if not given */
    /* stitch */
    int grid, sort, margin; /* sort: 0 loss, 1 index */
    bool legibility;
    /* examples */
    const char *images; /* a folder, or a file with a list */
    int top;
    int shorter, crop;    /* pixels */
    int image_preprocess; /* enum preprocess */
    bool help;
};

/* "render" ..., or -1 if there is no such command. */
int options_command(const char *name);

/* Parses what follows the command on the command line, argv[0] being the command itself. Strings point into argv.
 * STATUS_USAGE names the option, the value and what is allowed. With --help, nothing else is checked. */
int options_parse(enum command command, int argc, char **argv, struct options *options, struct error *error);

/* The ascent that the options describe. */
struct ascent_job options_job(const struct options *options);

/* The kernels that this processor computes with in the precision asked for; STATUS_USAGE if it can't. */
int options_kernels(const struct options *options, const struct winograd_kernels **kernels, struct error *error);

/* "name = value" entries of the job options that the recipe has a use for, in the order of the table, as job.txt has
 * them: those that are off by default only where they are on. The values live in *text.
 * Returns their number, at most OPTIONS_JOB_ENTRIES. */
int options_job_entries(const struct options *options, struct text *text, struct store_entry *entries);

/* Usage of the program, and of one command. */
void options_help(struct text *text);
void options_command_help(enum command command, struct text *text);

/* All options as a Markdown table, for src/app/manual/README.md. */
void options_markdown(struct text *text);

/* The manual page filteratlas(1), in the man macros. */
void options_manual(struct text *text);

/* A script that teaches bash to complete commands, options, choices, layers, files and folders. */
void options_completion(struct text *text);

#endif
