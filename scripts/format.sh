#!/bin/sh
# Formats every C file of the repository with clang-format 14, or with --check only names those that differ.
set -eu
cd "$(dirname "$0")/.."
command -v clang-format >/dev/null || { echo "clang-format is missing: scripts/setup.sh check" >&2; exit 1; }
files=$(find include src cli web tests bench examples -name '*.[ch]' 2>/dev/null | sort)
case ${1:-} in
'') clang-format -i $files ;;
--check)
    failures=0
    for file in $files; do
        clang-format --dry-run --Werror "$file" 2>/dev/null || { echo "$file is not formatted: make fmt"; failures=1; }
    done
    exit "$failures"
    ;;
*) echo "usage: format.sh [--check]" >&2; exit 2 ;;
esac
