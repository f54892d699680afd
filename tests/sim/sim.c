/* Whole jobs in virtual time, each from one seed: the coordinator that runs them is the one of a real run, everything
 * around it is simulated (world.h). A job is begun again after every trouble, by another number of ranks, until all is
 * drawn; judge.c holds it to its promises meanwhile. Prints TAP.
 *
 *   sim [--seeds N] [--first SEED] [--seed SEED] [--processes N]
 *
 * --seed plays one seed and says how its runs ended. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_RUNS = 4 }; /* in trouble, before one that is left in peace */

static bool is_complete(const struct shelf *shelf) {
    for (int l = 0; l < shelf->layers; l++)
        for (int f = 0; f < shelf->filters; f++)
            if (!shelf->times[l][f])
                return false;
    return true;
}

static void describe(uint64_t seed, int run, const struct world *w) {
    static const char *const outcomes[] = {"broken off", "ended", "aborted by rank 0", "aborted by a rank", "killed"};
    printf("# seed %llu, run %d: %d ranks, %s at %.2f s with status %d %s%s%s\n", (unsigned long long)seed, run,
           w->ranks, outcomes[w->outcome], w->now, w->status, w->status ? w->error.message : "",
           *w->wrong ? "; WRONG: " : "", w->wrong);
}

/* Returns whether all promises were kept. */
static bool play(uint64_t seed, bool loud) {
    struct shelf shelf = {0};
    struct world *world = malloc(sizeof *world);
    bool right = world != NULL, complete = false;
    for (int run = 0; run <= MOST_RUNS && right && !complete; run++) {
        world_make(seed * (MOST_RUNS + 1) + (uint64_t)run, run == MOST_RUNS, &shelf, world);
        world_run(world);
        right = !*world->wrong;
        complete = world->outcome == OUTCOME_END && world->status == STATUS_OK;
        if (loud || !right)
            describe(seed, run, world);
        world_free(world);
    }
    free(world);
    if (right && (!complete || !is_complete(&shelf))) {
        printf("# seed %llu: a run in peace did not complete the job\n", (unsigned long long)seed);
        right = false;
    }
    fflush(stdout);
    return right;
}

/* Every `step`-th seed; ends at the first that goes wrong. */
static bool play_all(uint64_t first, uint64_t seeds, uint64_t step) {
    for (uint64_t seed = first; seed < first + seeds; seed += step)
        if (!play(seed, false)) {
            printf("# again: sim --seed %llu\n", (unsigned long long)seed);
            fflush(stdout);
            return false;
        }
    return true;
}

/* Returns the number of processes that came upon something wrong. */
static int play_side_by_side(uint64_t first, uint64_t seeds, int processes) {
    int wrong = 0;
    for (int p = 0; p < processes; p++) {
        uint64_t begin = first + (uint64_t)p;
        pid_t child = fork();
        if (child == 0)
            _exit(!play_all(begin, first + seeds > begin ? first + seeds - begin : 0, (uint64_t)processes));
        wrong += child < 0;
    }
    for (int status; wait(&status) > 0;)
        wrong += status != 0;
    return wrong;
}

int main(int argc, char **argv) {
    uint64_t seeds = 10000, first = 1, one = 0;
    int processes = (int)sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--seeds"))
            seeds = value;
        else if (!strcmp(argv[i], "--first"))
            first = value;
        else if (!strcmp(argv[i], "--seed"))
            one = value;
        else if (!strcmp(argv[i], "--processes"))
            processes = (int)value;
    }
    if (one)
        return !play(one, true);
    int wrong = play_side_by_side(first, seeds, processes);
    printf("%sok - %llu simulated jobs keep every promise\n", wrong ? "not " : "", (unsigned long long)seeds);
    return wrong != 0;
}
