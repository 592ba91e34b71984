"""Measuring the speed of `align`: whole runs of each backend, and the stages of one run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from aligner.backends.base import AnyBackend
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.bench.timing import Row, Stopwatch, TimeSource, Timing, timed
from aligner.parallel.monitor import Monitor
from aligner.run.folder import Summary, plan, run
from aligner.tracing import STAGES, traced_by
from aligner.types import SAMPLE_RATE, AlignerError, DataError

MEMORY_INTERVAL = 0.1  # seconds between two looks at the memory of a run
REST = "all else"  # row for the rest of a run: dictionaries, rows, tables, Python between the stages
TEXT = "the quick brown fox jumps over the lazy dog and runs away"
SECONDS, UTTERANCES = 4.0, 12  # size of the made-up corpus: seconds of an utterance, and utterances


@contextmanager
def made_up(seconds: float = SECONDS, count: int = UTTERANCES) -> Iterator[Path]:
    """Make a folder of recordings of noise, each with a transcript; it is removed after the block.

    The search is exact, so that it takes as long on noise as on speech; what comes out means nothing.
    """
    rng = np.random.default_rng(0)
    # six syllables a second
    loud = np.abs(np.sin(np.arange(round(seconds * SAMPLE_RATE)) * 6 * np.pi / SAMPLE_RATE))
    with TemporaryDirectory(prefix="aligner-bench-") as folder:
        for k in range(count):
            place = Path(folder) / f"noise{k}.wav"
            soundfile.write(place, 0.1 * loud * rng.normal(size=len(loud)), SAMPLE_RATE)
            place.with_suffix(".lab").write_text(TEXT, encoding="utf-8")
        yield Path(folder)


def whole(corpus: Path, backend: AnyBackend, monitor: Monitor | None = None) -> Summary:
    """Align a corpus, and write the results to a temporary folder.

    Raises
    ------
    DataError
        If nothing could be aligned: its speed would be that of failing.
    """
    with TemporaryDirectory(prefix="aligner-bench-") as out:
        summary = run(
            plan(corpus, Path(out)),
            backend,
            lambda _: monitor.start() if monitor else None,
        )
    if not summary.aligned:
        reasons = [f.message for f in summary.failures[:1]] or ["it holds no recording with a transcript"]
        raise DataError(
            corpus, f"nothing in it could be aligned ({reasons[0]})", "aligner validate tells all of it"
        )
    return summary


def stages(
    corpus: Path, backend: AnyBackend, repeats: int, clock: TimeSource = time.perf_counter
) -> list[Row]:
    """Measure the stages of a run in one process, and the rest between them: they add up to the run.

    Parameters
    ----------
    corpus : Path
    backend : AnyBackend
    repeats : int
        Runs that are counted, after one that is not.
    clock : callable
        Seconds.
    """
    runs: list[dict[str, float]] = []
    audio = 0.0
    for _ in range(repeats + 1):
        watch, begun = Stopwatch(clock), clock()
        with traced_by(watch):
            audio = whole(corpus, backend).audio
        total = clock() - begun
        runs.append({**watch.seconds, REST: total - sum(watch.seconds.values()), "all": total})
    seen = [name for name in (*STAGES, REST, "all") if any(name in r for r in runs)]
    taken = {name: [r.get(name, 0.0) for r in runs] for name in seen}
    return [
        Row(
            kind="stage",
            name=name,
            device="cpu",
            audio=audio,
            timing=Timing(seconds[0], tuple(seconds[1:])),
            note=f"{median(seconds[1:]) / max(median(taken['all'][1:]), 1e-9):.0%}",
        )
        for name, seconds in taken.items()
    ]


def backends(
    names: Sequence[str], corpus: Path, repeats: int, jobs: int, clock: TimeSource = time.perf_counter
) -> Iterator[Row]:
    """Measure whole runs of `align`: finding and reading files, features, scores, search, writing.

    Models are loaded before.  A backend that cannot run here has a row that says why.
    """
    for name in names:
        try:
            backend = chosen(None, Options(backend=name), Compute(jobs=jobs))
            yield _backend(name, backend, corpus, repeats, clock)
        except AlignerError as error:
            yield Row(kind="backend", name=name, device="cpu", audio=0.0, timing=None, note=str(error))


def _backend(name: str, backend: AnyBackend, corpus: Path, repeats: int, clock: TimeSource) -> Row:
    done: list[Summary] = []
    timing = timed(lambda: done.append(whole(corpus, backend)), repeats, clock)
    # a run of its own: whoever looks this often takes time
    with Monitor(interval=MEMORY_INTERVAL) as monitor:
        whole(corpus, backend, monitor)
    lost = f", {len(done[-1].failures)} failed" if done[-1].failures else ""
    peak = monitor.peak
    how = f", {peak.measure} of {peak.processes} processes" if peak and peak.processes > 1 else ""
    return Row(
        kind="backend",
        name=name,
        device="cpu",
        audio=done[-1].audio,
        timing=timing,
        memory=peak.memory if peak else None,
        note=f"{done[-1].aligned} utterances{lost}{how}",
    )
