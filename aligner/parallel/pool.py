"""A pool of worker processes that share a large object and answer requests about it.

A worker may die, or hang, without harm to the others: whoever sent the request gets an error, and another
worker takes its place.
"""

from __future__ import annotations

import logging
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

from aligner.parallel import fork_server
from aligner.parallel.serialization import deserialize, serialize
from aligner.parallel.worker import ERROR, HEARTBEAT, LOG, READY, RESULT
from aligner.types import DataError, Fault

T = TypeVar("T")
R = TypeVar("R")

POLL_INTERVAL = 1.0  # s between two checks for workers that hang
LONGEST_INTERVAL = 2.0  # s that count between two checks; where it was more, this process was stopped
START_TIMEOUT = 600.0  # s that a worker may take to start: imports, on a slow and busy machine
REQUESTS_PER_WORKER = 2  # that a worker is sent: the one that it works at, and the next
MAX_QUEUED_BYTES = 2**16  # of a request that is sent before it is read, so that the system's buffer holds it
MIN_TASKS_RUNNING, MIN_TASKS_COLD = 2, 64  # from which a pool is faster: with the fork server up, or not


class WorkerLost(DataError):
    """The worker that had a request ended without a result."""


class WorkerDied(WorkerLost):
    """The worker was killed before it sent a result."""

    def __init__(self) -> None:
        super().__init__("processes", "one was killed, as happens where memory is short", "name fewer --jobs")


class WorkerTimeout(WorkerLost):
    """The worker sent no heartbeat within the request's timeout, and was killed."""

    def __init__(self, timeout: float) -> None:
        super().__init__("processes", f"one gave no sign of life for {timeout:.0f} s", "please report this")


class Submit(Protocol):
    """Send a request, ``work(shared, task)``, to whichever worker is free.

    ``timeout`` is the time in seconds without a heartbeat (`aligner.parallel.worker.heartbeat`) or a result
    after which the worker is killed.  Time in which this process was stopped does not count.
    """

    def __call__(  # noqa: D102
        self,
        work: Callable[[Any, Any], Any],
        task: Any,
        /,
        *,
        timeout: float = ...,
    ) -> Future[Any]: ...


def min_tasks() -> int:
    """Return the number of tasks from which a pool is faster than this process alone."""
    return MIN_TASKS_RUNNING if fork_server.is_running() else MIN_TASKS_COLD


@contextmanager
def worker_pool(jobs: int, shared: Any) -> Iterator[Submit]:
    """Start a pool of worker processes, each of which computes in one thread.

    With one job this process does the work itself.  So it does where it is a daemon, as the processes of
    `multiprocessing.Pool` are: they may have no children.

    Parameters
    ----------
    jobs : int
        The number of workers.
    shared : object
        What all requests are about; it is sent to the workers, as are work, tasks and results.

    Yields
    ------
    Submit
        Its futures raise `WorkerDied` or `WorkerTimeout` where there is no result, and DataError where
        processes cannot be started.

    Examples
    --------
    >>> with worker_pool(1, [10, 20, 30]) as submit:
    ...     submit(list.__getitem__, 2).result()
    30
    """
    if jobs == 1 or multiprocessing.current_process().daemon:
        yield lambda work, task, timeout=math.inf: _done_here(work, shared, task)
        return
    try:
        source = fork_server.worker_source(shared)
    except Exception as error:  # of a pickler, where something cannot be sent; or of a system without room
        raise _cannot_start(f"{type(error).__name__}: {error}") from error
    pool = _Pool(jobs, source)
    try:
        yield pool.submit
    except BaseException:  # also that of a generator that was forgotten, in whatever thread it is collected
        pool.end(kill=True)
        raise
    pool.end()


def try_map(
    submit: Submit, work: Callable[[Any, T], R], tasks: Iterable[T], timeout: Callable[[T], float]
) -> Iterator[R | WorkerLost]:
    """Do tasks in a pool: all are submitted at once, and results come in the order of the tasks.

    A task that was lost with its worker is submitted once more, by itself, when all others are done.

    Parameters
    ----------
    submit : Submit
        The function of a `worker_pool` that submits a task.
    work : callable
        What to do with each task: ``work(shared, task)``.
    tasks : iterable
        The tasks.
    timeout : callable
        The timeout of each task in seconds; see `Submit`.

    Returns
    -------
    iterator
        Results; or, of a task that was lost twice, the error.
    """
    submitted = [(task, submit(work, task, timeout=timeout(task))) for task in tasks]

    def retry(task: T) -> R | WorkerLost:
        wait_for([future for _, future in submitted])
        return try_task(submit, work, task, timeout(task))

    def results() -> Iterator[R | WorkerLost]:
        for task, future in submitted:
            try:
                result: R | WorkerLost = future.result()
            except WorkerLost:
                result = retry(task)
            yield result

    return results()


def try_task(submit: Submit, work: Callable[[Any, T], R], task: T, timeout: float) -> R | WorkerLost:
    """Do one task in a pool; the result, or the error if the task was lost with its worker."""
    try:
        result: R = submit(work, task, timeout=timeout).result()
    except WorkerLost as lost:
        return lost
    return result


def map_tasks(
    submit: Submit, work: Callable[[Any, T], R], tasks: Iterable[T], timeout: Callable[[T], float]
) -> Iterator[R]:
    """Do tasks as `try_map` does, but raise `WorkerLost` at a task that was lost twice."""
    found = try_map(submit, work, tasks, timeout)

    def results() -> Iterator[R]:
        for result in found:
            if isinstance(result, WorkerLost):
                raise result
            yield result

    return results()


def _done_here(work: Callable[[Any, Any], Any], shared: Any, task: Any) -> Future[Any]:
    """Do a task in this process."""
    import torch

    future: Future[Any] = Future()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same digits as with many jobs
    try:
        future.set_result(work(shared, task))
    except Exception as error:
        future.set_exception(error)
    finally:
        torch.set_num_threads(threads)
    return future


class _Request(NamedTuple):
    """A task that was submitted, with the future of its result."""

    future: Future[Any]
    message: bytes
    timeout: float


class _Worker:
    """One worker, as the pool sees it.

    Attributes
    ----------
    connection : Connection
        To its process.
    pid : int or None
        Its process id; None as long as it is starting.
    requests : deque of _Request
        The request that it works at, and behind that what waits for it there.
    silence : float
        Seconds since its last message.
    timeout : float
        How long it may be silent, in seconds.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.pid: int | None = None
        self.requests: deque[_Request] = deque()
        self.silence, self.timeout = 0.0, START_TIMEOUT

    @property
    def capacity(self) -> int:
        """How many more requests the worker takes: one to work at, and one so that it need not wait."""
        return REQUESTS_PER_WORKER - len(self.requests) if self.pid is not None else 0

    def send(self, request: _Request) -> None:
        """Send the process a request, which waits there behind others."""
        self.requests.append(request)
        if len(self.requests) == 1:
            self._restart_timeout()
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died, as will be noticed
            self.connection.send_bytes(request.message)

    def finish_request(self) -> Future[Any]:
        """Note that the worker goes on to its next request, and return the future of the finished one."""
        finished = self.requests.popleft()
        self._restart_timeout()
        return finished.future

    def _restart_timeout(self) -> None:
        self.silence, self.timeout = 0.0, self.requests[0].timeout if self.requests else math.inf

    def kill(self) -> None:
        """Kill the process, and close the connection to it."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        self.connection.close()


class _Pool:
    """The workers of one pool, and the thread that sends them requests and receives their results."""

    def __init__(self, jobs: int, source: fork_server.WorkerSource) -> None:
        self._jobs, self._source = jobs, source
        self._workers: list[_Worker] = []
        self._queue: deque[_Request] = deque()
        self._failure: DataError | None = None
        self._closing = self._killing = self._woken = False
        self._lock = threading.Lock()  # of the queue, the failure, and the pipe that wakes the thread
        self._wake_receiver, self._wake_sender = Pipe(duplex=False)
        self._thread = threading.Thread(target=self._run, name="workers", daemon=True)
        self._thread.start()

    def submit(
        self, work: Callable[[Any, Any], Any], task: Any, /, *, timeout: float = math.inf
    ) -> Future[Any]:
        """Put a request into the queue; see `Submit`."""
        future: Future[Any] = Future()
        try:
            request = _Request(future, serialize((work, task)), timeout)
        except Exception as error:  # it cannot be sent
            future.set_exception(error)
            return future
        with self._lock:
            if self._failure is None:
                self._queue.append(request)
                self._wake()
                return future
        future.set_exception(self._failure)
        return future

    def end(self, *, kill: bool = False) -> None:
        """Wait until all requests have their results, or kill the workers at once."""
        self._closing, self._killing = True, kill
        with self._lock, suppress(OSError):  # the thread has ended
            self._wake()
        if threading.current_thread() is not self._thread:  # which collects a forgotten generator at times
            self._thread.join()

    def _wake(self) -> None:
        """Wake the thread; once is enough until it has looked, and more would fill the pipe."""
        if not self._woken:
            self._wake_sender.send_bytes(b".")
            self._woken = True

    def _run(self) -> None:
        """Be the thread of the pool."""
        try:
            self._start_workers()
            self._exchange_messages()
        except BaseException as error:
            self._fail(error)
        finally:
            for worker in self._workers:
                worker.kill() if self._killing else worker.connection.close()
            self._source.close()
            with self._lock:
                self._failure = self._failure or DataError(
                    "processes", "they have ended", "ask before", fault=Fault.INTERNAL
                )
                self._wake_sender.close()
                self._wake_receiver.close()

    def _exchange_messages(self) -> None:
        """Send requests and receive results until the pool is closed and all is done, or it is killed."""
        last = clock()
        while not self._killing:
            self._send_requests()
            if self._closing and not self._queue and not any(w.requests for w in self._workers):
                return
            ready = wait([self._wake_receiver, *(w.connection for w in self._workers)], POLL_INTERVAL)
            now = clock()
            passed, last = min(now - last, LONGEST_INTERVAL), now
            if self._wake_receiver in ready:
                with self._lock:
                    self._wake_receiver.recv_bytes()
                    self._woken = False
            for worker in list(self._workers):
                worker.silence += passed
                if worker.connection in ready:
                    self._receive(worker)
                elif worker.silence > worker.timeout:
                    self._remove(worker, WorkerTimeout(worker.timeout))

    def _start_workers(self) -> None:
        """Start as many workers as are missing."""
        while len(self._workers) < self._jobs:
            self._workers.append(_Worker(self._source.worker()))

    def _send_requests(self) -> None:
        """Send requests from the queue to the workers that take more."""
        with self._lock:
            if self._queue:
                self._start_workers()
            while self._queue and (worker := self._next_worker()) is not None:
                request = self._queue.popleft()
                if request.future.running() or request.future.set_running_or_notify_cancel():
                    worker.send(request)

    def _next_worker(self) -> _Worker | None:
        """Return who takes the first request of the queue, if anyone: a worker that is idle; or, while the
        queue is long, one that is not, but has no request waiting.

        What waits there must be small, for it is sent while nobody reads it.
        """
        ahead = len(self._queue) > self._jobs and len(self._queue[0].message) <= MAX_QUEUED_BYTES
        least = 1 if ahead else REQUESTS_PER_WORKER
        return max(
            (w for w in self._workers if w.capacity >= least),
            key=lambda w: w.capacity,
            default=None,
        )

    def _receive(self, worker: _Worker) -> None:
        """Receive a worker's message, or notice that it has died."""
        try:
            message = worker.connection.recv_bytes()
        except (EOFError, OSError):
            self._remove(worker, WorkerDied())
            return
        try:
            kind, content = deserialize(message)
        except Exception as error:  # the result is of a type that cannot be imported here
            kind, content = ERROR, error
        worker.silence = 0.0
        if kind == READY:
            (worker.pid, failure), worker.timeout = content, math.inf
            if failure:
                raise _cannot_start(failure)
        elif kind == HEARTBEAT:
            worker.timeout = worker.timeout if content is None else content
        elif kind == LOG:
            logging.getLogger(content.name).handle(content)
        elif kind == RESULT:
            worker.finish_request().set_result(content)
        elif kind == ERROR:
            worker.finish_request().set_exception(content)

    def _remove(self, worker: _Worker, why: WorkerDied | WorkerTimeout) -> None:
        """Remove a worker that is lost: its present request fails, what waited behind it is for others."""
        worker.kill() if isinstance(why, WorkerTimeout) else worker.connection.close()
        self._workers.remove(worker)
        if worker.pid is None:
            raise _cannot_start(
                "the first ended"
                if isinstance(why, WorkerDied)
                else f"none was there after {START_TIMEOUT:.0f} s"
            )
        if worker.requests:
            worker.requests.popleft().future.set_exception(why)
            with self._lock:
                self._queue.extendleft(reversed(worker.requests))

    def _fail(self, error: BaseException) -> None:
        """Let all requests fail, those at hand and those to come."""
        self._killing = True
        with self._lock:
            self._failure = (
                error if isinstance(error, DataError) else _cannot_start(f"{type(error).__name__}: {error}")
            )
            open_requests = [*(request for w in self._workers for request in w.requests), *self._queue]
            self._queue.clear()
        for request in open_requests:
            request.future.set_exception(self._failure)


def _cannot_start(why: str) -> DataError:
    return DataError(
        "processes",
        f"worker processes cannot be started ({why})",
        "take --jobs 1, and report this",
        fault=Fault.INTERNAL,
    )
