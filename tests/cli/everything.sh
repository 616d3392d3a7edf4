# Everything that has a name trains from YAML: see everything.py.
# Needs: yaml jansson
python3 "$SOMA_SOURCE/tests/cli/everything.py"
