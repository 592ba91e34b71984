"""Measuring the memory that a call takes above what was in use before."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

SELF = Path("/proc/self")


def taken(call: Callable[[], object], device: torch.device) -> int | None:
    """Peak memory of a call in bytes, above what was in use before; None where the system does not say.

    On CUDA, of torch's allocator.  On the CPU, of the whole process, others' threads too: the kernel's
    high-water mark, which is set back first (Linux).
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device)) - before
    with suppress(OSError, StopIteration, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # else a call is served from what an earlier one has left
        (SELF / "clear_refs").write_text("5")
        before = _status("VmHWM")
        call()
        return max(_status("VmHWM") - before, 0)
    return None


def _status(field: str) -> int:
    """Value of a field of the process's status, in bytes."""
    lines = (SELF / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
