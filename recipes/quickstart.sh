#!/usr/bin/env bash
# From nothing to TextGrids: makes .venv, installs, aligns data/sample into out/ and prints how accurate that is.
# TORCH=cpu installs a torch without CUDA, PYTHON=... with another Python.
set -euo pipefail
cd "$(dirname "$0")/.."

"${PYTHON:-python3}" recipes/ci/install.py run

.venv/bin/align data/sample out --existing overwrite --reference data/sample --report
echo
echo "Open out/report/index.html in a browser; or out/slt/harbour.TextGrid with data/sample/slt/harbour.flac in Praat."
