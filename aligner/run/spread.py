"""Work spread over threads: a ``map`` to hand to what knows nothing of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from aligner.train.em import Map

INTERVAL = 0.0005  # s after which a thread lets others run Python: most of its work is outside, in small pieces


@contextmanager
def spread(jobs: int) -> Iterator[Map[Any]]:
    """A ``map`` over so many threads, each of which computes alone; with one job, Python's own.

    Nothing need be sent anywhere; search, scores and sums run outside Python.  The results come in the order of what
    was given, so that sums of them are the same however many threads there are.
    """
    threads, interval = torch.get_num_threads(), sys.getswitchinterval()
    torch.set_num_threads(1)  # so that one thread gives the same digits as many
    sys.setswitchinterval(INTERVAL)
    try:
        if jobs == 1:
            yield map
            return
        with ThreadPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)
        sys.setswitchinterval(interval)
