"""Grouping utterances for the search."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def cores() -> int:
    """How many threads or processes may run here at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of up to ``size`` items."""
    remaining = iter(items)
    while window := list(islice(remaining, size)):
        yield window


def by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices in batches of up to ``size`` items of like length, the longest first.

    Examples
    --------
    >>> by_length([5, 9, 4, 8], 2)
    [[1, 3], [0, 2]]
    """
    order = sorted(range(len(lengths)), key=lambda k: -lengths[k])
    return [order[k:k + size] for k in range(0, len(order), size)]
