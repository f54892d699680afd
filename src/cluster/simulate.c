/* A run played through the scheduling code, event by event. No MPI in here. */
#include "filteratlas/cluster/schedule.h"

#include <stdlib.h>

/* A rank and when it asks for its next piece. */
struct asking {
    double when;
    int rank;
};

static bool is_before(const struct asking *a, const struct asking *b) {
    return a->when != b->when ? a->when < b->when : a->rank < b->rank;
}

/* Restores the heap [count], earliest first, after its top has changed. */
static void sift_down(struct asking *heap, int count) {
    for (int at = 0, child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && is_before(&heap[child + 1], &heap[child]);
        if (!is_before(&heap[child], &heap[at]))
            return;
        struct asking swapped = heap[at];
        heap[at] = heap[child];
        heap[child] = swapped;
    }
}

int schedule_simulate(const struct unit_list *list, int ranks,
                      double (*seconds)(const void *context, const struct unit *piece), const void *context,
                      struct simulation *simulation, struct error *error) {
    struct schedule schedule;
    struct asking *heap = malloc(ranks * sizeof *heap);
    *simulation = (struct simulation){0};
    int status = schedule_make(list, ranks, &schedule, error);
    if (!status && !heap)
        status = error_memory(error, (double)ranks * sizeof *heap, "the simulation");
    for (int r = 0; r < ranks && !status; r++)
        heap[r] = (struct asking){0, r};
    for (struct unit piece; !status && schedule_next(&schedule, heap[0].rank, &piece); sift_down(heap, ranks)) {
        double taken = seconds(context, &piece);
        heap[0].when += taken;
        simulation->busy += taken;
        simulation->pieces++;
        if (heap[0].when > simulation->seconds)
            simulation->seconds = heap[0].when;
    }
    free(heap);
    schedule_free(&schedule);
    return status;
}
