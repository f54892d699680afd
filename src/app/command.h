/* What the commands share. */
#ifndef COMMAND_H
#define COMMAND_H

#include "filteratlas/options.h"
#include "filteratlas/store.h"

/* Parses a command's options for a command that runs as one process: reports an error, prints the help if asked. */
int command_options(enum command command, int argc, char **argv, struct options *options);

/* Prints a command's help on standard output. */
void command_print_help(enum command command);

/* Makes the files of a layer from the store, if they aren't what they would be already; *line gets what they show. For
 * ranks of a render, which has checked the pictures: with `look`, since it found damage, they are checked again and
 * those damaged left out. Waits while another process makes the same layer's. */
int command_publish_layer(const struct store *store, const char *name, const struct options *options, bool look,
                          struct text *line, struct error *error);

/* Makes the files of all layers together: the page, losses.csv, trace.csv, with --hdf5 atlas.h5. For a render, after
 * its layers. */
int command_publish_tables(const struct store *store, const struct options *options, bool look, struct error *error);

/* Both for the layers that the options select and the store holds, with a look at every picture. Unless quiet, a line
 * on standard output for every layer. */
int command_publish(const struct store *store, const struct options *options, struct error *error);

#endif
