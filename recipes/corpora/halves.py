#!/usr/bin/env python3
"""How much a model depends on the speech that it was trained on: half a corpus against all of it.

    halves.py CORPUS WORK [--language CODE] [--recipe NAME] [--config YAML] [--characters]

Trains a model on every second recording of CORPUS and one on all, aligns the other half with each, and prints
how far the boundaries of the two alignments are apart.  All stays in WORK, which must not be there yet.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from aligner.corpus.find import find
from aligner.corpus.labels import tier
from aligner.evaluate.boundaries import phone_boundaries, summary
from aligner.evaluate.matching import match_phones


def half(corpus: Path, out: Path, first: int) -> None:
    """Every second recording, with its transcript."""
    for utterance in find(corpus).utterances[first::2]:
        for path in (utterance.audio, utterance.source):
            target = out / path.relative_to(corpus)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def aligner(*arguments: str | Path) -> None:
    """Run a command of the aligner's; 1 means that something could not be aligned, and is told."""
    command = [str(Path(sys.executable).parent / "aligner"), *map(str, arguments)]
    print("$", *command[1:], flush=True)
    if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode > 1:
        raise SystemExit(f"{command} failed")


def apart(one: Path, other: Path) -> list[float]:
    """Signed differences in s of all boundaries of the same phones."""
    errors = []
    for path in sorted(one.rglob("*.TextGrid")):
        there = other / path.relative_to(one)
        if there.exists():
            a, b = ([p for p in tier(grid, "phones") if p.label] for grid in (path, there))
            errors += [error.late for error in phone_boundaries(a, b, match_phones(a, b))]
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--language", default="en")
    parser.add_argument("--recipe", default="standard")
    parser.add_argument("--config", type=Path, help="stages, em and features, instead of the recipe's")
    parser.add_argument("--characters", action="store_true")
    args = parser.parse_args()
    args.work.mkdir(parents=True)
    for name, first in (("a", 0), ("b", 1)):
        half(args.corpus, args.work / name, first)
    how = [
        "--language",
        args.language,
        "--recipe",
        args.recipe,
        *["--characters"] * args.characters,
        *(["--config", args.config] if args.config else []),
    ]
    aligner("train", args.work / "a", args.work / "model-a", "--start", "flat", *how)
    aligner("train", args.corpus, args.work / "model-all", "--start", "flat", *how)
    for name in ("a", "all"):
        aligner("align", args.work / "b", args.work / f"b-by-{name}", "--model", args.work / f"model-{name}")
    found = summary(apart(args.work / "b-by-all", args.work / "b-by-a"))
    assert found is not None
    shares = ", ".join(f"{found.within[t]:.1f} % within {t}" for t in (10, 20, 50))
    print(f"by half the corpus or all of it: boundaries {found.mae:.2f} ms apart ({shares} ms)")


if __name__ == "__main__":
    main()
