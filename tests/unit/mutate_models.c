/* mutate_models: reads model files that were damaged at random and counts what becomes of them; see the usage below.
 *
 * Each runs `inspect` in a process of its own, for a crash, a sanitizer's report, a hang or too much memory is what is
 * looked for; and `plan`, which prepares the whole network for drawing, if it could be read. What fails is kept, and
 * the same seed makes the same files. */
#include "filteratlas/app/app.h"
#include "filteratlas/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "Usage: mutate_models COUNT SEED FOLDER CONFIG FILE...\n"
    "Damages FILEs at random COUNT times, and descriptions of models made from CONFIG, reads each with inspect and "
    "plans\n"
    "to draw what can be read.\n"
    "Files that end a process badly, take more than 120 s or 2 GB are kept in FOLDER, and those\n"
    "over which HDF5 breaks down. Exit status 1 if there is one.\n";

enum { MOST_SECONDS = 120, MOST_MEMORY = 2000000 /* kB */, MOST_FILES = 64 };

struct bytes {
    unsigned char *byte;
    size_t size;
};

static uint64_t state;

/* SplitMix64. */
static uint64_t draw(void) {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t draw_below(size_t n) { return n ? draw() % n : 0; }

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "mutate_models: %s: %s\n", what, strerror(errno));
    exit(2);
}

static struct bytes read_file(const char *path) {
    struct bytes bytes = {0};
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        give_up(path);
    bytes.size = (size_t)ftell(file);
    rewind(file);
    bytes.byte = malloc(bytes.size + 1);
    if (!bytes.byte || fread(bytes.byte, 1, bytes.size, file) != bytes.size)
        give_up(path);
    bytes.byte[bytes.size] = 0;
    fclose(file);
    return bytes;
}

static void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
        give_up(path);
}

/* --- Bytes ------------------------------------------------------------------------------------------------------- */

/* Most of a file is weights, where nothing can go wrong: half of the damage is done to the structure, which is where
 * bytes of text, small numbers and addresses are. */
static size_t draw_place(const struct bytes *b) {
    size_t at = draw_below(b->size);
    for (int tries = 0; tries < 64 && draw() % 8; tries++) {
        size_t end = at + 8 < b->size ? at + 8 : b->size;
        int zeros = 0;
        for (size_t i = at; i < end; i++)
            zeros += b->byte[i] == 0 || b->byte[i] == 0xff;
        if (zeros >= 4 && zeros < 8)
            break;
        at = draw_below(b->size);
    }
    return at;
}

static void flip(struct bytes *b) {
    for (size_t n = 1 + draw_below(8); n > 0; n--)
        b->byte[draw_place(b)] ^= (unsigned char)(1u << draw_below(8));
}

static void overwrite(struct bytes *b) {
    static const uint64_t odd[] = {0, 1, 0xff, 0xffff, 0x7fffffff, 0xffffffff, (uint64_t)1 << 40, (uint64_t)-1};
    uint64_t value = odd[draw_below(8)];
    size_t size = (size_t)1 << draw_below(4), at = draw_place(b);
    if (at + size <= b->size)
        memcpy(b->byte + at, &value, size);
}

static void cut(struct bytes *b) { b->size = draw_below(b->size); }

/* Two pieces change places: attributes, names, addresses. */
static void swap(struct bytes *b) {
    size_t size = (size_t)4 << draw_below(5), one = draw_place(b) & ~(size_t)3, other = draw_place(b) & ~(size_t)3;
    if (one + size > b->size || other + size > b->size)
        return;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = b->byte[one + i];
        b->byte[one + i] = b->byte[other + i];
        b->byte[other + i] = byte;
    }
}

/* A word of the description becomes another one, of the same length at most. */
static void reword(struct bytes *b) {
    static const char *const words[] = {"\"strides\"", "\"filters\"", "\"same\"", "\"relu\"",
                                        "\"Conv2D\"",  "\"Add\"",     "kernel:0", "bias:0",
                                        "gamma:0",     "\"padding\"", "[3, 3]",   "null"};
    const char *word = words[draw_below(12)], *other = words[draw_below(12)];
    size_t start = draw_below(b->size);
    unsigned char *at = memmem(b->byte + start, b->size - start, word, strlen(word));
    if (at && strlen(other) <= strlen(word))
        memset(at, ' ', strlen(word)), memcpy(at, other, strlen(other));
}

static void damage(struct bytes *b) {
    static void (*const ways[])(struct bytes *) = {flip, flip, overwrite, overwrite, swap, reword, cut};
    for (size_t n = 1 + draw_below(3); n > 0 && b->size > 0; n--)
        ways[draw_below(7)](b);
}

/* --- Descriptions ------------------------------------------------------------------------------------------------ */

/* Replaces `length` bytes at a place by a text. */
static void replace(struct bytes *b, size_t at, size_t length, const char *text, size_t size) {
    unsigned char *larger = malloc(b->size - length + size + 1);
    if (!larger)
        give_up("memory");
    memcpy(larger, b->byte, at);
    memcpy(larger + at, text, size);
    memcpy(larger + at + size, b->byte + at + length, b->size - at - length);
    free(b->byte);
    b->byte = larger;
    b->size = b->size - length + size;
    b->byte[b->size] = 0;
}

/* A value of the JSON, as it stands behind a colon or a comma. */
static bool find_value(const struct bytes *b, size_t *at, size_t *length) {
    size_t i = draw_below(b->size);
    while (i < b->size && b->byte[i] != ':' && b->byte[i] != ',')
        i++;
    for (i++; i < b->size && b->byte[i] == ' '; i++)
        ;
    *at = i;
    int depth = 0;
    bool text = false;
    for (; i < b->size; i++) {
        unsigned char c = b->byte[i];
        text ^= c == '"';
        depth += text ? 0 : (c == '[' || c == '{') - (c == ']' || c == '}');
        if (!text && (depth < 0 || (depth == 0 && c == ',')))
            break;
    }
    *length = i - *at;
    return *at < b->size;
}

static void put_odd(struct bytes *b) {
    static const char *const odd[] = {"1099511627776",
                                      "-1",
                                      "0",
                                      "1e308",
                                      "1e999",
                                      "null",
                                      "true",
                                      "[]",
                                      "{}",
                                      "\"\"",
                                      "[[[[[[[]]]]]]]",
                                      "0.5",
                                      "[2147483647, 2147483647]",
                                      "65536",
                                      "\"softmax\"",
                                      "[null, 1099511627776, 1099511627776, 3]",
                                      "\"\\u0000\"",
                                      "\"\\u001b[2J\"",
                                      "[[\"block1_conv1\", 0, 0, {}]]",
                                      "\"Sequential\"",
                                      "\"Functional\""};
    const char *text = odd[draw_below(sizeof odd / sizeof *odd)];
    size_t at, length;
    if (find_value(b, &at, &length))
        replace(b, at, length, text, strlen(text));
}

/* A value becomes that of another place: circles, missing inputs, layers twice, models within themselves. */
static void move_value(struct bytes *b) {
    size_t from, size, at, length;
    if (!find_value(b, &from, &size) || !find_value(b, &at, &length) || size > 200000)
        return;
    char *text = malloc(size + 1);
    if (!text)
        give_up("memory");
    memcpy(text, b->byte + from, size);
    replace(b, at, length, text, size);
    free(text);
}

static void put_depth(struct bytes *b) {
    size_t at, length, depth = 1000 + draw_below(2000);
    char *text = malloc(2 * depth * 8);
    if (!text)
        give_up("memory");
    static const char *const opening[] = {"[", "{\"a\":"}, closing[] = {']', '}'};
    size_t kind = draw_below(2), size = 0;
    for (size_t i = 0; i < depth; i++)
        size += (size_t)sprintf(text + size, "%s", opening[kind]);
    if (kind)
        text[size++] = '0';
    for (size_t i = 0; i < depth; i++)
        text[size++] = closing[kind];
    if (find_value(b, &at, &length))
        replace(b, at, length, text, size);
    free(text);
}

static void damage_description(struct bytes *b) {
    for (size_t n = 1 + draw_below(3); n > 0; n--)
        switch (draw_below(8)) {
        case 0:
            put_depth(b);
            break;
        case 1:
            flip(b);
            break;
        case 2:
        case 3:
        case 4:
            move_value(b);
            break;
        default:
            put_odd(b);
        }
}

/* --- Reading ----------------------------------------------------------------------------------------------------- */

static int inspect(const char *path, const char *config) {
    char *argv[] = {"inspect", (char *)path, (char *)"--config", (char *)config, NULL};
    return app_inspect(config ? 4 : 2, argv);
}

/* At the network's own size or, as it is asked for without one, at a small one. */
static int plan(const char *path, const char *config, bool own_size) {
    char *argv[16] = {"plan", "--weights", (char *)path, "--speed", "1", "--recipe", "fourier"};
    int count = 7;
    if (config)
        argv[count++] = "--config", argv[count++] = (char *)config;
    if (!own_size)
        argv[count++] = "--size", argv[count++] = "64x48", argv[count++] = "--upscaling-steps", argv[count++] = "1";
    return app_plan(count, argv);
}

enum trial { INSPECT, PLAN, PLAN_SMALL };

/* What it says on standard error goes into the file `said`. */
static _Noreturn void read_in_child(enum trial trial, const char *path, const char *config, const char *said) {
    int null = open("/dev/null", O_WRONLY), log = open(said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    alarm(MOST_SECONDS);
    dup2(null, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    _exit(trial == INSPECT ? inspect(path, config) : plan(path, config, trial == PLAN));
}

struct outcome {
    int status;  /* as wait gives it */
    long memory; /* kB */
    bool broke;  /* HDF5 broke down in the rehearsal, and the file was refused for that */
    bool large;  /* no memory was had for it, and it said so */
};

static bool says(const char *said, const char *words) {
    struct bytes text = read_file(said);
    bool found = strstr((char *)text.byte, words) != NULL;
    free(text.byte);
    return found;
}

static struct outcome try(enum trial trial, const char *path, const char *config, const char *said) {
    struct outcome outcome;
    struct rusage used;
    pid_t child = fork();
    if (child < 0)
        give_up("fork");
    if (child == 0)
        read_in_child(trial, path, config, said);
    if (wait4(child, &outcome.status, 0, &used) != child)
        give_up("wait");
    outcome.memory = used.ru_maxrss;
    outcome.broke = says(said, "(HDF5 ");
    outcome.large = trial != INSPECT && says(said, "filteratlas: out of memory: ");
    return outcome;
}

static bool is_bad(const struct outcome *outcome) {
    return !WIFEXITED(outcome->status) || outcome->memory > MOST_MEMORY ||
           (WEXITSTATUS(outcome->status) != STATUS_OK && WEXITSTATUS(outcome->status) != STATUS_USAGE &&
            !(outcome->large && WEXITSTATUS(outcome->status) == STATUS_FAILURE));
}

struct tally {
    long read, refused, broke, planned, bad, memory;
};

static void keep(const struct outcome *outcome, enum trial trial, const char *path, const char *kept) {
    if (is_bad(outcome))
        printf("# %s: %s: %s %d, %ld MB\n", kept, trial == INSPECT ? "inspect" : "plan",
               WIFEXITED(outcome->status) ? "status" : "signal",
               WIFEXITED(outcome->status) ? WEXITSTATUS(outcome->status) : WTERMSIG(outcome->status),
               outcome->memory / 1000);
    if (rename(path, kept))
        give_up(kept);
}

/* Whether it ended well. */
static bool count(struct tally *tally, const struct outcome *outcome, enum trial trial) {
    bool bad = is_bad(outcome), well = !bad && WEXITSTATUS(outcome->status) == STATUS_OK;
    tally->bad += bad;
    tally->planned += trial != INSPECT && well;
    tally->read += trial == INSPECT && well;
    tally->refused += trial == INSPECT && !bad && !well;
    tally->broke += !bad && outcome->broke;
    tally->memory = outcome->memory > tally->memory ? outcome->memory : tally->memory;
    return well;
}

/* `damaged` is one of the two others. */
static void read_and_plan(const char *path, const char *config, const char *damaged, const char *said, const char *kept,
                          struct tally *tally) {
    static const enum trial plans[] = {PLAN, PLAN_SMALL};
    enum trial trial = INSPECT;
    struct outcome outcome = try(trial, path, config, said);
    if (count(tally, &outcome, trial)) {
        trial = plans[draw_below(2)];
        outcome = try(trial, path, config, said);
        count(tally, &outcome, trial);
    }
    if (is_bad(&outcome) || outcome.broke)
        keep(&outcome, trial, damaged, kept);
}

static struct bytes copy(const struct bytes *b) {
    struct bytes twin = {malloc(b->size + 1), b->size};
    if (!twin.byte)
        give_up("memory");
    memcpy(twin.byte, b->byte, b->size + 1);
    return twin;
}

/* A third are descriptions, read beside the first file. */
static void try_one(long i, const char *folder, const struct bytes *config, char **paths, const struct bytes *files,
                    int count_files, struct tally *tally) {
    bool describes = i % 3 == 0;
    int file = (int)draw_below(count_files);
    struct bytes b = copy(describes ? config : &files[file]);
    char path[512], kept[512], said[512];
    if (describes)
        damage_description(&b);
    else
        damage(&b);
    snprintf(path, sizeof path, "%s/current", folder);
    snprintf(said, sizeof said, "%s/said", folder);
    snprintf(kept, sizeof kept, "%s/bad-%ld.%s", folder, i, describes ? "json" : "h5");
    write_file(path, b.byte, b.size);
    read_and_plan(describes ? paths[0] : path, describes ? path : NULL, path, said, kept, tally);
    free(b.byte);
}

int main(int argc, char **argv) {
    static struct bytes files[MOST_FILES];
    struct tally tally = {0};
    if (argc < 6 || argc - 5 > MOST_FILES) {
        fputs(usage, stderr);
        return 2;
    }
    long tries = strtol(argv[1], NULL, 10);
    uint64_t seed = strtoull(argv[2], NULL, 10);
    struct bytes config = read_file(argv[4]);
    for (int f = 5; f < argc; f++)
        files[f - 5] = read_file(argv[f]);
    for (long i = 0; i < tries; i++) {
        state = seed * 1000003 + (uint64_t)i;
        try_one(i, argv[3], &config, argv + 5, files, argc - 5, &tally);
        if ((i + 1) % 1000 == 0)
            printf("# %ld tried\n", i + 1);
        fflush(stdout);
    }
    printf("%ld read, %ld planned, %ld refused (%ld since HDF5 broke down in the rehearsal), %ld bad; at most %ld MB\n",
           tally.read, tally.planned, tally.refused, tally.broke, tally.bad, tally.memory / 1000);
    return tally.bad > 0;
}
