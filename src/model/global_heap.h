/* Texts of variable length in an HDF5 file (File Format Specification, III.E "Global Heap"). HDF5 1.10 trusts what a
 * file says of them, so that a damaged number makes it read and write beyond its memory or go on for ever; here every
 * number is held against the file's size. */
#ifndef MODEL_GLOBAL_HEAP_H
#define MODEL_GLOBAL_HEAP_H

#include <stdbool.h>
#include <stddef.h>

enum { GLOBAL_HEAP_REFERENCE_SIZE = 16 };

/* The bytes of a whole file; start with zeros. */
struct global_heap {
    const unsigned char *byte;
    size_t size;
    size_t base; /* of addresses: where the superblock is */
    bool mapped;
};

/* Maps a file, or copies nothing of one in memory, which must stay. Without a superblock, or where addresses aren't of
 * 8 bytes as Keras and h5py write them, there are no texts to be found. */
void global_heap_map(struct global_heap *heap, const char *path);
void global_heap_use(struct global_heap *heap, const void *bytes, size_t size);
void global_heap_close(struct global_heap *heap);

/* The text that a reference (length, address of a collection, number in it) stands for, *length bytes without a zero
 * behind them; false if there is none. */
bool global_heap_find(const struct global_heap *heap, const void *reference, const char **text, size_t *length);

#endif
