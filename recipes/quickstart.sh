#!/usr/bin/env bash
# From nothing to TextGrids: makes .venv, installs, aligns data/sample into out/ and prints how accurate that is.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -x .venv/bin/align ]; then
    echo "installing into .venv (torch is large: a few minutes on a slow line)"
    [ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[dtw]"
fi

.venv/bin/align data/sample out --existing overwrite --reference data/sample --report
echo
echo "Open out/report/index.html in a browser; or out/slt/harbour.TextGrid with data/sample/slt/harbour.flac in Praat."
