#!/bin/sh
# Runs every fuzz target tests/fuzz/fuzz_*.c for so many seconds, from its corpus, under AddressSanitizer and UBSan:
#   scripts/fuzz.sh [SECONDS [SEED]]     60, and a new seed each time; CI names one, so that it says the same of a commit twice
# Rests on clang's libFuzzer. New inputs stay in build-fuzz/; a crash is kept there and named.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
seed=${2:-0}
scripts/setup.sh build ci
cmake -S . -B build-fuzz -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DSOMA_FUZZ=ON >/dev/null
cmake --build build-fuzz --target fuzzers >build-fuzz/build.log || { cat build-fuzz/build.log; exit 1; }
tests/fuzz/make-corpus.py build-fuzz/corpus >/dev/null
count=0
for target in tests/fuzz/fuzz_*.c; do
    name=$(basename "$target" .c)
    found=build-fuzz/found/$name
    mkdir -p "$found"
    "build-fuzz/tests/$name" -seed="$seed" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="build-fuzz/crash-$name-" "$found" "build-fuzz/corpus/${name#fuzz_}" \
        >build-fuzz/fuzz.log 2>&1 || { tail -n 60 build-fuzz/fuzz.log; echo "$name: failed"; exit 1; }
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' build-fuzz/fuzz.log) inputs, no failure"
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "fuzz.sh: there is no tests/fuzz/fuzz_*.c" >&2; exit 1; }
