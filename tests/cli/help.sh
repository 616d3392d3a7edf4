# The start page and every verb's help.
source "$SOMA_SOURCE/tests/cli/tiny.bash"
run soma
run soma --help
cmp <(soma --help) <(soma help) && cmp <(soma plan --help) <(soma help plan) && echo "help is a verb too"
for verb in train evaluate predict summary info plan bench plot data names version; do
    run soma "$verb" --help
done
