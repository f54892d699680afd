#ifndef REPORT_H
#define REPORT_H

#include "filteratlas/base/error.h"

/* "filteratlas: MESSAGE" on standard error, once per job; returns the error's status. For the commands. */
int report_error(const struct error *error);

#endif
