/* What the commands share. */
#ifndef COMMAND_H
#define COMMAND_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/model/model.h"
#include "options.h"

/* Parses a command's options for a command that runs as one process: reports an error, prints the help if asked. */
int command_options(enum command command, int argc, char **argv, struct options *options);

/* Prints a command's help on standard output. */
void command_print_help(enum command command);

/* What job.txt says of this job: the revision of the arithmetic, the network and its weights, the options. Returns the
 * number of entries[COMMAND_JOB_ENTRIES]; values live in *values, *options and *model. */
enum { COMMAND_JOB_ENTRIES = OPTIONS_JOB_ENTRIES + 3 };
int command_job_entries(const struct options *options, const struct model *model, struct text *values,
                        struct store_entry *entries);

/* "filteratlas: SENTENCE" on standard error, for what a person should know although nothing failed. */
void command_say(const char *sentence);
void command_say_damage(const char *folder, const struct store_damage *damage, const char *consequence);

/* The kernels of a filter that are known and other than these; NULL if there is none. */
const char *command_find_kernels(const struct store_layer *layers, int count, const char *kernels);

/* All of these wait while another process makes the same files; the interrupt may end them with STATUS_STOPPED. */

/* Makes the files of a layer from the store, if they aren't what they would be already; *line gets what they show. For
 * ranks of a render, which has checked the pictures: with `look`, since it found damage, they are checked again and
 * those damaged left out. */
int command_publish_layer(const struct store *store, const char *name, const struct options *options, bool look,
                          const struct interrupt *interrupt, struct text *line, struct error *error);

/* Makes the files of all layers together: the page, losses.csv, trace.csv, with --hdf5 atlas.h5. For a render, after
 * its layers, whose damage it has told; says what else is damaged. */
int command_publish_tables(const struct store *store, const struct options *options, bool look,
                           const struct interrupt *interrupt, struct error *error);

/* Both for the layers that the options select and the store holds, with a look at every picture. Unless quiet, a line
 * on standard output for every layer. What is damaged is left out, and STATUS_FAILURE names it once all else is made.
 */
int command_publish(const struct store *store, const struct options *options, const struct interrupt *interrupt,
                    struct error *error);

#endif
