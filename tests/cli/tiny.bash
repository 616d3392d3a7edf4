# A data set small enough to be written by the shell: 4 x 4 pixels, three classes, the bright row tells which.
# tiny FOLDER TRAIN TEST makes the four IDX files with so many samples; bytes turns numbers into bytes.
# Sourced by the tests of the command.

# Fonts that fontconfig keeps until the end are no leak of ours.
export LSAN_OPTIONS="suppressions=$SOMA_SOURCE/tests/cli/lsan.supp:print_suppressions=0:${LSAN_OPTIONS:-}"

bytes() { # numbers from stdin
    local format
    format=$(awk '{ for (i = 1; i <= NF; i++) printf "\\%03o", $i }')
    # shellcheck disable=SC2059
    printf "$format"
}

tiny_pair() { # prefix, samples, offset
    {
        echo "0 0 8 3  0 0 $(($2 / 256)) $(($2 % 256))  0 0 0 4  0 0 0 4"
        awk -v n="$2" -v o="$3" 'BEGIN {
            for (i = 0; i < n; i++)
                for (p = 0; p < 16; p++)
                    print (int(p / 4) == i % 3 ? 255 - (i * 29 + o + p * 7) % 60 : (i * 13 + o + p * 31) % 50)
        }'
    } | bytes >"$1-images-idx3-ubyte"
    {
        echo "0 0 8 1  0 0 $(($2 / 256)) $(($2 % 256))"
        awk -v n="$2" 'BEGIN { for (i = 0; i < n; i++) print i % 3 }'
    } | bytes >"$1-labels-idx1-ubyte"
}

tiny() {
    mkdir -p "$1"
    tiny_pair "$1/train" "$2" 0
    tiny_pair "$1/t10k" "$3" 5
}

# The command with its exit code in the output, where that is not 0.
run() {
    echo "\$ $*"
    local code=0
    "$@" || code=$?
    [ "$code" -eq 0 ] || echo "exit code $code"
}

# Keeps what is the same on every machine: three digits of what was measured, no seconds, no sizes of plans.
steady() {
    sed -E -e 's/("seconds": )[0-9.e+-]+/\1S/' -e 's/([0-9]\.[0-9]{3})[0-9]+/\1/g' -e 's/ - [0-9]+s - [0-9]+[mu]?s\/step/ - T/'
}
