/* The durable store: whose folder it is, commits, reading back, and what counts as damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/atlas/layer_list.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/atlas/tables.h"
#include "filteratlas/base/checksum.h"
#include "filteratlas/base/text.h"
#include "folder.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct store_entry job[] = {{"size", "64x64"}, {"epochs", "3"}, {"seed", "0"}};
enum { ENTRIES = 3 };

static struct store open_store(const char *folder) {
    struct store store;
    struct error error = {.message = ""};
    if (store_open(folder, job, ENTRIES, NULL, &store, &error))
        fail_msg("%s", error.message);
    return store;
}

static void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' does not contain '%s'", text, part);
}

static void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static bool is_there(const char *path) { return access(path, F_OK) == 0; }

/* A record of a unit of one dead filter: now the folder holds the job. */
static void draw_something(const struct store *store) {
    const struct store_filter filter = {.index = 0, .dead = true};
    struct error error = {.message = ""};
    if (store_commit_unit(store, "block1_conv1", 0, &filter, 1, NULL, &error))
        fail_msg("%s", error.message);
}

/* The folder -------------------------------------------------------------------------------------------------- */

static void a_new_folder_gets_the_job(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct text text = read_file("atlas/job.txt");
    assert_contains(text.bytes, "size = 64x64\n");
    assert_contains(text.bytes, "epochs = 3\n");
    assert_contains(text.bytes, "seed = 0\n");
    assert_int_equal(strlen(store.job_digest), 64);
    text_free(&text);
}

static void folders_above_are_made_too(void **state) {
    (void)state;
    assert_string_equal(open_store("a/b/c//").folder, "a/b/c"); /* as messages will show it */
    assert_true(is_there("a/b/c/job.txt"));
    open_store("./a//d");
    assert_true(is_there("a/d/job.txt"));
}

static void an_empty_folder_is_taken(void **state) {
    (void)state;
    assert_int_equal(mkdir("atlas", 0777), 0);
    open_store("atlas");
    assert_true(is_there("atlas/job.txt"));
}

static void the_same_job_continues(void **state) {
    (void)state;
    struct store first = open_store("atlas");
    struct text before = read_file("atlas/job.txt");
    struct store second = open_store("atlas/"), third;
    struct text after = read_file("atlas/job.txt");
    struct error error;
    assert_string_equal(before.bytes, after.bytes);
    assert_string_equal(first.job_digest, second.job_digest);
    assert_int_equal(store_open_existing("atlas", &third, &error), STATUS_OK);
    assert_string_equal(first.job_digest, third.job_digest);
    text_free(&before);
    text_free(&after);
}

static void another_job_is_refused_by_every_difference(void **state) {
    (void)state;
    static const struct store_entry other[] = {{"size", "64x48"}, {"epochs", "3"}, {"seed", "17"}, {"extra", "yes"}};
    struct store store;
    struct error error;
    struct store drawn = open_store("atlas");
    draw_something(&drawn);
    struct text before = read_file("atlas/job.txt");
    assert_int_equal(store_open("atlas", other, 4, NULL, &store, &error), STATUS_OTHER_JOB);
    assert_int_equal(error.status, STATUS_OTHER_JOB);
    static const char *const parts[] = {"atlas", "size", "64x64", "64x48", "seed", "17", "extra"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_contains(error.message, parts[i]);
    assert_null(strstr(error.message, "epochs"));
    struct text after = read_file("atlas/job.txt");
    assert_string_equal(before.bytes, after.bytes);
    text_free(&before);
    text_free(&after);
}

/* The other way round: what the store's job has and this one has not. A name that only begins alike is another. */
static void an_entry_too_few_is_another_job(void **state) {
    (void)state;
    static const struct store_entry fuller[] = {
        {"size", "64x64"}, {"epochs", "3"}, {"objective", "neuron"}, {"seed", "0"}, {"seeds", "2 = 3"}};
    struct store store;
    struct error error;
    assert_int_equal(store_open("atlas", fuller, 5, NULL, &store, &error), STATUS_OK);
    draw_something(&store);
    assert_int_equal(store_open("atlas", fuller, 5, NULL, &store, &error), STATUS_OK);
    assert_int_equal(store_open("atlas", job, ENTRIES, NULL, &store, &error), STATUS_OTHER_JOB);
    assert_contains(error.message, "objective (neuron there");
    assert_contains(error.message, "seeds (2 = 3 there");
    assert_null(strstr(error.message, "size"));
    assert_null(strstr(error.message, "epochs"));
    assert_null(strstr(error.message, "seed ("));
}

/* A value that only begins alike is another value. */
static void a_longer_value_is_another_job(void **state) {
    (void)state;
    static const struct store_entry longer[] = {{"size", "64x64"}, {"epochs", "35"}, {"seed", "0"}};
    static const struct store_entry shorter[] = {{"size", "64x6"}, {"epochs", "3"}, {"seed", "0"}};
    struct store store;
    struct error error;
    struct store drawn = open_store("atlas");
    draw_something(&drawn);
    assert_int_equal(store_open("atlas", longer, ENTRIES, NULL, &store, &error), STATUS_OTHER_JOB);
    assert_contains(error.message, "epochs");
    assert_int_equal(store_open("atlas", shorter, ENTRIES, NULL, &store, &error), STATUS_OTHER_JOB);
    assert_contains(error.message, "size");
}

static void assert_unusable(const char *folder) {
    struct store store;
    struct error error = {.message = ""};
    assert_int_equal(store_open(folder, job, ENTRIES, NULL, &store, &error), STATUS_USAGE);
    assert_int_equal(error.status, STATUS_USAGE);
    char start[41];
    snprintf(start, sizeof start, "%s", folder);
    assert_contains(error.message, start);
}

static void a_file_is_not_a_folder(void **state) {
    (void)state;
    write_file("atlas", "precious", 8);
    assert_unusable("atlas");
    assert_unusable("atlas/below");
    assert_int_equal(chmod("atlas", 0777), 0);
    assert_unusable("atlas");
    struct text text = read_file("atlas");
    assert_string_equal(text.bytes, "precious");
    text_free(&text);
}

static void names_that_cannot_be_are_refused(void **state) {
    (void)state;
    static char component[400], path[3 * PATH_MAX];
    memset(component, 'a', 300);
    assert_unusable(component);
    for (size_t i = 0; i < sizeof path - 1; i++)
        path[i] = i % 100 ? 'b' : '/';
    path[0] = 'b';
    assert_unusable(path);
    assert_unusable("/proc/atlas");
}

/* In a child, since there is no way back from another user. */
static int open_as_nobody(const char *folder) {
    pid_t child = fork();
    if (child == 0) {
        struct store store;
        struct error error;
        if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(100);
        _exit(store_open(folder, job, ENTRIES, NULL, &store, &error));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_folder_without_write_permission_is_refused(void **state) {
    (void)state;
    assert_int_equal(chmod(".", 0755), 0);
    assert_int_equal(mkdir("locked", 0555), 0);
    assert_int_equal(open_as_nobody("locked"), STATUS_USAGE);
    assert_int_equal(open_as_nobody("locked/below"), STATUS_USAGE);
    assert_false(is_there("locked/job.txt"));
}

static void pictures_without_a_job_are_not_taken_over(void **state) {
    (void)state;
    static const char *const drawn[] = {"one/filters/block1_conv1/0000.png", "two/units/block1_conv1/00000.txt"};
    static const char *const folders[] = {"one", "one/filters", "one/filters/block1_conv1",
                                          "two", "two/units",   "two/units/block1_conv1"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal(mkdir(folders[i], 0777), 0);
    for (int i = 0; i < 2; i++)
        write_file(drawn[i], "drawn", 5);
    assert_unusable("one");
    assert_false(is_there("one/job.txt"));
    assert_unusable("two");
    assert_false(is_there("two/job.txt"));
}

/* What a run leaves that ended before its first record: folders, at most. */
static void folders_in_which_nothing_was_drawn_are_taken(void **state) {
    (void)state;
    assert_int_equal(mkdir("atlas", 0777) | mkdir("atlas/units", 0777) | mkdir("atlas/filters", 0777), 0);
    assert_int_equal(mkdir("atlas/units/block1_conv1", 0777), 0);
    open_store("atlas");
    assert_true(is_there("atlas/job.txt"));
}

/* Whose folder it is as long as nothing was drawn --------------------------------------------------------------------
 */

static const struct store_entry other_job[] = {{"size", "64x64"}, {"epochs", "4"}, {"seed", "0"}};

static int open_other(struct store *store) {
    struct error error;
    return store_open("atlas", other_job, ENTRIES, NULL, store, &error);
}

static void a_job_that_never_drew_gives_way(void **state) {
    (void)state;
    struct store store;
    struct store first = open_store("atlas");
    assert_int_equal(open_other(&store), STATUS_OK);
    assert_string_not_equal(first.job_digest, store.job_digest);
    struct text text = read_file("atlas/job.txt");
    assert_contains(text.bytes, "epochs = 4\n");
    text_free(&text);
    draw_something(&store);
    struct error error;
    assert_int_equal(store_open("atlas", job, ENTRIES, NULL, &store, &error), STATUS_OTHER_JOB);
}

static void a_picture_without_a_record_keeps_its_job(void **state) {
    (void)state;
    struct store store;
    open_store("atlas");
    assert_int_equal(mkdir("atlas/filters", 0777) | mkdir("atlas/filters/block1_conv1", 0777), 0);
    write_file("atlas/filters/block1_conv1/0000.png", "picture", 7);
    assert_int_equal(open_other(&store), STATUS_OTHER_JOB);
}

/* A process that has begun but not drawn anything yet. Returns once it has its locks. */
static pid_t start_drawing(const char *folder) {
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        static const char *const layers[] = {"block1_conv1"};
        struct store store;
        struct lock *lock;
        struct error error;
        if (store_open(folder, job, ENTRIES, NULL, &store, &error) ||
            store_begin(&store, layers, 1, NULL, &lock, &error) || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void a_job_that_is_about_to_draw_stays(void **state) {
    (void)state;
    struct store store;
    pid_t drawing = start_drawing("atlas");
    assert_int_equal(open_other(&store), STATUS_OTHER_JOB);
    kill(drawing, SIGKILL);
    assert_int_equal(waitpid(drawing, NULL, 0), drawing);
    assert_int_equal(open_other(&store), STATUS_OK);
}

/* Opened by one, taken by another before the first has its locks. */
static void a_job_that_was_replaced_does_not_begin(void **state) {
    (void)state;
    static const char *const layers[] = {"block1_conv1"};
    struct store late = open_store("atlas"), store;
    struct lock *lock;
    struct error error;
    assert_int_equal(open_other(&store), STATUS_OK);
    assert_int_equal(store_begin(&late, layers, 1, NULL, &lock, &error), STATUS_OTHER_JOB);
    lock_release(lock);
    assert_int_equal(store_begin(&store, layers, 1, NULL, &lock, &error), STATUS_OK);
    lock_release(lock);
}

/* A folder of something else than pictures holds its job from the first file on that says so. */
static void a_folder_of_something_else_keeps_its_job_once_it_has_begun(void **state) {
    (void)state;
    static const struct store_entry other[] = {{"seed", "1"}};
    struct store store;
    struct error error;
    assert_int_equal(store_open_other("atlas", "state.txt", job, ENTRIES, NULL, &store, &error), STATUS_OK);
    assert_int_equal(store_open_other("atlas", "state.txt", other, 1, NULL, &store, &error), STATUS_OK);
    write_file("atlas/state.txt", "begun", 5);
    assert_int_equal(store_open_other("atlas", "state.txt", job, ENTRIES, NULL, &store, &error), STATUS_OTHER_JOB);
    assert_int_equal(store_open_other("atlas", "state.txt", other, 1, NULL, &store, &error), STATUS_OK);
}

/* Of several jobs that start at once in an empty folder one begins, and the folder is its own. */
static void one_of_several_jobs_that_start_at_once_begins(void **state) {
    (void)state;
    enum { STARTERS = 4, ROUNDS = 10 };
    for (int round = 0; round < ROUNDS; round++) {
        char folder[32];
        pid_t starter[STARTERS];
        int begun = 0;
        snprintf(folder, sizeof folder, "atlas%d", round);
        for (int i = 0; i < STARTERS; i++)
            if ((starter[i] = fork()) == 0) {
                static const char *const layers[] = {"block1_conv1"};
                char seed[16];
                snprintf(seed, sizeof seed, "%d", i);
                const struct store_entry own[] = {{"seed", seed}};
                struct store store;
                struct lock *lock = NULL;
                struct error error;
                if (store_open(folder, own, 1, NULL, &store, &error) ||
                    store_begin(&store, layers, 1, NULL, &lock, &error))
                    _exit(0);
                draw_something(&store);
                lock_release(lock);
                _exit(store_open(folder, own, 1, NULL, &store, &error) ? 2 : 1);
            }
        for (int i = 0; i < STARTERS; i++) {
            int status;
            assert_int_equal(waitpid(starter[i], &status, 0), starter[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
            begun += WEXITSTATUS(status);
        }
        assert_int_equal(begun, 1);
    }
}

static void a_folder_without_an_atlas_is_not_an_existing_one(void **state) {
    (void)state;
    struct store store;
    struct error error;
    assert_int_equal(store_open_existing("nothing", &store, &error), STATUS_USAGE);
    assert_contains(error.message, "nothing");
    assert_int_equal(mkdir("empty", 0777), 0);
    assert_int_equal(store_open_existing("empty", &store, &error), STATUS_USAGE);
    assert_contains(error.message, "empty");
    assert_false(is_there("nothing") || is_there("empty/job.txt"));
}

static void a_long_folder_name_works(void **state) {
    (void)state;
    char folder[3072] = "";
    while (strlen(folder) < 2800)
        strcat(folder, "a_long_name_of_a_folder_on_somebodys_scratch_file_system/");
    struct store store = open_store(folder);
    struct store_filter filter = {.index = 7, .loss = 1};
    struct store_layer layer;
    struct error error;
    struct store_damage damage = {0};
    assert_int_equal(store_put_picture(&store, "block5_conv3", &filter, "PNG", 3, &error), STATUS_OK);
    assert_int_equal(store_commit_unit(&store, "block5_conv3", 0, &filter, 1, NULL, &error), STATUS_OK);
    assert_int_equal(store_read_layer(&store, "block5_conv3", NULL, &layer, &damage, &error), STATUS_OK);
    assert_int_equal(layer.count, 1);
    store_layer_free(&layer);
}

/* Commits ------------------------------------------------------------------------------------------------------ */

/* A picture's bytes: any will do for the store. */
static void put(const struct store *store, const char *name, struct store_filter *filter, const char *bytes) {
    struct error error;
    if (!filter->dead)
        assert_int_equal(store_put_picture(store, name, filter, bytes, strlen(bytes), &error), STATUS_OK);
}

static void commit(const struct store *store, const char *name, int unit, struct store_filter *filters, int count,
                   const char *trace) {
    struct error error = {.message = ""};
    for (int i = 0; i < count; i++) {
        char bytes[64];
        snprintf(bytes, sizeof bytes, "picture of %s %d, loss %g", name, filters[i].index, filters[i].loss);
        put(store, name, &filters[i], bytes);
    }
    if (store_commit_unit(store, name, unit, filters, count, trace, &error))
        fail_msg("%s", error.message);
}

static struct store_layer read_layer(const struct store *store, const char *name, int *damaged) {
    struct store_layer layer;
    struct store_damage damage = {0};
    struct error error = {.message = ""};
    if (store_read_layer(store, name, NULL, &layer, &damage, &error))
        fail_msg("%s", error.message);
    *damaged = damage.count;
    store_damage_free(&damage);
    assert_string_equal(layer.name, name);
    return layer;
}

static void assert_indices(const struct store *store, const char *name, const int *indices, int count, int harmed) {
    int damaged;
    struct store_layer layer = read_layer(store, name, &damaged);
    assert_int_equal(layer.count, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(layer.filter[i].index, indices[i]);
    assert_int_equal(damaged > 0, harmed > 0);
    if (harmed > 1)
        assert_int_equal(damaged, harmed);
    store_layer_free(&layer);
}

#define INDICES(...) (const int[]){__VA_ARGS__}, (int)(sizeof(int[]){__VA_ARGS__} / sizeof(int))

static struct store_filter live(int index, double loss) {
    return (struct store_filter){.index = index, .loss = loss, .seconds = 0.25 * index, .rank = index % 3};
}

static struct store_filter dead(int index) {
    return (struct store_filter){.index = index, .dead = true, .loss = 5e-8, .seconds = 0.125, .rank = 2};
}

static void what_was_committed_is_read_back(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter filters[] = {live(8, 0.1), dead(9), live(10, 1.0 / 3), live(15, 12345.678901234567)};
    commit(&store, "block2_conv1", 1, filters, 4, NULL);
    int damaged;
    struct store_layer layer = read_layer(&store, "block2_conv1", &damaged);
    assert_int_equal(damaged, 0);
    assert_int_equal(layer.count, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(layer.filter[i].index, filters[i].index);
        assert_int_equal(layer.filter[i].dead, filters[i].dead);
        assert_true(layer.filter[i].loss == filters[i].loss); /* 17 digits: every bit */
        assert_true(layer.filter[i].seconds == filters[i].seconds);
        assert_int_equal(layer.filter[i].rank, filters[i].rank);
        assert_int_equal(layer.filter[i].bytes, filters[i].bytes);
        assert_int_equal(layer.filter[i].crc, filters[i].crc);
    }
    assert_false(is_there("atlas/filters/block2_conv1/0009.png"));
    struct text text = read_file("atlas/filters/block2_conv1/0010.png");
    assert_string_equal(text.bytes, "picture of block2_conv1 10, loss 0.333333");
    text_free(&text);
    store_layer_free(&layer);
}

static void a_layer_that_was_never_drawn_is_empty(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    int damaged;
    struct store_layer layer = read_layer(&store, "block1_conv1", &damaged);
    assert_int_equal(layer.count, 0);
    assert_int_equal(damaged, 0);
    store_layer_free(&layer);
}

static void filters_rise_over_units_committed_in_any_order(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter third = live(16, 1), first[] = {live(3, 1), live(0, 2)}, second = dead(12);
    commit(&store, "block1_conv1", 2, &third, 1, NULL);
    commit(&store, "block1_conv1", 0, first, 2, NULL);
    commit(&store, "block1_conv1", 1, &second, 1, NULL);
    assert_indices(&store, "block1_conv1", INDICES(0, 3, 12, 16), 0);
}

static void a_partial_unit_is_extended_later(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter some[] = {live(1, 1), dead(4)}, more[] = {live(0, 3), live(2, 4), live(7, 5)};
    commit(&store, "block1_conv1", 0, some, 2, NULL);
    struct stat before, after;
    assert_int_equal(stat("atlas/filters/block1_conv1/0001.png", &before), 0);
    commit(&store, "block1_conv1", 0, more, 3, NULL);
    assert_int_equal(stat("atlas/filters/block1_conv1/0001.png", &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_indices(&store, "block1_conv1", INDICES(0, 1, 2, 4, 7), 0);
}

static void a_filter_drawn_again_replaces_the_old_one(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter some[] = {live(1, 1), live(4, 2)}, again = live(4, 3);
    commit(&store, "block1_conv1", 0, some, 2, NULL);
    commit(&store, "block1_conv1", 0, &again, 1, NULL);
    int damaged;
    struct store_layer layer = read_layer(&store, "block1_conv1", &damaged);
    assert_int_equal(damaged, 0);
    assert_int_equal(layer.count, 2);
    assert_true(layer.filter[1].loss == 3);
    store_layer_free(&layer);
}

static void a_unit_of_dead_filters_is_kept(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter filters[] = {dead(0), dead(1)};
    commit(&store, "block1_conv1", 0, filters, 2, NULL);
    assert_indices(&store, "block1_conv1", INDICES(0, 1), 0);
}

/* Killed before the commit: nothing counts, and the unit can be drawn again. */
static void pictures_without_a_record_never_count(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter filters[] = {live(0, 1), live(1, 2)};
    put(&store, "block1_conv1", &filters[0], "first");
    put(&store, "block1_conv1", &filters[1], "second");
    assert_false(is_there("atlas/filters/block1_conv1/0000.png"));
    write_file("atlas/filters/block1_conv1/0000.png", "first", 5);
    write_file("atlas/units/block1_conv1/.00000.txt.part", "filteratlas unit 1\n0 live", 25);
    int damaged;
    struct store_layer layer = read_layer(&store, "block1_conv1", &damaged);
    assert_int_equal(layer.count, 0);
    store_layer_free(&layer);
    commit(&store, "block1_conv1", 0, filters, 2, NULL);
    assert_indices(&store, "block1_conv1", INDICES(0, 1), 0);
}

static void layers_come_in_the_networks_order(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter filter = dead(0);
    static const char *const names[] = {"block5_conv3", "block1_conv2", "block3_conv1", "block1_conv1"};
    static const char *const wanted[] = {"block1_conv1", "block1_conv2", "block3_conv1", "block5_conv3"};
    struct store_names found;
    struct error error;
    assert_int_equal(store_layers(&store, &found, &error), 0);
    assert_int_equal(found.count, 0);
    store_names_free(&found);
    for (int i = 0; i < 4; i++)
        commit(&store, names[i], 0, &filter, 1, NULL);
    assert_int_equal(store_layers(&store, &found, &error), 0);
    assert_int_equal(found.count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(found.name[i], wanted[i]);
    store_names_free(&found);
}

/* Where the order of names is not the network's, layers.csv tells it; what is not in it comes last. */
static void layers_come_in_the_order_of_the_list(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter filter = dead(0);
    struct layer layer[] = {
        {.name = "stem", .own_name = "stem", .class_name = "Conv2D", .filters = 8},
        {.name = "block10", .own_name = "block10", .class_name = "Conv2D", .filters = 16},
        {.name = "block2_conv", .own_name = "block2/\"conv\"", .class_name = "Conv2D", .filters = 4},
        {.name = "block2", .own_name = "block2", .class_name = "Add", .filters = 4}};
    const struct layers layers = {.network = "small", .layer = layer, .count = 4};
    static const char *const wanted[] = {"stem", "block10", "block2_conv", "block2", "a", "b"};
    static const char list[] = "layer,name,class,filters\nstem,\"stem\",Conv2D,8\nblock10,\"block10\",Conv2D,16\n"
                               "block2_conv,\"block2/\"\"conv\"\"\",Conv2D,4\nblock2,\"block2\",Add,4\n";
    struct store_names found;
    struct error error;
    for (int i = 5; i >= 0; i--)
        commit(&store, wanted[i], 0, &filter, 1, NULL);
    assert_int_equal(layer_list_write(&store, &layers, &(struct lock_patience){0}, &error), 0);
    struct text text = {0};
    assert_int_equal(text_read("atlas/layers.csv", &text, &error), 0);
    assert_string_equal(text.bytes, list);
    text_free(&text);
    assert_int_equal(store_layers(&store, &found, &error), 0);
    assert_int_equal(found.count, 6);
    for (int i = 0; i < 6; i++)
        assert_string_equal(found.name[i], wanted[i]);
    store_names_free(&found);
}

/* Names as long as Keras has them, through sub-models. */
static void a_layer_may_have_a_long_name(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter filter = dead(3);
    struct store_names found;
    struct error error;
    char name[STORE_NAME_SIZE], longer[STORE_NAME_SIZE + 1];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    memset(longer, 'n', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    commit(&store, name, 0, &filter, 1, NULL);
    commit(&store, longer, 0, &filter, 1, NULL); /* nobody's */
    assert_int_equal(store_layers(&store, &found, &error), 0);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.name[0], name);
    store_names_free(&found);
    assert_indices(&store, name, INDICES(3), 0);
}

/* Damage ------------------------------------------------------------------------------------------------------- */

static struct store three_filters(void) {
    struct store store = open_store("atlas");
    struct store_filter filters[] = {live(0, 1), live(1, 2), dead(2)}, next = live(8, 4);
    commit(&store, "block1_conv1", 0, filters, 3, NULL);
    commit(&store, "block1_conv1", 1, &next, 1, NULL);
    assert_indices(&store, "block1_conv1", INDICES(0, 1, 2, 8), 0);
    return store;
}

static void flip_byte(const char *path, long at) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
}

static void a_flipped_byte_in_a_picture_is_found(void **state) {
    (void)state;
    struct store store = three_filters();
    flip_byte("atlas/filters/block1_conv1/0001.png", 5);
    assert_indices(&store, "block1_conv1", INDICES(0, 2, 8), 1);
}

static void a_missing_picture_is_found(void **state) {
    (void)state;
    struct store store = three_filters();
    assert_int_equal(unlink("atlas/filters/block1_conv1/0000.png"), 0);
    assert_indices(&store, "block1_conv1", INDICES(1, 2, 8), 1);
    assert_int_equal(unlink("atlas/filters/block1_conv1/0008.png"), 0);
    assert_indices(&store, "block1_conv1", INDICES(1, 2), 2);
}

static void a_picture_of_another_length_is_found(void **state) {
    (void)state;
    struct store store = three_filters();
    assert_int_equal(truncate("atlas/filters/block1_conv1/0000.png", 10), 0);
    write_file("atlas/filters/block1_conv1/0001.png", "", 0);
    assert_indices(&store, "block1_conv1", INDICES(2, 8), 2);
}

/* Whichever byte of a record is wrong (but its last line break, which carries nothing), none of its filters counts,
 * and the others do. */
static void a_flipped_byte_anywhere_in_a_record_is_found(void **state) {
    (void)state;
    struct store store = three_filters();
    struct text record = read_file("atlas/units/block1_conv1/00000.txt");
    for (long at = 0; at < (long)record.size - 1; at++) {
        flip_byte("atlas/units/block1_conv1/00000.txt", at);
        assert_indices(&store, "block1_conv1", INDICES(8), 1);
        flip_byte("atlas/units/block1_conv1/00000.txt", at);
    }
    assert_indices(&store, "block1_conv1", INDICES(0, 1, 2, 8), 0);
    text_free(&record);
}

static void a_record_cut_anywhere_is_found(void **state) {
    (void)state;
    struct store store = three_filters();
    struct text record = read_file("atlas/units/block1_conv1/00000.txt");
    for (size_t size = 0; size < record.size; size++) {
        write_file("atlas/units/block1_conv1/00000.txt", record.bytes, size);
        assert_indices(&store, "block1_conv1", INDICES(8), 1);
    }
    text_free(&record);
}

static void a_damaged_unit_can_be_committed_again(void **state) {
    (void)state;
    struct store store = three_filters();
    struct store_filter filters[] = {live(0, 1), live(1, 2), dead(2)};
    write_file("atlas/units/block1_conv1/00000.txt", "nonsense", 8);
    commit(&store, "block1_conv1", 0, filters, 3, NULL);
    assert_indices(&store, "block1_conv1", INDICES(0, 1, 2, 8), 0);
    assert_int_equal(unlink("atlas/filters/block1_conv1/0001.png"), 0);
    commit(&store, "block1_conv1", 0, &filters[1], 1, NULL);
    assert_indices(&store, "block1_conv1", INDICES(0, 1, 2, 8), 0);
}

/* What was not written by the store ------------------------------------------------------------------------------ */

static void copy_file(const char *from, const char *to) {
    struct text text = read_file(from);
    write_file(to, text.bytes, text.size);
    text_free(&text);
}

/* Beside a layer's folder, and in it. A pipe must not be waited for. */
static void what_the_store_did_not_write_is_ignored(void **state) {
    (void)state;
    struct store store = three_filters();
    write_file("atlas/units/Thumbs.db", "", 0);
    assert_int_equal(mkdir("atlas/units/lost+found", 0777) | mkdir("atlas/units/block1_conv1.old", 0777), 0);
    copy_file("atlas/units/block1_conv1/00000.txt", "atlas/units/block1_conv1.old/00000.txt");
    assert_int_equal(mkfifo("atlas/units/pipe", 0666) | symlink("block1_conv1", "atlas/units/block9_conv9"), 0);
    assert_int_equal(symlink("nowhere", "atlas/units/dangling"), 0);
    copy_file("atlas/units/block1_conv1/00000.txt", "atlas/units/block1_conv1/00000 (copy).txt");
    copy_file("atlas/units/block1_conv1/00000.txt", "atlas/units/block1_conv1/0.txt");
    write_file("atlas/units/block1_conv1/notes.txt", "mine", 4);
    write_file("atlas/units/block1_conv1/00000.txt~", "mine", 4);
    assert_int_equal(mkfifo("atlas/units/block1_conv1/00007.txt", 0666), 0);
    assert_int_equal(mkdir("atlas/units/block1_conv1/00008.txt", 0777), 0);
    assert_int_equal(symlink("00000.txt", "atlas/units/block1_conv1/00009.txt"), 0);
    write_file("atlas/filters/desktop.ini", "mine", 4);
    struct store_names names;
    struct error error;
    assert_int_equal(store_layers(&store, &names, &error), 0);
    assert_int_equal(names.count, 1);
    assert_string_equal(names.name[0], "block1_conv1");
    store_names_free(&names);
    assert_indices(&store, "block1_conv1", INDICES(0, 1, 2, 8), 0);
}

static void a_picture_that_is_no_file_is_damaged(void **state) {
    (void)state;
    struct store store = three_filters();
    assert_int_equal(unlink("atlas/filters/block1_conv1/0000.png"), 0);
    assert_int_equal(mkfifo("atlas/filters/block1_conv1/0000.png", 0666), 0);
    assert_int_equal(unlink("atlas/filters/block1_conv1/0001.png"), 0);
    assert_int_equal(mkdir("atlas/filters/block1_conv1/0001.png", 0777), 0);
    assert_indices(&store, "block1_conv1", INDICES(2, 8), 2);
}

/* Under the temporary name may stand what a crash left, or what somebody put there. */
static void what_is_in_the_way_of_a_new_file_is_replaced(void **state) {
    (void)state;
    struct error error;
    write_file("precious", "precious", 8);
    for (int kind = 0; kind < 4; kind++) {
        int made = kind == 0   ? symlink("precious", ".new.part")
                   : kind == 1 ? mkfifo(".new.part", 0666)
                   : kind == 2 ? mkdir(".new.part", 0777)
                               : link("precious", ".new.part");
        assert_int_equal(made, 0);
        assert_int_equal(durable_write("new", "new", 3, &error), STATUS_OK);
    }
    struct text precious = read_file("precious"), new = read_file("new");
    assert_string_equal(precious.bytes, "precious");
    assert_string_equal(new.bytes, "new");
    text_free(&precious);
    text_free(&new);
    assert_int_equal(mkdir(".new.part", 0777), 0);
    write_file(".new.part/mine", "mine", 4);
    assert_int_equal(durable_write("new", "new", 3, &error), STATUS_FAILURE);
    assert_contains(error.message, ".new.part: ");
}

static void a_record_in_the_place_of_another_is_damaged(void **state) {
    (void)state;
    struct store store = three_filters();
    assert_int_equal(rename("atlas/units/block1_conv1/00001.txt", "atlas/units/block1_conv1/00003.txt"), 0);
    assert_indices(&store, "block1_conv1", INDICES(0, 1, 2), 1);
    struct store_filter filter = dead(3);
    commit(&store, "block2_conv1", 0, &filter, 1, NULL);
    copy_file("atlas/units/block2_conv1/00000.txt", "atlas/units/block1_conv1/00000.txt");
    assert_indices(&store, "block2_conv1", INDICES(3), 0);
    int damaged;
    struct store_layer layer = read_layer(&store, "block1_conv1", &damaged);
    assert_int_equal(layer.count, 0);
    assert_int_equal(damaged, 2);
    store_layer_free(&layer);
}

static void what_is_damaged_is_named(void **state) {
    (void)state;
    struct store store = three_filters();
    struct store_filter many[] = {live(16, 1), live(17, 1), live(18, 1), live(19, 1), live(20, 1)};
    commit(&store, "block1_conv1", 2, many, 5, NULL);
    struct store_damage damage = {0};
    struct store_layer layer;
    struct error error;
    struct text names = {0};
    flip_byte("atlas/units/block1_conv1/00001.txt", 30);
    flip_byte("atlas/filters/block1_conv1/0001.png", 5);
    assert_int_equal(store_read_layer(&store, "block1_conv1", NULL, &layer, &damage, &error), STATUS_OK);
    store_damage_describe(&damage, &names);
    assert_string_equal(names.bytes, "units/block1_conv1/00001.txt, filters/block1_conv1/0001.png");
    store_layer_free(&layer);
    for (int i = 16; i < 21; i++) {
        char path[64];
        snprintf(path, sizeof path, "atlas/filters/block1_conv1/%04d.png", i);
        assert_int_equal(unlink(path), 0);
    }
    store_damage_free(&damage);
    damage = (struct store_damage){0};
    names.size = 0;
    assert_int_equal(store_read_layer(&store, "block1_conv1", NULL, &layer, &damage, &error), STATUS_OK);
    store_damage_describe(&damage, &names);
    assert_contains(names.bytes, "filters/block1_conv1/0017.png and 3 more");
    text_free(&names);
    store_damage_free(&damage);
    store_layer_free(&layer);
}

/* As programs wrote it that named neither unit nor kernels. */
static void an_older_record_is_read(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    static const char lines[] = "filteratlas unit 1\n3 dead 5e-08 0.125 2 0 00000000\n";
    struct text record = {0};
    text_append(&record, "%scrc %08x\n", lines, checksum_crc32(lines, sizeof lines - 1));
    assert_int_equal(mkdir("atlas/units/block1_conv1", 0777), 0); /* units/ is there, for the locks */
    write_file("atlas/units/block1_conv1/00000.txt", record.bytes, record.size);
    text_free(&record);
    int damaged;
    struct store_layer layer = read_layer(&store, "block1_conv1", &damaged);
    assert_int_equal(damaged, 0);
    assert_int_equal(layer.count, 1);
    assert_int_equal(layer.filter[0].index, 3);
    assert_string_equal(layer.filter[0].kernels, "");
    store_layer_free(&layer);
    struct store_names names;
    struct error error;
    assert_int_equal(store_layers(&store, &names, &error), 0);
    assert_int_equal(names.count, 1);
    store_names_free(&names);
}

/* Whoever drew a filter, also where the pieces of a unit come from several. */
static void kernels_are_kept_for_every_filter(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter filters[] = {live(0, 1), dead(1), live(2, 1), dead(3), dead(4)};
    strcpy(filters[0].kernels, "avx512 SkylakeX");
    strcpy(filters[1].kernels, "avx2 Haswell");
    strcpy(filters[3].kernels, "avx2 Haswell");
    strcpy(filters[4].kernels, "avx2 Haswell");
    commit(&store, "block1_conv1", 0, &filters[3], 2, NULL);
    commit(&store, "block1_conv1", 0, &filters[0], 3, NULL);
    int damaged;
    struct store_layer layer = read_layer(&store, "block1_conv1", &damaged);
    assert_int_equal(layer.count, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(layer.filter[i].kernels, filters[i].kernels);
    store_layer_free(&layer);
}

static bool never(void *context) {
    int *asked = context;
    return ++*asked < 2;
}

static void reading_a_layer_heeds_an_interrupt(void **state) {
    (void)state;
    struct store store = three_filters();
    int asked = 0;
    const struct interrupt interrupt = {never, &asked};
    struct store_damage damage = {0};
    struct store_layer layer;
    struct error error;
    assert_int_equal(store_read_layer(&store, "block1_conv1", &interrupt, &layer, &damage, &error), STATUS_STOPPED);
    assert_int_equal(asked, 2);
    store_layer_free(&layer);
    store_damage_free(&damage);
}

/* With files limited to 4 bytes, as a full disk would. */
static void put_on_full_disk(const struct store *store) {
    struct store_filter filter = live(0, 1);
    struct error error = {.message = ""};
    struct rlimit limit = {4, 4};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int status = store_put_picture(store, "block1_conv1", &filter, "a new picture", 13, &error);
    _exit(status == STATUS_FAILURE && strstr(error.message, "0000.png") ? 0 : 1);
}

static void a_full_disk_harms_nothing(void **state) {
    (void)state;
    struct store store = three_filters();
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        put_on_full_disk(&store);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_indices(&store, "block1_conv1", INDICES(0, 1, 2, 8), 0);
    assert_false(is_there("atlas/filters/block1_conv1/.0000.png.part"));
}

/* Traces and tables -------------------------------------------------------------------------------------------- */

static void assert_trace(const struct store *store, const char *lines) {
    struct store_layer layers[] = {{.name = "block1_conv1"}, {.name = "block1_conv2"}};
    struct error error;
    assert_int_equal(tables_write_trace(store, layers, 2, &error), STATUS_OK);
    struct text text = read_file("atlas/trace.csv"), wanted = {0};
    text_append(&wanted, "layer,filter,octave,epoch,loss\n%s", lines);
    assert_string_equal(text.bytes, wanted.bytes);
    text_free(&text);
    text_free(&wanted);
}

static void traces_follow_each_other(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter filters[] = {dead(0), dead(1), dead(8), dead(0)};
    commit(&store, "block1_conv2", 0, &filters[3], 1, "block1_conv2,0,0,0,1\n");
    commit(&store, "block1_conv1", 1, &filters[2], 1, "block1_conv1,8,0,0,2\n");
    commit(&store, "block1_conv1", 0, &filters[0], 1, "block1_conv1,0,0,0,3\nblock1_conv1,0,0,1,4\n");
    commit(&store, "block1_conv1", 0, &filters[1], 1, "block1_conv1,1,0,0,5\n");
    assert_trace(&store, "block1_conv1,0,0,0,3\nblock1_conv1,0,0,1,4\nblock1_conv1,1,0,0,5\nblock1_conv1,8,0,0,2\n"
                         "block1_conv2,0,0,0,1\n");
}

/* A filter drawn again (its picture was damaged) has its trace once, and a unit's filters rise in the trace as in all
 * other files, whichever came first. */
static void a_trace_holds_every_filter_once_and_in_order(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter first = live(0, 1), second = live(1, 2);
    commit(&store, "block1_conv1", 0, &second, 1, "block1_conv1,1,0,0,2\n");
    commit(&store, "block1_conv1", 0, &first, 1, "block1_conv1,0,0,0,1\n");
    assert_trace(&store, "block1_conv1,0,0,0,1\nblock1_conv1,1,0,0,2\n");
    commit(&store, "block1_conv1", 0, &first, 1, "block1_conv1,0,0,0,1\n");
    assert_trace(&store, "block1_conv1,0,0,0,1\nblock1_conv1,1,0,0,2\n");
}

static void without_traces_there_is_no_table_of_them(void **state) {
    (void)state;
    struct store store = three_filters();
    struct store_layer layer = {.name = "block1_conv1"};
    struct error error;
    assert_int_equal(tables_write_trace(&store, &layer, 1, &error), STATUS_OK);
    assert_false(is_there("atlas/trace.csv"));
}

static void losses_table_has_a_row_per_filter(void **state) {
    (void)state;
    struct store store = open_store("atlas");
    struct store_filter filters[] = {live(0, 0.1), dead(1), live(2, 12345.678901234567)};
    struct error error;
    int damaged;
    commit(&store, "block1_conv1", 0, filters, 3, NULL);
    struct store_layer layer = read_layer(&store, "block1_conv1", &damaged);
    assert_int_equal(tables_write_losses(&store, &layer, 1, false, &error), STATUS_OK);
    struct text text = read_file("atlas/losses.csv");
    int index, rank, read;
    double loss, seconds;
    const char *at = text.bytes;
    assert_int_equal(strncmp(at, "layer,filter,status,loss,seconds,rank\n", 38), 0);
    at += 38;
    for (int i = 0; i < 3; i++, at += read) {
        char status[8];
        assert_int_equal(
            sscanf(at, "block1_conv1,%d,%4s,%lf,%lf,%d\n%n", &index, status, &loss, &seconds, &rank, &read), 5);
        assert_int_equal(index, i);
        assert_string_equal(status, i == 1 ? "dead" : "live");
        assert_true(loss == filters[i].loss && seconds == filters[i].seconds);
        assert_int_equal(rank, filters[i].rank);
    }
    assert_int_equal(*at, 0);
    text_free(&text);
    store_layer_free(&layer);
}

/* A job that may rescue filters has a column for it, whoever writes the table. */
static void rescued_filters_are_marked(void **state) {
    (void)state;
    static const struct store_entry rescuing[] = {{"size", "64x64"}, {"dead", "retry=3"}};
    struct store store, again;
    struct store_filter filters[] = {live(0, 0.5), dead(1), live(2, 0.25), live(3, 0)};
    struct error error;
    int damaged;
    strcpy(filters[2].rescue, "retry 2");
    strcpy(filters[3].rescue, "leak");
    assert_int_equal(store_open("atlas", rescuing, 2, NULL, &store, &error), STATUS_OK);
    commit(&store, "block1_conv1", 0, filters, 3, NULL);
    commit(&store, "block1_conv1", 0, &filters[3], 1, NULL);
    assert_int_equal(store_open_existing("atlas", &again, &error), STATUS_OK);
    struct store_layer layer = read_layer(&again, "block1_conv1", &damaged);
    assert_int_equal(damaged, 0);
    for (int i = 0; i < 4; i++)
        assert_string_equal(layer.filter[i].rescue, filters[i].rescue);
    assert_int_equal(tables_write_losses(&again, &layer, 1, true, &error), STATUS_OK);
    struct text text = read_file("atlas/losses.csv");
    assert_string_equal(text.bytes, "layer,filter,status,loss,seconds,rank,rescue\n"
                                    "block1_conv1,0,live,0.5,0.000,0,\n"
                                    "block1_conv1,1,dead,4.9999999999999998e-08,0.125,2,\n"
                                    "block1_conv1,2,live,0.25,0.500,2,retry 2\n"
                                    "block1_conv1,3,live,0,0.750,0,leak\n");
    text_free(&text);
    store_layer_free(&layer);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter, folder_leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_new_folder_gets_the_job),
        IN_FOLDER(folders_above_are_made_too),
        IN_FOLDER(an_empty_folder_is_taken),
        IN_FOLDER(the_same_job_continues),
        IN_FOLDER(another_job_is_refused_by_every_difference),
        IN_FOLDER(an_entry_too_few_is_another_job),
        IN_FOLDER(a_longer_value_is_another_job),
        IN_FOLDER(a_file_is_not_a_folder),
        IN_FOLDER(names_that_cannot_be_are_refused),
        IN_FOLDER(a_folder_without_write_permission_is_refused),
        IN_FOLDER(pictures_without_a_job_are_not_taken_over),
        IN_FOLDER(folders_in_which_nothing_was_drawn_are_taken),
        IN_FOLDER(a_job_that_never_drew_gives_way),
        IN_FOLDER(a_picture_without_a_record_keeps_its_job),
        IN_FOLDER(a_job_that_is_about_to_draw_stays),
        IN_FOLDER(a_job_that_was_replaced_does_not_begin),
        IN_FOLDER(a_folder_of_something_else_keeps_its_job_once_it_has_begun),
        IN_FOLDER(one_of_several_jobs_that_start_at_once_begins),
        IN_FOLDER(a_folder_without_an_atlas_is_not_an_existing_one),
        IN_FOLDER(a_long_folder_name_works),
        IN_FOLDER(what_was_committed_is_read_back),
        IN_FOLDER(a_layer_that_was_never_drawn_is_empty),
        IN_FOLDER(filters_rise_over_units_committed_in_any_order),
        IN_FOLDER(a_partial_unit_is_extended_later),
        IN_FOLDER(a_filter_drawn_again_replaces_the_old_one),
        IN_FOLDER(a_unit_of_dead_filters_is_kept),
        IN_FOLDER(pictures_without_a_record_never_count),
        IN_FOLDER(layers_come_in_the_networks_order),
        IN_FOLDER(layers_come_in_the_order_of_the_list),
        IN_FOLDER(a_layer_may_have_a_long_name),
        IN_FOLDER(a_flipped_byte_in_a_picture_is_found),
        IN_FOLDER(a_missing_picture_is_found),
        IN_FOLDER(a_picture_of_another_length_is_found),
        IN_FOLDER(a_flipped_byte_anywhere_in_a_record_is_found),
        IN_FOLDER(a_record_cut_anywhere_is_found),
        IN_FOLDER(a_damaged_unit_can_be_committed_again),
        IN_FOLDER(what_the_store_did_not_write_is_ignored),
        IN_FOLDER(a_picture_that_is_no_file_is_damaged),
        IN_FOLDER(what_is_in_the_way_of_a_new_file_is_replaced),
        IN_FOLDER(a_record_in_the_place_of_another_is_damaged),
        IN_FOLDER(what_is_damaged_is_named),
        IN_FOLDER(an_older_record_is_read),
        IN_FOLDER(kernels_are_kept_for_every_filter),
        IN_FOLDER(reading_a_layer_heeds_an_interrupt),
        IN_FOLDER(a_full_disk_harms_nothing),
        IN_FOLDER(traces_follow_each_other),
        IN_FOLDER(a_trace_holds_every_filter_once_and_in_order),
        IN_FOLDER(without_traces_there_is_no_table_of_them),
        IN_FOLDER(losses_table_has_a_row_per_filter),
        IN_FOLDER(rescued_filters_are_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
