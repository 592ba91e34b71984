"""What a worker process does from its first to its last moment."""

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

from aligner.parallel.cores import ONE_THREAD
from aligner.parallel.wire import packed, unpacked

WATCH = 1.0  # s between two looks whether the parent lives
GARBAGE = 50_000  # new objects from which garbage is looked for

HELLO, ALIVE, LOG, ANSWER, ERROR = "hello", "alive", "log", "answer", "error"  # kinds of message to the pool

_pool: Connection | None = None  # in a worker: to where its messages go


class Surroundings(NamedTuple):
    """What of the asking process a worker takes over, so that names and modules mean the same to both.

    Attributes
    ----------
    folder : str or None
        The current one; None where it is gone.
    path : list of str
        Where modules are looked for.
    environment : dict of str to str
    verbosity : int
        The level from which messages are logged.
    """

    folder: str | None
    path: list[str]
    environment: dict[str, str]
    verbosity: int

    @classmethod
    def here(cls) -> Surroundings:
        """Those of this process."""
        try:
            folder = os.getcwd()
        except OSError:
            folder = None
        return cls(folder, list(sys.path), dict(os.environ), logging.getLogger().getEffectiveLevel())

    def take(self) -> None:
        """Make them this process's own; libraries that are loaded from now on have one thread."""
        if self.folder is not None:
            os.chdir(self.folder)
        sys.path[:] = self.path
        os.environ.clear()
        os.environ.update(self.environment | ONE_THREAD)


class Knowledge(NamedTuple):
    """What all questions are about, as a worker has it; or why it could not be had."""

    known: Any
    trouble: str
    verbosity: int


def learnt(file: BinaryIO) -> Knowledge:
    """What was sent to workers: `Surroundings`, and behind them what they are to know."""
    verbosity = logging.WARNING
    try:
        surroundings = pickle.load(file)
        surroundings.take()
        verbosity = surroundings.verbosity
        return Knowledge(pickle.load(file), "", verbosity)
    except Exception as error:  # whatever a module raises that cannot be imported here, say
        return Knowledge(None, f"{type(error).__name__}: {error}", verbosity)


def alive(limit: float | None = None) -> None:
    """Tell the pool, if this is a worker, that the work goes on.

    Parameters
    ----------
    limit : float, optional
        Seconds until the next sign of life, at most; unless given, what was said before begins anew.
    """
    if _pool is not None:
        _pool.send_bytes(packed((ALIVE, limit)))


def live(connection: Connection, knowledge: Knowledge) -> None:
    """Answer questions until there are no more.

    Parameters
    ----------
    connection : Connection
        To the pool.  A question is ``(work, task)``; the answer ``work(known, task)``.
    knowledge : Knowledge
    """
    global _pool
    _pool = connection
    obey_only(os.getppid())
    torch = sys.modules.get("torch")
    if torch is not None:  # which has read the environment already
        torch.set_num_threads(1)
    # a dictionary has a million objects: looking through them for garbage, again and again, takes time
    gc.freeze()
    gc.set_threshold(GARBAGE)
    logging.basicConfig(level=knowledge.verbosity, handlers=[_Told()], force=True)
    connection.send_bytes(packed((HELLO, (os.getpid(), knowledge.trouble))))
    while True:
        try:
            question = connection.recv_bytes()
        except (EOFError, OSError):
            return
        connection.send_bytes(_answer(question, knowledge.known))


def _answer(question: bytes, known: Any) -> bytes:
    """The message that answers a question; an error is an answer, too."""
    try:
        work, task = unpacked(question)
        return packed((ANSWER, work(known, task)))
    except BaseException as error:
        error.add_note("".join(traceback.format_exception(error)))  # tracebacks cannot be sent
        try:
            return packed((ERROR, error))
        except Exception:
            return packed((ERROR, RuntimeError(f"{type(error).__name__}: {error}")))


class _Told(logging.Handler):
    """Sends what is logged to the parent, which decides what becomes of it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if record.exc_info:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.msg, record.args, record.exc_info = record.getMessage(), None, None
            if _pool is not None:
                _pool.send_bytes(packed((LOG, record)))
        except Exception:
            self.handleError(record)


def obey_only(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end when that has ended, even without a word."""
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


def ending(life: Callable[[], None]) -> None:
    """Live, and end without coming back to what the parent was doing."""
    code = 1
    try:
        life()
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
