#include "global_heap.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER = 16,       /* of a collection: "GCOL", version 1, three zeros, its size */
    OBJECT_HEADER = 16 /* of an object: number, references, four zeros, its size */
};

static uint64_t read_number(const unsigned char *byte, int size) {
    uint64_t number = 0;
    for (int i = 0; i < size; i++)
        number |= (uint64_t)byte[i] << (8 * i);
    return number;
}

/* The superblock is at 0, 512, 1024, 2048 ... */
static void find_base(struct global_heap *heap) {
    for (size_t at = 0; at + 64 <= heap->size; at = at ? 2 * at : 512) {
        const unsigned char *block = heap->byte + at;
        if (memcmp(block, "\211HDF\r\n\032\n", 8))
            continue;
        int sizes = block[8] < 2 ? 13 : 9; /* by the superblock's version */
        heap->base = at;
        if (block[sizes] == 8 && block[sizes + 1] == 8)
            return;
        break;
    }
    heap->size = 0;
}

void global_heap_use(struct global_heap *heap, const void *bytes, size_t size) {
    *heap = (struct global_heap){.byte = bytes, .size = size};
    find_base(heap);
}

void global_heap_map(struct global_heap *heap, const char *path) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *heap = (struct global_heap){0};
    if (fd >= 0 && !fstat(fd, &info) && info.st_size > 0) {
        void *bytes = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            *heap = (struct global_heap){.byte = bytes, .size = info.st_size, .mapped = true};
            find_base(heap);
            if (!heap->size) {
                munmap(bytes, info.st_size);
                *heap = (struct global_heap){0};
            }
        }
    }
    if (fd >= 0)
        close(fd);
}

void global_heap_close(struct global_heap *heap) {
    if (heap->mapped)
        munmap((void *)heap->byte, heap->size);
    *heap = (struct global_heap){0};
}

/* A collection's bytes; 0 if there is none at that place. */
static size_t find_collection(const struct global_heap *heap, uint64_t address, const unsigned char **start) {
    if (address > heap->size || heap->base > heap->size - address || heap->size - heap->base - address < HEADER)
        return 0;
    *start = heap->byte + heap->base + address;
    uint64_t room = heap->size - heap->base - address, size = read_number(*start + 8, 8);
    return !memcmp(*start, "GCOL\1\0\0\0", 8) && size <= room ? (size_t)size : 0;
}

bool global_heap_find(const struct global_heap *heap, const void *reference, const char **text, size_t *length) {
    const unsigned char *words = reference, *start;
    uint64_t address = read_number(words + 4, 8), wanted = read_number(words + 12, 4);
    *length = read_number(words, 4);
    *text = "";
    if (*length == 0)
        return true;
    size_t size = find_collection(heap, address, &start), at = HEADER;
    while (wanted && at + OBJECT_HEADER <= size) {
        uint64_t number = read_number(start + at, 2), taken = read_number(start + at + 8, 8);
        if (number == 0 || taken > size - at - OBJECT_HEADER)
            return false; /* the free space at its end, or damage */
        if (number == wanted) {
            *text = (const char *)start + at + OBJECT_HEADER;
            return *length <= taken;
        }
        at += OBJECT_HEADER + ((taken + 7) & ~(uint64_t)7);
    }
    return false;
}
