"""Processes that know something large and answer questions about it.

Where a process can be forked (it runs on a POSIX system, in one thread, and has not touched CUDA) the workers are its
children as they stand: they begin at once and share its memory.  Elsewhere they are started anew and what they are to
know is sent to them, which takes seconds.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import torch

WATCH = 1.0  # s between two looks whether the parent lives
GARBAGE = 50_000  # new objects from which garbage is looked for
FORK_WORTH, START_WORTH = 2, 64  # questions from which other processes are worth their start: forked, or anew

_known: list[Any] = []  # in a worker: what the questions are about


class Ask(Protocol):
    """Put a question: ``work(known, task)``, answered by whoever is free."""

    def __call__(self, work: Callable[[Any, Any], Any], task: Any, /) -> Future[Any]: ...  # noqa: D102


def forks() -> bool:
    """Whether workers would be forked from this process."""
    return (sys.platform.startswith("linux") and threading.active_count() == 1
            and not torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def enough() -> int:
    """Questions from which it is faster to start workers than to answer here."""
    return FORK_WORTH if forks() else START_WORTH


@contextmanager
def workers(jobs: int, known: Any) -> Iterator[Ask]:
    """So many processes, each of which computes in one thread; with one job it is this process that answers.

    So it is where this process is a daemon, as those of `multiprocessing.Pool` are: they may have no children.

    Parameters
    ----------
    jobs : int
    known : object
        What all questions are about; where processes are not forked it must be picklable, as work and tasks must.

    Yields
    ------
    Ask
        Futures raise `concurrent.futures.process.BrokenProcessPool` where a worker was killed.

    Examples
    --------
    >>> with workers(1, [10, 20, 30]) as ask:
    ...     ask(list.__getitem__, 2).result()
    30
    """
    if jobs == 1 or multiprocessing.current_process().daemon:
        yield lambda work, task: _answered(work, known, task)
    elif forks():
        with _forked(jobs, known) as ask:
            yield ask
    else:
        with _started(jobs, known) as ask:
            yield ask


def _answered(work: Callable[[Any, Any], Any], known: Any, task: Any) -> Future[Any]:
    future: Future[Any] = Future()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same digits as with many jobs
    try:
        future.set_result(work(known, task))
    except Exception as error:
        future.set_exception(error)
    finally:
        torch.set_num_threads(threads)
    return future


@contextmanager
def _forked(jobs: int, known: Any) -> Iterator[Ask]:
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), _begin, (known, os.getpid()))
    others = set(multiprocessing.active_children())
    with _deaf():
        pool.submit(_ready).result()  # all processes start with the first question, before the pool has threads
    mine = set(multiprocessing.active_children()) - others
    try:
        yield lambda work, task: pool.submit(_answer, work, task)
    except BaseException:  # also that of a generator that was forgotten, in whatever thread it is swept up
        for process in mine:
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


@contextmanager
def _started(jobs: int, known: Any) -> Iterator[Ask]:
    import loky  # not asked for where processes are forked

    pool = loky.ProcessPoolExecutor(jobs, initializer=_begin, initargs=(known, os.getpid()))
    try:
        yield lambda work, task: pool.submit(_answer, work, task)
    except BaseException:
        pool.shutdown(wait=False, kill_workers=True)
        raise
    pool.shutdown()


@contextmanager
def _deaf() -> Iterator[None]:
    """Children made in the block do not hear Ctrl-C before they have learnt to ignore it."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _begin(known: Any, parent: int) -> None:
    """In a worker, once."""
    obey_only(parent)
    torch.set_num_threads(1)
    _known[:] = [known]
    gc.freeze()  # a dictionary has a million objects: looking through them for garbage, again and again, takes time
    gc.set_threshold(GARBAGE)


def obey_only(parent: int) -> None:
    """In a worker: leave Ctrl-C to the parent, and end when that has ended, even without a word."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    threading.Thread(target=_orphaned, args=(parent,), daemon=True).start()


def _orphaned(parent: int) -> None:
    """End when the parent has ended without a word, as it does when it is killed."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


def _ready() -> None:
    """A question that has no answer."""


def _answer(work: Callable[[Any, Any], Any], task: Any) -> Any:
    """In a worker, for every question."""
    return work(_known[0], task)
