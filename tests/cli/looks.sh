# What can be seen where: colours only where they are wanted, box drawing only in UTF-8.
# Needs: jansson
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 12 6
soma train --dataset tiny --hidden 8 --epochs 1 --quiet --output m.soma >/dev/null
run soma summary m.soma
run soma summary m.soma --plain --trainable
LC_ALL=C run soma summary m.soma
escapes() { if grep -q $'\033'; then echo coloured; else echo plain; fi; }
{ FORCE_COLOR=1 soma train 2>&1 || true; } | escapes
{ FORCE_COLOR=1 NO_COLOR=1 soma train 2>&1 || true; } | escapes
{ FORCE_COLOR=1 soma train --no-color 2>&1 || true; } | escapes
{ soma train 2>&1 || true; } | escapes
