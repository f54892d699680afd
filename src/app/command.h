/* What the commands share. */
#ifndef COMMAND_H
#define COMMAND_H

#include "filteratlas/ascent.h"
#include "filteratlas/options.h"
#include "filteratlas/store.h"

/* Parses a command's options for a command that runs as one process: reports an error, prints the help if asked. */
int command_options(enum command command, int argc, char **argv, struct options *options);

/* Prints a command's help on standard output. */
void command_print_help(enum command command);

/* The ascent that the options describe. */
struct ascent_job command_job(const struct options *options);

/* Brings the mosaics and the page's pictures of `layers` (NULL: all that the store holds), the page and the tables up
 * to date with the store. Unless quiet, a line on standard output for every layer. Waits while another process does the
 * same. */
int command_publish(const struct store *store, const char *layers, const struct options *options, struct error *error);

#endif
