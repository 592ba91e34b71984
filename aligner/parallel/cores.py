"""How many may work at once."""

from __future__ import annotations

import os

# what numeric libraries read when they are loaded
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def cores() -> int:
    """How many threads or processes may run here at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread() -> None:
    """Let numeric libraries that are loaded from now on compute in one thread, unless the user says how many.

    There is one process a core.  Threads of one library wait for each other at every step, which takes many
    times as long where other programs have the cores.
    """
    os.environ.update(ONE_THREAD | os.environ)
