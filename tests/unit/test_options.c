/* The command line: defaults, every option, what is refused and how, job.txt's entries, help and the manual's table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 32 };

struct line {
    struct options options;
    struct error error;
    int status;
};

/* Parses "COMMAND words...", the words up to NULL. */
static struct line parse_words(const char *command, const char *const *words, int count) {
    struct line line = {.error = {.message = ""}};
    char *argv[MOST_WORDS + 2] = {(char *)command};
    for (int i = 0; i < count; i++)
        argv[i + 1] = (char *)words[i];
    line.status = options_parse(options_command(command), count + 1, argv, &line.options, &line.error);
    return line;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__})
#define COUNT(...) ((int)(sizeof WORDS(__VA_ARGS__) / sizeof(char *)))
#define PARSE(command, ...) parse_words(command, WORDS(__VA_ARGS__), COUNT(__VA_ARGS__))
#define RENDER(...) PARSE("render", "--weights", "w.h5", "--out", "atlas", __VA_ARGS__)
#define PLAN(...) PARSE("plan", "--weights", "w.h5", __VA_ARGS__)
#define STITCH(...) PARSE("stitch", "--out", "atlas", __VA_ARGS__)

static void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' does not contain '%s'", text, part);
}

static void assert_lacks(const char *text, const char *part) {
    if (strstr(text, part))
        fail_msg("'%s' contains '%s'", text, part);
}

/* A refusal: bad usage, in one line "WHAT: WHY; REMEDY" that holds `part`. */
static void assert_refused(const struct line *line, const char *part) {
    if (line->status != STATUS_USAGE)
        fail_msg("'%s': status %d", part, line->status);
    assert_int_equal(line->error.status, STATUS_USAGE);
    assert_contains(line->error.message, part);
    assert_contains(line->error.message, ": ");
    assert_contains(line->error.message, "; ");
    assert_null(strpbrk(line->error.message, "\r\n"));
}

static void defaults_are_the_originals(void **state) {
    (void)state;
    struct line line = PARSE("render", "--weights", "w.h5", "--out", "atlas");
    const struct options *o = &line.options;
    assert_int_equal(line.status, STATUS_OK);
    assert_string_equal(o->weights, "w.h5");
    assert_string_equal(o->out, "atlas");
    assert_int_equal(o->size.width, 412);
    assert_int_equal(o->size.height, 412);
    assert_int_equal(o->steps, 9);
    assert_true(o->factor == 1.2);
    assert_int_equal(o->epochs, 15);
    assert_true(o->step == 1.0);
    assert_true(o->seed == 0);
    assert_int_equal(o->rescale, 0);
    assert_int_equal(o->channels, 0);
    assert_true(o->batch >= 1 && o->batch <= ASCENT_MAX_BATCH);
    assert_int_equal(o->dead.what, DEAD_SKIP);
    assert_int_equal(o->dead.retries, 0);
    assert_int_equal(o->objective, 0);
    assert_int_equal(o->border, 0);
    assert_true(o->decay == 0);
    assert_int_equal(o->blur, 0);
    assert_true(o->blur_sigma == 1);
    assert_int_equal(o->jitter, 0);
    assert_null(o->layers);
    assert_int_equal(o->filters.first, 0);
    assert_int_equal(o->filters.last, -1);
    assert_false(o->trace || o->quiet || o->verbose || o->help);
    assert_int_equal(o->progress, PROGRESS_AUTO);
}

/* A recipe has defaults of its own, wherever on the line it is named; what is given stays. */
static void a_recipe_brings_its_defaults(void **state) {
    (void)state;
    struct line lines[] = {RENDER("--recipe", "fourier", "--rate", "0.1", "--epochs", "15"),
                           RENDER("--rate", "0.1", "--epochs", "15", "--recipe", "fourier")};
    for (int i = 0; i < 2; i++) {
        const struct options *o = &lines[i].options;
        assert_int_equal(lines[i].status, STATUS_OK);
        assert_int_equal(o->recipe, RECIPE_FOURIER);
        assert_int_equal(o->size.width, 224);
        assert_int_equal(o->size.height, 224);
        assert_int_equal(o->steps, 3);
        assert_true(o->factor == 1.25);
        assert_int_equal(o->epochs, 15);
        assert_true(o->rate == 0.1);
        assert_true(o->spectrum == 1);
        assert_true(o->rotate == 0 && o->zoom == 0);
        assert_int_equal(o->preprocess, PREPROCESS_CAFFE);
        assert_int_equal(o->dead.what, DEAD_LEAK);
        assert_int_equal(o->jitter, ASCENT_JITTER_ALL);
        struct ascent_job job = options_job(o);
        assert_int_equal(job.octaves.steps, 3);
        assert_int_equal(job.octaves.width[0], 143);
        assert_int_equal(job.octaves.width[2], 224);
        assert_int_equal(job.octaves.width[3], 224);
    }
}

/* Every option that one recipe alone has a use for is refused in the other, by a line that names that. */
static void an_option_of_the_other_recipe_is_refused(void **state) {
    (void)state;
    static char *const keras[][2] = {{"--step", "2"},    {"--rescale", "stats"}, {"--channels", "rgb"},
                                     {"--decay", "0.1"}, {"--blur", "2"},        {"--blur-sigma", "2"}};
    static char *const fourier[][2] = {
        {"--rate", "0.05"}, {"--spectrum", "2"}, {"--rotate", "3"}, {"--zoom", "0.1"}, {"--preprocess", "tf"}};
    for (size_t i = 0; i < sizeof keras / sizeof *keras; i++) {
        struct line line = RENDER(keras[i][0], keras[i][1], "--recipe", "fourier");
        assert_int_equal(line.status, STATUS_USAGE);
        assert_non_null(strstr(line.error.message, keras[i][0]));
        assert_non_null(strstr(line.error.message, "the fourier recipe"));
    }
    for (size_t i = 0; i < sizeof fourier / sizeof *fourier; i++) {
        struct line line = RENDER(fourier[i][0], fourier[i][1]);
        assert_int_equal(line.status, STATUS_USAGE);
        assert_non_null(strstr(line.error.message, fourier[i][0]));
        assert_non_null(strstr(line.error.message, "the keras recipe"));
        assert_int_equal(RENDER(fourier[i][0], fourier[i][1], "--recipe", "fourier").status, STATUS_OK);
    }
}

static void jitter_takes_pixels_or_all(void **state) {
    (void)state;
    assert_int_equal(RENDER("--jitter", "all").options.jitter, ASCENT_JITTER_ALL);
    assert_int_equal(RENDER("--recipe", "fourier", "--jitter", "0").options.jitter, 0);
    static char *const bad[] = {"-1", "al", "all2", "", "1.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(RENDER("--jitter", bad[i]).status, STATUS_USAGE);
}

static void stitch_defaults_are_the_mosaics_of_render(void **state) {
    (void)state;
    struct line line = PARSE("stitch", "--out", "atlas");
    assert_int_equal(line.status, STATUS_OK);
    assert_int_equal(line.options.grid, 0);
    assert_int_equal(line.options.sort, 0);
    assert_int_equal(line.options.margin, 5);
}

static void every_job_option_arrives(void **state) {
    (void)state;
    struct line line =
        RENDER("--size", "300x200", "--upscaling-steps", "3", "--upscaling-factor", "1.5", "--epochs", "7", "--step",
               "0.25", "--seed", "18446744073709551615", "--rescale", "stats", "--channels", "bgr", "--batch", "64");
    const struct options *o = &line.options;
    assert_int_equal(line.status, STATUS_OK);
    assert_int_equal(o->size.width, 300);
    assert_int_equal(o->size.height, 200);
    assert_int_equal(o->steps, 3);
    assert_true(o->factor == 1.5);
    assert_int_equal(o->epochs, 7);
    assert_true(o->step == 0.25);
    assert_true(o->seed == UINT64_MAX);
    assert_int_equal(o->rescale, 1);
    assert_int_equal(o->channels, 1);
    assert_int_equal(o->batch, 64);
}

static void job_options_that_are_off_by_default_arrive(void **state) {
    (void)state;
    struct line line = RENDER("--dead", "retry=7", "--objective", "neuron", "--border", "2", "--decay", "0.01",
                              "--blur", "4", "--blur-sigma", "0.5", "--jitter", "8");
    const struct options *o = &line.options;
    assert_int_equal(line.status, STATUS_OK);
    assert_int_equal(o->dead.what, DEAD_RETRY);
    assert_int_equal(o->dead.retries, 7);
    assert_int_equal(o->objective, 1);
    assert_int_equal(o->border, 2);
    assert_true(o->decay == 0.01);
    assert_int_equal(o->blur, 4);
    assert_true(o->blur_sigma == 0.5);
    assert_int_equal(o->jitter, 8);
    assert_int_equal(RENDER("--dead", "retry").options.dead.retries, 3);
    line = PLAN("--dead", "retry=2", "--dead", "leak", "--jitter", "3");
    assert_int_equal(line.status, STATUS_OK);
    assert_int_equal(line.options.dead.what, DEAD_LEAK);
    assert_int_equal(line.options.dead.retries, 0);
    assert_int_equal(line.options.jitter, 3);
}

static void a_width_without_a_blur_is_refused(void **state) {
    (void)state;
    struct line line = RENDER("--blur-sigma", "2");
    assert_refused(&line, "--blur-sigma 2");
    assert_contains(line.error.message, "--blur");
    assert_int_equal(RENDER("--blur-sigma", "2", "--blur", "1").status, STATUS_OK);
}

static void selection_and_run_options_arrive(void **state) {
    (void)state;
    static const char *const styles[] = {"auto", "bar", "lines", "none"};
    struct line line = RENDER("--layers", "block1_conv1,block5_*", "--filters", "3:17", "--trace", "-q", "-v");
    assert_int_equal(line.status, STATUS_OK);
    assert_string_equal(line.options.layers, "block1_conv1,block5_*");
    assert_int_equal(line.options.filters.first, 3);
    assert_int_equal(line.options.filters.last, 17);
    assert_true(line.options.trace && line.options.quiet && line.options.verbose);
    line = RENDER("--quiet", "--verbose", "--filters", "5:");
    assert_true(line.options.quiet && line.options.verbose && !line.options.trace);
    assert_int_equal(line.options.filters.first, 5);
    assert_int_equal(line.options.filters.last, -1);
    for (int i = PROGRESS_AUTO; i <= PROGRESS_NONE; i++)
        assert_int_equal(RENDER("--progress", styles[i]).options.progress, i);
}

static void plan_stitch_and_inspect_options_arrive(void **state) {
    (void)state;
    struct line line = PLAN("--ranks", "3,5,128", "--speed", "270.5", "--epochs=2");
    assert_int_equal(line.status, STATUS_OK);
    assert_int_equal(line.options.ranks_count, 3);
    assert_int_equal(line.options.ranks[0], 3);
    assert_int_equal(line.options.ranks[1], 5);
    assert_int_equal(line.options.ranks[2], 128);
    assert_true(line.options.speed == 270.5);
    assert_int_equal(line.options.epochs, 2);
    line = STITCH("--grid", "4", "--sort", "index", "--margin", "0", "--layers", "block1_*", "-q");
    assert_int_equal(line.status, STATUS_OK);
    assert_int_equal(line.options.grid, 4);
    assert_int_equal(line.options.sort, 1);
    assert_int_equal(line.options.margin, 0);
    assert_string_equal(line.options.layers, "block1_*");
    line = PARSE("inspect", "w.h5");
    assert_int_equal(line.status, STATUS_OK);
    assert_string_equal(line.options.file, "w.h5");
}

static void the_last_of_two_values_holds(void **state) {
    (void)state;
    struct line line = RENDER("--epochs", "3", "--size", "10x20", "--epochs", "4", "--size", "30");
    assert_int_equal(line.status, STATUS_OK);
    assert_int_equal(line.options.epochs, 4);
    assert_int_equal(line.options.size.width, 30);
    assert_int_equal(line.options.size.height, 30);
}

/* Values that any number refuses. */
#define NO_NUMBER "", " ", "x", "-1", "3x", "3 4", "0x10z", "nan", "inf", "-inf", "1e999", "99999999999999999999999"
#define NO_WHOLE_NUMBER NO_NUMBER, "1.5", "1e2", "4294967297", "2147483648"

static const struct {
    const char *command, *option, *values[32];
} refused[] = {
    {"render", "--size", {NO_WHOLE_NUMBER, "0", "0x5", "5x0", "5x", "x5", "5x-5", "5x5x5", "5X5", "5,5", "100000"}},
    {"render", "--upscaling-steps", {NO_WHOLE_NUMBER, "0", "65"}},
    {"render", "--upscaling-factor", {NO_NUMBER, "0", "0.99", "1,2", "1e300"}},
    {"render", "--epochs", {NO_WHOLE_NUMBER, "0"}},
    {"render", "--step", {NO_NUMBER, "0", "-0.5", "1,5"}},
    {"render", "--seed", {"", " ", "x", "-1", " -1", "3x", "nan", "inf", "1.5", "1e2", "18446744073709551616"}},
    {"render", "--rescale", {"", "see", "seeds", "stats ", "seed|stats", "SEED", "1"}},
    {"render", "--channels", {"", "rg", "rbg", "rgb|bgr", "RGB", "0"}},
    {"render", "--batch", {NO_WHOLE_NUMBER, "0", "65"}},
    {"render",
     "--dead",
     {"", "ski", "skips", "skip=1", "leak=", "leak=1", "retry=", "retry=0", "retry=101", "retry=-1", "retry=3x",
      "retry=1.5", "retry3", "retry 3", "retry=3=3", "RETRY", "2"}},
    {"render", "--objective", {"", "neurons", "chan", "0"}},
    {"render", "--border", {NO_WHOLE_NUMBER}},
    {"render", "--decay", {NO_NUMBER, "1", "-0.5", "1e-3x"}},
    {"render", "--blur", {NO_WHOLE_NUMBER}},
    {"render", "--blur-sigma", {NO_NUMBER, "0", "0.09", "101"}},
    {"render", "--jitter", {NO_WHOLE_NUMBER, "1,2"}},
    {"plan", "--dead", {"no", "retry=0"}},
    {"render", "--layers", {""}},
    {"render", "--weights", {""}},
    {"render", "--out", {""}},
    {"render",
     "--filters",
     {NO_WHOLE_NUMBER, "0", "5", ":", ":5", "5:5", "5:3", "0:0", "-1:5", "0:-1", "0:5x", "0:5:9"}},
    {"render", "--progress", {"", "bars", "b", "0"}},
    {"plan", "--ranks", {NO_WHOLE_NUMBER, "0", "1,", ",1", "1,0", "1,,2", "1;2"}},
    {"plan", "--speed", {NO_NUMBER, "0"}},
    {"plan", "--size", {"0", "-5", "big"}},
    {"stitch", "--grid", {NO_WHOLE_NUMBER, "0"}},
    {"stitch", "--sort", {"", "name", "0"}},
    {"stitch", "--margin", {NO_WHOLE_NUMBER}},
};

static void bad_values_are_refused_by_option_and_value(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        for (int v = 0; v < 32 && refused[i].values[v]; v++) {
            const char *value = refused[i].values[v];
            struct line line = PARSE(refused[i].command, "--weights", "w.h5", refused[i].option, value);
            if (!strcmp(refused[i].command, "stitch"))
                line = STITCH(refused[i].option, value);
            if (line.status == STATUS_OK)
                fail_msg("%s '%s' was taken", refused[i].option, value);
            assert_refused(&line, refused[i].option);
            assert_contains(line.error.message, value);
        }
}

static void too_many_rank_counts_are_refused(void **state) {
    (void)state;
    char list[4 * OPTIONS_MAX_RANKS + 8] = "1";
    for (int i = 1; i < OPTIONS_MAX_RANKS; i++)
        strcat(list, ",2");
    assert_int_equal(PLAN("--ranks", list).status, STATUS_OK);
    strcat(list, ",3");
    struct line line = PLAN("--ranks", list);
    assert_refused(&line, "--ranks");
}

static void a_long_or_broken_value_still_makes_one_line(void **state) {
    (void)state;
    char value[5001];
    memset(value, '9', 5000);
    value[5000] = 0;
    struct line line = RENDER("--size", value);
    assert_int_equal(line.status, STATUS_USAGE);
    assert_contains(line.error.message, "--size");
    line = RENDER("--size", "4\n12");
    assert_refused(&line, "--size");
}

static void typing_errors_get_the_right_name_suggested(void **state) {
    (void)state;
    static const char *const cases[][3] = {{"--sise", "3", "--size"},
                                           {"--szie", "3", "--size"},
                                           {"--epcohss", "3", "--epochs"},
                                           {"--epoch5", "3", "--epochs"},
                                           {"--fliters", "0:3", "--filters"},
                                           {"--layer5", "a", "--layers"},
                                           {"--upscaling-step5", "3", "--upscaling-steps"},
                                           {"--bacth=3", "-q", "--batch"},
                                           {"--quite", "-v", "--quiet"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct line line = RENDER(cases[i][0], cases[i][1]);
        char word[40];
        snprintf(word, sizeof word, "%.*s:", (int)strcspn(cases[i][0], "="), cases[i][0]);
        assert_refused(&line, word);
        assert_contains(line.error.message, "did you mean ");
        assert_contains(line.error.message, cases[i][2]);
    }
}

static void strange_words_get_nothing_suggested(void **state) {
    (void)state;
    struct line line = RENDER("--frobnicate");
    assert_refused(&line, "--frobnicate");
    assert_lacks(line.error.message, "did you mean");
    line = RENDER("-x");
    assert_refused(&line, "-x");
    line = PARSE("stitch", "--out", "atlas", "--epochs", "3"); /* render's, not stitch's */
    assert_refused(&line, "--epochs");
    assert_lacks(line.error.message, "did you mean --epochs");
}

static void an_unknown_letter_among_others_is_named(void **state) {
    (void)state;
    struct line line = RENDER("-xq");
    assert_refused(&line, "-x");
    line = RENDER("-qxv");
    assert_refused(&line, "x");
    assert_lacks(line.error.message, "atlas:"); /* the word before is not to blame */
}

static void a_flag_with_a_value_is_not_called_unknown(void **state) {
    (void)state;
    struct line line = RENDER("--trace=yes");
    assert_refused(&line, "--trace");
    assert_lacks(line.error.message, "did you mean --trace?");
    assert_lacks(line.error.message, "no such option");
}

static void missing_values_are_named(void **state) {
    (void)state;
    static const char *const options[] = {"--size", "--epochs", "--layers", "--filters", "--progress", "--seed"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct line line = RENDER(options[i]);
        assert_refused(&line, options[i]);
    }
    struct line line = PARSE("render", "--out", "atlas", "--weights");
    assert_refused(&line, "--weights");
}

static void missing_and_surplus_arguments_are_named(void **state) {
    (void)state;
    struct line line = PARSE("render", "--out", "atlas");
    assert_refused(&line, "--weights");
    line = PARSE("render", "--weights", "w.h5");
    assert_refused(&line, "--out");
    line = PARSE("plan", "--epochs", "3");
    assert_refused(&line, "--weights");
    line = PARSE("stitch", "-q");
    assert_refused(&line, "--out");
    line = PARSE("inspect", "one.h5", "two.h5");
    assert_refused(&line, "two.h5");
    line = RENDER("block5_conv1");
    assert_refused(&line, "block5_conv1");
}

static void inspect_without_a_file_says_what_is_missing(void **state) {
    (void)state;
    struct line line = parse_words("inspect", NULL, 0);
    assert_refused(&line, "inspect");
}

static void unique_abbreviations_are_understood(void **state) {
    (void)state;
    struct line line = RENDER("--ep", "3", "--upscaling-s", "4", "--fil=1:2");
    assert_int_equal(line.status, STATUS_OK);
    assert_int_equal(line.options.epochs, 3);
    assert_int_equal(line.options.steps, 4);
    assert_int_equal(line.options.filters.first, 1);
}

static void an_ambiguous_abbreviation_names_what_it_may_be(void **state) {
    (void)state;
    struct line line = RENDER("--upscaling", "3");
    assert_refused(&line, "--upscaling:");
    assert_contains(line.error.message, "--upscaling-steps");
    assert_contains(line.error.message, "--upscaling-factor");
    line = RENDER("--up", "3");
    assert_refused(&line, "--up:");
    assert_lacks(line.error.message, "--out"); /* nobody meant that */
}

static void help_comes_before_any_check(void **state) {
    (void)state;
    static const char *const commands[] = {"render", "plan", "inspect", "stitch", "examples", "gallery"};
    for (int c = 0; c < COMMANDS; c++) {
        struct line line = PARSE(commands[c], "--help");
        assert_int_equal(line.status, STATUS_OK);
        assert_true(line.options.help);
        assert_true(PARSE(commands[c], "-h").options.help);
    }
    struct line line = PARSE("render", "--help", "--size", "0", "--frobnicate");
    assert_int_equal(line.status, STATUS_OK);
    assert_true(line.options.help);
}

static void commands_have_their_names_and_no_others(void **state) {
    (void)state;
    assert_int_equal(options_command("render"), COMMAND_RENDER);
    assert_int_equal(options_command("plan"), COMMAND_PLAN);
    assert_int_equal(options_command("inspect"), COMMAND_INSPECT);
    assert_int_equal(options_command("stitch"), COMMAND_STITCH);
    assert_int_equal(options_command("rende"), -1);
    assert_int_equal(options_command("renders"), -1);
    assert_int_equal(options_command(""), -1);
}

/* The job's entries as one text, "name = value" per line. */
static void job_of(const struct line *line, struct text *job) {
    struct store_entry entries[OPTIONS_JOB_ENTRIES];
    struct text values = {0};
    assert_int_equal(line->status, STATUS_OK);
    int count = options_job_entries(&line->options, &values, entries);
    assert_true(count > 0 && count <= OPTIONS_JOB_ENTRIES);
    job->size = 0;
    for (int i = 0; i < count; i++)
        text_append(job, "%s = %s\n", entries[i].name, entries[i].value);
    text_free(&values);
}

static void assert_same_job(struct line a, struct line b, bool same) {
    struct text one = {0}, other = {0};
    job_of(&a, &one);
    job_of(&b, &other);
    if (!strcmp(one.bytes, other.bytes) != same)
        fail_msg("these jobs are %s:\n%s\n%s", same ? "different" : "the same", one.bytes, other.bytes);
    text_free(&one);
    text_free(&other);
}

static void a_job_is_the_same_however_it_is_typed(void **state) {
    (void)state;
    struct line plain = RENDER("-q");
    assert_same_job(plain, RENDER("--upscaling-factor", "1.20"), true);
    assert_same_job(plain, RENDER("--upscaling-factor", "12e-1"), true);
    assert_same_job(plain, RENDER("--size", "412"), true);
    assert_same_job(plain, RENDER("--size", "412x412"), true);
    assert_same_job(plain, RENDER("--size", "0412"), true);
    assert_same_job(plain, RENDER("--step", "1.0"), true);
    assert_same_job(plain, RENDER("--seed", "000", "--rescale", "seed", "--channels", "rgb"), true);
    assert_same_job(plain, RENDER("--upscaling-factor", "1.20000000000000005"), true); /* the same double */
}

static void selection_and_run_options_are_not_part_of_the_job(void **state) {
    (void)state;
    assert_same_job(RENDER("-q"), RENDER("--layers", "block1_*", "--filters", "0:3", "--trace", "-v"), true);
    assert_same_job(RENDER("-q"), PARSE("render", "--weights", "other.h5", "--out", "other", "--progress", "bar"),
                    true);
}

static void every_job_option_tells_jobs_apart(void **state) {
    (void)state;
    static const char *const changes[][2] = {{"--size", "411"},
                                             {"--size", "412x411"},
                                             {"--size", "411x412"},
                                             {"--upscaling-steps", "8"},
                                             {"--epochs", "16"},
                                             {"--upscaling-factor", "1.3"},
                                             {"--upscaling-factor", "1.2000000000000002"},
                                             {"--step", "1.0000000000000002"},
                                             {"--seed", "1"},
                                             {"--rescale", "stats"},
                                             {"--channels", "bgr"},
                                             {"--batch", "7"},
                                             {"--seed", "18446744073709551615"},
                                             {"--dead", "leak"},
                                             {"--dead", "retry"},
                                             {"--objective", "neuron"},
                                             {"--border", "1"},
                                             {"--decay", "1e-300"},
                                             {"--blur", "1"},
                                             {"--jitter", "1"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        assert_same_job(RENDER("-q"), RENDER(changes[i][0], changes[i][1]), false);
}

static void job_entries_are_named_as_the_options(void **state) {
    (void)state;
    struct text job = {0};
    struct line line = RENDER("--size", "64x48", "--seed", "7", "--layers", "block1_*");
    job_of(&line, &job);
    assert_contains(job.bytes, "size = 64x48\n");
    assert_contains(job.bytes, "upscaling-steps = 9\n");
    assert_contains(job.bytes, "seed = 7\n");
    assert_contains(job.bytes, "rescale = seed\n");
    assert_contains(job.bytes, "channels = rgb\n");
    assert_lacks(job.bytes, "layers");
    assert_lacks(job.bytes, "filters");
    text_free(&job);
}

/* A job without them is the one that was made before there were such options. */
static void what_is_off_is_not_in_the_job(void **state) {
    (void)state;
    struct text job = {0};
    struct line line = RENDER("--dead", "skip", "--objective", "channel", "--border", "0", "--decay", "-0", "--blur",
                              "0", "--blur-sigma", "1.0", "--jitter", "0");
    assert_same_job(RENDER("-q"), line, true);
    job_of(&line, &job);
    assert_contains(job.bytes, "batch = 8\n");
    assert_string_equal(strstr(job.bytes, "batch"), "batch = 8\n"); /* the last line */
    text_free(&job);
}

static void what_is_on_is_in_the_job(void **state) {
    (void)state;
    struct text job = {0};
    struct line line = RENDER("--dead", "retry", "--jitter", "4", "--blur", "3", "--decay", "0.5");
    job_of(&line, &job);
    assert_string_equal(strstr(job.bytes, "batch"), "batch = 8\ndead = retry=3\ndecay = 0.5\nblur = 3\njitter = 4\n");
    assert_same_job(line, RENDER("--dead", "retry=3", "--jitter", "4", "--blur", "3", "--decay", "5e-1"), true);
    assert_same_job(line, RENDER("--dead", "retry=4", "--jitter", "4", "--blur", "3", "--decay", "5e-1"), false);
    assert_same_job(RENDER("--blur", "3", "--blur-sigma", "2"), RENDER("--blur", "3"), false);
    text_free(&job);
}

/* Calls check with every "--name" that stands in a text. */
static int each_option(const char *text, void (*check)(const char *name, const void *context), const void *context) {
    int options = 0;
    for (const char *at = text; (at = strstr(at, "--")); at++) {
        char name[64];
        int length = 0;
        while (islower((unsigned char)at[2 + length]) ||
               (length && (at[2 + length] == '-' || isdigit((unsigned char)at[2 + length]))))
            length++;
        if (!length || (at > text && at[-1] == '-'))
            continue;
        snprintf(name, sizeof name, "--%.*s", length, at + 2);
        check(name, context);
        options++;
    }
    return options;
}

static void is_in_table(const char *name, const void *table) {
    char cell[72];
    snprintf(cell, sizeof cell, "| `%s ", name);
    char *flag = strdup(cell);
    flag[strlen(flag) - 1] = '`';
    if (!strstr(table, cell) && !strstr(table, flag))
        fail_msg("%s is not in the Markdown table", name);
    free(flag);
}

static void is_in_some_help(const char *name, const void *helps) {
    if (!strstr(helps, name))
        fail_msg("%s is in no command's help", name);
}

static void examples_prepares_as_a_vgg_wants_it(void **state) {
    (void)state;
    struct line line = PARSE("examples", "--weights", "w.h5", "--out", "atlas", "--images", "photos");
    const struct options *o = &line.options;
    assert_int_equal(line.status, STATUS_OK);
    assert_string_equal(o->images, "photos");
    assert_int_equal(o->top, 9);
    assert_int_equal(o->shorter, 256);
    assert_int_equal(o->crop, 224);
    assert_int_equal(o->image_preprocess, PREPROCESS_CAFFE);
    line = PARSE("examples", "--weights", "w.h5", "--out", "atlas");
    assert_refused(&line, "--images");
    line = PARSE("examples", "--weights", "w.h5", "--out", "atlas", "--images", "photos", "--crop", "288");
    assert_refused(&line, "--crop 288");
    line = PARSE("examples", "--weights", "w.h5", "--out", "atlas", "--images", "photos", "--preprocess", "vgg");
    assert_refused(&line, "--preprocess vgg");
}

static void the_table_has_the_options_that_help_has(void **state) {
    (void)state;
    struct text table = {0}, helps = {0};
    options_markdown(&table);
    for (int c = 0; c < COMMANDS; c++)
        options_command_help(c, &helps);
    assert_true(each_option(helps.bytes, is_in_table, table.bytes) >= 20);
    assert_true(each_option(table.bytes, is_in_some_help, helps.bytes) >= 20);
    text_free(&table);
    text_free(&helps);
}

static void the_table_has_one_cell_per_column(void **state) {
    (void)state;
    struct text table = {0};
    options_markdown(&table);
    char *rest = table.bytes;
    for (char *row; (row = strsep(&rest, "\n")) && *row;) {
        int bars = 0;
        for (char *c = row; *c; c++)
            bars += *c == '|' && (c == row || c[-1] != '\\');
        assert_int_equal(bars, 5);
    }
    text_free(&table);
}

static void takes_itself(const char *name, const void *command) {
    char *argv[] = {(char *)command, (char *)name, NULL};
    struct options options;
    struct error error = {.message = ""};
    options_parse(options_command(command), 2, argv, &options, &error);
    assert_lacks(error.message, "no such option");
}

/* A command knows each option that its help offers, and its help shows the defaults. */
static void help_offers_only_what_is_understood(void **state) {
    (void)state;
    static const char *const commands[] = {"render", "plan", "inspect", "stitch", "examples", "gallery"};
    for (int c = 0; c < COMMANDS; c++) {
        struct text help = {0};
        options_command_help(c, &help);
        assert_true(each_option(help.bytes, takes_itself, commands[c]) > 0);
        if (c == COMMAND_RENDER)
            assert_contains(help.bytes, "412");
        text_free(&help);
    }
}

static void the_programs_help_names_all_commands(void **state) {
    (void)state;
    struct text help = {0};
    options_help(&help);
    assert_contains(help.bytes, "filteratlas render ");
    assert_contains(help.bytes, "filteratlas plan ");
    assert_contains(help.bytes, "filteratlas inspect ");
    assert_contains(help.bytes, "filteratlas stitch ");
    assert_contains(help.bytes, "--version");
    text_free(&help);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_originals),
        cmocka_unit_test(a_recipe_brings_its_defaults),
        cmocka_unit_test(an_option_of_the_other_recipe_is_refused),
        cmocka_unit_test(jitter_takes_pixels_or_all),
        cmocka_unit_test(stitch_defaults_are_the_mosaics_of_render),
        cmocka_unit_test(every_job_option_arrives),
        cmocka_unit_test(job_options_that_are_off_by_default_arrive),
        cmocka_unit_test(a_width_without_a_blur_is_refused),
        cmocka_unit_test(selection_and_run_options_arrive),
        cmocka_unit_test(plan_stitch_and_inspect_options_arrive),
        cmocka_unit_test(the_last_of_two_values_holds),
        cmocka_unit_test(bad_values_are_refused_by_option_and_value),
        cmocka_unit_test(too_many_rank_counts_are_refused),
        cmocka_unit_test(a_long_or_broken_value_still_makes_one_line),
        cmocka_unit_test(typing_errors_get_the_right_name_suggested),
        cmocka_unit_test(strange_words_get_nothing_suggested),
        cmocka_unit_test(an_unknown_letter_among_others_is_named),
        cmocka_unit_test(a_flag_with_a_value_is_not_called_unknown),
        cmocka_unit_test(missing_values_are_named),
        cmocka_unit_test(missing_and_surplus_arguments_are_named),
        cmocka_unit_test(inspect_without_a_file_says_what_is_missing),
        cmocka_unit_test(unique_abbreviations_are_understood),
        cmocka_unit_test(an_ambiguous_abbreviation_names_what_it_may_be),
        cmocka_unit_test(help_comes_before_any_check),
        cmocka_unit_test(commands_have_their_names_and_no_others),
        cmocka_unit_test(a_job_is_the_same_however_it_is_typed),
        cmocka_unit_test(selection_and_run_options_are_not_part_of_the_job),
        cmocka_unit_test(every_job_option_tells_jobs_apart),
        cmocka_unit_test(job_entries_are_named_as_the_options),
        cmocka_unit_test(what_is_off_is_not_in_the_job),
        cmocka_unit_test(what_is_on_is_in_the_job),
        cmocka_unit_test(examples_prepares_as_a_vgg_wants_it),
        cmocka_unit_test(the_table_has_the_options_that_help_has),
        cmocka_unit_test(the_table_has_one_cell_per_column),
        cmocka_unit_test(help_offers_only_what_is_understood),
        cmocka_unit_test(the_programs_help_names_all_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
