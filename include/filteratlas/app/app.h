/* The commands. Each takes the arguments behind the program's name, argv[0] being the command, and returns the exit
 * status; messages are printed. */
#ifndef FILTERATLAS_APP_H
#define FILTERATLAS_APP_H

int app_render(int argc, char **argv); /* starts and ends MPI */
int app_plan(int argc, char **argv);
int app_inspect(int argc, char **argv);
int app_stitch(int argc, char **argv);
int app_examples(int argc, char **argv); /* starts and ends MPI */
int app_gallery(int argc, char **argv);

/* Picks the command; --help and --version. argv as main has it. */
int app_run(int argc, char **argv);

#endif
