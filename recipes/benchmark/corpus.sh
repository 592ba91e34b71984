#!/usr/bin/env bash
# Makes an hour of speech (and two, four, ten; ten thousand short files; a book of three hours) from the sample and, where
# it is named, a corpus of your own, and prints how fast `align` is beside its peers, and what it uses.
#
#     corpus.sh [CORPUS ...] [-- OPTIONS OF throughput.py]
set -euo pipefail
cd "$(dirname "$0")/../.."

[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -c "import aligner, espeakng_loader" 2>/dev/null ||
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[dtw]"

sources=(data/sample)
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    sources+=("$1")
    shift
done
[ $# -gt 0 ] && shift
exec .venv/bin/python recipes/benchmark/throughput.py "${sources[@]}" --work out/throughput "$@"
