#include "report.h"
#include "filteratlas/cluster/launcher.h"

#include <stdio.h>

int report_error(const struct error *error) {
    if (launcher_is_later_rank())
        return error->status;
    fprintf(stderr, "filteratlas: %s\n", error->message);
    return error->status;
}
