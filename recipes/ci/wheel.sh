#!/usr/bin/env bash
# Builds the source archive and, from it, the wheel; installs the wheel in a clean venv in another folder, and aligns there.
# tests/run.sh comes first: it makes .venv.  The two files are left in FOLDER, if one is named.
#
#     bash recipes/ci/wheel.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD here=$PWD/.venv/bin/python
[ -x "$here" ] || { echo "there is no .venv: bash tests/run.sh makes it" >&2; exit 2; }
unset PYTHONPATH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# With the lock's setuptools, not the newest; the wheel is made from the archive, so that the archive lacks nothing
"$here" -m build --no-isolation --outdir "$work/dist" . >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
wheel=$(echo "$work"/dist/*.whl)
echo "built     $(cd "$work/dist" && ls | tr '\n' ' ')"

# All that git knows of the package is in the wheel, and nothing else
"$here" - "$wheel" <<'END'
import subprocess, sys, zipfile

known = set(subprocess.run(["git", "ls-files", "aligner"], check=True, capture_output=True, text=True).stdout.split("\n"))
packed = {name for name in zipfile.ZipFile(sys.argv[1]).namelist() if name.startswith("aligner/")}
sys.exit(f"wheel and git differ: {sorted(known - {''} ^ packed)}" if known - {""} != packed else 0)
END

# The venv holds the wheel and nothing else.  What it needs is read from .venv, which has exactly the lock: to copy those
# gigabytes would test pip again, not the wheel.  The checkout cannot be seen from there: the .pth file that leads to it
# is .venv's, and Python follows such files in a venv's own folder only.
"$here" -m venv "$work/venv"
there=$work/venv/bin
"$here" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
    >"$("$there/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/lock.pth"
"$there/python" -m pip install --quiet --disable-pip-version-check --no-deps --ignore-installed "$wheel"

mkdir "$work/elsewhere"
cp -r data/sample "$work/elsewhere/corpus"
cd "$work/elsewhere"
"$there/python" - "$work/venv" "$root" "$wheel" <<'END'
import sys
from importlib.metadata import distribution, requires
from pathlib import Path
from packaging.requirements import Requirement

import aligner

venv, root, wheel = map(Path, sys.argv[1:])
assert Path(aligner.__file__).is_relative_to(venv), aligner.__file__
assert not any(Path(p or ".").resolve() == root for p in sys.path), sys.path
assert distribution("aligner").version == aligner.__version__ == wheel.name.split("-")[1]
for needed in map(Requirement, requires("aligner")):
    if needed.marker is None or needed.marker.evaluate({"extra": "dtw"}):
        assert needed.specifier.contains(distribution(needed.name).version), needed
END
said=$("$there/aligner" --version)
version=$("$there/python" -c 'import aligner; print(aligner.__version__)')
[ "${said##* }" = "$version" ] || { echo "aligner --version says '$said', the package is $version" >&2; exit 1; }

# Each of these reads a data file of its own; the report reads its assets
for backend in hmm ctc dtw; do
    "$there/align" corpus "out-$backend" --backend "$backend" --report --reference corpus >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; exit 1; }
    [ -s "out-$backend/report/index.html" ] || { echo "there is no report" >&2; exit 1; }
done
"$there/python" - <<'END'
from pathlib import Path
from textgrid import TextGrid

for out in sorted(Path().glob("out-*")):
    for text in sorted(Path("corpus").rglob("*.lab")):
        grid = TextGrid.fromFile(str(out / text.relative_to("corpus").with_suffix(".TextGrid")))
        words, phones = (grid.getFirst(name) for name in ("words", "phones"))
        said = [i.mark for i in words if i.mark]
        assert len(said) >= 8 and said[0].lower() in text.read_text().lower(), (out, text, said)
        assert len([i for i in phones if i.mark]) > len(said), (out, text)
        assert words.maxTime == phones.maxTime == grid.maxTime, (out, text)
END
echo "installed $said, aligned by hmm, ctc and dtw outside the checkout"
[ $# = 0 ] || { cd "$root" && mkdir -p "$1" && cp "$work"/dist/* "$1"; }
