#!/usr/bin/env bash
# The search core and the HMM family beside hmmlearn, librosa, torbi and torchaudio.  Arguments go to search.py.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"

# torbi's binaries are built for an older torch: an environment of its own; without it that line is left out
torbi=out/torbi/bin/python
if ! [ -x $torbi ] || ! $torbi -c "import torbi" 2>/dev/null; then
    "${PYTHON:-python3}" -m venv out/torbi
    $torbi -m pip install --quiet --disable-pip-version-check "torch==2.11.*" torbi || echo "torbi could not be installed"
fi
$torbi -c "import torbi" 2>/dev/null && set -- --torbi "$torbi" "$@"

.venv/bin/python recipes/benchmark/search.py "$@"
