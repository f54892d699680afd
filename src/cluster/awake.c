#include "awake.h"

#include <math.h>

double awake_look(struct awake *awake, double clock) {
    double passed = fmax(clock - awake->looked, 0), counts = fmin(passed, awake->most);
    awake->looked = clock;
    awake->seconds += counts;
    return passed - counts;
}
