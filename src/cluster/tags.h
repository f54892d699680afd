/* Tags of the messages between rank 0 and the others during a run, in MPI_COMM_WORLD. */
#ifndef TAGS_H
#define TAGS_H

enum { TAG_REPORT = 1, TAG_ORDER, TAG_TASK, TAG_ANSWER, TAG_RESULT };

#endif
