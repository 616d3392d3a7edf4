# The manual page names every verb and every option that the help of the command names.
source "$SOMA_SOURCE/tests/cli/tiny.bash"
page=$(sed 's/\\-/-/g' "$SOMA_SOURCE/docs/soma.1")
count=0
for verb in $(soma --help | awk '/^Verbs:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'); do
    grep -q "^\.SS soma $verb\b" <<<"$page" || echo "soma $verb is not in docs/soma.1"
    section=$(awk -v verb="$verb" '/^\.S[SH]/ { on = $1 == ".SS" && $3 == verb || /OPTIONS OF EVERY/ } on' <<<"$page")
    for option in $(soma "$verb" --help | awk '/^Options:/ { on = 1; next } /^$/ { on = 0 } on' | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -e '--[a-z-]+'); do
        grep -qe "$option\b" <<<"$section" || echo "soma $verb: $option is not in docs/soma.1"
        count=$((count + 1))
    done
done
[ "$count" -gt 60 ] && echo "every option is in the manual page"
grep -q "soma $(soma --version | sed -n '1s/.* //p')" <<<"$page" && echo "and so is the version"
