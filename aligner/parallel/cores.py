"""How many processes and threads may run at once."""

from __future__ import annotations

import os

# what OpenMP and the libraries of linear algebra read, once, when they are loaded
BLAS_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
THREAD_VARIABLES = (*BLAS_THREAD_VARIABLES, "NUMBA_NUM_THREADS")
SINGLE_THREADED = {name: "1" for name in BLAS_THREAD_VARIABLES}  # an environment


def cores() -> int:
    """Return how many threads or processes may run on this machine at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads() -> None:
    """Let numeric libraries that are loaded from now on use one thread, unless the user's environment says
    how many.

    There is one process a core.  Threads of one library wait for each other at every step, which takes many
    times as long where other programs have the cores.
    """
    os.environ.update(SINGLE_THREADED | os.environ)
