"""What a run uses while it goes on: processors, memory, and a GPU where there is one.

A thread looks once a second.  It takes no more than a hundredth of the time, whatever the machine: after a
look that took long it waits for longer.
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

INTERVAL = 1.0  # s from one look to the next, at least
SHARE = 0.01  # of the time that looking may take at most
GONE = (
    psutil.Error,
    OSError,
)  # of a process that has ended, or may not be looked at; or there are no descriptors left

Clock = Callable[[], float]


class Gpu(NamedTuple):
    """What is used of the GPUs that this process may see, by whomever.

    Attributes
    ----------
    percent : float
        Of the time that the busiest of them was computing.
    memory : int
        Bytes in use, of all of them.
    """

    percent: float
    memory: int


@dataclass(frozen=True)
class Usage:
    """What this process and all its children use.

    Attributes
    ----------
    processes : int
    cpu : float
        Percent of one core, since the look before; those who ended meanwhile are counted.
    memory : int
        Resident bytes.
    measure : {'PSS', 'RSS'}
        How memory that several processes share is counted: each has its part of it (PSS); or each has all of
        it (RSS), where the system does not tell parts.  One process has its RSS: parts take the kernel some
        20 ms a gigabyte.
    gpu : Gpu or None
        None without a GPU, or without NVML to ask.
    """

    processes: int
    cpu: float
    memory: int
    measure: str
    gpu: Gpu | None = None


class Meter:
    """Looks at this process and its children, whoever started them.

    Parameters
    ----------
    clock : callable
        Seconds.

    Examples
    --------
    >>> usage = Meter()()
    >>> usage.processes >= 1 and usage.memory > 0
    True
    """

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock, self._own = clock, psutil.Process()
        self._shares = _share(self._own) is not None
        self._gpus: Callable[[], Gpu | None] | None = None  # asked for at the first look, not before
        self._spent, self._time = sum(map(_spent, self._tree())), clock()

    def __call__(self) -> Usage:
        """What is used now."""
        tree = self._tree()
        spent, now = sum(map(_spent, tree)), self._clock()
        passed, self._time = now - self._time, now
        cpu, self._spent = 100 * max(spent - self._spent, 0.0) / passed if passed > 0 else 0.0, spent
        if self._gpus is None:
            self._gpus = gpus()
        shares = self._shares and len(tree) > 1
        return Usage(
            len(tree), cpu, sum(_memory(p, shares) for p in tree), "PSS" if shares else "RSS", self._gpus()
        )

    def _tree(self) -> list[psutil.Process]:
        with suppress(*GONE):
            return [self._own, *self._own.children(recursive=True)]
        return [self._own]


def _spent(process: psutil.Process) -> float:
    """Seconds of CPU that a process and those of its children that have ended have taken."""
    with suppress(*GONE):
        return float(sum(process.cpu_times()[:4]))  # user and system, its own and its children's
    return 0.0


def _memory(process: psutil.Process, shares: bool) -> int:
    """Bytes of a process: its part of what it shares, where ``shares``, or all of it."""
    share = _share(process) if shares else None
    with suppress(*GONE):
        return int(process.memory_info().rss) if share is None else share
    return 0


def _share(process: psutil.Process) -> int | None:
    """Proportional set size in bytes; None where the system does not tell."""
    with suppress(*GONE, AttributeError):
        return int(process.memory_full_info().pss)
    return None


def gpus() -> Callable[[], Gpu | None]:
    """How to look at the GPUs that this process may see; the look finds None where there is nothing to
    see."""
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
    """NVML's handles of the devices that CUDA_VISIBLE_DEVICES lets through: all, unless it is set."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(k) for k in range(nvml.nvmlDeviceGetCount())] if named is None else named.split(",")
    handles = []
    for name in map(str.strip, names):
        if name.isdigit():
            handles.append(nvml.nvmlDeviceGetHandleByIndex(int(name)))
        elif name.startswith(("GPU-", "MIG-")):
            handles.append(nvml.nvmlDeviceGetHandleByUUID(name))
        else:
            break  # as CUDA has it: what stands behind "-1" is not seen
    return handles


class Monitor:
    """Looks on while a block runs, from the first `start` on.

    No thread exists before that: a process that forks its workers should have none, so `start` is for the
    time when they are there.

    Parameters
    ----------
    look : callable, optional
        What tells the `Usage`: a `Meter` unless given.
    interval : float
        Seconds from one look to the next.
    clock : callable
        Seconds.

    Attributes
    ----------
    latest : Usage or None
        None before the first look.
    peak : Usage or None
        That with the most memory so far.

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
        interval: float = INTERVAL,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._look, self._interval, self._clock = look or Meter(), interval, clock
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.latest: Usage | None = None
        self.peak: Usage | None = None

    def __enter__(self) -> Monitor:
        return self

    def start(self) -> None:
        """Look from now on; once is enough."""
        if self._thread is None and not self._ended.is_set():
            self._thread = threading.Thread(target=self._watch, name="monitor", daemon=True)
            self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread, whatever ended the block, and look once more if that was not an error."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if kind is None:
            self._note()

    def _watch(self) -> None:
        while True:
            begun = self._clock()
            self._note()
            if self._ended.wait(max(self._interval, (self._clock() - begun) / SHARE)):
                return

    def _note(self) -> None:
        self.latest = usage = self._look()
        if self.peak is None or usage.memory > self.peak.memory:
            self.peak = usage


def told(usage: Usage) -> str:
    """One line on what is used.

    Examples
    --------
    >>> told(Usage(3, 187.2, 1_234_000_000, "PSS", Gpu(41.0, 3 * 10**9)))
    'CPU 187 %, memory 1.2 GB, GPU 41 %, its memory 3.0 GB'
    """
    line = f"CPU {usage.cpu:.0f} %, memory {in_units(usage.memory)}"
    return (
        line
        if usage.gpu is None
        else (f"{line}, GPU {usage.gpu.percent:.0f} %, its memory {in_units(usage.gpu.memory)}")
    )


def in_units(size: float) -> str:
    """A number of bytes in GB (10^9), or MB where it is small.

    Examples
    --------
    >>> in_units(1_234_000_000), in_units(45_600_000)
    ('1.2 GB', '46 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
