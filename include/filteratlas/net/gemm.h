/* Matrix products in single precision, through OpenBLAS or another CBLAS (make BLAS=...): the one place that includes
 * cblas.h. */
#ifndef FILTERATLAS_GEMM_H
#define FILTERATLAS_GEMM_H

#include "filteratlas/base/error.h"

/* Makes the library compute on the calling thread alone: a rank is one thread's work. Call once, before the first
 * product. */
void gemm_use_one_thread(void);

/* Has OpenBLAS take its working memory now, for all products to come: 128 MB of address space, and where there is no
 * room for it, it would try again for ever. Call once on every rank, before the first product. */
int gemm_prepare(struct error *error);

/* For the log: "OpenBLAS 0.3.21, SkylakeX kernels, 1 thread", or "BLAS mkl_rt". Static. */
const char *gemm_description(void);

/* The kind of processor that OpenBLAS computes for, "SkylakeX", or another library's name; static. Each rounds in its
 * own way. */
const char *gemm_core(void);

/* c[m][n] = a[m][k] * b[k][n] + beta * c, all row-major, rows `lda`, `ldb`, `ldc` floats apart. */
void gemm(int m, int n, int k, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

#endif
