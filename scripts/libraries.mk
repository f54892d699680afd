# Included by Makefile: the compilers, and the libraries with their flags. What is missing is said at once, in one message.
#
#   make CC=gcc-12                      this compiler, also behind MPI's wrapper; by default the one that mpicc wraps
#   make MPICC=mpicc.mpich              another MPI
#   make HDF5=hdf5-openmpi              HDF5 by its name for pkg-config; by default a serial one, else the one for this MPI
#   make HDF5_CFLAGS=... HDF5_LIBS=...  or by its flags
#   make BLAS="-lmkl_rt" BLAS_CFLAGS=...   any CBLAS (MKL, BLIS, ArmPL, FlexiBLAS) instead of OpenBLAS
#   make RANDOM123=DIR                  where Random123/philox.h is, if the compiler doesn't find it
MPICC ?= mpicc
PKG_CONFIG ?= pkg-config
hash := \#
there = $(if $(1),$(shell command -v $(firstword $(1)) >/dev/null 2>&1 && echo yes))
have = $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo $(1))
flags = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)
# A CC of one's own compiles what needs MPI, too: two compilers' sanitizers or link-time code would not go together. It may
# be such a wrapper itself.
ifeq ($(origin CC),default)
CC := $(firstword $(shell $(MPICC) -show 2>/dev/null))
ifeq ($(call there,$(CC)),)
CC := cc
endif
MPI_CC := $(MPICC)
else ifneq ($(shell $(CC) -show >/dev/null 2>&1 && echo wraps),)
MPI_CC := $(CC)
else
MPI_CC := OMPI_CC='$(CC)' MPICH_CC='$(CC)' I_MPI_CC='$(CC)' $(MPICC)
endif
# $(call defines,COMPILER,HEADER,NAME): yes if the header is there and defines NAME; without NAME, if it is there.
defines = $(shell printf '%s\n' '$(hash)include <$(2)>' '$(hash)if $(if $(3),defined $(3),1)' it_does '$(hash)endif' | \
	$(1) -E -P -x c - 2>/dev/null | grep -qx it_does && echo yes)

# Debian's name of serial HDF5, then everybody else's of whichever is installed, then Debian's of the one for this MPI; where
# pkg-config knows none, h5cc or h5pcc knows the flags.
MPI_KIND := $(if $(call defines,$(MPI_CC),mpi.h,OPEN_MPI),openmpi,mpich)
ifeq ($(origin HDF5_LIBS),undefined)
HDF5 ?= $(firstword $(call have,hdf5-serial) $(call have,hdf5) $(call have,hdf5-$(MPI_KIND)))
ifneq ($(HDF5),)
HDF5_CFLAGS := $(call flags,--cflags $(HDF5))
HDF5_LIBS := $(call flags,--libs $(HDF5))
else
H5CC_WORDS := $(shell h5cc -show 2>/dev/null || h5pcc -show 2>/dev/null)
HDF5_CFLAGS := $(filter -I% -D%,$(H5CC_WORDS))
HDF5_LIBS := $(filter -L% -l% -Wl% %.a %.so,$(H5CC_WORDS))
endif
endif
# The headers of a parallel HDF5 include mpi.h: then everything is compiled and linked by MPI's wrapper.
HDF5_FOUND := $(or $(call defines,$(CC) $(HDF5_CFLAGS),hdf5.h),$(call defines,$(MPI_CC) $(HDF5_CFLAGS),hdf5.h))
COMPILE := $(if $(call defines,$(CC) $(HDF5_CFLAGS),H5pubconf.h,H5_HAVE_PARALLEL),$(MPI_CC),$(CC))

PACKAGES := libpng libjpeg zlib libcrypto jansson
# Without libzip the program reads .keras files unzipped.
ZIP := $(call have,libzip)
ifeq ($(BLAS),)
PACKAGES += openblas
else
# OpenBLAS has functions of its own, for its threads and for what it computes with; of others the log has the name. Warnings
# about their headers (-isystem) would not be about this program.
BLAS_NAME := $(firstword $(patsubst -l%,%,$(filter -l%,$(BLAS))) $(basename $(notdir $(filter %.a %.so,$(BLAS)))))
BLAS_FLAGS := $(patsubst -I%,-isystem %,$(BLAS_CFLAGS)) $(if $(findstring openblas,$(BLAS)),,-DFILTERATLAS_BLAS='"$(BLAS_NAME)"')
endif
RANDOM123_CFLAGS := $(if $(RANDOM123),-I$(RANDOM123))
LIBRARY_CFLAGS := $(call flags,--cflags $(PACKAGES) $(ZIP)) $(if $(ZIP),,-DFILTERATLAS_WITHOUT_ZIP) $(BLAS_FLAGS) $(RANDOM123_CFLAGS) $(HDF5_CFLAGS)
LIBRARY_LIBS := $(HDF5_LIBS) $(BLAS) $(call flags,--libs $(PACKAGES) $(ZIP))

ifeq ($(call there,$(CC)),)
MISSING := the C compiler $(CC),
else
MISSING := $(if $(call defines,$(MPI_CC),mpi.h),,MPI ($(MPICC)$(comma) or make MPICC=...),)
ifeq ($(call there,$(PKG_CONFIG)),)
MISSING += $(PKG_CONFIG) (which finds the other libraries),
else
MISSING += $(foreach package,$(PACKAGES),$(if $(call have,$(package)),,$(package),)) $(if $(HDF5_FOUND),,HDF5,)
endif
MISSING += $(if $(call defines,$(CC) $(RANDOM123_CFLAGS),Random123/philox.h),,the headers of Random123 (make RANDOM123=DIR),)
endif
ifneq ($(strip $(MISSING)),)
$(error not found: $(subst $(comma)@,,$(strip $(MISSING))@); scripts/dependencies says what to install, 'module avail' what a cluster has)
endif

# gcc guesses about lengths of paths, which are checked once, in the store; clang before 18 doesn't know that warning.
WARNINGS := -Wall -Wextra $(shell $(CC) -Werror -Wformat-truncation -E -x c /dev/null >/dev/null 2>&1 && echo -Wno-format-truncation)

# The innermost loops are built once per instruction set that the compiler knows; which set runs is chosen when the program
# starts, by the features that are named here.
KERNEL_FLAGS_avx2 := -mavx2 -mfma -mbmi -mbmi2
KERNEL_FLAGS_avx512 := $(KERNEL_FLAGS_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=512
# GCC's scheduling for AArch64 loads so far ahead that two of the product's sums find no register.
ARM := $(filter aarch64% arm64%,$(shell $(CC) -dumpmachine))
ifneq ($(ARM),)
KERNEL_FLAGS_baseline := $(shell $(CC) -Werror -fno-schedule-insns -E -x c /dev/null >/dev/null 2>&1 && echo -fno-schedule-insns)
endif
KERNEL_FLAGS_neon := $(KERNEL_FLAGS_baseline) -DWINOGRAD_NEON
KERNEL_FLAGS_bf16 := $(KERNEL_FLAGS_avx512) -mavx512bf16
KERNEL_SETS := $(if $(ARM),neon) baseline
ifneq ($(filter x86_64% amd64%,$(shell $(CC) -dumpmachine)),)
knows = $(shell $(CC) -Werror $(KERNEL_FLAGS_$(1)) -E -x c /dev/null >/dev/null 2>&1 && echo $(1))
KERNEL_SETS := $(foreach set,bf16 avx512 avx2,$(call knows,$(set))) baseline
UNKNOWN := $(filter-out $(KERNEL_SETS),bf16 avx512 avx2)
$(foreach set,$(UNKNOWN),$(info   without the $(set) kernels, whose instructions $(CC) doesn't know: $(KERNEL_FLAGS_$(set))))
endif
