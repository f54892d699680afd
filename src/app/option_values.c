#include "option_table.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    *value = strtod(text, &end) + 0.0; /* -0 becomes 0, so that both are the same job */
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

static const char DEAD_CHOICES[] = "skip|retry|leak"; /* in the order of the enumeration */

static bool parse_dead(const struct row *row, const char *text, struct dead_rule *rule) {
    enum { STANDARD_RETRIES = 3 };
    const char *equals = strchr(text, '=');
    char word[16], *end;
    long retries = STANDARD_RETRIES;
    int what;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(text, "="), text);
    if (!parse_choice(DEAD_CHOICES, word, &what))
        return false;
    if (equals &&
        (what != DEAD_RETRY || !parse_long(equals + 1, &end, (long)row->least, (long)row->most, &retries) || *end))
        return false;
    *rule = (struct dead_rule){what, what == DEAD_RETRY ? (int)retries : 0};
    return true;
}

static bool parse_jitter(const struct row *row, const char *text, int *pixels) {
    if (strcmp(text, "all"))
        return parse_integer(row, text, pixels);
    *pixels = ASCENT_JITTER_ALL;
    return true;
}

static bool append_file(const char *text, struct files *files) {
    if (!*text || files->count == OPTIONS_MAX_FILES)
        return false;
    files->file[files->count++] = text;
    return true;
}

bool option_of_recipe(const struct row *row, int recipe) { return row->standard[recipe] || !row->standard[!recipe]; }

void option_format_standard(const struct row *row, struct text *text) {
    const char *keras = row->standard[RECIPE_KERAS], *fourier = row->standard[RECIPE_FOURIER];
    if (keras && fourier && strcmp(keras, fourier))
        text_append(text, "%s, fourier %s", keras, fourier);
    else if (keras)
        text_append(text, fourier ? "%s" : "%s, keras only", keras);
    else if (fourier)
        text_append(text, "%s, fourier only", fourier);
}

bool option_parse_value(const struct row *row, const char *text, struct options *options) {
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
    case TYPE_DEAD:
        return parse_dead(row, text, field);
    case TYPE_JITTER:
        return parse_jitter(row, text, field);
    case TYPE_FILES:
        return append_file(text, field);
    }
    return false;
}

void option_describe_allowed(const struct row *row, char *text, size_t size) {
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
        snprintf(text, size, "give pixels, W or WxH such as 412 or 640x480, each from %.0f to %.0f", row->least,
                 row->most);
        break;
    case TYPE_RANGE:
        snprintf(text, size, "give LO:HI with 0 <= LO < HI, such as 3:4 for filter 3, or LO: for all from LO on");
        break;
    case TYPE_CHOICE:
        snprintf(text, size, "give one of %s", row->argument);
        break;
    case TYPE_RANKS:
        snprintf(text, size, "give numbers of ranks from 1 to %.0f, at most %d of them, with commas between", row->most,
                 OPTIONS_MAX_RANKS);
        break;
    case TYPE_TIME:
        snprintf(text, size, "give M:S or H:M:S such as 30:00 or 4:00:00, or auto in a Slurm job");
        break;
    case TYPE_DEAD:
        snprintf(text, size, "give skip, leak, retry, or retry=N with N from %.0f to %.0f", row->least, row->most);
        break;
    case TYPE_JITTER:
        snprintf(text, size, "give all, or a whole number from %.0f to %.0f", row->least, row->most);
        break;
    case TYPE_FILES:
        snprintf(text, size, "give %s, %d of them at most", row->argument, OPTIONS_MAX_FILES);
        break;
    case TYPE_FLAG:
    case TYPE_TEXT:
        snprintf(text, size, "give %s", row->argument);
        break;
    }
}

static void format_choice(const char *choices, int number, struct text *text) {
    for (int i = number; i > 0; i--)
        choices = strchr(choices, '|') + 1;
    text_append(text, "%.*s", (int)strcspn(choices, "|"), choices);
}

void option_format_value(const struct row *row, const struct options *options, struct text *text) {
    const void *field = (const char *)options + row->offset;
    const struct extent *size = field;
    const struct dead_rule *dead = field;
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
    case TYPE_CHOICE:
        format_choice(row->argument, *(const int *)field, text);
        break;
    case TYPE_JITTER:
        if (*(const int *)field == ASCENT_JITTER_ALL)
            text_append(text, "all");
        else
            text_append(text, "%d", *(const int *)field);
        break;
    case TYPE_DEAD:
        format_choice(DEAD_CHOICES, (int)dead->what, text);
        if (dead->what == DEAD_RETRY)
            text_append(text, "=%d", dead->retries);
        break;
    default: /* no job option is of another type */
        break;
    }
}
