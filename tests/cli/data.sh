# Data sets: what is there, what is in them.
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny here/mnist 60 9
export SOMA_DATA=here
run soma data
run soma data list --json
run soma data describe mnist
run soma data describe here/mnist/t10k --json
run soma data describe fashion-mnist
