/* Tags of the messages between rank 0 and the others, in MPI_COMM_WORLD: during a run; before it, of a signal's number.
 */
#ifndef TAGS_H
#define TAGS_H

enum { TAG_REPORT = 1, TAG_ORDER, TAG_SIGNAL };

#endif
