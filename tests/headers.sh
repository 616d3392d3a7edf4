#!/bin/sh
# Every public header compiles by itself, as strict C11 and as C++17, and the umbrella includes all of them.
set -eu
cd "$SOMA_SOURCE"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
for header in include/soma/*.h; do
    name=${header#include/}
    printf '#include <%s>\nint main(void) { return 0; }\n' "$name" >"$scratch/one.c"
    cp "$scratch/one.c" "$scratch/one.cc"
    ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only "$scratch/one.c" || failures=$((failures + 1))
    if command -v c++ >/dev/null; then
        c++ -std=c++17 -Wall -Wextra -Werror -Iinclude -fsyntax-only "$scratch/one.cc" || failures=$((failures + 1))
    fi
    if [ "$name" != soma/soma.h ] && ! grep -q "<$name>" include/soma/soma.h; then
        echo "include/soma/soma.h does not include <$name>"
        failures=$((failures + 1))
    fi
done
exit "$failures"
