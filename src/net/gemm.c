#include "filteratlas/net/gemm.h"

/* Intel's and Arm's libraries have the functions of cblas.h in headers of other names. */
#if __has_include(<cblas.h>)
#include <cblas.h>
#elif __has_include(<mkl_cblas.h>)
#include <mkl_cblas.h>
#else
#include <armpl.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef FILTERATLAS_BLAS /* not OpenBLAS: its name for the linker, "mkl_rt" */

/* MKL, BLIS and what has its threads from OpenMP look here when they are first called. */
void gemm_use_one_thread(void) {
    static const char *const variables[] = {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
                                            "ARMPL_NUM_THREADS"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        setenv(variables[i], "1", 1);
}

const char *gemm_description(void) { return "BLAS " FILTERATLAS_BLAS; }

const char *gemm_core(void) { return FILTERATLAS_BLAS; }

#else

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

const char *gemm_core(void) { return openblas_get_corename(); }

#endif

int gemm_prepare(struct error *error) {
    const size_t buffer = (size_t)32 << 22; /* BUFFER_SIZE of its common_x86_64.h, the largest of all its processors */
    void *room = mmap(NULL, buffer, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return error_memory(error, (double)buffer, "matrix products");
    munmap(room, buffer);
    const float one = 1;
    float product;
    gemm(1, 1, 1, &one, 1, &one, 1, 0, &product, 1);
    return STATUS_OK;
}

void gemm(int m, int n, int k, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}
