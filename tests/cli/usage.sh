# Wrong use: exit code 2, what was meant, where the help is.
source "$SOMA_SOURCE/tests/cli/tiny.bash"
tiny tiny 12 6
run soma trian
run soma -x
run soma train
run soma train one.yaml two.yaml
run soma train --epoch 3
run soma train -z
run soma train --dataset
run soma train --dataset tiny --epochs five
run soma train --dataset tiny --epochs 2.5
run soma train --dataset tiny --epochs=0
run soma train --dataset tiny --validation-split 2
run soma train --dataset tiny --progress bars
run soma train --dataset tiny --shuffle=no
run soma train --dataset tiny --x a.npy
run soma train --x a.npy
run soma train --dataset tiny --hidden 8,none
run soma evaluate
run soma evaluate m.soma
run soma predict m.soma
run soma plot
run soma plot digit tiny
run soma plan
run soma data fetch mnits
run soma data fech mnist
run soma version now
ls
SOMA_THREADS=few run soma version
SOMA_ISA=$([ "$(uname -m)" = x86_64 ] && echo neon || echo avx2) run soma version 2>&1 | sed -E "s/'.*'.*/NAME/"
run soma train --dataset tiny --hidden 8,99999999999
