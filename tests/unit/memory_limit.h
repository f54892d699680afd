/* Tests under a limit of address space (ulimit -v). */
#ifndef MEMORY_LIMIT_H
#define MEMORY_LIMIT_H

#include <stdbool.h>
#include <sys/resource.h>

/* Bytes in use by this process. */
rlim_t address_space(void);

/* The soft limit. Whether it could be set. */
bool limit_address_space(rlim_t bytes);

/* Whether such a limit holds: AddressSanitizer's shadow lies beyond any, and qemu-user doesn't hand one on. */
bool address_space_limits_hold(void);

#endif
