/* The numbers of a benchmark, beside the tables that people read: CSV with the columns table,row,column,value. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

/* What every part of the benchmark goes by. */
struct report {
    FILE *csv;
    double peak; /* GF/s of fused multiply-adds on this core */
};

/* One value; table and column are names, row is a layer's name or a size in pixels. */
static inline void report_value(const struct report *report, const char *table, const char *row, const char *column,
                                double value) {
    fprintf(report->csv, "%s,%s,%s,%.6g\n", table, row, column, value);
}

#endif
