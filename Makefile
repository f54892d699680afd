# make                build/filteratlas
# make check          builds and runs every test (scripts/check also installs what is missing)
# make bench          layers and whole filters against oneDNN (needs libdnnl-dev); BENCH=--quick: the short one
# make sanitize       the unit tests again, under the address and undefined-behaviour sanitizers
# make manual         build/man, the manual's pages: man -l build/man/filteratlas-formats.5
# make install        PREFIX=/usr/local; make uninstall takes away what it put there
# make dist           build/filteratlas-VERSION.tar.gz, which builds without git and npm
# make packages       build/packages: for Debian, Spack, EasyBuild, Apptainer and module (scripts/packaging)
# make viewer         tries again to fetch the viewer of the page's canvas, with npm
# make V=1            shows the commands
# scripts/libraries.mk says how to choose compiler and libraries.
VERSION := 0.1.0
DATE := 2026-11-25# of that version
PREFIX ?= /usr/local
BUILD ?= build
CFLAGS ?= -O2 -g
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)	$(2)")
comma := ,
RULES := Makefile scripts/libraries.mk

# To clean up or to pack the sources, libraries need not be there.
ifneq ($(filter-out clean uninstall dist packages,$(or $(MAKECMDGOALS),all)),)
include scripts/libraries.mk
endif

# C11 without contraction: a sum must round the same with and without fused multiply-add, for pictures that are the
# same bytes.
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -DFILTERATLAS_VERSION='"$(VERSION)"' -DFILTERATLAS_DATE='"$(DATE)"' -ffp-contract=off \
	-Iinclude $(WARNINGS) $(LIBRARY_CFLAGS) $(CPPFLAGS) $(CFLAGS)
LIBS := $(LIBRARY_LIBS) -lm -lpthread $(LDFLAGS)

KERNELS := src/net/winograd_kernels.c
LOOPS := src/net/loops.c
SOURCES := $(filter-out $(KERNELS) $(LOOPS),$(wildcard src/*/*.c))
CLUSTER := $(addprefix src/cluster/,cluster.c distribute.c driver.c relay.c segment.c shared.c tasks.c) $(wildcard src/app/render*.c) \
	src/app/examples.c src/app/app.c
SERIAL := $(filter-out $(CLUSTER),$(SOURCES)) # all that links and is tested without MPI
KERNEL_OBJECTS := $(KERNEL_SETS:%=$(BUILD)/src/net/winograd_kernels_%.o)
LOOP_OBJECTS := $(patsubst %,$(BUILD)/src/net/loops_%.o,$(filter-out neon bf16,$(KERNEL_SETS)))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(KERNEL_OBJECTS) $(LOOP_OBJECTS) $(BUILD)/page_assets.o
TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
TEST_HELPERS := $(addprefix $(BUILD)/tests/unit/,weights_writer.o fixtures.o twin.o twin_network.o twin_graph.o graph_builder.o filled.o folder.o memory_limit.o model_writer.o image_writer.o)

all: $(BUILD)/filteratlas

$(BUILD)/filteratlas: $(OBJECTS) $(BUILD)/src/main.o
	$(call say,LINK,$@)
	$(Q)$(MPI_CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(CLUSTER:%.c=$(BUILD)/%.o): COMPILE := $(MPI_CC)

# Which of the sets there are.
$(BUILD)/src/net/winograd_sets.o $(BUILD)/tests/bench/peak.o $(BUILD)/src/net/loops_for.o: ALL_CFLAGS += $(patsubst %,-DWINOGRAD_WITH_%,$(filter-out baseline,$(KERNEL_SETS)))

$(KERNEL_OBJECTS): $(BUILD)/src/net/winograd_kernels_%.o: $(KERNELS) $(RULES)
	$(call say,CC,$< ($*))
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -O3 -ffp-contract=fast $(KERNEL_FLAGS_$*) -DWINOGRAD_ISA=$* -MMD -MP -c -o $@ $<

$(LOOP_OBJECTS): $(BUILD)/src/net/loops_%.o: $(LOOPS) $(RULES)
	$(call say,CC,$< ($*))
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -O3 -fno-trapping-math $(KERNEL_FLAGS_$*) -DLOOPS_ISA=$* -MMD -MP -c -o $@ $<

# Long loops over pixels and waves: -O3 makes vectors of them, which round the same.
$(addprefix $(BUILD)/src/,$(addprefix ascent/,waves.o fourier.o optimisers.o transform.o) image/resize.o net/activations.o): \
	ALL_CFLAGS += -O3

$(BUILD)/%.o: %.c $(RULES)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The page's files are embedded in the program, and the viewer of its canvas where npm can fetch it. A VIEWER of your own,
# a folder with openseadragon.min.js and openseadragon-LICENSE.txt, does without npm; make dist packs it as viewer/.
VIEWER ?= $(if $(wildcard viewer/openseadragon.min.js),viewer,$(BUILD)/viewer)
VIEWER_STAMP := $(VIEWER)/$(if $(shell command -v npm),fetched,without)
PAGE := src/page/page.css $(BUILD)/page.js src/page/index.html # in the order in which they are written

ifeq ($(VIEWER),$(BUILD)/viewer)
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

$(BUILD)/page_assets.o: $(BUILD)/page_assets.c $(RULES)
	$(call say,CC,$<)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -Isrc -MMD -MP -c -o $@ $<

# Tests may include what only one room uses: "net/channel.h".
$(BUILD)/tests/%.o: tests/%.c $(RULES)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -Isrc $(shell $(PKG_CONFIG) --cflags cmocka) -MMD -MP -c -o $@ $<

$(BUILD)/libserial.a: $(SERIAL:%.c=$(BUILD)/%.o) $(KERNEL_OBJECTS) $(LOOP_OBJECTS) $(BUILD)/page_assets.o
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/tests/test_%: $(BUILD)/tests/unit/test_%.o $(TEST_HELPERS) $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ $(shell $(PKG_CONFIG) --libs cmocka) $(LIBS)

$(BUILD)/tests/make_weights: $(BUILD)/tests/unit/make_weights.o $(BUILD)/tests/unit/weights_writer.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/make_images: $(BUILD)/tests/unit/make_images.o $(BUILD)/tests/unit/image_writer.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/png_pixels: $(BUILD)/tests/unit/png_pixels.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(addprefix $(BUILD)/tests/,make_atlas page_time mutate_models peak_memory): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/read_back: $(BUILD)/tests/unit/read_back.o $(BUILD)/tests/unit/filled.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/faults.so: tests/unit/faults.c $(RULES)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -O2 -fPIC -shared -o $@ $< -ldl

# The simulation of whole jobs: small, and built with optimisation for ten thousands of them.
SIM_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/sim/*.c))
$(SIM_OBJECTS): $(BUILD)/tests/sim/%.o: tests/sim/%.c $(RULES)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -Isrc -MMD -MP -c -o $@ $<

# The second one has another coordinator in place of the archive's, which tests/sim/mutants.sh writes.
$(BUILD)/tests/sim/mutant.o: ALL_CFLAGS += -Isrc/cluster -w
$(BUILD)/tests/sim/mutant: $(SIM_OBJECTS) $(BUILD)/tests/sim/mutant.o $(BUILD)/libserial.a
$(BUILD)/tests/sim/sim: $(SIM_OBJECTS) $(BUILD)/libserial.a
$(BUILD)/tests/sim/sim $(BUILD)/tests/sim/mutant:
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/sim/mutant.o: $(BUILD)/tests/sim/mutant.c
	$(Q)$(COMPILE) $(ALL_CFLAGS) -c -o $@ $<

tests: $(BUILD)/filteratlas $(TESTS) $(BUILD)/tests/make_weights $(BUILD)/tests/make_images $(BUILD)/tests/mutate_models $(BUILD)/tests/png_pixels $(BUILD)/tests/make_atlas $(BUILD)/tests/page_time \
	$(BUILD)/tests/read_back $(BUILD)/tests/peak_memory $(BUILD)/tests/faults.so $(BUILD)/tests/sim/sim

# oneDNN 2 has no pkg-config file.
BENCH_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/write_live_weights.c %/resnet.c,$(wildcard tests/bench/*.c)))
$(BUILD)/tests/bench/bench: $(BENCH_OBJECTS) $(addprefix $(BUILD)/tests/unit/,weights_writer.o filled.o) $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ -ldnnl -lgomp $(LIBS)

$(BUILD)/tests/bench/write_live_weights: $(addprefix $(BUILD)/tests/,bench/write_live_weights.o bench/live_weights.o \
		unit/weights_writer.o) $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tests/bench/resnet: $(BUILD)/tests/bench/resnet.o $(BUILD)/libserial.a
	$(call say,LINK,$@)
	$(Q)$(COMPILE) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

bench-programs: $(BUILD)/filteratlas $(addprefix $(BUILD)/tests/bench/,bench write_live_weights resnet)

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
$(Q)scripts/manual_page $(VERSION) $(DATE) $< >$@.part && mv $@.part $@
endef
$(BUILD)/man/filteratlas-%: src/app/manual/filteratlas-%.md scripts/manual_page $(RULES)
	$(make_page)
$(BUILD)/man/filteratlas-jobs.7: jobs/README.md scripts/manual_page $(RULES)
	$(make_page)

MANUAL := $(addprefix $(BUILD)/man/,filteratlas.1 filteratlas-jobs.7 \
	$(patsubst src/app/manual/%.md,%,$(wildcard src/app/manual/filteratlas-*.md)))
manual: $(MANUAL)

# What lies where, below PREFIX. The job scripts find one another, and the program, from there.
SHARE := share/filteratlas
JOBS := $(filter-out jobs/launcher.sh,$(wildcard jobs/*.sh jobs/*.sbatch))
to = "$(DESTDIR)$(PREFIX)/$(1)"

install: $(BUILD)/filteratlas $(MANUAL) $(BUILD)/filteratlas.bash
	install -D -m 755 "$(BUILD)/filteratlas" $(call to,bin/filteratlas)
	for page in $(notdir $(MANUAL)); do \
		install -D -m 644 "$(BUILD)/man/$$page" $(call to,share/man/man$${page##*.}/$$page) || exit; done
	install -D -m 644 "$(BUILD)/filteratlas.bash" $(call to,share/bash-completion/completions/filteratlas)
	install -d $(call to,$(SHARE)/jobs/demo)
	install -m 755 $(JOBS) $(call to,$(SHARE)/jobs)
	install -m 644 jobs/launcher.sh $(call to,$(SHARE)/jobs)
	install -m 644 jobs/demo/README.md jobs/demo/demo_weights.h5 $(call to,$(SHARE)/jobs/demo)
	install -m 644 hostfile.example $(call to,$(SHARE))

uninstall:
	rm -f $(foreach page,$(notdir $(MANUAL)),$(call to,share/man/man$(lastword $(subst ., ,$(page)))/$(page)))
	rm -f $(call to,bin/filteratlas) $(call to,share/bash-completion/completions/filteratlas)
	rm -rf $(call to,$(SHARE))

# The sources and the viewer, so that neither git nor npm is needed: what git knows, or where there is no git, what is here.
DIST := filteratlas-$(VERSION)
dist: $(VIEWER_STAMP)
	rm -rf "$(BUILD)/$(DIST)"
	mkdir -p "$(BUILD)/$(DIST)"
	{ git ls-files 2>/dev/null || find . -path "./$(BUILD)" -prune -o -type f -print; } | \
		tar --verbatim-files-from -cf - -T - | tar -xf - -C "$(BUILD)/$(DIST)"
	mkdir -p "$(BUILD)/$(DIST)/viewer"
	cp -r $(VIEWER)/openseadragon* $(wildcard $(VIEWER)/source) "$(BUILD)/$(DIST)/viewer"
	tar -cf - --owner=0 --group=0 --mtime="$(DATE) UTC" --sort=name -C "$(BUILD)" "$(DIST)" | gzip -n >"$(BUILD)/$(DIST).tar.gz"
	rm -rf "$(BUILD)/$(DIST)"
	$(call say,DIST,$(BUILD)/$(DIST).tar.gz)

# Recipes for Debian, Spack, EasyBuild, Apptainer and Environment Modules: see scripts/packaging/README.md.
packages: dist
	$(Q)scripts/packaging/make_packages $(VERSION) $(DATE) "$(PREFIX)" "$(BUILD)/$(DIST).tar.gz" "$(BUILD)/packages"

clean:
	rm -rf $(BUILD)

.PHONY: all force viewer tests bench bench-programs check sanitize manual install uninstall dist packages clean
.SECONDARY:
-include $(OBJECTS:.o=.d) $(wildcard $(BUILD)/tests/*/*.d)
