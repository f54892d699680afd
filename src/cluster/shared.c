#include "filteratlas/cluster/shared.h"

#include "filteratlas/base/clock.h"
#include "filteratlas/base/huge_pages.h"
#include "filteratlas/cluster/launcher.h"
#include "groups.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { LINE = 64 };

struct shared_window {
    MPI_Win window;
};

static double free_space(void) {
    struct statvfs found;
    return statvfs(launcher_window_folder(), &found) ? 0 : (double)found.f_bavail * (double)found.f_frsize;
}

/* Between a look at the free space and taking it, another job on the node must not take it: Open MPI ends or hangs a
 * job whose window finds no room. Waits for other jobs' leaders; returns a descriptor to close, or -1. */
static int guard_space(void) {
    static const double patience = 60; /* seconds; nobody holds it longer but one that stands still */
    int guard = open(launcher_window_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (double start = clock_now(); guard >= 0 && flock(guard, LOCK_EX | LOCK_NB) && clock_now() - start < patience;)
        clock_pause(0.01);
    return guard;
}

/* Open MPI ends the whole job when a window finds no room, so the leader looks first. */
static bool has_room(const struct cluster *cluster, size_t size) {
    static const double reserve = 16 << 20; /* for Open MPI's own files */
    int room = cluster->node_rank == 0 && free_space() > (double)size + reserve;
    MPI_Bcast(&room, 1, MPI_INT, 0, cluster->groups->node);
    return room;
}

/* Whether the system gives shared memory huge pages where they are asked for. */
static bool gives_huge_pages(void) {
    char line[128] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "r");
    if (file && !fgets(line, sizeof line, file))
        *line = 0;
    if (file)
        fclose(file);
    return strstr(line, "[always]") || strstr(line, "[within_size]") || strstr(line, "[advise]") ||
           strstr(line, "[force]");
}

/* Asks for huge pages, before any page is there. */
static void wish_huge_pages(struct shared *shared, size_t size) {
    shared->pages = "4 KB pages (for 2 MB pages set vm.nr_hugepages, or shmem_enabled to advise)";
#ifdef MADV_HUGEPAGE
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *start = (char *)((uintptr_t)shared->bytes / page * page);
    if (madvise(start, size, MADV_HUGEPAGE) == 0 && gives_huge_pages())
        shared->pages = "2 MB pages";
#else
    (void)size;
#endif
}

/* Makes this rank's part of the copy take its memory now: until pages are written to, they are only promised, and
 * another job on the node may have been promised the same; writing then ends the process with SIGBUS. Systems that
 * can't tell (Linux before 5.14) are taken at their word. */
static bool populate(const struct cluster *cluster, const struct shared *shared, size_t size) {
#ifdef MADV_POPULATE_WRITE
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = size / page;
    size_t first = pages * (size_t)cluster->node_rank / (size_t)cluster->node_ranks,
           last = pages * (size_t)(cluster->node_rank + 1) / (size_t)cluster->node_ranks;
    char *start = (char *)((uintptr_t)shared->bytes / page * page);
    return madvise(start + first * page, (last - first) * page, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
#else
    (void)cluster, (void)shared, (void)size;
    return true;
#endif
}

static void close_window(struct shared *shared) {
    MPI_Win_unlock_all(shared->window->window);
    MPI_Win_free(&shared->window->window);
    free(shared->window);
    shared->window = NULL;
    shared->bytes = NULL;
}

/* The leader's part is all of it. Pages are placed alike on all ranks of a node, so the rounding up is the same. */
static bool open_window(const struct cluster *cluster, size_t size, struct shared *shared) {
    MPI_Comm node = cluster->groups->node;
    MPI_Aint mine = cluster->node_rank == 0 ? (MPI_Aint)(size + LINE) : 0, whole;
    int unit;
    void *base;
    shared->window = malloc(sizeof *shared->window);
    int failed = !shared->window, anywhere;
    MPI_Allreduce(&failed, &anywhere, 1, MPI_INT, MPI_MAX, node);
    if (!anywhere) {
        MPI_Errhandler usual;
        MPI_Comm_get_errhandler(node, &usual);
        MPI_Comm_set_errhandler(node, MPI_ERRORS_RETURN);
        failed = MPI_Win_allocate_shared(mine, 1, MPI_INFO_NULL, node, &base, &shared->window->window) != MPI_SUCCESS;
        MPI_Comm_set_errhandler(node, usual);
        MPI_Errhandler_free(&usual);
        MPI_Allreduce(&failed, &anywhere, 1, MPI_INT, MPI_MAX, node);
    }
    if (anywhere) {
        free(shared->window);
        shared->window = NULL;
        return false;
    }
    MPI_Win_shared_query(shared->window->window, 0, &whole, &unit, &base);
    shared->bytes = (void *)(((uintptr_t)base + LINE - 1) / LINE * LINE);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, shared->window->window);
    wish_huge_pages(shared, size);
    failed = !populate(cluster, shared, size);
    MPI_Allreduce(&failed, &anywhere, 1, MPI_INT, MPI_MAX, node);
    if (anywhere)
        close_window(shared);
    return !anywhere;
}

static bool open_segment(const struct cluster *cluster, size_t size, struct shared *shared) {
    shared->segment = size;
    shared->bytes = segment_open(cluster, &shared->segment);
    shared->segment = shared->bytes ? shared->segment : 0;
    shared->pages = "2 MB pages";
    return shared->bytes;
}

/* Tells rank 0 of the nodes that could not share. */
static void gather_nodes_without(const struct cluster *cluster, bool without, struct shared *shared) {
    MPI_Comm leaders = cluster->groups->leaders;
    struct {
        double free_bytes;
        int rank;
    } mine = {free_space(), without ? cluster->rank : cluster->ranks};
    if (leaders == MPI_COMM_NULL)
        return;
    int count = without, first;
    MPI_Allreduce(&count, &shared->nodes_without, 1, MPI_INT, MPI_SUM, leaders);
    MPI_Allreduce(&mine.rank, &first, 1, MPI_INT, MPI_MIN, leaders);
    double free_bytes = mine.rank == first ? mine.free_bytes : 0;
    MPI_Allreduce(&free_bytes, &shared->free_bytes, 1, MPI_DOUBLE, MPI_MAX, leaders);
    if (cluster->rank == 0 && shared->nodes_without)
        snprintf(shared->host_without, sizeof shared->host_without, "%s", cluster->hosts[first]);
}

int shared_allocate(const struct cluster *cluster, size_t size, bool wanted, struct shared *shared,
                    struct error *error) {
    *shared = (struct shared){.part = 0, .parts = 1};
    wanted = wanted && cluster->node_ranks > 1;
    int guard = wanted && cluster->node_rank == 0 ? guard_space() : -1;
    bool shares = wanted && (open_segment(cluster, size, shared) ||
                             (has_room(cluster, size) && open_window(cluster, size, shared)));
    if (guard >= 0)
        close(guard);
    gather_nodes_without(cluster, wanted && !shares, shared);
    if (shares) {
        shared->part = cluster->node_rank;
        shared->parts = cluster->node_ranks;
    } else {
        shared->bytes = huge_pages_allocate(size);
        shared->pages = "2 MB pages if the system gives any";
    }
    int status = shared->bytes ? STATUS_OK : error_memory(error, (double)size, "weights and their tables");
    return cluster_agree(cluster, status, error);
}

void shared_broadcast(const struct cluster *cluster, struct shared *shared, size_t size) {
    if (cluster->groups->leaders != MPI_COMM_NULL)
        groups_broadcast(cluster->groups->leaders, shared->bytes, size);
    if (shared->window || shared->segment)
        shared_settle(cluster, shared);
    else
        groups_broadcast(cluster->groups->node, shared->bytes, size);
}

void shared_settle(const struct cluster *cluster, struct shared *shared) {
    if (!shared->window && !shared->segment)
        return;
    if (shared->window)
        MPI_Win_sync(shared->window->window);
    __sync_synchronize();
    MPI_Barrier(cluster->groups->node);
    __sync_synchronize();
    if (shared->window)
        MPI_Win_sync(shared->window->window);
}

void shared_free(struct shared *shared) {
    if (shared->window)
        close_window(shared);
    else if (shared->segment)
        segment_close(shared->bytes, shared->segment);
    else
        free(shared->bytes);
    *shared = (struct shared){0};
}
