/* The table of options, and what each type of value is. */
#ifndef OPTION_TABLE_H
#define OPTION_TABLE_H

#include "filteratlas/base/text.h"
#include "options.h"

#include <stdbool.h>
#include <stddef.h>

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
    TYPE_TIME,
    TYPE_DEAD,
    TYPE_JITTER
};

/* GROUP_RECIPE and GROUP_MORE hold job options that job.txt names only where they are not at their default. */
enum group {
    GROUP_FILES,
    GROUP_RECIPE,
    GROUP_JOB,
    GROUP_MORE,
    GROUP_SELECTION,
    GROUP_RUN,
    GROUP_PLAN,
    GROUP_MOSAIC,
    GROUP_EXAMPLES,
    GROUP_INSPECT,
    GROUP_OTHER
};

struct row {
    const char *name;
    char letter; /* of the short form, or 0 */
    enum type type;
    enum group group;
    unsigned commands;
    size_t offset;
    const char *argument;          /* as --help shows it */
    const char *standard[RECIPES]; /* the default, as a person would type it; NULL: none. A job option without a default
                                      for a recipe has no meaning in it and is refused. */
    double least, most;            /* of numbers */
    const char *help;
};

struct option_command {
    const char *name, *usage, *purpose;
};

enum { OPTION_ROWS = 53, OPTION_ALLOWED_SIZE = 160 };
extern const struct row option_rows[OPTION_ROWS];
extern const struct option_command option_commands[COMMANDS];
extern const char *const option_groups[]; /* [enum group] titles */

/* Whether a recipe has a use for the option. */
bool option_of_recipe(const struct row *row, int recipe);

/* Appends the default, by recipe where they differ: "412, fourier 224", "0.05, fourier only"; nothing if there is none.
 */
void option_format_standard(const struct row *row, struct text *text);

/* Puts the value into the row's field; false if it is not allowed. */
bool option_parse_value(const struct row *row, const char *text, struct options *options);

/* What a value may be, for the message about one that it may not. */
void option_describe_allowed(const struct row *row, char *text, size_t size);

/* Appends the value as job.txt has it: the same text for the same meaning. */
void option_format_value(const struct row *row, const struct options *options, struct text *text);

#endif
