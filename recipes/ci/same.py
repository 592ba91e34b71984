#!/usr/bin/env python3
"""Tell whether this checkout aligns speech exactly as another commit of it does.

    same.py COMMIT [--backend NAME ...]

Both align the sample (data/sample) and the hand-labelled speech (../shared/data/timit-dev; where it is not
here, that is said and it is left out) with every backend; COMMIT does so in a git worktree that is removed
afterwards.  All TextGrid, CTM and CSV files are compared byte for byte; of alignment.csv the columns that
both have, except for ``reason``, a sentence.  Exits with 1 if anything differs.  Five backends take a few
minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPORA = {"sample": ROOT / "data" / "sample", "timit-dev": ROOT.parent / "shared" / "data" / "timit-dev"}
BACKENDS = ("hmm", "ctc", "ctc+hmm", "dtw", "median")
COMPARED = {".TextGrid", ".ctm", ".csv"}
TABLE = "alignment.csv"
SENTENCE = "reason"  # its column may be worded anew
SHOWN = 5  # differing files named for each run
PROGRAM = "from aligner.cli import align; align()"


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """The tree of a commit in a folder, for as long as the block lasts."""
    tree = folder / "tree"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
    try:
        yield tree
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def aligned(tree: Path, corpus: Path, backend: str, out: Path) -> Path:
    """The output folder of a corpus aligned by the code of a tree; files that fail are part of the answer."""
    call = [str(corpus), str(out), "--backend", backend, "--format", "csv", "--format", "ctm"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *call],
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
        capture_output=True,
        text=True,
    )
    if not (out / TABLE).is_file():
        sys.exit(f"{tree}: align {' '.join(call)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return out


def written(out: Path) -> dict[Path, bytes]:
    """The compared files of an output folder with their bytes, but for the table of the run."""
    files = (p for p in out.rglob("*") if p.suffix in COMPARED and p.name != TABLE)
    return {p.relative_to(out): p.read_bytes() for p in files}


def rows(out: Path) -> list[dict[str, str]]:
    """The lines of the table of a run."""
    with (out / TABLE).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def differing_rows(before: list[dict[str, str]], after: list[dict[str, str]]) -> list[str]:
    """The files whose lines differ in a column that both tables have, with that column and both values."""
    if len(before) != len(after):
        return [f"{TABLE} has {len(after)} lines, it had {len(before)}"]
    return [
        f"{TABLE}: {one.get('file')}: {column} was {one[column]!r}, is {other[column]!r}"
        for one, other in zip(before, after, strict=True)
        for column in one
        if column in other and column != SENTENCE and one[column] != other[column]
    ]


def differences(before: Path, after: Path) -> tuple[int, list[str]]:
    """How many files two runs wrote, and what differs between them."""
    one, other = written(before), written(after)
    names = sorted({*one, *other})
    changed = [str(name) for name in names if one.get(name) != other.get(name)]
    return len(names), changed + differing_rows(rows(before), rows(after))


def main() -> None:
    """Compare the runs that the command line asks for, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("commit", help="what to compare with: anything that git resolves to a commit")
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="only this one; may be repeated")
    arguments = parser.parse_args()
    corpora = {name: corpus for name, corpus in CORPORA.items() if corpus.is_dir()}
    for name in CORPORA.keys() - corpora.keys():
        print(f"{name:10s} is not here and is left out")
    same = True
    with tempfile.TemporaryDirectory() as temporary, checked_out(arguments.commit, Path(temporary)) as tree:
        for backend in arguments.backend or BACKENDS:
            for name, corpus in corpora.items():
                out = Path(temporary) / f"{backend}-{name}"
                before = aligned(tree, corpus, backend, out / "before")
                count, found = differences(before, aligned(ROOT, corpus, backend, out / "after"))
                same &= not found
                said = "the same" if not found else f"{len(found)} differ: " + "; ".join(found[:SHOWN])
                print(f"{name:10s} {backend:8s} {count} files, {said}", flush=True)
    sys.exit(not same)


if __name__ == "__main__":
    main()
