# make                build/filteratlas
# make check          builds and runs every test (scripts/check also installs what is missing)
# make bench          layers and whole filters against oneDNN (needs libdnnl-dev); BENCH=--quick: the short one
# make sanitize       the unit tests again, under the address and undefined-behaviour sanitizers
# make manual         build/man, the manual's pages: man -l build/man/filteratlas-formats.5
# make install        PREFIX=/usr/local
# make viewer         tries again to fetch the viewer of the page's canvas, with npm
# make V=1            shows the commands
VERSION := 0.1.0
PREFIX ?= /usr/local
BUILD ?= build
CC ?= cc
MPICC ?= mpicc
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)")

have = $(shell $(PKG_CONFIG) --exists $(1) && echo $(1))
# Debian's name of serial HDF5, then everybody else's; where there is neither, h5cc knows the flags.
HDF5 := $(firstword $(call have,hdf5-serial) $(call have,hdf5))
ifneq ($(HDF5),)
HDF5_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(HDF5))
HDF5_LIBS := $(shell $(PKG_CONFIG) --libs $(HDF5))
else ifneq ($(shell command -v h5cc),)
H5CC_WORDS := $(shell h5cc -show)
HDF5_CFLAGS := $(filter -I% -D%,$(H5CC_WORDS))
HDF5_LIBS := $(filter -L% -l% -Wl% %.a %.so,$(H5CC_WORDS))
else
$(error HDF5 not found: install libhdf5-dev and pkg-config, or 'module load hdf5'; scripts/dependencies says more)
endif
PACKAGES := openblas libpng libjpeg zlib libcrypto
MISSING := $(foreach package,$(PACKAGES),$(if $(call have,$(package)),,$(package)))
ifneq ($(strip $(MISSING)),)
$(error pkg-config does not find: $(MISSING); scripts/dependencies says what to install)
endif

# C11 without contraction: a sum must round the same with and without fused multiply-add, for pictures that are the
# same bytes. Paths are checked for length once, in the store, so the compiler's guesses about them are noise.
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -DFILTERATLAS_VERSION='"$(VERSION)"' -ffp-contract=off -Iinclude \
	-Wall -Wextra -Wno-format-truncation $(shell $(PKG_CONFIG) --cflags $(PACKAGES)) $(HDF5_CFLAGS) $(CFLAGS)
LIBS := $(HDF5_LIBS) $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lm -lpthread $(LDFLAGS)

# The innermost loops are built once per instruction set; which set runs is chosen when the program starts.
KERNELS := src/net/winograd_kernels.c
ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine)),)
KERNEL_SETS := avx512 avx2 baseline
else
KERNEL_SETS := baseline
endif
# Compilers before GCC 10 and clang 9 don't know bfloat16: then there is no such set.
ifeq ($(shell $(CC) -march=x86-64-v4 -mavx512bf16 -E -x c /dev/null >/dev/null 2>&1 && echo yes),yes)
KERNEL_SETS += bf16
endif
KERNEL_FLAGS_bf16 := -march=x86-64-v4 -mprefer-vector-width=512 -mavx512bf16
KERNEL_FLAGS_avx512 := -march=x86-64-v4 -mprefer-vector-width=512
KERNEL_FLAGS_avx2 := -march=x86-64-v3

SOURCES := $(filter-out $(KERNELS),$(wildcard src/*/*.c))
CLUSTER := $(addprefix src/cluster/,cluster.c distribute.c driver.c relay.c shared.c) $(wildcard src/app/render*.c) src/app/app.c
SERIAL := $(filter-out $(CLUSTER),$(SOURCES)) # all that links and is tested without MPI
KERNEL_OBJECTS := $(KERNEL_SETS:%=$(BUILD)/src/net/winograd_kernels_%.o)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(KERNEL_OBJECTS) $(BUILD)/page_assets.o
TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
TEST_HELPERS := $(addprefix $(BUILD)/tests/unit/,weights_writer.o fixtures.o twin.o twin_network.o folder.o)

all: $(BUILD)/filteratlas

$(BUILD)/filteratlas: $(OBJECTS) $(BUILD)/src/main.o
	$(call say,LINK,$@)
	$(Q)$(MPICC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/src/cluster/%.o: CC := $(MPICC)

$(BUILD)/src/net/winograd.o $(BUILD)/tests/bench/peak.o: ALL_CFLAGS += $(KERNEL_SETS:%=-DWINOGRAD_WITH_%)

$(KERNEL_OBJECTS): $(BUILD)/src/net/winograd_kernels_%.o: $(KERNELS) Makefile
	$(call say,CC,$< ($*))
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -O3 -ffp-contract=fast $(KERNEL_FLAGS_$*) -DWINOGRAD_ISA=$* -MMD -MP -c -o $@ $<

# Long loops over pixels and waves: -O3 makes vectors of them, which round the same.
$(addprefix $(BUILD)/src/ascent/,waves.o fourier.o optimisers.o transform.o): ALL_CFLAGS += -O3

$(BUILD)/%.o: %.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The page's files are embedded in the program, and the viewer of its canvas where npm can fetch it. A VIEWER of your own,
# a folder with openseadragon.min.js and openseadragon-LICENSE.txt, does without npm.
VIEWER ?= $(BUILD)/viewer
VIEWER_STAMP := $(VIEWER)/$(if $(shell command -v npm),fetched,without)
PAGE := src/page/page.css $(BUILD)/page.js src/page/index.html # in the order in which they are written

ifeq ($(origin VIEWER),file)
$(VIEWER_STAMP): src/page/package-lock.json scripts/fetch_viewer
	$(call say,FETCH,openseadragon)
	$(Q)scripts/fetch_viewer $(VIEWER)
	@touch $@
else
VIEWER_STAMP := $(wildcard $(VIEWER)/openseadragon.min.js)
endif

viewer:
	rm -rf $(BUILD)/viewer
	$(MAKE) $(BUILD)/filteratlas

$(BUILD)/page.js: $(sort $(wildcard src/page/*.js))
	@mkdir -p $(@D)
	$(Q)cat $^ >$@

# A stamp that isn't there is a reason to begin again, also to .SECONDARY, which would take it for an old one.
$(BUILD)/page_assets.c: $(PAGE) $(VIEWER_STAMP) scripts/embed $(if $(wildcard $(VIEWER_STAMP)),,force)
	$(call say,EMBED,page)
	@mkdir -p $(@D)
	$(Q)scripts/embed $$(find $(VIEWER) -maxdepth 1 -name 'openseadragon*' | sort) $(PAGE) >$@

$(BUILD)/page_assets.o: $(BUILD)/page_assets.c Makefile
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -Isrc -MMD -MP -c -o $@ $<

# Tests may include what only one room uses: "net/channel.h".
$(BUILD)/tests/%.o: tests/%.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Isrc $(shell $(PKG_CONFIG) --cflags cmocka) -MMD -MP -c -o $@ $<

$(BUILD)/libserial.a: $(SERIAL:%.c=$(BUILD)/%.o) $(KERNEL_OBJECTS) $(BUILD)/page_assets.o
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/tests/test_%: $(BUILD)/tests/unit/test_%.o $(TEST_HELPERS) $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(shell $(PKG_CONFIG) --libs cmocka) $(LIBS)

$(BUILD)/tests/make_weights: $(BUILD)/tests/unit/make_weights.o $(BUILD)/tests/unit/weights_writer.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/png_pixels: $(BUILD)/tests/unit/png_pixels.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(addprefix $(BUILD)/tests/,make_atlas page_time read_back): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/faults.so: tests/unit/faults.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -O2 -fPIC -shared -o $@ $< -ldl

# The simulation of whole jobs: small, and built with optimisation for ten thousands of them.
SIM_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/*.c))
$(SIM_OBJECTS): $(BUILD)/tests/sim/%.o: tests/sim/%.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Isrc -MMD -MP -c -o $@ $<

# The second one has another coordinator in place of the archive's, which tests/sim/mutants.sh writes.
$(BUILD)/tests/sim/mutant.o: ALL_CFLAGS += -Isrc/cluster -w
$(BUILD)/tests/sim/mutant: $(SIM_OBJECTS) $(BUILD)/tests/sim/mutant.o $(BUILD)/libserial.a
$(BUILD)/tests/sim/sim: $(SIM_OBJECTS) $(BUILD)/libserial.a
$(BUILD)/tests/sim/sim $(BUILD)/tests/sim/mutant:
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/sim/mutant.o: $(BUILD)/tests/sim/mutant.c
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

tests: $(BUILD)/filteratlas $(TESTS) $(BUILD)/tests/make_weights $(BUILD)/tests/png_pixels $(BUILD)/tests/make_atlas $(BUILD)/tests/page_time \
	$(BUILD)/tests/read_back $(BUILD)/tests/faults.so $(BUILD)/tests/sim/sim

# oneDNN 2 has no pkg-config file.
BENCH_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/write_live_weights.c,$(wildcard tests/bench/*.c)))
$(BUILD)/tests/bench/bench: $(BENCH_OBJECTS) $(BUILD)/tests/unit/weights_writer.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ -ldnnl -lgomp $(LIBS)

$(BUILD)/tests/bench/write_live_weights: $(addprefix $(BUILD)/tests/,bench/write_live_weights.o bench/live_weights.o \
		unit/weights_writer.o) $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

bench-programs: $(BUILD)/filteratlas $(BUILD)/tests/bench/bench $(BUILD)/tests/bench/write_live_weights

bench: bench-programs
	$(Q)$(BUILD)/tests/bench/bench --csv $(BUILD)/bench.csv $(BENCH)

check:
	scripts/check

sanitize: $(VIEWER_STAMP)
	$(MAKE) BUILD=$(BUILD)/sanitized VIEWER=$(VIEWER) CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined' tests

# The program writes both from its table of options.
$(BUILD)/man/filteratlas.1: $(BUILD)/filteratlas
	@mkdir -p $(@D)
	$(Q)$< --man >$@
$(BUILD)/filteratlas.bash: $(BUILD)/filteratlas
	$(Q)$< --bash-completion >$@

# The other pages of the manual are made from Markdown.
define make_page
$(call say,MAN,$<)
@mkdir -p $(@D)
$(Q)scripts/manual_page $(VERSION) $< >$@.part && mv $@.part $@
endef
$(BUILD)/man/filteratlas-%: src/app/manual/filteratlas-%.md scripts/manual_page Makefile
	$(make_page)
$(BUILD)/man/filteratlas-jobs.7: jobs/README.md scripts/manual_page Makefile
	$(make_page)

MANUAL := $(addprefix $(BUILD)/man/,filteratlas.1 filteratlas-jobs.7 \
	$(patsubst src/app/manual/%.md,%,$(wildcard src/app/manual/filteratlas-*.md)))
manual: $(MANUAL)

install: $(BUILD)/filteratlas $(MANUAL) $(BUILD)/filteratlas.bash
	install -D -m 755 $(BUILD)/filteratlas $(DESTDIR)$(PREFIX)/bin/filteratlas
	for page in $(MANUAL); do install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit; done
	install -D -m 644 $(BUILD)/filteratlas.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/filteratlas

clean:
	rm -rf $(BUILD)

.PHONY: all force viewer tests bench bench-programs check sanitize manual install clean
.SECONDARY:
-include $(OBJECTS:.o=.d) $(wildcard $(BUILD)/tests/*/*.d)
