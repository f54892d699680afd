/* The trace of a unit: CSV lines, one per iteration, beside the unit's record and named by their checksum, so that a
 * record and the trace it names can be replaced together by the one rename of the record. */
#ifndef TRACE_FILE_H
#define TRACE_FILE_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/text.h"

#include <stdbool.h>

/* The trace that the content of the record at record_path names. False if it names none. */
bool trace_file_of(const char *record_path, const char *record, char path[DURABLE_PATH_SIZE]);

/* Whether the trace that the record names, if it names one, is there and as the record says. */
bool trace_file_matches(const char *record_path, const char *record);

/* The lines of a unit in *text: those of the drawn filters[count] from `lines` (NULL: none), those of the others of
 * *merged from the trace that the record at record_path names now. Writes them under their own name, unless there are
 * none. */
int trace_file_write(const char *record_path, const struct store_layer *merged, const struct store_filter *filters,
                     int count, const char *lines, struct text *text, struct error *error);

/* Removes traces of the unit that its record doesn't name: of an older record, or of one that a crash prevented. */
void trace_file_remove_others(const char *record_path);

#endif
