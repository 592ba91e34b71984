"""Utterances in worker processes: what is done with each there, and what becomes of one that fails.

How an utterance is aligned is not said here but in `aligner.run.align`, whose function is handed in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from aligner.backends.abilities import Batched, SpeakerAware
from aligner.backends.base import AnyBackend, Found, Heard, arithmetic, hear_for, judge, refine
from aligner.parallel.batches import BatchSize
from aligner.parallel.device import DeviceWork, on_device
from aligner.parallel.pool import Submit, WorkerLost, WorkerTimeout, worker_pool
from aligner.parallel.schedule import Done, Lost, Placed, Ready, TooLong, deferring, in_pool, worth_starting
from aligner.parallel.worker import heartbeat
from aligner.run.long import TIMEOUT, aligned_in_parts, is_cut, is_long, timeout_of
from aligner.run.looser import looser
from aligner.types import Alignment, DataError, Failure, Fault, Result, Utterance

R = TypeVar("R")
Align = Callable[[Utterance, AnyBackend], Alignment]
"""Aligns an utterance here and now; raises DataError if that cannot be done."""
log = logging.getLogger(__name__)

NO_SAMPLES = np.zeros(0, np.float32)
KILLED = (
    "the process that aligned it was killed, as happens where memory is short",
    "name fewer --jobs, or cut it into utterances with a TextGrid",
)
STUCK = (
    "the process that aligned it gave no sign of life for minutes, twice, and was ended",
    "please report this, with the recording",
)


@dataclass(frozen=True)
class OnDevice:
    """An utterance that is prepared for a device."""

    heard: Heard
    """The utterance as it was read."""

    prepared: Any
    """What the backend prepared of it."""


def each_result(
    utterances: Iterable[Utterance], backend: AnyBackend, align: Align
) -> Iterator[tuple[int, Result]]:
    """Align utterances in as many processes as the backend's `Compute` says.

    Recordings are read, aligned and forgotten a few at a time: memory does not grow with the corpus.

    Parameters
    ----------
    utterances : iterable of Utterance
    backend : AnyBackend
    align : callable
        See `Align`.

    Yields
    ------
    place, result
        Each result with the place of its utterance, in the order in which they are done.
    """
    backend, utterances = _knowing_speakers(backend, utterances)
    batched = backend if isinstance(backend, Batched) and backend.compute.device != "cpu" else None
    here = backend.compute.device != "cpu" and batched is None  # the device can be reached from here alone
    jobs, items = worth_starting(utterances, 1 if here else backend.compute.jobs)
    work = partial(_align_each, align) if batched is None else _prepare_each
    with worker_pool(jobs, backend) as submit:
        placed: Iterator[Placed[Utterance, Result]] = in_pool(items, submit, work, jobs, TIMEOUT)
        if batched is not None:
            size = BatchSize(torch.device(backend.compute.device), backend.compute.batch_seconds)
            placed = on_device(placed, _device_work(backend, batched), size)
        shared = submit if jobs > 1 else None
        for place, utterance, outcome in deferring(placed, lambda u: _in_parts(u, backend, align, shared)):
            yield place, _result(utterance, outcome)


def _knowing_speakers(
    backend: AnyBackend, utterances: Iterable[Utterance]
) -> tuple[AnyBackend, Iterable[Utterance]]:
    """Let a backend hear the speakers first, where it needs to; that backend, and the utterances."""
    first = backend.speaker_pass() if isinstance(backend, SpeakerAware) else None
    if first is None:
        return backend, utterances
    utterances = list(utterances)
    return first(utterances), utterances


def _result(utterance: Utterance, outcome: object) -> Result:
    """What became of an utterance; it is given back with its samples, which workers do not send."""
    if isinstance(outcome, Lost):
        return _lost(utterance, outcome.error)
    assert isinstance(outcome, Done)
    result: Result = outcome.result
    return replace(result, utterance=replace(result.utterance, audio=utterance.audio))


def _align_each(
    align: Align, backend: AnyBackend, utterances: Sequence[Utterance]
) -> list[Done[Result] | TooLong]:
    """In a worker: align utterances; one that is long is left for all workers together."""
    return [_align_alone(align, backend, utterance) for utterance in utterances]


def _align_alone(align: Align, backend: AnyBackend, utterance: Utterance) -> Done[Result] | TooLong:
    heartbeat(timeout_of(utterance))
    if not is_cut(utterance, backend):
        return Done(_align_whole(align, backend, [utterance])[0])
    if is_long(utterance):
        return TooLong()
    with worker_pool(1, backend) as submit:
        return Done(_without_samples(_in_parts(utterance, backend, align, submit)))


def _align_whole(align: Align, backend: AnyBackend, utterances: Sequence[Utterance]) -> list[Result]:
    """In a worker: align utterances, none of which is cut."""
    return [_without_samples(guarded(u, partial(align, u, backend))) for u in utterances]


def _in_parts(utterance: Utterance, backend: AnyBackend, align: Align, submit: Submit | None) -> Result:
    """Align a long utterance with all workers together: those that are there, or others."""
    if submit is None:
        with worker_pool(backend.compute.jobs, backend) as submit:
            return _in_parts(utterance, backend, align, submit)
    work = partial(_align_whole, align)
    return guarded(utterance, lambda: aligned_in_parts(utterance, backend, submit, work))


def _prepare_each(
    backend: AnyBackend, utterances: Sequence[Utterance]
) -> list[Done[Result] | Ready[OnDevice] | TooLong]:
    """In a worker: prepare utterances for a device; one that is cut is left for all workers together."""
    return [_prepare_alone(backend, utterance) for utterance in utterances]


def _prepare_alone(backend: AnyBackend, utterance: Utterance) -> Done[Result] | Ready[OnDevice] | TooLong:
    def prepare() -> OnDevice:
        heard = hear_for(backend, utterance)
        heard = replace(heard, utterance=replace(heard.utterance, audio=NO_SAMPLES))
        with arithmetic(backend.compute):
            return OnDevice(heard, backend.prepare(heard))

    heartbeat(timeout_of(utterance))
    if is_cut(utterance, backend):
        return TooLong()
    found = guarded(utterance, prepare)
    return Done(_without_samples(found)) if isinstance(found, Failure) else Ready(found)


def _device_work(
    backend: AnyBackend, batched: Batched[Any]
) -> DeviceWork[OnDevice, Found | DataError, Result]:
    """What a device does with utterances that are prepared."""

    def start() -> Callable[[Sequence[OnDevice]], Sequence[Found | DataError]]:
        find = batched.batched()

        def search(batch: Sequence[OnDevice]) -> Sequence[Found | DataError]:
            with arithmetic(backend.compute):
                return find([one.prepared for one in batch])

        return search

    def conclude(one: OnDevice, found: Found | DataError) -> Alignment:
        if isinstance(found, DataError):
            raise found
        refined = refine(one.heard, found, backend.traits)
        plain = judge(one.heard, found, refined, backend.traits)
        return looser(plain, one.heard, backend)

    return DeviceWork(
        device=torch.device(backend.compute.device),
        start=start,
        finish=lambda one, found: guarded(one.heard.utterance, partial(conclude, one, found)),
        seconds=lambda one: one.heard.seconds,
    )


def _without_samples(result: Result) -> Result:
    """A result whose utterance has no samples: they may be many, and need not be sent back."""
    return replace(result, utterance=replace(result.utterance, audio=NO_SAMPLES))


def _lost(utterance: Utterance, error: WorkerLost) -> Failure:
    """Why an utterance that workers were lost with cannot be aligned."""
    if isinstance(error, WorkerTimeout):
        return Failure(utterance, *STUCK, fault=Fault.STUCK)
    return Failure(utterance, *KILLED, fault=Fault.KILLED)


def guarded(utterance: Utterance, work: Callable[[], R]) -> R | Failure:
    """What ``work`` returns, or the failure that its error amounts to: one bad file never ends a run."""
    try:
        return work()
    except WorkerLost as error:
        return _lost(utterance, error)
    except DataError as error:
        return Failure.of(utterance, error)
    except MemoryError:
        return Failure(
            utterance,
            "there is not enough memory for it",
            "cut it into utterances with a TextGrid",
            fault=Fault.MEMORY,
        )
    except Exception as error:  # a fault of ours must not take the other files with it
        log.debug("%s", utterance.id, exc_info=True)
        return Failure(
            utterance,
            f"the aligner failed on it ({type(error).__name__}: {error})",
            "please report this, with the output of --verbose",
            fault=Fault.INTERNAL,
        )
