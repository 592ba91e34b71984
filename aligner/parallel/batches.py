"""Batches: how much is done at once, by length and by the memory of a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import psutil
import torch
from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")

FIRST_BATCH = 60.0  # s of audio in the first batch, by which the cost is measured
MEMORY_SHARE = 0.5  # of the free memory that a batch may take: costs vary
LONGEST_BATCH = 7200.0  # s; longer batches are no faster
LEAST_COST = 2**20  # bytes a second of audio; what is measured is less where memory was reserved already


def windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of up to ``size`` items."""
    remaining = iter(items)
    while window := list(islice(remaining, size)):
        yield window


def by_length(seconds: Sequence[float], most: float) -> list[list[int]]:
    """The numbers of items in batches of like length, the longest first.

    A batch lasts up to ``most`` seconds when its items are padded to the longest of them, or holds one item.

    Examples
    --------
    >>> by_length([5, 9, 4, 8], 18)
    [[1, 3], [0, 2]]
    """
    batches: list[list[int]] = []
    for k in sorted(range(len(seconds)), key=lambda k: -seconds[k]):
        if not batches or (len(batches[-1]) + 1) * seconds[batches[-1][0]] > most:
            batches.append([])
        batches[-1].append(k)
    return batches


class BatchSize:
    """How many seconds of audio a batch lasts: as the user says, or as the free memory of a device allows.

    What a second costs is measured in every batch; where memory ran out all the same, batches are half as
    long from then on.

    Parameters
    ----------
    device : torch.device
    fixed : float or None
        Seconds, where the user says how many.
    free : callable
        Gives the bytes that are free on a device.

    Attributes
    ----------
    seconds : float
        How long the next batch lasts.

    Examples
    --------
    >>> size = BatchSize(torch.device("cpu"), free=lambda device: 4 * 2**30)
    >>> size.seconds
    60.0
    >>> size.learn(60.0, 60 * 2**21)
    >>> size.seconds
    1024.0
    >>> size.halve(1000.0)
    >>> size.learn(60.0, 60 * 2**21)
    >>> size.seconds
    500.0
    """

    def __init__(
        self,
        device: torch.device,
        fixed: float | None = None,
        free: Callable[[torch.device], int] | None = None,
    ) -> None:
        self._device, self._fixed, self._free = device, fixed, free or free_bytes
        self._limit = fixed or LONGEST_BATCH
        self._cost = 0.0
        self.seconds = fixed or FIRST_BATCH

    def learn(self, seconds: float, spent: int) -> None:
        """Note that a batch of so many seconds, padding included, has taken so many bytes."""
        self._cost = max(self._cost, spent / seconds, LEAST_COST)
        if self._fixed is None:
            self.seconds = min(self._limit, MEMORY_SHARE * self._free(self._device) / self._cost)

    def halve(self, seconds: float) -> None:
        """Note that a batch of so many seconds did not fit into the memory."""
        self._limit = min(self._limit, seconds / 2)
        self.seconds = min(self.seconds, self._limit)


def free_bytes(device: torch.device) -> int:
    """The bytes of memory that are free on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(psutil.virtual_memory().available)


def spent_bytes(device: torch.device, work: Callable[[], R]) -> tuple[R, int]:
    """What ``work`` returns, and the bytes that it took on a device at most; on the CPU, those that it left
    behind.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = work()
        return result, torch.cuda.max_memory_allocated(device) - before
    process = psutil.Process()
    before = process.memory_info().rss
    result = work()
    return result, max(process.memory_info().rss - before, 0)


def in_batches(
    seconds: Sequence[float], size: BatchSize, device: torch.device, work: Callable[[list[int]], list[R]]
) -> Iterator[tuple[int, R]]:
    """Do items in batches; a batch for which there is no memory is done in halves, and so on.

    Parameters
    ----------
    seconds : sequence of float
        How long each item is.
    size : BatchSize
    device : torch.device
    work : callable
        Makes results of the items of a list of numbers; may raise `torch.OutOfMemoryError` or
        MemoryError.

    Yields
    ------
    int, result
        The number of each item and its result, as they are done.

    Raises
    ------
    torch.OutOfMemoryError, MemoryError
        If there is not even room for one item.
    """
    waiting = list(range(len(seconds)))
    while waiting:
        batch = [waiting[k] for k in by_length([seconds[k] for k in waiting], size.seconds)[0]]
        padded = len(batch) * max(seconds[k] for k in batch)
        try:
            results, spent = spent_bytes(device, lambda batch=batch: work(batch))  # type: ignore[misc]
        except (torch.OutOfMemoryError, MemoryError):
            if len(batch) == 1:
                raise
            size.halve(padded)
            if device.type == "cuda":
                torch.cuda.empty_cache()
            continue
        size.learn(padded, spent)
        yield from zip(batch, results, strict=True)
        done = set(batch)
        waiting = [k for k in waiting if k not in done]


def moved(tensors: Sequence[Tensor], device: str) -> list[Tensor]:
    """Copy tensors to a device in one piece, for CUDA from memory that cannot be paged out."""
    if device == "cpu":
        return list(tensors)
    whole = torch.cat(list(tensors))
    if device.startswith("cuda"):
        whole = whole.pin_memory().to(device, non_blocking=True)
    else:
        whole = whole.to(device)
    return list(torch.split(whole, [len(t) for t in tensors]))
