#!/bin/sh
# Runs a command in an empty folder and compares what it writes (stdout and stderr, in order) and its exit code with
# NAME.out, or with NAME.pattern: golden.sh NAME COMMAND [ARGUMENT...], called from the root of the repository.
# The command finds the build's `soma` first in PATH, the repository in SOMA_SOURCE, and data/ as the repository has it.
# With neither file it only has to succeed. Exit code 77 skips. SOMA_UPDATE=1 writes NAME.out anew: look at the
# difference before it is committed.
set -u
expected=$SOMA_SOURCE/$1
shift
PATH=$SOMA_BUILD:$PATH
LC_ALL=C.UTF-8
export PATH LC_ALL
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/run"
ln -s "$SOMA_SOURCE/data" "$scratch/run/data"

(cd "$scratch/run" && exec "$@") >"$scratch/out" 2>&1 </dev/null
code=$?
if [ "$code" -eq 77 ]; then
    cat "$scratch/out"
    exit 77
fi
[ "$code" -eq 0 ] || echo "exit code $code" >>"$scratch/out"

if [ -e "$expected.pattern" ]; then
    cat "$scratch/out"
    [ "$code" -eq 0 ] || exit "$code"
    while IFS= read -r pattern; do
        grep -Eq -e "$pattern" "$scratch/out" || { echo "no line matches: $pattern"; code=1; }
    done <"$expected.pattern"
    exit "$code"
elif [ "${SOMA_UPDATE:-}" = 1 ]; then
    cp "$scratch/out" "$expected.out"
elif [ -e "$expected.out" ]; then
    diff -u "$expected.out" "$scratch/out"
else
    cat "$scratch/out"
    exit "$code"
fi
