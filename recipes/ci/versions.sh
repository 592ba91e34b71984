#!/usr/bin/env bash
# Runs the core of the tests with the oldest and the newest that pyproject.toml admits, and prints a table.
#
#     bash recipes/ci/versions.sh [oldest] [newest] [2.12.1 ...]      without arguments oldest and newest
#
# oldest takes the oldest of every package that pyproject.toml names, newest the newest of all; a release of torch comes
# with the newest of all others.  Each makes a venv in a temporary folder (6 GB; 3 to download) and removes it.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- oldest newest

# Search against its oracles, models against their peers, and the sample aligned from the command line
core=(tests/test_search.py tests/test_dtw.py tests/test_gmm.py tests/test_sphinx.py tests/test_hama.py tests/test_hub.py
      tests/test_pairs.py tests/test_features.py tests/test_ctc.py tests/test_align.py)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/uv"
"$work/uv/bin/python" -m pip install --quiet --disable-pip-version-check uv

# Installs what $1 names into $work/venv.  uv finds the versions, for pip knows no oldest; pip installs them, with the
# user's own settings.  Ends with the first command that fails.
prepare() {
    local which=()
    echo >"$work/only"
    case $1 in
        newest) ;;
        oldest) which=(--resolution lowest-direct) ;;
        *) echo "torch==$1" >"$work/only" ;;
    esac
    "$work/uv/bin/uv" --no-config pip compile --quiet --no-annotate --no-header --python "$work/uv/bin/python" \
        "${which[@]}" --constraint "$work/only" pyproject.toml --extra dtw --extra test --output-file "$work/wanted" &&
    "${PYTHON:-python3}" -m venv "$work/venv" &&
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile -r "$work/wanted" &&
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
}

failed=0
printf '%-8s %-10s %-10s %s\n' which torch torchaudio tests >"$work/table"
for which in "$@"; do
    rm -rf "$work/venv"
    torch=- torchaudio=- told="could not be installed"
    if prepare "$which"; then
        torch=$(sed -n 's/^torch==//p' "$work/wanted") torchaudio=$(sed -n 's/^torchaudio==//p' "$work/wanted")
        "$work/venv/bin/python" -m pytest -p no:cacheprovider "${core[@]}" | tee "$work/log" || failed=1
        told=$(tail -n 1 "$work/log")
    else
        failed=1
    fi
    printf '%-8s %-10s %-10s %s\n' "$which" "$torch" "$torchaudio" "$told" >>"$work/table"
done
echo
cat "$work/table"
exit "$failed"
