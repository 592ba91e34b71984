"""Aligning on a GPU: the processors read, hear and build graphs; the device scores and searches in
batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import torch

from aligner.backends.base import Found, Prepared, arithmetic
from aligner.backends.hmm import HmmBackend
from aligner.parallel.batches import BatchSize, in_batches
from aligner.types import DataError

A = TypeVar("A")
WINDOW = 3  # batches that are sorted by length together, so that little is padded


def on_device(
    prepared: Iterator[tuple[int, Prepared | A]], backend: HmmBackend, size: BatchSize | None = None
) -> Iterator[tuple[int, tuple[Prepared, Found | DataError] | A]]:
    """What is found for prepared utterances; all else goes through as it comes.

    The model moves to the device when the first utterance has come: the processes that prepare them were made
    before.

    Parameters
    ----------
    prepared : iterator
        Places and prepared utterances.
    backend : HmmBackend
        Its `Compute` names the device, and may say how long a batch is.
    size : BatchSize, optional

    Raises
    ------
    torch.OutOfMemoryError
        If there is no room for a single utterance.
    """
    device = torch.device(backend.compute.device)
    size = size or BatchSize(device, backend.compute.batch_seconds)
    there: HmmBackend | None = None
    window: list[tuple[int, Prepared]] = []
    for place, item in prepared:
        if not isinstance(item, Prepared):
            yield place, item
            continue
        window.append((place, item))
        if sum(p.heard.end - p.heard.start for _, p in window) >= WINDOW * size.seconds:
            there = there or replace(backend, model=backend.model.to(device))
            yield from _found(window, there, device, size)
            window = []
    if window:
        yield from _found(window, there or replace(backend, model=backend.model.to(device)), device, size)


def _found(
    window: list[tuple[int, Prepared]], backend: HmmBackend, device: torch.device, size: BatchSize
) -> Iterator[tuple[int, tuple[Prepared, Found | DataError]]]:
    seconds = [p.heard.end - p.heard.start for _, p in window]

    def work(batch: list[int]) -> list[Found | DataError]:
        with arithmetic(backend.compute):
            return backend.find_all([window[k][1] for k in batch])

    for k, found in in_batches(seconds, size, device, work):
        place, item = window[k]
        yield place, (item, found)
