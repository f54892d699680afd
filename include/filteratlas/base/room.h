/* Whether the system would give this process more memory: for libraries that crash, or blame the file, where it
 * doesn't. */
#ifndef FILTERATLAS_ROOM_H
#define FILTERATLAS_ROOM_H

#include <stdbool.h>
#include <stddef.h>

/* Asks for so many bytes in one piece and gives them back. A limit (ulimit -v) or a strict system says no; one that
 * promises more than it has says yes. */
bool room_exists(size_t bytes);

#endif
