"""What runs in a worker process, from its start to its end."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, NamedTuple

from aligner.parallel.cores import SINGLE_THREADED
from aligner.parallel.serialization import deserialize, serialize

PARENT_CHECK_INTERVAL = 1.0  # s between two checks whether the parent process is alive
GC_THRESHOLD = 50_000  # new objects after which Python looks for garbage

# kinds of messages from a worker to its pool
READY, HEARTBEAT, LOG, RESULT, ERROR = "ready", "heartbeat", "log", "result", "error"

_pool: Connection | None = None  # in a worker: the connection to its pool


class ProcessContext(NamedTuple):
    """What a worker takes over from the process that starts it, so that names and modules mean the same in
    both."""

    working_directory: str | None
    """None where it has been deleted."""
    module_path: list[str]
    """Where modules are looked for (`sys.path`)."""
    environment: dict[str, str]
    """The environment variables."""
    log_level: int
    """The level from which messages are logged."""

    @classmethod
    def current(cls) -> ProcessContext:
        """Return the context of this process."""
        try:
            directory = os.getcwd()
        except OSError:
            directory = None
        return cls(directory, list(sys.path), dict(os.environ), logging.getLogger().getEffectiveLevel())

    def adopt(self) -> None:
        """Make it the context of this process; libraries that are loaded from now on have one thread."""
        if self.working_directory is not None:
            os.chdir(self.working_directory)
        sys.path[:] = self.module_path
        os.environ.clear()
        os.environ.update(self.environment | SINGLE_THREADED)


class SharedState(NamedTuple):
    """The object that all requests of a pool are about, as a worker has loaded it."""

    value: Any
    """The object itself; None where it could not be loaded."""
    error: str
    """Why it could not be loaded; empty where it could."""
    log_level: int
    """The level from which the worker logs messages."""


def load_shared(file: BinaryIO) -> SharedState:
    """Load the shared object from a file that holds a pickled `ProcessContext`, then the pickled object."""
    log_level = logging.WARNING
    try:
        context = pickle.load(file)
        context.adopt()
        log_level = context.log_level
        return SharedState(pickle.load(file), "", log_level)
    except Exception as error:  # whatever a module raises that cannot be imported here, say
        return SharedState(None, f"{type(error).__name__}: {error}", log_level)


def heartbeat(timeout: float | None = None) -> None:
    """Tell the pool, if this process is a worker, that the work goes on.

    Parameters
    ----------
    timeout : float, optional
        Seconds until the next heartbeat or the result, at most; unless given, the present timeout starts
        anew.
    """
    if _pool is not None:
        _pool.send_bytes(serialize((HEARTBEAT, timeout)))


def serve_requests(connection: Connection, shared: SharedState) -> None:
    """Answer the pool's requests until the connection is closed.

    Parameters
    ----------
    connection : Connection
        To the pool.  A request is ``(work, task)``; its result is ``work(shared.value, task)``.
    shared : SharedState
        The object that all requests are about.
    """
    global _pool
    _pool = connection
    tie_to_parent(os.getppid())
    torch = sys.modules.get("torch")
    if torch is not None:  # which has read the environment already
        torch.set_num_threads(1)
    # a dictionary has a million objects: looking through them for garbage, again and again, takes time
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    logging.basicConfig(level=shared.log_level, handlers=[_LogForwarder()], force=True)
    connection.send_bytes(serialize((READY, (os.getpid(), shared.error))))
    while True:
        try:
            request = connection.recv_bytes()
        except (EOFError, OSError):
            return
        connection.send_bytes(_respond(request, shared.value))


def _respond(request: bytes, shared: Any) -> bytes:
    """Return the message that responds to a request: the result, or the error that the work raised."""
    try:
        work, task = deserialize(request)
        return serialize((RESULT, work(shared, task)))
    except BaseException as error:
        error.add_note("".join(traceback.format_exception(error)))  # tracebacks cannot be sent
        try:
            return serialize((ERROR, error))
        except Exception:
            return serialize((ERROR, RuntimeError(f"{type(error).__name__}: {error}")))


class _LogForwarder(logging.Handler):
    """A handler that sends log records to the pool's process, whose handlers decide what becomes of them."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if record.exc_info:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.msg, record.args, record.exc_info = record.getMessage(), None, None
            if _pool is not None:
                _pool.send_bytes(serialize((LOG, record)))
        except Exception:
            self.handleError(record)


def tie_to_parent(parent: int) -> None:
    """Leave Ctrl-C to the parent process, and exit when it has ended, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    """Exit when the parent has ended without closing the connection first, as it does when it is killed."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_INTERVAL)
    os._exit(1)


def run_and_exit(main: Callable[[], None]) -> None:
    """Run ``main`` in a forked process, and exit without returning to the code that forked it."""
    code = 1
    try:
        main()
        code = 0
    except (BrokenPipeError, ConnectionResetError):  # the parent has ended
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
