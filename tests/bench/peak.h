/* What the processor's multipliers can do at most, as a yardstick. */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

/* GF/s of one core in a loop that touches nothing but registers: fused multiply-adds (two operations each) of the
 * vector width that a kernel set ("avx512", "avx2", "neon" or "baseline") works with; multiplications and additions in
 * turn where the set's instructions know no fused ones. The best of `turns` turns of about 10 ms. */
double peak_measure(const char *kernels, int turns);

#endif
