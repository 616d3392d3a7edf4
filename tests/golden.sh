#!/bin/sh
# Runs a command in an empty folder and compares what it writes (stdout and stderr, in order) and its exit code with a
# file: golden.sh EXPECTED COMMAND [ARGUMENT...], called from the root of the repository.
# The command finds the build's `soma` first in PATH and the repository in SOMA_SOURCE. Without EXPECTED it only has to
# succeed. Exit code 77 skips. SOMA_UPDATE=1 writes EXPECTED anew: look at the difference before it is committed.
set -u
expected=$SOMA_SOURCE/$1
shift
PATH=$SOMA_BUILD:$PATH
LC_ALL=C.UTF-8
export PATH LC_ALL
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/run"

(cd "$scratch/run" && exec "$@") >"$scratch/out" 2>&1 </dev/null
code=$?
if [ "$code" -eq 77 ]; then
    cat "$scratch/out"
    exit 77
fi
[ "$code" -eq 0 ] || echo "exit code $code" >>"$scratch/out"

if [ "${SOMA_UPDATE:-}" = 1 ]; then
    cp "$scratch/out" "$expected"
elif [ -e "$expected" ]; then
    diff -u "$expected" "$scratch/out"
else
    cat "$scratch/out"
    exit "$code"
fi
