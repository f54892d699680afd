/* Random numbers of a seed: the same everywhere. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

/* splitmix64 (Steele, Lea & Flood, OOPSLA 2014). */
static inline uint64_t random_next(struct random *random) {
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Evenly in [low, high). */
static inline double random_between(struct random *random, double low, double high) {
    return low + (high - low) * (double)(random_next(random) >> 11) * 0x1p-53;
}

/* 0 ... count - 1. */
static inline int random_below(struct random *random, int count) {
    return (int)(random_next(random) % (uint64_t)count);
}

static inline bool random_chance(struct random *random, double chance) { return random_between(random, 0, 1) < chance; }

#endif
