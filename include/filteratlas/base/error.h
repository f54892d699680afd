/* Errors as values: a function that can fail returns a status and says why in a sentence for a person.
 *
 * The status is the exit status the program ends with if nobody handles it; the message has the form
 * "WHAT: WHY; REMEDY" in one line, without the program's name. Nothing below src/app prints or exits. */
#ifndef FILTERATLAS_ERROR_H
#define FILTERATLAS_ERROR_H

enum status {
    STATUS_OK = 0,
    STATUS_FAILURE = 1,   /* anything that is nobody's mistake: disk full, a rank lost, out of memory */
    STATUS_USAGE = 2,     /* bad usage or bad input */
    STATUS_OTHER_JOB = 3, /* the output folder holds another job */
    STATUS_STOPPED = 75   /* stopped early on purpose, all finished work kept (EX_TEMPFAIL of sysexits.h) */
};

enum { ERROR_MESSAGE_SIZE = 1024 };

struct error {
    int status;
    char message[ERROR_MESSAGE_SIZE];
};

/* Stores status and the printf-style message in *error and returns status, so that a caller can write
 * `return error_set(error, STATUS_USAGE, ...)`. Line breaks in the message become spaces. */
int error_set(struct error *error, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What helps where a file could not be written, by errno: room, a higher limit, or else to put right what the reason
 * says. For the end of a message; static. */
const char *error_write_remedy(int code);

/* error_set for memory that could not be had: says how many bytes of what. Returns STATUS_FAILURE. */
int error_memory(struct error *error, double bytes, const char *what);

#endif
