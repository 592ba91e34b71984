"""Measuring times: the first call apart, the device waited for, and the spread of repeats."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

TimeSource = Callable[[], float]
HOP = 0.01  # seconds from one frame to the next, by which frames are counted as audio


@dataclass(frozen=True)
class Timing:
    """Measured times of a call, in seconds.

    Examples
    --------
    >>> timing = Timing(9.0, (2.0, 1.0, 4.0))
    >>> timing.median, timing.fastest, timing.slowest
    (2.0, 1.0, 4.0)
    """

    first: float
    """Seconds of the first call: with what is loaded, compiled and allocated once."""
    repeats: tuple[float, ...]
    """Seconds of the calls after it."""

    @property
    def median(self) -> float:
        """Median time of the repeats, in seconds."""
        return median(self.repeats)

    @property
    def fastest(self) -> float:
        """Shortest time of the repeats, in seconds."""
        return min(self.repeats)

    @property
    def slowest(self) -> float:
        """Longest time of the repeats, in seconds."""
        return max(self.repeats)


def timed(
    call: Callable[[], object],
    repeats: int,
    clock: TimeSource = time.perf_counter,
    settle: Callable[[], object] = lambda: None,
) -> Timing:
    """Measure a call: once, and then ``repeats`` times more.

    Parameters
    ----------
    call : callable
    repeats : int
        Number of further calls, at least 1.
    clock : callable
        Seconds.
    settle : callable
        Waits until a device has done all that it was given to do; called before every look at the clock.
    """
    taken = []
    for _ in range(repeats + 1):
        settle()
        begun = clock()
        call()
        settle()
        taken.append(clock() - begun)
    return Timing(taken[0], tuple(taken[1:]))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table of results.

    Examples
    --------
    Two sequences of 300 frames in half a second:

    >>> timing = Timing(2.0, (0.5,))
    >>> row = Row(kind="model", name="HSMM", device="cpu", audio=6.0, timing=timing, batch=2, length=300)
    >>> row.audio_per_second, row.frames_per_second
    (12.0, 1200.0)
    """

    kind: str
    """'model', 'stage' or 'backend'."""
    name: str
    """Name of what was measured."""
    device: str
    """Device that it ran on."""
    audio: float
    """Seconds of audio that a call goes through, summed over the batch."""
    timing: Timing | None
    """Measured times; None where it could not be measured."""
    batch: int | None = None
    """Number of sequences, where it was chosen."""
    length: int | None = None
    """Frames in a sequence, where it was chosen."""
    memory: int | None = None
    """Peak memory in bytes; None where the system does not say."""
    note: str = ""
    """Remark for the reader, such as why it was not measured."""

    @property
    def audio_per_second(self) -> float | None:
        """Seconds of audio per second, by the median; None where nothing was measured, or no time passed."""
        return self.audio / self.timing.median if self.timing and self.timing.median > 0 else None

    @property
    def frames_per_second(self) -> float | None:
        """Frames of 10 ms per second, by the median; None as in `audio_per_second`."""
        return None if self.audio_per_second is None else self.audio_per_second / HOP

    def figures(self) -> dict[str, object]:
        """All figures of the row, for JSON."""
        found: dict[str, object] = {
            "kind": self.kind,
            "name": self.name,
            "device": self.device,
            "batch": self.batch,
            "length": self.length,
            "audio_seconds": self.audio,
            "memory_bytes": self.memory,
            "note": self.note,
        }
        if self.timing is None:
            return found
        return found | {
            "median_seconds": self.timing.median,
            "fastest_seconds": self.timing.fastest,
            "slowest_seconds": self.timing.slowest,
            "first_seconds": self.timing.first,
            "repeats": len(self.timing.repeats),
            "audio_seconds_per_second": self.audio_per_second,
            "frames_per_second": self.frames_per_second,
        }


class Stopwatch:
    """Seconds of each stage, without those of stages within it; a marker for
    `aligner.tracing.traced_by`.

    Examples
    --------
    >>> watch = Stopwatch(iter([0.0, 1.0, 3.0, 7.0]).__next__)
    >>> with watch("search"):
    ...     with watch("scores"):
    ...         pass
    >>> dict(watch.seconds)
    {'scores': 2.0, 'search': 5.0}
    """

    def __init__(self, clock: TimeSource = time.perf_counter) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._clock, self._lock, self._here = clock, threading.Lock(), threading.local()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure a stage, as a context manager."""
        # seconds of stages within each
        inner: list[list[float]] = self._here.__dict__.setdefault("inner", [[]])
        inner.append([])
        begun = self._clock()
        try:
            yield
        finally:
            whole = self._clock() - begun
            own = whole - sum(inner.pop())
            inner[-1].append(whole)
            with self._lock:
                self.seconds[name] += own
