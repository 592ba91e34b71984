#!/usr/bin/env bash
# Everything a change must pass: makes .venv, installs, then lint, types and tests.  Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"

# pyworld and pysptk are built where they are installed; without a compiler their tests are skipped, saying so
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test,metrics]" ||
    echo "could not build pyworld and pysptk: their tests will be skipped"

# Praat itself, a browser and Sphinx's test models are Debian packages; without them their tests are skipped, saying so
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    wanted=()
    command -v praat >/dev/null || wanted+=(praat)
    command -v chromium >/dev/null || wanted+=(chromium)
    [ -d /usr/share/pocketsphinx/test/data ] || wanted+=(pocketsphinx-testdata)
    if [ ${#wanted[@]} -gt 0 ]; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null ||
            echo "could not install ${wanted[*]}: their tests will be skipped"
    fi
fi

.venv/bin/ruff check .
.venv/bin/mypy
.venv/bin/pytest -rs "$@"
