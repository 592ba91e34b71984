"""Work spread over processes: a ``map`` to hand to what knows nothing of them."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from aligner.train.em import Map

START = "fork" if sys.platform == "linux" else "spawn"  # where it is safe, there is nothing to import again


@contextmanager
def spread(jobs: int) -> Iterator[Map[Any]]:
    """A ``map`` over so many processes; with one job, Python's own.

    Its results come in the order of what was given, so that sums of them are the same however many there are.  Each
    process computes in one thread.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so that one process gives the same digits as many
    try:
        if jobs == 1:
            yield map
            return
        with ProcessPoolExecutor(jobs, multiprocessing.get_context(START), _alone) as pool:
            try:
                yield pool.map
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(threads)


def _alone() -> None:
    """What a process begins with: one thread, and no ear for Ctrl-C, which is for the one that it works for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
