# The commands of README.md do what they say, on a part of the digits, if these are there.
# Needs: jansson yaml cairo png
if [ ! -e "$SOMA_SOURCE/data/mnist/train-images-idx3-ubyte" ]; then
    echo "skipped: data/mnist is not there (scripts/get-data.sh mnist)"
    exit 77
fi
source "$SOMA_SOURCE/tests/cli/tiny.bash"
python3 "$SOMA_SOURCE/tests/cli/png.py"
mv large.png digit.png
ln -s "$SOMA_SOURCE/examples" examples
sed -n '/^## On the command line/,/^## /p' "$SOMA_SOURCE/README.md" | sed -n '/^```sh/,/^```/p' | grep '^soma ' | sed 's/ *#.*//' >lines
count=0
while IFS= read -r line; do
    case $line in
    "soma train"*) line="$line --samples 300 --epochs 1 --quiet" ;;
    esac
    eval "$line" >out.txt 2>&1 </dev/null || { echo "$line: exit code $?"; cat out.txt; }
    [ -s out.txt ] || echo "$line says nothing"
    count=$((count + 1))
done <lines
[ "$count" -ge 8 ] && echo "all commands of README.md ran"
