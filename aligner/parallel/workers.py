"""A pool of processes that know something large and answer questions about it.

One of them may die, or get stuck, without harm to the others: whoever asked is told, and another takes its
place.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from time import monotonic as clock
from typing import Any, NamedTuple, Protocol, TypeVar

from aligner.parallel import life, server
from aligner.parallel.wire import packed, unpacked
from aligner.types import DataError, Fault

T = TypeVar("T")
R = TypeVar("R")

TICK = 1.0  # s between two looks at who is stuck
MOST = 2.0  # s that pass between two looks; where it was more, this process was stopped meanwhile
START = 600.0  # s that a worker may take to start: imports, on a slow and busy machine
AT_ONCE = 2  # questions that a worker has: that which it works at, and the next
SMALL = 2**16  # bytes of a question that fit into what the system keeps of what has not been read
WARM_WORTH, COLD_WORTH = (
    2,
    64,
)  # questions from which workers are worth their start: where the server is there, or not


class Lost(DataError):
    """A question was lost with the worker that had it."""


class Died(Lost):
    """The worker was killed."""

    def __init__(self) -> None:
        super().__init__("processes", "one was killed, as happens where memory is short", "name fewer --jobs")


class Stuck(Lost):
    """The worker gave no sign of life for the time that the question had, and was ended."""

    def __init__(self, limit: float) -> None:
        super().__init__("processes", f"one gave no sign of life for {limit:.0f} s", "please report this")


class Ask(Protocol):
    """Put a question: ``work(known, task)``, answered by whoever is free.

    ``limit`` is the time in seconds without a sign of life (the answer, or `aligner.parallel.life.alive`)
    after which the worker is ended.  Time in which this process was stopped does not count.
    """

    def __call__(  # noqa: D102
        self,
        work: Callable[[Any, Any], Any],
        task: Any,
        /,
        *,
        limit: float = ...,
    ) -> Future[Any]: ...


def enough() -> int:
    """Questions from which it is faster to have workers than to answer here."""
    return WARM_WORTH if server.warm() else COLD_WORTH


@contextmanager
def workers(jobs: int, known: Any) -> Iterator[Ask]:
    """So many processes, each of which computes in one thread; with one job it is this process that answers.

    So it is where this process is a daemon, as those of `multiprocessing.Pool` are: they may have no
    children.

    Parameters
    ----------
    jobs : int
    known : object
        What all questions are about; it is sent, as work, tasks and answers are.

    Yields
    ------
    Ask
        Futures raise `Died` or `Stuck` where there is no answer, and DataError where processes cannot be
        started.

    Examples
    --------
    >>> with workers(1, [10, 20, 30]) as ask:
    ...     ask(list.__getitem__, 2).result()
    30
    """
    if jobs == 1 or multiprocessing.current_process().daemon:
        yield lambda work, task, limit=math.inf: _answered(work, known, task)
        return
    try:
        source = server.source(known)
    except (
        Exception
    ) as error:  # what a pickler raises where something cannot be sent, or the system for want of room
        raise _unstartable(f"{type(error).__name__}: {error}") from error
    pool = _Pool(jobs, source)
    try:
        yield pool.ask
    except BaseException:  # also that of a generator that was forgotten, in whatever thread it is swept up
        pool.end(kill=True)
        raise
    pool.end()


def attempts(
    ask: Ask, work: Callable[[Any, T], R], tasks: Iterable[T], limit: Callable[[T], float]
) -> Iterator[R | Lost]:
    """Answers in the order of the tasks, which are all asked at once.

    What is lost with a worker is asked once more, by itself, when all others are answered.

    Parameters
    ----------
    ask : Ask
    work : callable
    tasks : iterable
    limit : callable
        Of each; see `Ask`.

    Returns
    -------
    iterator
        Of answers; of the error where one was lost twice.
    """
    asked = [(task, ask(work, task, limit=limit(task))) for task in tasks]

    def again(task: T) -> R | Lost:
        wait_for([future for _, future in asked])
        try:
            answer: R = ask(work, task, limit=limit(task)).result()
        except Lost as lost:
            return lost
        return answer

    def attempted() -> Iterator[R | Lost]:
        for task, future in asked:
            try:
                answer: R | Lost = future.result()
            except Lost:
                answer = again(task)
            yield answer

    return attempted()


def answers(
    ask: Ask, work: Callable[[Any, T], R], tasks: Iterable[T], limit: Callable[[T], float]
) -> Iterator[R]:
    """As `attempts`, but the iterator raises `Lost` where an answer was lost twice."""
    found = attempts(ask, work, tasks, limit)

    def answered() -> Iterator[R]:
        for answer in found:
            if isinstance(answer, Lost):
                raise answer
            yield answer

    return answered()


def _answered(work: Callable[[Any, Any], Any], known: Any, task: Any) -> Future[Any]:
    import torch

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


class _Question(NamedTuple):
    future: Future[Any]
    message: bytes
    limit: float


class _Worker:
    """One worker, as the pool sees it.

    Attributes
    ----------
    way : Connection
    pid : int or None
        None as long as it is starting.
    questions : deque of _Question
        What it works at, and behind that what waits for it there.
    quiet : float
        Seconds since its last sign of life.
    limit : float
        How long it may be quiet.
    """

    def __init__(self, way: Connection) -> None:
        self.way = way
        self.pid: int | None = None
        self.questions: deque[_Question] = deque()
        self.quiet, self.limit = 0.0, START

    @property
    def room(self) -> int:
        """How many more questions it takes: one to work at, and one so that it need not wait for the next."""
        return AT_ONCE - len(self.questions) if self.pid is not None else 0

    def ask(self, question: _Question) -> None:
        """Give it a question."""
        self.questions.append(question)
        if len(self.questions) == 1:
            self._begin()
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died, as will be noticed
            self.way.send_bytes(question.message)

    def answered(self) -> Future[Any]:
        """It has done with a question, and begins the next; where the answer goes."""
        done = self.questions.popleft()
        self._begin()
        return done.future

    def _begin(self) -> None:
        self.quiet, self.limit = 0.0, self.questions[0].limit if self.questions else math.inf

    def kill(self) -> None:
        """End it."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        self.way.close()


class _Pool:
    """Hands out questions in a thread of its own."""

    def __init__(self, jobs: int, source: server.Source) -> None:
        self._jobs, self._source = jobs, source
        self._team: list[_Worker] = []
        self._questions: deque[_Question] = deque()
        self._trouble: DataError | None = None
        self._closing = self._killing = self._ringing = False
        self._lock = threading.Lock()  # of the questions, the trouble, and the bell
        self._bell, self._rung = Pipe(duplex=False)
        self._thread = threading.Thread(target=self._run, name="workers", daemon=True)
        self._thread.start()

    def ask(self, work: Callable[[Any, Any], Any], task: Any, /, *, limit: float = math.inf) -> Future[Any]:
        """See `Ask`."""
        future: Future[Any] = Future()
        try:
            question = _Question(future, packed((work, task)), limit)
        except Exception as error:  # it cannot be sent
            future.set_exception(error)
            return future
        with self._lock:
            if self._trouble is None:
                self._questions.append(question)
                self._ring()
                return future
        future.set_exception(self._trouble)
        return future

    def end(self, *, kill: bool = False) -> None:
        """Wait until all is answered, or end the workers at once."""
        self._closing, self._killing = True, kill
        with self._lock, suppress(OSError):  # it has ended
            self._ring()
        if (
            threading.current_thread() is not self._thread
        ):  # which sweeps up a forgotten generator itself at times
            self._thread.join()

    def _ring(self) -> None:
        """Wake the thread; once is enough until it has looked, and more would fill the pipe."""
        if not self._ringing:
            self._rung.send_bytes(b".")
            self._ringing = True

    def _run(self) -> None:
        try:
            self._hire()
            self._serve()
        except BaseException as error:
            self._give_up(error)
        finally:
            for worker in self._team:
                worker.kill() if self._killing else worker.way.close()
            self._source.close()
            with self._lock:
                self._trouble = self._trouble or DataError(
                    "processes", "they have ended", "ask before", fault=Fault.INTERNAL
                )
                self._rung.close()
                self._bell.close()

    def _serve(self) -> None:
        last = clock()
        while not self._killing:
            self._give_out()
            if self._closing and not self._questions and not any(w.questions for w in self._team):
                return
            ready = wait([self._bell, *(w.way for w in self._team)], TICK)
            now = clock()
            passed, last = min(now - last, MOST), now
            if self._bell in ready:
                with self._lock:
                    self._bell.recv_bytes()
                    self._ringing = False
            for worker in list(self._team):
                worker.quiet += passed
                if worker.way in ready:
                    self._hear(worker)
                elif worker.quiet > worker.limit:
                    self._lose(worker, Stuck(worker.limit))

    def _hire(self) -> None:
        """As many workers as there should be."""
        while len(self._team) < self._jobs:
            self._team.append(_Worker(self._source.worker()))

    def _give_out(self) -> None:
        """Questions to those who are free."""
        with self._lock:
            if self._questions:
                self._hire()
            while self._questions and (worker := self._next()) is not None:
                question = self._questions.popleft()
                if question.future.running() or question.future.set_running_or_notify_cancel():
                    worker.ask(question)

    def _next(self) -> _Worker | None:
        """Who takes the next question: who is free, or has room while there is plenty.

        What waits there must be small, for it is sent while nobody reads it.
        """
        plenty = len(self._questions) > self._jobs and len(self._questions[0].message) <= SMALL
        return max(
            (w for w in self._team if w.room >= (1 if plenty else AT_ONCE)),
            key=lambda w: w.room,
            default=None,
        )

    def _hear(self, worker: _Worker) -> None:
        """A message, or the silence of one who has died."""
        try:
            message = worker.way.recv_bytes()
        except (EOFError, OSError):
            self._lose(worker, Died())
            return
        try:
            kind, what = unpacked(message)
        except Exception as error:  # the answer is of a kind that is not to be had here
            kind, what = life.ERROR, error
        worker.quiet = 0.0
        if kind == life.HELLO:
            (worker.pid, trouble), worker.limit = what, math.inf
            if trouble:
                raise _unstartable(trouble)
        elif kind == life.ALIVE:
            worker.limit = worker.limit if what is None else what
        elif kind == life.LOG:
            _logged(what)
        elif kind in (life.ANSWER, life.ERROR):
            future = worker.answered()
            if kind == life.ANSWER:
                future.set_result(what)
            else:
                future.set_exception(what)

    def _lose(self, worker: _Worker, how: Died | Stuck) -> None:
        worker.kill() if isinstance(how, Stuck) else worker.way.close()
        self._team.remove(worker)
        if worker.pid is None:
            raise _unstartable(
                "the first ended" if isinstance(how, Died) else f"none was there after {START:.0f} s"
            )
        if worker.questions:
            worker.questions.popleft().future.set_exception(how)
            with self._lock:
                self._questions.extendleft(reversed(worker.questions))  # what it had not begun is for others

    def _give_up(self, error: BaseException) -> None:
        """Nothing can be answered any more."""
        self._killing = True
        with self._lock:
            self._trouble = (
                error if isinstance(error, DataError) else _unstartable(f"{type(error).__name__}: {error}")
            )
            left = [*(question for w in self._team for question in w.questions), *self._questions]
            self._questions.clear()
        for question in left:
            question.future.set_exception(self._trouble)


def _unstartable(why: str) -> DataError:
    return DataError(
        "processes",
        f"worker processes cannot be started ({why})",
        "take --jobs 1, and report this",
        fault=Fault.INTERNAL,
    )


def _logged(record: Any) -> None:
    import logging

    logging.getLogger(record.name).handle(record)
