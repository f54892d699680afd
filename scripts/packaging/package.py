# Spack recipe of filteratlas, filled in by make packages.
from spack.package import *


class Filteratlas(MakefilePackage):
    """Draws what every filter of a convolutional network looks for, distributed over MPI ranks."""

    url = "file://@TARBALL@"

    version("@VERSION@", sha256="@SHA256@")

    depends_on("c", type="build")
    depends_on("gmake", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("random123", type="build")
    depends_on("mpi")
    depends_on("openblas threads=none")
    depends_on("hdf5")
    depends_on("libpng")
    depends_on("libjpeg-turbo")
    depends_on("jansson")
    depends_on("libzip")
    depends_on("zlib-api")
    depends_on("openssl")

    conflicts("%gcc@:8", msg="GCC before 9 lacks __builtin_convertvector")

    # Kernels for every instruction set are built in any case; which set runs is chosen when the program starts.
    def _arguments(self):
        hdf5 = self.spec["hdf5"]
        return [
            "MPICC=" + self.spec["mpi"].mpicc,
            "PREFIX=" + self.prefix,
            "RANDOM123=" + self.spec["random123"].prefix.include,
            "HDF5_CFLAGS=" + hdf5.headers.include_flags,
            "HDF5_LIBS=" + hdf5.libs.ld_flags,
        ]

    def build(self, spec, prefix):
        make(*self._arguments())

    def install(self, spec, prefix):
        make(*self._arguments(), "install")
