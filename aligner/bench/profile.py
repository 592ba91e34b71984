"""Profiling a run: times by stage of the path and by operator of torch, and a trace to look at."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch._C._profiler import _ExperimentalConfig  # torch has no other name for it

from aligner.backends.base import AnyBackend
from aligner.formats.files import write_text
from aligner.run.align import align
from aligner.run.folder import Summary, plan, run
from aligner.run.plan import check_empty
from aligner.tracing import STAGES, traced_by
from aligner.types import DataError

PREFIX = "aligner::"  # prefix of the stages in the trace, as "aten::" is that of torch's operators
TRACE, TABLE, ALIGNED = "trace.json", "profile.json", "aligned"
FOLDER = Path("profile")


@dataclass(frozen=True)
class Line:
    """The times of a stage, or of an operator of torch."""

    name: str
    """Name of the stage or operator."""
    calls: int
    """Number of calls."""
    own: float
    """Seconds without what was called within it; of a stage, that is numpy, numba and Python."""
    whole: float
    """Seconds with what was called within it."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The result of profiling a run."""

    seconds: float
    """Duration of the run, in seconds."""
    audio: float
    """Seconds of audio that were aligned."""
    utterances: int
    """Number of utterances that were aligned."""
    failures: int
    """Number of utterances that failed."""
    stages: tuple[Line, ...]
    """Times of the stages, in the order of the path."""
    operators: tuple[Line, ...]
    """Times of torch's operators, the longest first."""


def profile(corpus: Path, out: Path, backend: AnyBackend, limit: int | None = None) -> Profile:
    """Align a corpus in this process under torch's profiler, and write the results to ``out``.

    One utterance is aligned before, so that what is loaded and compiled once is not in it.
    ``out/trace.json`` opens in Perfetto or Chrome, ``out/profile.json`` has the tables, ``out/aligned`` what
    `align` wrote.

    Parameters
    ----------
    corpus, out : Path
        See `new_folder`.
    backend : AnyBackend
    limit : int, optional
        The most utterances.

    Raises
    ------
    DataError
        If there is nothing to align, or nothing can be written to ``out``.
    """
    job = plan(corpus, out / ALIGNED)
    job = replace(job, utterances=job.utterances[:limit])
    if not job.utterances:
        raise DataError(corpus, "there is nothing in it to align", "aligner validate tells why")
    list(align(job.utterances[:1], backend))
    with recorded() as recorder, traced_by(lambda name: torch.profiler.record_function(PREFIX + name)):
        begun = time.perf_counter()
        summary = run(job, backend)
        seconds = time.perf_counter() - begun
    recorder.export_chrome_trace(str(out / TRACE))
    found = _summarised(list(_lines(recorder.key_averages())), summary, seconds)
    write_text(out / TABLE, json.dumps(asdict(found), indent=1))
    return found


def _summarised(lines: Sequence[Line], summary: Summary, seconds: float) -> Profile:
    """Sort the recorded lines into stages and operators, and add the figures of the run."""
    stages = [
        replace(line, name=line.name.removeprefix(PREFIX)) for line in lines if line.name.startswith(PREFIX)
    ]
    operators = [line for line in lines if not line.name.startswith(PREFIX)]
    return Profile(
        seconds=seconds,
        audio=summary.audio,
        utterances=summary.aligned,
        failures=len(summary.failures),
        stages=tuple(sorted(stages, key=lambda line: STAGES.index(line.name))),
        operators=tuple(sorted(operators, key=lambda line: -line.own)),
    )


@contextmanager
def recorded() -> Iterator[Any]:
    """Run torch's profiler over all threads of this process; its default is one thread."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it writes to standard error at both ends
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    everyone = _ExperimentalConfig(profile_all_threads=True)
    with torch.profiler.profile(activities=kinds, experimental_config=everyone, acc_events=True) as recorder:
        yield recorder


def _lines(events: Iterable[Any]) -> Iterator[Line]:
    for e in events:
        # from microseconds
        yield Line(e.key, int(e.count), e.self_cpu_time_total / 1e6, e.cpu_time_total / 1e6)


def new_folder(out: Path | None) -> Path:
    """Choose the folder to write to: a new one, ``profile``, ``profile-2`` and so on, unless one is named.

    Raises
    ------
    DataError
        If the one that is named has something in it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     new_folder(Path(folder)) == Path(folder)
    True
    """
    if out is None:
        names = (FOLDER if k == 1 else FOLDER.with_name(f"{FOLDER}-{k}") for k in count(1))
        return next(path for path in names if not path.exists())
    check_empty(out)
    return out
