#include "filteratlas/gemm.h"

#include <cblas.h>
#include <stdio.h>

void gemm_use_one_thread(void) { openblas_set_num_threads(1); }

const char *gemm_description(void) {
    static char text[128];
    char version[32] = "";
    sscanf(openblas_get_config(), "OpenBLAS %31s", version); /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." */
    int threads = openblas_get_num_threads();
    snprintf(text, sizeof text, "OpenBLAS %s, %s kernels, %d thread%s", version, openblas_get_corename(), threads,
             threads == 1 ? "" : "s");
    return text;
}

void gemm(int m, int n, int k, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}
