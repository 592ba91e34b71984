"""Work on prepared items in batches on a device, while the processors prepare others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from aligner.parallel.batches import BatchSize, in_batches
from aligner.parallel.schedule import Done, Placed, Ready

T = TypeVar("T")
P = TypeVar("P")
F = TypeVar("F")
R = TypeVar("R")

WINDOW_BATCHES = 3  # batches that are sorted by length together, so that little is padded


@dataclass(frozen=True, kw_only=True)
class DeviceWork(Generic[P, F, R]):
    """What a device does with prepared items."""

    device: torch.device
    """Where it is done."""

    start: Callable[[], Callable[[Sequence[P]], Sequence[F]]]
    """Moves what is needed to the device, and gives the function that does a batch."""

    finish: Callable[[P, F], R]
    """Makes a result of a prepared item and of what the device made of it."""

    seconds: Callable[[P], float]
    """How long an item is."""


def on_device(
    placed: Iterable[Placed[T, R]], work: DeviceWork[Any, Any, R], size: BatchSize
) -> Iterator[Placed[T, R]]:
    """Do what is `Ready` on a device; all else goes through as it comes.

    Nothing moves to the device before the first item is ready: the processes that prepare them were made
    before.

    Parameters
    ----------
    placed : iterable of Placed
    work : DeviceWork
    size : BatchSize

    Raises
    ------
    torch.OutOfMemoryError
        If there is no room for a single item.
    """
    do: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    window: list[tuple[Placed[T, R], Any]] = []
    for one in placed:
        if not isinstance(one.outcome, Ready):
            yield one
            continue
        window.append((one, one.outcome.prepared))
        if sum(work.seconds(prepared) for _, prepared in window) >= WINDOW_BATCHES * size.seconds:
            do = do or work.start()
            yield from _batched(window, work, do, size)
            window = []
    if window:
        yield from _batched(window, work, do or work.start(), size)


def _batched(
    window: Sequence[tuple[Placed[T, R], Any]],
    work: DeviceWork[Any, Any, R],
    do: Callable[[Sequence[Any]], Sequence[Any]],
    size: BatchSize,
) -> Iterator[Placed[T, R]]:
    """Do the items of a window in batches of like length."""
    seconds = [work.seconds(prepared) for _, prepared in window]

    def batch_of(numbers: list[int]) -> list[Any]:
        return list(do([window[k][1] for k in numbers]))

    for k, made in in_batches(seconds, size, work.device, batch_of):
        one, prepared = window[k]
        yield one._replace(outcome=Done(work.finish(prepared, made)))
