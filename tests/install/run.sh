#!/bin/sh
# Installs the build into an empty prefix, then builds and runs program.c against that copy alone, by pkg-config and by
# CMake; looks for every file that `make install` promises, and runs the installed command.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
cmake --install "$SOMA_BUILD" --prefix "$prefix" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
library=$(find "$prefix" -name libsoma.so -printf '%h')
[ -n "$library" ] || { echo "libsoma.so is not installed"; exit 1; }

cp "$SOMA_SOURCE/tests/install/program.c" "$SOMA_SOURCE/tests/install/CMakeLists.txt" "$scratch"
cd "$scratch"

export PKG_CONFIG_PATH="$library/pkgconfig"
${CC:-cc} -std=c11 program.c -o by-pkg-config $(pkg-config --cflags --libs soma) -Wl,-rpath,"$library"
by_pkg_config=$(./by-pkg-config)

cmake -S . -B by-cmake -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="${CC:-cc}" >log 2>&1 &&
    cmake --build by-cmake >>log 2>&1 || { cat log; exit 1; }
by_cmake=$(by-cmake/program)

version=$(pkg-config --modversion soma)
for line in "$by_pkg_config" "$by_cmake"; do
    [ "$line" = "soma $version: 3 + 0.5 = 3.5" ] || { echo "unexpected: $line"; exit 1; }
done
for file in include/soma/soma.h bin/soma share/man/man1/soma.1; do
    [ -s "$prefix/$file" ] || { echo "$file is not installed"; exit 1; }
done
[ "$("$prefix/bin/soma" --version | head -n 1)" = "soma $version" ] || { echo "the installed command does not run"; exit 1; }
readelf -d "$library/libsoma.so" | grep -q 'soname: \[libsoma.so.0\]' || { echo "the SONAME is not libsoma.so.0"; exit 1; }
echo "$by_pkg_config"
