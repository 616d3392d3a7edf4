# The version, on the first line after the last space, and as JSON.
source "$SOMA_SOURCE/tests/cli/tiny.bash"
soma --version | sed -n 1p
soma version | sed -E '3s/(set )[a-z0-9]+(, )[0-9]+/\1ISA\2N/'
SOMA_ISA=baseline soma version --json --threads 3
