#include "awake.h"

#include <math.h>

double awake_look(struct awake *awake, double clock) {
    static const double most = 1;
    double passed = fmax(clock - awake->looked, 0), counts = fmin(passed, most);
    awake->looked = clock;
    awake->seconds += counts;
    return passed - counts;
}
