"""The whole path, from utterances to their alignments."""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from aligner.backends.base import Backend, Found, Prepared, arithmetic, finish, hear
from aligner.backends.choose import chosen
from aligner.backends.device import on_device
from aligner.backends.hmm import HmmBackend
from aligner.backends.options import Compute, Options
from aligner.backends.speakers import acquainted, asks
from aligner.models.base import Model
from aligner.parallel.batches import windows
from aligner.parallel.pool import Submit, WorkerLost, WorkerTimeout, min_tasks, worker_pool
from aligner.parallel.worker import heartbeat
from aligner.run.long import PATIENCE, aligned_in_parts, is_cut, is_long, patience
from aligner.types import SAMPLE_RATE, Alignment, DataError, Failure, Fault, Result, Utterance

A = TypeVar("A")
R = TypeVar("R")
Answer = Result | Utterance  # one that is yet to be aligned
Task = tuple[int, list[Utterance]]  # utterances in a row, and the place of the first
log = logging.getLogger(__name__)

TASK = 4  # utterances that a worker is given at once
AHEAD = 3  # tasks for each worker, done or waiting, so that none idles
DEFERRED = 256  # utterances that go before a long one, for which all workers are needed
BEYOND = (
    4096  # utterances that may be done before an earlier one is, lest results pile up behind a long recording
)
NOTHING = np.zeros(0, np.float32)
KILLED = (
    "the process that aligned it was killed, as happens where memory is short",
    "name fewer --jobs, or cut it into utterances with a TextGrid",
)
STUCK = (
    "the process that aligned it gave no sign of life for minutes, twice, and was ended",
    "please report this, with the recording",
)


def align(
    utterances: Iterable[Utterance],
    model: Backend | Model | str | Path | None = None,
    options: Options | None = None,
    compute: Compute | None = None,
) -> Iterator[Alignment | Failure]:
    """Align utterances.

    Parameters
    ----------
    utterances : iterable of Utterance
    model : Model, str, Path or Backend, optional
        A model, or what `aligner.load_model` takes; unless given, the backend's own.  A whole backend has its
        options already, and none may be given beside it.
    options : Options, optional
        What is wanted.
    compute : Compute, optional
        How it is computed.

    Yields
    ------
    Alignment or Failure
        One for each utterance, in their order; a failure says why and what to do.

    Raises
    ------
    DataError
        If the dictionary is at fault.
    ModelError
        If the model is.

    Examples
    --------
    >>> import numpy as np
    >>> [failure] = align([Utterance("a", np.zeros(16000, np.float32), "hello")])
    >>> failure.message
    'the recording is silent throughout: check the channel and the level'
    """
    ready: list[tuple[int, Result]] = []
    following = 0
    for item in completed(utterances, model, options, compute):
        heapq.heappush(ready, item)
        while ready and ready[0][0] == following:
            yield heapq.heappop(ready)[1]
            following += 1


def completed(
    utterances: Iterable[Utterance],
    model: Backend | Model | str | Path | None = None,
    options: Options | None = None,
    compute: Compute | None = None,
) -> Iterator[tuple[int, Result]]:
    """As `align`, each with its place among the utterances, in the order in which they are done.

    Recordings are read, aligned and forgotten a few at a time, in as many processes as the options say:
    memory does not grow with the corpus.
    """
    backend = chosen(model, options, compute)
    backend.compute.check()
    if isinstance(backend, HmmBackend) and asks(backend):
        utterances = list(utterances)
        backend = acquainted(backend, utterances)
    source = iter(utterances)
    first = list(islice(source, min_tasks()))
    networks = backend.compute.device != "cpu" and not isinstance(
        backend, HmmBackend
    )  # which only this process can reach
    jobs = backend.compute.jobs if len(first) == min_tasks() and not networks else 1
    tasks = _tasks(chain(first, source), 1 if jobs == 1 else TASK)
    with worker_pool(jobs, backend) as submit:
        found = _answers(tasks, backend, submit, 1 if jobs == 1 else AHEAD * jobs)
        shared = submit if jobs > 1 else None
        yield from deferring(found, lambda place, utterance: _in_parts(place, utterance, backend, shared))


def deferring(
    answers: Iterable[tuple[int, Answer]], in_parts: Callable[[int, Utterance], tuple[int, Result]]
) -> Iterator[tuple[int, Result]]:
    """Answers with their places; utterances that are long, for which all workers are needed, go behind
    others.

    Not for ever: where `DEFERRED` utterances have gone before it a long one is next, for results in the order
    of the utterances would pile up behind it.

    Parameters
    ----------
    answers : iterable
        Of short utterances their results, of long ones the utterance.
    in_parts : callable
        Aligns a long one.

    Examples
    --------
    >>> one, two = (Utterance(name, NOTHING, "") for name in ("one", "two"))
    >>> list(deferring([(0, one), (1, "b"), (2, two), (3, "d")], lambda place, long: (place, long.id)))
    [(1, 'b'), (3, 'd'), (0, 'one'), (2, 'two')]
    """
    long: deque[tuple[int, Utterance]] = deque()
    for place, answer in answers:
        if isinstance(answer, Utterance):
            long.append((place, answer))
        else:
            yield place, answer
        if long and place > long[0][0] + DEFERRED:
            yield in_parts(*long.popleft())
    while long:
        yield in_parts(*long.popleft())


def _answers(
    tasks: Iterator[Task], backend: Backend, submit: Submit, ahead: int
) -> Iterator[tuple[int, Answer]]:
    """What workers, and a device where there is one, make of tasks; utterances that are long come back as
    they are.
    """
    if not isinstance(backend, HmmBackend) or backend.compute.device == "cpu":
        return _spread(tasks, submit, _aligned, ahead)
    prepared: Iterator[tuple[int, Prepared | Answer]] = _spread(tasks, submit, _prepared, ahead)
    return _finished(on_device(prepared, backend), backend)


def _in_parts(
    place: int, utterance: Utterance, backend: Backend, submit: Submit | None
) -> tuple[int, Result]:
    """A long utterance, aligned by all workers together: those that are there, or others."""
    assert isinstance(backend, HmmBackend)
    if submit is None:
        with worker_pool(backend.compute.jobs, backend) as submit:
            return _in_parts(place, utterance, backend, submit)
    return place, _guarded(utterance, lambda: aligned_in_parts(utterance, backend, submit, _aligned_whole))


def _tasks(utterances: Iterable[Utterance], size: int) -> Iterator[Task]:
    place = 0
    for some in windows(utterances, size):
        yield place, some
        place += len(some)


def _spread(
    tasks: Iterator[Task], submit: Submit, work: Callable[[Backend, Sequence[Utterance]], list[A]], ahead: int
) -> Iterator[tuple[int, A | Failure]]:
    """Answers as they are done; what was lost with a worker is tried once more, when no other is at work."""
    waiting: dict[Future[list[A]], Task] = {}
    held: Task | None = None  # taken, but too far ahead
    lost: list[Task] = []
    while True:
        while not lost and len(waiting) < ahead and (task := held or next(tasks, None)) is not None:
            held = task
            if waiting and task[0] > min(first for first, _ in waiting.values()) + BEYOND:
                break
            waiting[submit(work, task[1], timeout=PATIENCE)], held = task, None
        if not waiting and not lost:
            return
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            task = waiting.pop(future)
            try:
                yield from _placed(task, future.result())
            except WorkerLost:
                lost.append(task)
        if not waiting:
            for task in lost:
                yield from _one_by_one(task, submit, work)
            lost = []


def _one_by_one(
    task: Task, submit: Submit, work: Callable[[Backend, Sequence[Utterance]], list[A]]
) -> Iterator[tuple[int, A | Failure]]:
    """Utterances one of which a worker was lost with; each alone, so that it is known which one it was."""
    for place, utterance in enumerate(task[1], task[0]):
        try:
            yield from _placed((place, [utterance]), submit(work, [utterance], timeout=PATIENCE).result())
        except WorkerLost as how:
            yield place, _lost(utterance, how)


def _lost(utterance: Utterance, how: WorkerLost) -> Failure:
    """Why an utterance that workers were lost with cannot be aligned."""
    if isinstance(how, WorkerTimeout):
        return Failure(utterance, *STUCK, fault=Fault.STUCK)
    return Failure(utterance, *KILLED, fault=Fault.KILLED)


def _placed(task: Task, answers: Sequence[A]) -> Iterator[tuple[int, A]]:
    """With their places, and with the utterances as they were given."""
    for k, (utterance, answer) in enumerate(zip(task[1], answers, strict=True)):
        yield task[0] + k, _with_samples(answer, utterance)


def _with_samples(answer: Any, utterance: Utterance) -> Any:
    if isinstance(answer, Utterance):
        return utterance
    if isinstance(answer, Prepared):
        whole = replace(answer.heard.utterance, audio=utterance.audio)
        return replace(answer, heard=replace(answer.heard, utterance=whole))
    return replace(answer, utterance=replace(answer.utterance, audio=utterance.audio))


def _finished(
    found: Iterator[tuple[int, tuple[Prepared, Found | DataError] | Answer]], backend: Backend
) -> Iterator[tuple[int, Answer]]:
    """What was found as alignments."""

    def one(prepared: Prepared, what: Found | DataError) -> Alignment:
        if isinstance(what, DataError):
            raise what
        return finish(prepared, what, backend)

    for place, item in found:
        if isinstance(item, tuple):
            yield place, _guarded(item[0].heard.utterance, partial(one, *item))
        else:
            yield place, item


def align_file(
    recording: str | Path | ArrayLike,
    text: str,
    *,
    rate: int = SAMPLE_RATE,
    model: Backend | Model | str | Path | None = None,
    options: Options | None = None,
    compute: Compute | None = None,
) -> Alignment:
    """Align one recording, from a file or from samples.

    Parameters
    ----------
    recording : str, Path or array_like
        A file, or samples (N,) or (N, channels), full scale 1 (or of an integer type).
    text : str
        What is said.
    rate : int
        Sample rate of an array, in Hz.
    model : Model, str, Path or Backend, optional
        See `align`.
    options : Options, optional
    compute : Compute, optional

    Raises
    ------
    DataError
        If it cannot be aligned; the message says why and what to do.
    TypeError
        If ``text`` is not a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}, not str")
    source = Path(recording) if isinstance(recording, (str, Path)) else np.asarray(recording)
    name = "recording" if isinstance(source, np.ndarray) else source.stem
    [result] = align([Utterance(name, source, text, file=name, rate=rate)], model, options, compute)
    if isinstance(result, Failure):
        raise result.error(name)
    return result


def prepare(utterance: Utterance, backend: Backend) -> Prepared:
    """Read an utterance, take its features and build its graph.

    Raises
    ------
    DataError
        If any of it cannot be done.
    """
    heard = hear(utterance, backend)
    with arithmetic(backend.compute):
        return backend.prepare(heard)


def solve(prepared: Prepared, backend: Backend) -> Alignment:
    """Find an utterance's best path and turn it into intervals.

    Raises
    ------
    DataError
        If no path through the graph is possible.
    """
    with arithmetic(backend.compute):
        return finish(prepared, backend.find(prepared), backend)


def _aligned(backend: Backend, utterances: Sequence[Utterance]) -> list[Answer]:
    """What a worker does; an utterance that must be cut comes back as it is."""
    return [_aligned_alone(backend, u) for u in utterances]


def _aligned_alone(backend: Backend, utterance: Utterance) -> Answer:
    heartbeat(patience(utterance))
    if not is_cut(utterance, backend):
        return _aligned_whole(backend, [utterance])[0]
    if is_long(utterance):
        return _bare(utterance)
    with worker_pool(1, backend) as submit:
        _, result = _in_parts(0, utterance, backend, submit)
    return replace(result, utterance=_bare(result.utterance))


def _aligned_whole(backend: Backend, utterances: Sequence[Utterance]) -> list[Result]:
    def one(utterance: Utterance) -> Result:
        return _guarded(utterance, lambda: solve(prepare(utterance, backend), backend))

    results = [one(u) for u in utterances]
    return [replace(r, utterance=_bare(r.utterance)) for r in results]


def _prepared(backend: Backend, utterances: Sequence[Utterance]) -> list[Prepared | Answer]:
    """What a worker does for a device."""

    def one(utterance: Utterance) -> Prepared:
        prepared = prepare(utterance, backend)
        return replace(prepared, heard=replace(prepared.heard, utterance=_bare(prepared.heard.utterance)))

    def cut(utterance: Utterance) -> bool:
        heartbeat(patience(utterance))
        return is_cut(utterance, backend)

    answers = [_bare(u) if cut(u) else _guarded(u, partial(one, u)) for u in utterances]
    return [replace(a, utterance=_bare(a.utterance)) if isinstance(a, Failure) else a for a in answers]


def _bare(utterance: Utterance) -> Utterance:
    """Without its samples, which may be many and need not be sent back."""
    return replace(utterance, audio=NOTHING)


def _guarded(utterance: Utterance, work: Callable[[], R]) -> R | Failure:
    """What ``work`` returns, or the failure that its error amounts to: one bad file never ends a run."""
    try:
        return work()
    except WorkerLost as how:
        return _lost(utterance, how)
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
