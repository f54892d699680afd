#!/usr/bin/env bash
# What make does where compilers and libraries are other than here.
# shellcheck source=tests/harness.sh disable=SC1091
. "$(dirname "$0")/../harness.sh"
cd "$HERE" || exit 1

# made ARGUMENT...: what make says, built elsewhere.
made() { make BUILD="$TEMPORARY/build" VIEWER="$TEMPORARY" "$@" 2>&1; }
# refuses WHAT PATTERN ARGUMENT...: make stops at once, with one line that matches.
refuses() {
    local what=$1 pattern=$2 said status; shift 2
    said=$(made "$@"); status=$?
    check "$what: make stops" test $status -ne 0
    check "$what: one line says why ($said)" test "$(grep -vc '^make' <<<"$said") $(grep -Ec "not found: $pattern; scripts/dependencies" <<<"$said")" = '1 1'
}
refuses "no pkg-config" 'none \(which finds the other libraries\)' PKG_CONFIG=none
refuses "no MPI" 'MPI \(none, or make MPICC=\.\.\.\)' MPICC=none
refuses "no compiler" 'the C compiler none' CC=none
refuses "no such HDF5" 'HDF5' HDF5=none
refuses "none of these libraries" 'libpng, libjpeg, zlib, libcrypto, .*openblas.*' PKG_CONFIG=false
check "make clean needs none of them" made CC=none MPICC=none PKG_CONFIG=none clean

object=$TEMPORARY/build/src/cluster/cluster.o
check "CC=gcc compiles what needs MPI" made CC=gcc "$object"
check "it is that compiler" grep -q 'GCC' <(readelf -p .comment "$object")
check "CC=mpicc doesn't wrap itself" made CC=mpicc "$TEMPORARY/build/src/cluster/shared.o"
check "BLAS=... compiles without OpenBLAS's own functions" made BLAS="-L/opt/lib -lother" BLAS_CFLAGS="$(pkg-config --cflags-only-I openblas)" \
    "$TEMPORARY/build/src/net/gemm.o"
check "they are not called" test -z "$(nm "$TEMPORARY/build/src/net/gemm.o" | grep openblas_)"

# A compiler that is too old for AVX-512.
cat >"$TEMPORARY/old" <<'SH'
#!/bin/sh
case " $* " in *' -mavx512'*) echo "cc1: error: unrecognized command line option" >&2; exit 1 ;; esac
exec gcc "$@"
SH
chmod +x "$TEMPORARY/old"
if [ "$(gcc -dumpmachine | cut -d- -f1)" = x86_64 ]; then
    rm -rf "$TEMPORARY/build"
    said=$(made CC="$TEMPORARY/old" "$TEMPORARY/build/src/net/winograd_sets.o" "$TEMPORARY/build/src/net/winograd_kernels_avx2.o"); status=$?
    check "a compiler without AVX-512: the rest is built" test $status -eq 0
    check "a compiler without AVX-512: one line says so" test "$(grep -c 'without the avx512 kernels' <<<"$said")" -eq 1
    check "a compiler without AVX-512: these kernels are not asked for" \
        test "$(nm "$TEMPORARY/build/src/net/winograd_sets.o" | grep -o 'winograd_kernels_.*' | xargs)" = "winograd_kernels_avx2 winograd_kernels_baseline winograd_kernels_name"
fi
