# The everyday commands. The build itself is CMakeLists.txt; this file only remembers how to call it.
#   make            build/soma and build/libsoma.so
#   make mnist      from a fresh machine to a network that reads digits: installs, builds, fetches, trains, draws
#   make check      the same, then all tests
#   make install    PREFIX=/usr/local DESTDIR=
# BUILD=folder and CMAKE_ARGS="-DCMAKE_C_COMPILER=clang" choose another build.
BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)
CMAKE_ARGS ?=

CONFIGURE := cmake -S . -B $(BUILD) -G Ninja -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_ARGS)
CTEST     := ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

.PHONY: all mnist check check-long tests fmt bench bench-plots fuzz install docs reference clean
.NOTPARALLEL: # the steps of a target build on each other; Ninja uses all processors inside them

all: $(BUILD)/build.ninja
	@cmake --build $(BUILD) -j $(JOBS)

$(BUILD)/build.ninja:
	@command -v cmake >/dev/null && command -v ninja >/dev/null || { echo "cmake or ninja is missing: scripts/setup.sh"; false; }
	@$(CONFIGURE)

mnist:
	@scripts/setup.sh build
	@mkdir -p $(BUILD) && $(CONFIGURE) >$(BUILD)/configure.log || { cat $(BUILD)/configure.log; false; }
	@cmake --build $(BUILD) -j $(JOBS) --target soma_command
	@scripts/get-data.sh mnist
	$(BUILD)/soma train examples/mnist.yaml

check:
	@scripts/setup.sh build check
	@$(MAKE) --no-print-directory mnist
	@cmake --build $(BUILD) -j $(JOBS)
	@$(CTEST)

# All tests on what is built, without training first.
tests: all
	@$(CTEST)

# The bars that take minutes: full trainings over seeds and data sets, long fuzzing.
check-long: check
	@scripts/check-long.py $(BUILD)
	@scripts/fuzz.sh 300

fmt:
	@scripts/format.sh

# Speed, size and memory beside the peers that are installed (scripts/setup.sh bench): minutes, on a quiet machine.
# BENCH="--quick --only gemm" for less.
BENCH ?=
bench: all
	@scripts/get-data.sh mnist
	@$(CONFIGURE) >$(BUILD)/configure.log || { cat $(BUILD)/configure.log; false; }
	@cmake --build $(BUILD) -j $(JOBS) --target bench_programs
	@bench/run.py $(BUILD) $(BENCH)

# How time and memory grow with the work: tables and pictures in out/growth/ (docs/performance.md says what they show).
bench-plots: all
	@$(CONFIGURE) >$(BUILD)/configure.log || { cat $(BUILD)/configure.log; false; }
	@cmake --build $(BUILD) -j $(JOBS) --target bench_programs
	@bench/growth.py $(BUILD) $(BENCH)

# Every fuzz target for SECONDS seconds under AddressSanitizer and UBSan.
SECONDS ?= 60
fuzz:
	@scripts/fuzz.sh $(SECONDS)

install: all
	@DESTDIR="$(DESTDIR)" cmake --install $(BUILD) --prefix $(PREFIX)
	@[ -n "$(DESTDIR)" ] || ldconfig 2>/dev/null || true # so that programs find the library, where root installs it

# docs/reference/: a page a public header, layer, loss, metric, ..., from the comments of the headers.
docs reference:
	@scripts/reference.py

clean:
	rm -rf $(BUILD)
