#include "memory_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

rlim_t address_space(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu", &pages) != 1)
        abort();
    fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

bool limit_address_space(rlim_t bytes) {
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    return setrlimit(RLIMIT_AS, &limit) == 0;
}

bool address_space_limits_hold(void) {
#ifdef __SANITIZE_ADDRESS__
    return false;
#endif
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(!limit_address_space(address_space()) ||
              mmap(NULL, 64 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
