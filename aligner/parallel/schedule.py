"""Work on many items in a pool, a few at a time, without waiting for a slow one and without losing any.

Items are handed out in tasks of a few, so many tasks ahead of whoever takes the outcomes, so that no worker
idles and memory does not grow with the number of items.  An item that was lost with its worker is tried once
more, alone.  What becomes of an item is its outcome, a type of its own for each thing that can happen.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Generic, NamedTuple, TypeVar

from aligner.parallel.batches import windows
from aligner.parallel.pool import Submit, WorkerLost, min_tasks, try_task

T = TypeVar("T")
R = TypeVar("R")

TASK_ITEMS = 4  # items that a worker is given at once
TASKS_AHEAD = 3  # tasks for each worker, done or waiting, so that none idles
DEFERRED_BEHIND = 256  # items that go before one for which all workers are needed
MOST_BEYOND = 4096  # items that may be done before an earlier one is, lest results pile up behind it


@dataclass(frozen=True)
class Done(Generic[R]):
    """The outcome of an item that is done."""

    result: R
    """What was made of it."""


@dataclass(frozen=True)
class Ready(Generic[R]):
    """The outcome of an item that is prepared for a device, which is to do the rest."""

    prepared: R
    """What the device needs."""


@dataclass(frozen=True)
class TooLong:
    """The outcome of an item that is left as it is, for all workers together."""


@dataclass(frozen=True)
class Lost:
    """The outcome of an item that was lost twice with its worker, the second time alone."""

    error: WorkerLost
    """How the worker ended."""


Outcome = Done[R] | Ready[Any] | TooLong | Lost
Work = Callable[[Any, Sequence[T]], Sequence[Done[R] | Ready[Any] | TooLong]]
"""What a worker does: ``work(shared, items)`` gives the outcome of each item."""


class Placed(NamedTuple, Generic[T, R]):
    """An item with its place among all items, and its outcome."""

    place: int
    item: T
    outcome: Outcome[R]


class _Task(NamedTuple, Generic[T]):
    """Items that stand in a row, and the place of the first."""

    first: int
    items: Sequence[T]

    def placed(self, outcomes: Sequence[Outcome[R]]) -> Iterator[Placed[T, R]]:
        """The items with their places and outcomes."""
        for k, (item, outcome) in enumerate(zip(self.items, outcomes, strict=True)):
            yield Placed(self.first + k, item, outcome)


def worth_starting(items: Iterable[T], jobs: int) -> tuple[int, Iterator[T]]:
    """How many jobs are worth their start, 1 where there are few items; and all of the items.

    Examples
    --------
    >>> jobs, items = worth_starting("a", 8)
    >>> jobs, list(items)
    (1, ['a'])
    """
    source = iter(items)
    first = list(islice(source, min_tasks()))
    return jobs if len(first) == min_tasks() else 1, chain(first, source)


def in_pool(
    items: Iterable[T], submit: Submit, work: Work[T, R], jobs: int, timeout: float
) -> Iterator[Placed[T, R]]:
    """Work on items in a pool.

    Parameters
    ----------
    items : iterable
    submit : Submit
        The function of the pool that submits a task.
    work : callable
        See `Work`; it is sent to the workers.
    jobs : int
        The number of workers.
    timeout : float
        Seconds without a sign of life after which a worker is given up.

    Yields
    ------
    Placed
        Each item as it is done; what was lost with a worker is tried once more, when no other is at work.
    """
    tasks, ahead = _tasks(items, 1 if jobs == 1 else TASK_ITEMS), 1 if jobs == 1 else TASKS_AHEAD * jobs
    waiting: dict[Future[Sequence[Outcome[R]]], _Task[T]] = {}
    held: _Task[T] | None = None  # taken, but too far ahead
    lost: list[_Task[T]] = []
    while True:
        while not lost and len(waiting) < ahead and (task := held or next(tasks, None)) is not None:
            held = task
            if waiting and task.first > min(first for first, _ in waiting.values()) + MOST_BEYOND:
                break
            waiting[submit(work, task.items, timeout=timeout)], held = task, None
        if not waiting and not lost:
            return
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            task = waiting.pop(future)
            try:
                yield from task.placed(future.result())
            except WorkerLost:
                lost.append(task)
        if not waiting:
            for task in lost:
                yield from _one_by_one(task, submit, work, timeout)
            lost = []


def _tasks(items: Iterable[T], size: int) -> Iterator[_Task[T]]:
    place = 0
    for some in windows(items, size):
        yield _Task(place, some)
        place += len(some)


def _one_by_one(task: _Task[T], submit: Submit, work: Work[T, R], timeout: float) -> Iterator[Placed[T, R]]:
    """Do the items of a task that was lost each alone, so that it is known with which one it was."""
    for place, item in enumerate(task.items, task.first):
        found = try_task(submit, work, [item], timeout)
        if isinstance(found, WorkerLost):
            yield Placed(place, item, Lost(found))
        else:
            yield from _Task(place, [item]).placed(found)


def deferring(placed: Iterable[Placed[T, R]], together: Callable[[T], R]) -> Iterator[Placed[T, R]]:
    """Let items that are `TooLong` go behind others, then do each of them by ``together``.

    Not for ever: where `DEFERRED_BEHIND` items have gone before such an item it is next, for results in the
    order of the items would pile up behind it.

    Parameters
    ----------
    placed : iterable of Placed
    together : callable
        Does an item with all workers.

    Examples
    --------
    >>> outcomes = [TooLong(), Done("b"), TooLong(), Done("d")]
    >>> placed = [Placed(k, "abcd"[k], outcome) for k, outcome in enumerate(outcomes)]
    >>> [(item, outcome.result) for _, item, outcome in deferring(placed, str.upper)]
    [('b', 'b'), ('d', 'd'), ('a', 'A'), ('c', 'C')]
    """
    deferred: deque[tuple[int, T]] = deque()

    def next_deferred() -> Placed[T, R]:
        place, item = deferred.popleft()
        return Placed(place, item, Done(together(item)))

    for one in placed:
        if isinstance(one.outcome, TooLong):
            deferred.append((one.place, one.item))
        else:
            yield one
        if deferred and one.place > deferred[0][0] + DEFERRED_BEHIND:
            yield next_deferred()
    while deferred:
        yield next_deferred()


def in_order(results: Iterable[tuple[int, R]]) -> Iterator[R]:
    """Results in the order of their places, which begin with 0, each as soon as its turn has come.

    Examples
    --------
    >>> list(in_order([(1, "b"), (0, "a"), (2, "c")]))
    ['a', 'b', 'c']
    """
    held: list[tuple[int, R]] = []
    following = 0
    for result in results:
        heapq.heappush(held, result)
        while held and held[0][0] == following:
            yield heapq.heappop(held)[1]
            following += 1
