#!/usr/bin/env bash
# Everything a change must pass: makes .venv, installs from the lock, then lint, format, types, the
# documentation and tests.  Arguments go to pytest.
# Tests run in two processes, a file in one of them (TEST_PROCESSES=0: in this one).
# TORCH=cpu installs a torch without CUDA, PYTHON=... with another Python.  Tests that want what pip does not bring
# (Praat, a browser, Sphinx's test models, a compiler) are skipped without it, saying so.
set -euo pipefail
cd "$(dirname "$0")/.."

"${PYTHON:-python3}" recipes/ci/install.py test

.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --site-dir "$site"
.venv/bin/pytest -rs -n "${TEST_PROCESSES:-2}" --dist loadfile "$@"
