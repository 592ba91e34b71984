#!/usr/bin/env python3
"""Hours of work in a short time: does memory grow, do file descriptors or threads pile up?

    soak.py [CORPUS] [--passes N | --minutes N] [--backend NAME] [--jobs N]

Each pass aligns CORPUS (default: data/sample) twice: by `aligner.align`, as a program would that goes on for days, and
by what the command does, into a temporary folder.  Every tenth of the passes a line tells what there is.  Memory grows
if the median slope (Theil & Sen) between passes of the second half is above 0.05 MB a pass; file descriptors, threads
and processes may not grow at all.  Exit status 1 if anything does.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

import aligner
from aligner.run.backend import BACKENDS, Options
from aligner.run.choose import chosen
from aligner.run.corpus import plan, run
from aligner.types import Failure

GROWTH = 0.05  # MB a pass
WARM = 0.5  # share of the passes in which caches fill
BLOCKS = 10


class State(NamedTuple):
    """After a pass: resident memory in MB of this process and its children, descriptors, threads, children."""

    memory: float
    files: int
    threads: int
    processes: int


def state() -> State:
    gc.collect()
    own = psutil.Process()
    family = [own, *own.children(recursive=True)]
    return State(sum(p.memory_info().rss for p in family) / 2**20, own.num_fds(), own.num_threads(), len(family))


def slope(values: Sequence[float]) -> float:
    """Growth from one value to the next: the median over all pairs, which a few jumps do not move."""
    pairs = combinations(enumerate(values), 2)
    return statistics.median((b - a) / (j - i) for (i, a), (j, b) in pairs) if len(values) > 1 else 0.0


def verdict(states: Sequence[State]) -> list[str]:
    """What grew in the second half; nothing where all is well."""
    late = states[round(WARM * len(states)):]
    grown = []
    growth = slope([s.memory for s in late])
    if growth > GROWTH:
        grown.append(f"memory grows by {growth:.3f} MB a pass")
    for name in ("files", "threads", "processes"):
        seen = [getattr(s, name) for s in late]
        first, last = statistics.median(seen[:len(seen) // 2 or 1]), statistics.median(seen[len(seen) // 2:])
        if last > first:
            grown.append(f"{name} grow from {first:g} to {last:g}")
    return grown


def passes(corpus: Path, backend: str, jobs: int) -> Callable[[], None]:
    """One pass over a corpus, by both ways."""
    options = Options(backend=backend, jobs=jobs)
    way, utterances = chosen(None, options), aligner.find(corpus).utterances

    def once() -> None:
        lost = [r for r in aligner.align(utterances, way, options) if isinstance(r, Failure)]
        with TemporaryDirectory() as folder:
            summary = run(plan(corpus, Path(folder) / "out"), way, options)
        if lost or summary.failures:
            raise SystemExit(f"something failed: {(lost or summary.failures)[0].message}")

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=Path(__file__).parents[2] / "data" / "sample")
    parser.add_argument("--passes", type=int, default=200)
    parser.add_argument("--minutes", type=float, help="so long, however many passes that are")
    parser.add_argument("--backend", choices=BACKENDS, default="hmm")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    once, states, begun = passes(given.corpus, given.backend, given.jobs), [], time.monotonic()
    every = max(1, given.passes // BLOCKS)
    print(f"{'pass':>6} {'minutes':>8} {'MB':>8} {'files':>6} {'threads':>8} {'processes':>10}")
    while (time.monotonic() - begun < 60 * given.minutes) if given.minutes else len(states) < given.passes:
        once()
        states.append(state())
        if len(states) == 1 or len(states) % every == 0:
            s = states[-1]
            print(f"{len(states):>6} {(time.monotonic() - begun) / 60:>8.1f} {s.memory:>8.1f} {s.files:>6} "
                  f"{s.threads:>8} {s.processes:>10}", flush=True)
    late = [s.memory for s in states[round(WARM * len(states)):]]
    print(f"{len(states)} passes; in the second half memory grows by {slope(late):+.4f} MB a pass "
          f"(at most {GROWTH} is well)")
    grown = verdict(states)
    print("\n".join(grown) if grown else "nothing grows")
    sys.exit(1 if grown else 0)


if __name__ == "__main__":
    main()
