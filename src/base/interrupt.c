#include "filteratlas/base/interrupt.h"

int interrupt_check(const struct interrupt *interrupt, struct error *error) {
    return interrupt_goes_on(interrupt) ? STATUS_OK : error_set(error, STATUS_STOPPED, "stopped");
}
