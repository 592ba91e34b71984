"""A monitor of what a run uses while it goes on: processors, memory, and a GPU where there is one.

A thread samples the use once a second.  It takes no more than a hundredth of the time, whatever the machine:
after a sample that took long it waits for longer.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

import psutil

SAMPLING_INTERVAL = 1.0  # s from one sample to the next, at least
MAX_SAMPLING_SHARE = 0.01  # of the time that sampling may take
# errors about a process that has ended, or may not be inspected; or where no descriptors are left
GONE = (psutil.Error, OSError)

TimeSource = Callable[[], float]


class Gpu(NamedTuple):
    """The use of the GPUs that this process may see, by all processes."""

    percent: float
    """Percent of the time in which the busiest GPU was computing."""
    memory: int
    """Bytes in use on all GPUs together."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The use of a machine by this process and all its children."""

    processes: int
    """The number of processes."""
    cpu: float
    """Percent of one core since the sample before; processes that ended meanwhile are counted."""
    memory: int
    """Resident bytes."""
    measure: str
    """How memory that several processes share is counted: 'PSS' gives each its part of it; 'RSS' gives each
    all of it, where the system does not know parts.  One process has its RSS: parts take the kernel some
    20 ms a gigabyte."""
    gpu: Gpu | None = None
    """None without a GPU, or without NVML to ask."""


class Meter:
    """A meter of what this process and its children use, whoever started them.

    Parameters
    ----------
    clock : callable
        Returns the time in seconds.

    Examples
    --------
    >>> usage = Meter()()
    >>> usage.processes >= 1 and usage.memory > 0
    True
    """

    def __init__(self, clock: TimeSource = time.perf_counter) -> None:
        self._clock, self._own = clock, psutil.Process()
        self._shares = _share(self._own) is not None
        self._gpus: Callable[[], Gpu | None] | None = None  # found at the first sample, not before
        self._spent, self._time = sum(map(_spent, self._tree())), clock()

    def __call__(self) -> Usage:
        """Return the use of the machine since the last call."""
        tree = self._tree()
        spent, now = sum(map(_spent, tree)), self._clock()
        passed, self._time = now - self._time, now
        cpu, self._spent = 100 * max(spent - self._spent, 0.0) / passed if passed > 0 else 0.0, spent
        if self._gpus is None:
            self._gpus = gpus()
        shares = self._shares and len(tree) > 1
        return Usage(
            processes=len(tree),
            cpu=cpu,
            memory=sum(_memory(p, shares) for p in tree),
            measure="PSS" if shares else "RSS",
            gpu=self._gpus(),
        )

    def _tree(self) -> list[psutil.Process]:
        with suppress(*GONE):
            return [self._own, *self._own.children(recursive=True)]
        return [self._own]


def _spent(process: psutil.Process) -> float:
    """Return the seconds of CPU that a process, and those of its children that have ended, have taken."""
    with suppress(*GONE):
        return float(sum(process.cpu_times()[:4]))  # user and system, its own and its children's
    return 0.0


def _memory(process: psutil.Process, shares: bool) -> int:
    """Return the bytes of a process: of shared memory its part where ``shares``, otherwise all."""
    share = _share(process) if shares else None
    with suppress(*GONE):
        return int(process.memory_info().rss) if share is None else share
    return 0


def _share(process: psutil.Process) -> int | None:
    """Return the proportional set size in bytes; None where the system does not know it."""
    with suppress(*GONE, AttributeError):
        return int(process.memory_full_info().pss)
    return None


def gpus() -> Callable[[], Gpu | None]:
    """Return a function that samples the GPUs that this process may see, or returns None without any."""
    try:
        import pynvml  # the extra [gpu]
    except ImportError:
        return lambda: None
    try:
        pynvml.nvmlInit()
        handles = _visible(pynvml)
    except pynvml.NVMLError:  # no driver
        return lambda: None

    def look() -> Gpu | None:
        if not handles:
            return None
        try:
            return Gpu(
                max(float(pynvml.nvmlDeviceGetUtilizationRates(h).gpu) for h in handles),
                sum(int(pynvml.nvmlDeviceGetMemoryInfo(h).used) for h in handles),
            )
        except pynvml.NVMLError:
            return None

    return look


def _visible(nvml: Any) -> list[Any]:
    """Return NVML's handles of the devices that CUDA_VISIBLE_DEVICES admits: all, unless it is set."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(k) for k in range(nvml.nvmlDeviceGetCount())] if named is None else named.split(",")
    handles = []
    for name in map(str.strip, names):
        if name.isdigit():
            handles.append(nvml.nvmlDeviceGetHandleByIndex(int(name)))
        elif name.startswith(("GPU-", "MIG-")):
            handles.append(nvml.nvmlDeviceGetHandleByUUID(name))
        else:
            break  # CUDA does not see the devices behind "-1" either
    return handles


class Monitor:
    """A thread that samples the use of the machine while a block runs, from `start` on.

    No thread exists before that: a process that forks its workers should have none, so `start` is called
    when they have been started.

    Parameters
    ----------
    look : callable, optional
        Returns the present `Usage`; a `Meter` unless given.
    interval : float
        Seconds from one sample to the next.
    clock : callable
        Returns the time in seconds.

    Attributes
    ----------
    latest : Usage or None
        The last sample; None before the first.
    peak : Usage or None
        The sample with the most memory so far.

    Examples
    --------
    >>> with Monitor() as monitor:
    ...     monitor.start()
    >>> monitor.peak.memory > 0
    True
    """

    def __init__(
        self,
        look: Callable[[], Usage] | None = None,
        interval: float = SAMPLING_INTERVAL,
        clock: TimeSource = time.perf_counter,
    ) -> None:
        self._look, self._interval, self._clock = look or Meter(), interval, clock
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.latest: Usage | None = None
        self.peak: Usage | None = None

    def __enter__(self) -> Monitor:
        return self

    def start(self) -> None:
        """Begin to sample; further calls do nothing."""
        if self._thread is None and not self._ended.is_set():
            self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
            self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread, whatever ended the block, and take a last sample if that was not an error."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if kind is None:
            self._sample()

    def _run(self) -> None:
        while True:
            begun = self._clock()
            self._sample()
            if self._ended.wait(max(self._interval, (self._clock() - begun) / MAX_SAMPLING_SHARE)):
                return

    def _sample(self) -> None:
        self.latest = usage = self._look()
        if self.peak is None or usage.memory > self.peak.memory:
            self.peak = usage


def in_words(usage: Usage) -> str:
    """Return one line on what is used.

    Examples
    --------
    >>> usage = Usage(processes=3, cpu=187.2, memory=1_234_000_000, measure="PSS", gpu=Gpu(41.0, 3 * 10**9))
    >>> in_words(usage)
    'CPU 187 %, memory 1.2 GB, GPU 41 %, its memory 3.0 GB'
    """
    line = f"CPU {usage.cpu:.0f} %, memory {in_units(usage.memory)}"
    return (
        line
        if usage.gpu is None
        else (f"{line}, GPU {usage.gpu.percent:.0f} %, its memory {in_units(usage.gpu.memory)}")
    )


def in_units(size: float) -> str:
    """Return a number of bytes in GB (10^9), or MB where it is small.

    Examples
    --------
    >>> in_units(1_234_000_000), in_units(45_600_000)
    ('1.2 GB', '46 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
