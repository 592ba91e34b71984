#!/usr/bin/env bash
# Renews what a fresh machine installs: requirements/run.txt, test.txt and built.txt, from the ranges in pyproject.toml.
# They hold for every system and every Python from 3.11 on.  Arguments go to uv: --upgrade-package NAME renews one only.
#
# Run it, then tests/run.sh in a new clone, then commit the three.
set -euo pipefail
cd "$(dirname "$0")/../.."

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    tools=$(mktemp -d)
    trap 'rm -rf "$tools"' EXIT
    "${PYTHON:-python3}" -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv
    uv=$tools/bin/uv
fi
[ $# -gt 0 ] || set -- --upgrade

# No settings of this machine, and no name of its index, get into a lock.  One version for all Pythons where there is one,
# so that what is installed is what was tested.
compile() {
    "$uv" --no-config pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
        --custom-compile-command "bash recipes/ci/lock.sh" "$@"
}

# Everything first: what runs is then the same with the tests as without them.  What must be built on the spot by a
# compiler (pyworld, pysptk) has a file of its own, so that a machine without one has all the rest.
compile pyproject.toml --extra dtw --extra test --extra metrics --extra docs \
    --no-emit-package pyworld --no-emit-package pysptk --output-file requirements/test.txt "$@"
compile pyproject.toml --extra dtw --constraint requirements/test.txt --output-file requirements/run.txt
printf 'pyworld\npysptk\n' | compile - --no-deps --output-file requirements/built.txt "$@"
