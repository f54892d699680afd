/* Doing something in a process of its own first, to see that it comes to an end: for what a library does with a file
 * that may be damaged. */
#ifndef FILTERATLAS_REHEARSAL_H
#define FILTERATLAS_REHEARSAL_H

#include <stdbool.h>

/* Calls act(context) in a child process that prints nothing, and waits for it. False if a signal ended it, whose number
 * is *signal: a crash, or SIGXCPU after `seconds` of processor time. True also if there is no process to be had. */
bool rehearsal_survives(void (*act)(void *context), void *context, int seconds, int *signal);

#endif
