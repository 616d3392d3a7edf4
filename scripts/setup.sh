#!/bin/sh
# Installs what is missing on Debian 12, by names of groups: setup.sh [GROUP...], where a GROUP is build (the default),
# check, ci, curl, npm, fashion-mnist or bench.
# Asks dpkg first, so it needs no network and no rights where everything is there, and says what it does.
set -eu

group_packages() {
    case $1 in
    build) echo gcc libc6-dev cmake ninja-build pkg-config zlib1g-dev libpng-dev libjansson-dev libyaml-dev libcairo2-dev ;;
    check) echo libcmocka-dev clang-format python3 g++ ;;
    ci) echo clang llvm libclang-rt-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user ;;
    curl) echo curl ca-certificates ;;
    npm) echo npm ;;
    fashion-mnist) echo dataset-fashion-mnist ;;
    bench) echo libdnnl-dev libopenblas-dev libopenblas0-openmp libblis-dev libfann-dev python3-torch libtcmalloc-minimal4 \
        python3-onnx python3-matplotlib ;;
    *) echo "setup.sh: unknown group '$1'; there are build, check, ci, curl, npm, fashion-mnist, bench" >&2; exit 2 ;;
    esac
}

[ $# -gt 0 ] || set -- build
missing=
for group in "$@"; do
    packages=$(group_packages "$group") || exit 2
    for package in $packages; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || missing="$missing $package"
    done
done
# What no Debian package has: ONNX Runtime, of npm, for the bench. Nothing fails without it.
finish() {
    case " $* " in *" bench "*) ;; *) return 0 ;; esac
    cd "$(dirname "$0")/.."
    [ ! -d data/onnxruntime/node_modules/onnxruntime-node ] || return 0
    command -v npm >/dev/null || { echo "setup: ONNX Runtime needs npm: scripts/setup.sh npm, then this again"; return 0; }
    echo "setup: npm install onnxruntime-node (into data/onnxruntime)"
    ONNXRUNTIME_NODE_INSTALL=skip npm install --loglevel=error --no-audit --no-fund --prefix data/onnxruntime \
        onnxruntime-node@1.30 >/dev/null 2>&1 || echo "setup: it could not be installed; the bench does without it"
}
[ -n "$missing" ] || { finish "$@"; exit 0; }

if ! command -v apt-get >/dev/null; then
    echo "setup.sh: this is no Debian: please install the equivalents of$missing" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    root=
elif command -v sudo >/dev/null; then
    root=sudo
else
    echo "setup.sh: please install as root: apt-get install$missing" >&2
    exit 1
fi
echo "setup: apt-get install$missing"
# shellcheck disable=SC2086
install() { $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; }
# The lists of packages may be absent or too old: they are read anew only when installing fails.
install 2>/dev/null || { $root apt-get update -qq && install; } ||
    { echo "setup.sh: apt-get could not install$missing" >&2; exit 1; }
finish "$@"
