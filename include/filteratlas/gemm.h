/* Matrix products in single precision, through OpenBLAS: the one place that includes cblas.h. */
#ifndef FILTERATLAS_GEMM_H
#define FILTERATLAS_GEMM_H

/* Makes OpenBLAS compute on the calling thread alone: a rank is one thread's work. Call once, before the first product.
 */
void gemm_use_one_thread(void);

/* For the log: "OpenBLAS 0.3.21, SkylakeX kernels, 1 thread". The string is static. */
const char *gemm_description(void);

/* c[m][n] = a[m][k] * b[k][n] + beta * c, all row-major, rows `lda`, `ldb`, `ldc` floats apart. */
void gemm(int m, int n, int k, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

#endif
