"""A description of this machine, which measured speeds belong to."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from aligner import __version__
from aligner.parallel.cores import cores

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # a container's limit: microseconds of computing, and per how many


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A description of a machine."""

    cpu: str
    """Name of the processor."""
    cores: int
    """Cores that this process may use."""
    memory: int
    """Main memory in bytes."""
    gpus: tuple[str, ...]
    """Name and memory of each CUDA device."""
    threads: int
    """Threads that torch uses."""
    aligner: str
    """Version of aligner."""
    torch: str
    """Version of torch."""
    python: str
    """Version of Python."""
    system: str
    """Name and release of the operating system."""

    @classmethod
    def here(cls) -> Machine:
        """Describe the machine that this runs on."""
        import torch

        return cls(
            cpu=cpu_model(),
            cores=cores(),
            memory=psutil.virtual_memory().total,
            gpus=cuda_devices(),
            threads=torch.get_num_threads(),
            aligner=__version__,
            torch=torch.__version__,
            python=sys.version.split()[0],
            system=platform.platform(terse=True),
        )


def cpu_model(table: Path = Path("/proc/cpuinfo")) -> str:
    """The maker's name of the processor, or at least its kind."""
    with suppress(OSError):
        for line in table.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def cuda_devices() -> tuple[str, ...]:
    """Name and memory of each device that torch sees."""
    import torch

    if not torch.cuda.is_available():
        return ()
    each = (torch.cuda.get_device_properties(k) for k in range(torch.cuda.device_count()))
    return tuple(f"{device.name}, {device.total_memory / 2**30:.0f} GiB" for device in each)


def use_threads(count: int) -> None:
    """Let torch compute in ``count`` threads from now on."""
    import torch

    torch.set_num_threads(count)


def busy() -> float:
    """The load of the last minute where it leaves torch's threads no core of their own, otherwise 0."""
    import torch

    with suppress(OSError, AttributeError):  # there is no such figure on Windows
        load = os.getloadavg()[0]
        return load if load + torch.get_num_threads() > cores() + 1 else 0.0
    return 0.0


def quota(table: Path = QUOTA) -> float | None:
    """Cores' worth of time that a container may take; None where nothing limits it.

    Examples
    --------
    >>> quota(Path("nowhere")) is None
    True
    """
    with suppress(OSError, ValueError):
        allowed, _, period = table.read_text().partition(" ")
        return int(allowed) / int(period)
    return None
