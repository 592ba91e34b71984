"""Where worker processes come from.

A process that has computed cannot be forked: torch, MKL, numba and OpenBLAS have threads of their own, which
Python does not know of, and what one of them held at that moment (the lock of an allocator, say) is held for
ever in the child.  So on Linux a server is started that imports what workers need and does nothing else: it
has one thread.  For every pool it forks a template, which takes in what the workers are to know and forks
them, so that they share its memory.  Elsewhere, where systems' own libraries have threads from the start,
each worker is a new program.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Protocol

from aligner.parallel.cores import ONE_THREAD
from aligner.parallel.life import WATCH, Knowledge, Surroundings, ending, learnt, live
from aligner.parallel.wire import packed, unpacked

GO_ON = b"."  # comes with each descriptor
ENDING = 5.0  # s that a program has to end when it was told to
SERVES = sys.platform.startswith("linux")  # macOS could, but its libraries forbid it

_server: _Server | None = None
_starting = threading.Lock()


class Source(Protocol):
    """Where the workers of one pool come from."""

    def worker(self) -> Connection:
        """Start one, and return the way to it.  It ends when that is closed; it is closed when the worker
        ends.
        """
        ...

    def close(self) -> None:
        """Start no more."""
        ...


class _Server:
    """The way to the server."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._way, theirs = Pipe()
        self.owner = os.getpid()
        self._process = _program("serve", theirs)
        self._way.send_bytes(packed((Surroundings.here(), tuple(modules))))
        self._lock = threading.Lock()

    @property
    def lives(self) -> bool:
        """Whether it can still be asked."""
        return self.owner == os.getpid() and self._process.poll() is None

    def template(self) -> Connection:
        """The way to a new template."""
        ours, theirs = Pipe()
        with self._lock, theirs:
            hand(self._way, theirs.fileno())
        return ours

    def end(self) -> None:
        """End it, with all of its templates and their workers."""
        self._way.close()
        self._process.kill()  # which may be importing still, and would not hear anything else
        self._process.wait()


def start(modules: Sequence[str] = ()) -> None:
    """Start the server, unless it is there, and do not wait for it; nothing where processes are not forked.

    Parameters
    ----------
    modules : sequence of str
        That workers will need; unless given, those of this package that are imported here.
    """
    global _server
    with _starting:
        if SERVES and (_server is None or not _server.lives):
            _server = _Server(modules or [name for name in sys.modules if name.startswith("aligner.")])


def warm() -> bool:
    """Whether workers can be had at once, for the server is there."""
    return _server is not None and _server.lives


@atexit.register
def stop() -> None:
    """End the server; the next pool starts another."""
    global _server
    if _server is not None and _server.owner == os.getpid():
        _server.end()
    _server = None


class Template:
    """Workers that are forked from a process that knows everything already.

    Parameters
    ----------
    surroundings, known : bytes
        As `aligner.parallel.life.learnt` takes them.
    """

    def __init__(self, surroundings: bytes, known: bytes) -> None:
        start()
        assert _server is not None
        self._way = _server.template()
        descriptor = os.memfd_create(
            "known"
        )  # memory that needs no reader yet: the server may still be importing
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(surroundings)
                file.write(known)
            hand(self._way, descriptor)
        finally:
            os.close(descriptor)

    def worker(self) -> Connection:
        """Start one."""
        ours, theirs = Pipe()
        with theirs:
            hand(self._way, theirs.fileno())
        return ours

    def close(self) -> None:
        """End the template; its workers live on."""
        self._way.close()


class Programs:
    """Workers that are new programs, each of which must learn everything."""

    def __init__(self, surroundings: bytes, known: bytes) -> None:
        self._data = surroundings + known
        self._processes: list[subprocess.Popen[bytes]] = []

    def worker(self) -> Connection:
        """Start one."""
        ours, theirs = Pipe()
        self._processes.append(_program("begin", theirs))
        with suppress(BrokenPipeError, ConnectionResetError):  # it has ended, as will be noticed
            ours.send_bytes(self._data)
        return ours

    def close(self) -> None:
        """Wait for those that were started; all have been told to end."""
        for process in self._processes:
            try:
                process.wait(ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def source(known: Any) -> Source:
    """A source of workers that know this."""
    data = packed(Surroundings.here()), packed(known)
    return Template(*data) if SERVES else Programs(*data)


def _program(what: str, theirs: Connection) -> subprocess.Popen[bytes]:
    """Start Python to do ``what`` with a connection, which is then closed here."""
    from multiprocessing.util import _args_from_interpreter_flags  # type: ignore[attr-defined]

    number = theirs.fileno()
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import {what}; {what}({number})"
    command = [sys.executable, *_args_from_interpreter_flags(), "-c", code]
    environment = {**os.environ, **ONE_THREAD}
    with theirs, _deaf():
        if sys.platform == "win32":
            os.set_handle_inheritable(number, True)
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, close_fds=False)
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[number])


@contextmanager
def _deaf() -> Iterator[None]:
    """Children made in the block do not hear Ctrl-C before they have learnt to ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    held = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def hand(way: Connection, descriptor: int) -> None:
    """Give a file descriptor to the process at the other end; it is gone there if that has ended."""
    with suppress(BrokenPipeError, ConnectionResetError), _as_socket(way) as there:
        socket.send_fds(there, [GO_ON], [descriptor])


def _handed(way: Connection, parent: int) -> int | None:
    """The next descriptor that is handed over; None when there are no more, or the parent has ended."""
    while os.getppid() == parent:
        if way.poll(WATCH):
            with _as_socket(way) as here:
                _, descriptors, _, _ = socket.recv_fds(here, 1, 1)
            return descriptors[0] if descriptors else None
    return None


@contextmanager
def _as_socket(way: Connection) -> Iterator[socket.socket]:
    with socket.socket(fileno=os.dup(way.fileno())) as found:
        yield found


def serve(number: int) -> None:
    """The life of the server, whose parent is at the other end of a connection."""
    ending(partial(_serve, Connection(number)))


def _serve(way: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that have ended vanish
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    parent = os.getppid()
    surroundings, modules = unpacked(way.recv_bytes())
    surroundings.take()
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    _fork_for_each(way, parent, _teach)


def _teach(way: Connection) -> None:
    """The life of a template: learn, then fork workers."""
    parent = os.getppid()
    descriptor = _handed(way, parent)
    if descriptor is None:
        return
    with open(descriptor, "rb") as file:
        file.seek(0)
        knowledge = learnt(file)
    gc.freeze()
    _fork_for_each(way, parent, partial(_begin, knowledge))


def _begin(knowledge: Knowledge, way: Connection) -> None:
    """The life of a forked worker."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    live(way, knowledge)


def _fork_for_each(way: Connection, parent: int, life: Callable[[Connection], None]) -> None:
    """Fork a process for each descriptor that is handed over, which lives with that as its connection."""
    while (descriptor := _handed(way, parent)) is not None:
        if os.fork() == 0:
            way.close()
            ending(partial(life, Connection(descriptor)))
        os.close(descriptor)


def begin(number: int) -> None:
    """The life of a worker that is a program of its own."""
    from multiprocessing import connection

    kind = connection.PipeConnection if sys.platform == "win32" else Connection  # type: ignore[attr-defined,unused-ignore]
    way = kind(number)
    ending(lambda: live(way, learnt(io.BytesIO(way.recv_bytes()))))
