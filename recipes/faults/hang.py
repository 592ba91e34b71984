"""Does a run ever hang?  What is known to have hung: workers that were forked from a process that had
trained.

Two cases, each so many times, while other programs want all cores: ``train`` with ``--out``, which trains and
aligns (ten recordings of one speaker, a dictionary of one's own); and ``train`` and then ``align
data/sample`` in one process, again and again.  A run that is not done after the limit has hung; the TextGrids
of all must equal those of the first.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aligner import find
from aligner.backends.choose import chosen
from aligner.backends.hmm import HmmBackend
from aligner.backends.options import Compute
from aligner.text.normalise import normalise

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data" / "sample"
PROGRAM = Path(sys.executable).with_name("aligner")
ROUNDS = 10  # of the second case in one process
AFTER = """
import sys
from aligner.cli import main

def run(*words):
    try:
        main(list(words))
    except SystemExit as ended:
        assert ended.code in (0, None), (words, ended.code)

corpus, dictionary, sample, folder, rounds = sys.argv[1:]
for k in range(int(rounds)):
    how = ("--dictionary", dictionary, "--recipe", "quick", "--start", "flat", "--jobs", "2")
    run("train", corpus, f"{folder}/model{k}", *how)
    run("align", sample, f"{folder}/out{k}", "--jobs", "2")
    print(k, flush=True)
"""


def corpus_of_one(folder: Path) -> tuple[Path, Path]:
    """All of the sample as one speaker's, and a dictionary of its words alone."""
    corpus, dictionary = folder / "corpus", folder / "own.dict"
    (corpus / "anna").mkdir(parents=True)
    lines = set()
    backend = chosen("english", compute=Compute(jobs=1))
    assert isinstance(backend, HmmBackend)
    for utterance in find(SAMPLE).utterances:
        assert isinstance(utterance.audio, Path)
        assert isinstance(utterance.source, Path)
        for path in (utterance.audio, utterance.source):
            shutil.copy(path, corpus / "anna")
        spoken, _ = backend.pronounce(normalise(utterance.transcript))
        lines |= {f"{word.word}\t{' '.join(p.phones)}" for word in spoken for p in word.pronunciations}
    dictionary.write_text("\n".join(sorted(lines)) + "\n")
    return corpus, dictionary


@contextmanager
def busy(number: int) -> Iterator[None]:
    """So many programs that want a core each."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def hangs(words: list[str | Path], limit: float) -> bool:
    """Run a command; whether it had to be ended."""
    try:
        done = subprocess.run(
            list(map(str, words)), timeout=limit, check=False, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return True
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return False


def grids(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.TextGrid"))}


class Count:
    """How many runs there were, how many hung, and how many came out otherwise than the first."""

    def __init__(self, name: str) -> None:
        self.name, self.runs, self.hung, self.other = name, 0, 0, 0
        self._first: dict[str, bytes] | None = None
        self._begun = time.perf_counter()

    def add(self, out: Path, hung: bool) -> None:
        found = grids(out)
        self._first = self._first or found
        self.runs += 1
        self.hung += hung
        self.other += not hung and (not found or found != self._first)
        print(f"\r{self}", end="", flush=True)

    def __str__(self) -> str:
        return (
            f"{self.name:<28}{self.runs:>5} runs, {self.hung} hung, {self.other} came out otherwise, "
            f"{(time.perf_counter() - self._begun) / max(self.runs, 1):.1f} s each"
        )


def train(runs: int, limit: float, corpus: Path, dictionary: Path, work: Path) -> Count:
    """Training that aligns what it was trained on."""
    count = Count("train --out")
    for k in range(runs):
        model, out = work / f"model{k}", work / f"out{k}"
        how = ["--dictionary", dictionary, "--recipe", "quick", "--start", "flat"]
        hung = hangs([PROGRAM, "train", corpus, model, "--out", out, *how], limit)
        count.add(out, hung)
        shutil.rmtree(model, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
    return count


def after(runs: int, limit: float, corpus: Path, dictionary: Path, work: Path) -> Count:
    """Aligning in a process that has trained, and aligned before."""
    count = Count("train, then align, one process")
    for first in range(0, runs, ROUNDS):
        rounds = min(ROUNDS, runs - first)
        folder = work / f"after{first}"
        folder.mkdir()
        hung = hangs(
            [sys.executable, "-c", AFTER, corpus, dictionary, SAMPLE, folder, str(rounds)], limit * rounds
        )
        done = len(list(folder.glob("out*/run.json")))
        for k in range(rounds):
            count.add(folder / f"out{k}", hung and k >= done - 1)
        shutil.rmtree(folder)
    return count


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--busy", type=int, default=2, help="programs that want a core each, meanwhile")
    options.add_argument("--limit", type=float, default=300.0, help="seconds from which a run has hung")
    options.add_argument("--only", choices=["train", "after"])
    given = options.parse_args()
    cases = [case for case in (train, after) if given.only in (None, case.__name__)]
    bad = 0
    with tempfile.TemporaryDirectory() as name, busy(given.busy):
        work = Path(name)
        corpus, dictionary = corpus_of_one(work)
        for case in cases:
            count = case(given.runs, given.limit, corpus, dictionary, work)
            print(f"\r{count}")
            bad += count.hung + count.other
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
