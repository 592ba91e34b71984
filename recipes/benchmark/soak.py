#!/usr/bin/env python3
"""Hours of work in a short time: does memory grow, do file descriptors or threads pile up?

    soak.py [CORPUS] [--passes N | --minutes N] [--backend NAME] [--jobs N]

Each pass aligns CORPUS (default: data/sample) twice: by `aligner.align`, as a program would that goes on for
days, and by what the command does, into a temporary folder.  Every tenth of the passes a line tells what
there is.  Resident memory grows if the median slope (Theil & Sen) between passes of the second half is above
0.05 MB a pass: less cannot be told from how the allocator cuts it up, and below a hundred passes not even
that.  The heap in use (glibc tells it, to the byte) may grow by 0.01 MB a pass; file descriptors, threads and
processes not at all.  Exit status 1 if anything does.

`--backend dtw` does, by 2 KB an utterance: eSpeak's library does not give back what it allocates for a voice.
"""

from __future__ import annotations

import argparse
import ctypes
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
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.names import BACKENDS
from aligner.run.folder import plan, run
from aligner.types import Failure

GROWTH, HEAP_GROWTH = 0.05, 0.01  # MB a pass
WARM = 0.5  # share of the passes in which caches fill
BLOCKS = 10


class State(NamedTuple):
    """After a pass: MB resident, of this process and its children; MB of its heap in use; how many of the
    rest.
    """

    memory: float
    heap: float
    files: int
    threads: int
    processes: int


def state() -> State:
    gc.collect()
    own = psutil.Process()
    family = [own, *own.children(recursive=True)]
    resident = sum(p.memory_info().rss for p in family)
    return State(resident / 2**20, heap() / 2**20, own.num_fds(), own.num_threads(), len(family))


class _Mallinfo2(ctypes.Structure):
    """What glibc tells of its heap, in bytes."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def heap() -> int:
    """Bytes that were allocated and not freed; always 0 where the C library does not tell (glibc from 2.33 on
    does).
    """
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        return 0
    mallinfo2.restype = _Mallinfo2
    told = mallinfo2()
    return int(told.uordblks + told.hblkhd)


def slope(values: Sequence[float]) -> float:
    """Growth from one value to the next: the median over all pairs, which a few jumps do not move."""
    pairs = combinations(enumerate(values), 2)
    return statistics.median((b - a) / (j - i) for (i, a), (j, b) in pairs) if len(values) > 1 else 0.0


def verdict(states: Sequence[State]) -> list[str]:
    """What grew in the second half; nothing where all is well."""
    late = states[round(WARM * len(states)) :]
    grown = []
    for name, most in (("memory", GROWTH), ("heap", HEAP_GROWTH)):
        growth = slope([getattr(s, name) for s in late])
        if growth > most:
            grown.append(f"{name} grows by {growth:.3f} MB a pass")
    for name in ("files", "threads", "processes"):
        seen = [getattr(s, name) for s in late]
        first, last = (
            statistics.median(seen[: len(seen) // 2 or 1]),
            statistics.median(seen[len(seen) // 2 :]),
        )
        if last > first:
            grown.append(f"{name} grow from {first:g} to {last:g}")
    return grown


def passes(corpus: Path, backend: str, jobs: int) -> Callable[[], None]:
    """One pass over a corpus, by both ways."""
    method = chosen(None, Options(backend=backend), Compute(jobs=jobs))
    utterances = aligner.find(corpus).utterances

    def once() -> None:
        lost = [r for r in aligner.align(utterances, method) if isinstance(r, Failure)]
        with TemporaryDirectory() as folder:
            summary = run(plan(corpus, Path(folder) / "out"), method)
        if lost or summary.failures:
            raise SystemExit(f"something failed: {(lost or summary.failures)[0].message}")

    return once


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", type=Path, default=Path(__file__).parents[2] / "data" / "sample")
    parser.add_argument("--passes", type=int, default=200)
    parser.add_argument("--minutes", type=float, help="so long, however many passes that are")
    parser.add_argument("--backend", choices=BACKENDS, default="hmm")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    once, states, begun = passes(given.corpus, given.backend, given.jobs), [], time.monotonic()
    every = max(1, given.passes // BLOCKS)
    print(f"{'pass':>6} {'minutes':>8} {'MB':>8} {'heap':>8} {'files':>6} {'threads':>8} {'processes':>10}")
    while (time.monotonic() - begun < 60 * given.minutes) if given.minutes else len(states) < given.passes:
        once()
        states.append(state())
        if len(states) == 1 or len(states) % every == 0:
            s = states[-1]
            print(
                f"{len(states):>6} {(time.monotonic() - begun) / 60:>8.1f} {s.memory:>8.1f} {s.heap:>8.2f} "
                f"{s.files:>6} {s.threads:>8} {s.processes:>10}",
                flush=True,
            )
    late = states[round(WARM * len(states)) :]
    print(
        f"{len(states)} passes; in the second half memory grows by "
        f"{slope([s.memory for s in late]):+.4f} MB a pass, "
        f"the heap by {slope([s.heap for s in late]):+.4f} (at most {GROWTH} and {HEAP_GROWTH} are well)"
    )
    grown = verdict(states)
    print("\n".join(grown) if grown else "nothing grows")
    sys.exit(1 if grown else 0)


if __name__ == "__main__":
    main()
