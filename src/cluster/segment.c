#include "segment.h"

#include "groups.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* How the leader's file is found by the others of its node: they are the same user's processes. */
struct address {
    int process, descriptor;
};

/* Huge pages are reserved when they are mapped, so that writing to them later can't fail. */
static void *map(int descriptor, size_t size) {
    void *memory = descriptor < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int make_file(size_t size) {
#ifdef MFD_HUGETLB
    int descriptor = memfd_create("filteratlas", MFD_CLOEXEC | MFD_HUGETLB);
    if (descriptor >= 0 && ftruncate(descriptor, (off_t)size) == 0)
        return descriptor;
    if (descriptor >= 0)
        close(descriptor);
#else
    (void)size;
#endif
    return -1;
}

static int open_file(const struct address *address) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", address->process, address->descriptor);
    return open(path, O_RDWR | O_CLOEXEC);
}

void *segment_open(const struct cluster *cluster, size_t *size) {
    MPI_Comm node = cluster->groups->node;
    bool leads = cluster->node_rank == 0;
    *size = (*size + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
    struct address address = {(int)getpid(), leads ? make_file(*size) : -1};
    void *memory = leads ? map(address.descriptor, *size) : NULL;
    int there = memory != NULL, everywhere;
    MPI_Bcast(&there, 1, MPI_INT, 0, node);
    MPI_Bcast(&address, sizeof address, MPI_BYTE, 0, node);
    int descriptor = leads ? address.descriptor : there ? open_file(&address) : -1;
    if (!leads)
        memory = map(descriptor, *size);
    there = memory != NULL;
    MPI_Allreduce(&there, &everywhere, 1, MPI_INT, MPI_MIN, node);
    if (descriptor >= 0)
        close(descriptor); /* the mapping holds the memory */
    if (everywhere)
        return memory;
    segment_close(memory, *size);
    return NULL;
}

void segment_close(void *segment, size_t size) {
    if (segment)
        munmap(segment, size);
}
