/* How fast this machine's memory is, by processes that copy. */
#ifndef COPYING_H
#define COPYING_H

/* Bytes that a copying process needs. */
#define COPYING_BYTES (2.0 * (64 << 20))

/* Bytes per second, read and written, of `processes` >= 1 processes that copy 64 MB to and fro for so many seconds, all
 * at once; 0 if there is no memory or no process to be had. */
double copying_measure(int processes, double seconds);

#endif
