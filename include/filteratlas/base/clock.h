/* Time for measuring, not for telling. */
#ifndef FILTERATLAS_CLOCK_H
#define FILTERATLAS_CLOCK_H

/* Seconds of the monotonic clock. */
double clock_now(void);

/* Sleeps; a signal may end it early. */
void clock_pause(double seconds);

#endif
