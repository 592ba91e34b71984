"""The processes that worker processes are started by.

A process that has computed cannot be forked: torch, MKL, numba and OpenBLAS have threads of their own, which
Python does not know of, and a lock that one of them held at that moment (of an allocator, say) is held for
ever in the child.  So on Linux a fork server is started that imports what workers need and does nothing else:
it has one thread.  For every pool it forks a template, which loads the object that the requests are about and
forks the workers, so that they share its memory.  Elsewhere, where the system's own libraries have threads
from the start, each worker is a new Python program.
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

from aligner.parallel.cores import SINGLE_THREADED
from aligner.parallel.serialization import deserialize, serialize
from aligner.parallel.worker import (
    PARENT_CHECK_INTERVAL,
    ProcessContext,
    SharedState,
    load_shared,
    run_and_exit,
    serve_requests,
)

DESCRIPTOR_BYTE = b"."  # a descriptor can only be sent with a byte of data
EXIT_TIMEOUT = 5.0  # s that a program has to exit after its connection was closed
FORKS = sys.platform.startswith("linux")  # macOS could, but its libraries forbid it

_server: _ForkServer | None = None
_starting = threading.Lock()


class WorkerSource(Protocol):
    """A source of the workers of one pool."""

    def worker(self) -> Connection:
        """Start a worker, and return the connection to it.

        The worker ends when this end is closed; the other end is closed when the worker ends.
        """
        ...

    def close(self) -> None:
        """Release what is needed to start more workers."""
        ...


class _ForkServer:
    """The fork server, seen from the process that started it."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._connection, theirs = Pipe()
        self.owner = os.getpid()
        self._process = _start_python("run_server", theirs)
        self._connection.send_bytes(serialize((ProcessContext.current(), tuple(modules))))
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the server belongs to this process and has not ended."""
        return self.owner == os.getpid() and self._process.poll() is None

    def template(self) -> Connection:
        """Fork a template process, and return the connection to it."""
        ours, theirs = Pipe()
        with self._lock, theirs:
            _send_descriptor(self._connection, theirs.fileno())
        return ours

    def end(self) -> None:
        """End the server, with all of its templates and their workers."""
        self._connection.close()
        self._process.kill()  # which may be importing still, and would not notice anything else
        self._process.wait()


def start(modules: Sequence[str] = ()) -> None:
    """Start the fork server unless it is running, without waiting for it; do nothing where processes are not
    forked.

    Parameters
    ----------
    modules : sequence of str
        Modules that workers will need; unless given, those of this package that are imported in this process.
    """
    global _server
    with _starting:
        if FORKS and (_server is None or not _server.alive):
            _server = _ForkServer(modules or [name for name in sys.modules if name.startswith("aligner.")])


def is_running() -> bool:
    """Return whether the fork server is running, so that workers can be had at once."""
    return _server is not None and _server.alive


@atexit.register
def stop() -> None:
    """End the fork server; the next pool starts another."""
    global _server
    if _server is not None and _server.owner == os.getpid():
        _server.end()
    _server = None


class ForkedWorkers:
    """Workers that are forked from a template process, which has loaded the shared object already.

    Parameters
    ----------
    context, shared : bytes
        A pickled `ProcessContext` and the pickled object.
    """

    def __init__(self, context: bytes, shared: bytes) -> None:
        start()
        assert _server is not None
        self._template = _server.template()
        # a file in memory needs no reader yet: the server may still be importing
        descriptor = os.memfd_create("shared")
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(context)
                file.write(shared)
            _send_descriptor(self._template, descriptor)
        finally:
            os.close(descriptor)

    def worker(self) -> Connection:
        """Fork a worker, and return the connection to it."""
        ours, theirs = Pipe()
        with theirs:
            _send_descriptor(self._template, theirs.fileno())
        return ours

    def close(self) -> None:
        """End the template; its workers live on."""
        self._template.close()


class SpawnedWorkers:
    """Workers that are new Python programs, each of which loads the shared object itself."""

    def __init__(self, context: bytes, shared: bytes) -> None:
        self._data = context + shared
        self._processes: list[subprocess.Popen[bytes]] = []

    def worker(self) -> Connection:
        """Start a program, and return the connection to it."""
        ours, theirs = Pipe()
        self._processes.append(_start_python("run_spawned_worker", theirs))
        with suppress(BrokenPipeError, ConnectionResetError):  # it has ended, as will be noticed
            ours.send_bytes(self._data)
        return ours

    def close(self) -> None:
        """Wait for the programs to exit, whose connections have all been closed."""
        for process in self._processes:
            try:
                process.wait(EXIT_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def worker_source(shared: Any) -> WorkerSource:
    """Return a source of workers that have loaded the object ``shared``."""
    data = serialize(ProcessContext.current()), serialize(shared)
    return ForkedWorkers(*data) if FORKS else SpawnedWorkers(*data)


def _start_python(function: str, theirs: Connection) -> subprocess.Popen[bytes]:
    """Start Python to call a function of this module with a connection, which is then closed here."""
    from multiprocessing.util import _args_from_interpreter_flags  # type: ignore[attr-defined]

    number = theirs.fileno()
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import {function}; {function}({number})"
    command = [sys.executable, *_args_from_interpreter_flags(), "-c", code]
    environment = {**os.environ, **SINGLE_THREADED}
    with theirs, _signals_blocked():
        if sys.platform == "win32":
            os.set_handle_inheritable(number, True)
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, close_fds=False)
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[number])


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Let children that are started in the block not receive Ctrl-C before they have begun to ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _send_descriptor(connection: Connection, descriptor: int) -> None:
    """Send a file descriptor to the process at the other end; it is lost if that has ended."""
    with suppress(BrokenPipeError, ConnectionResetError), _as_socket(connection) as peer:
        socket.send_fds(peer, [DESCRIPTOR_BYTE], [descriptor])


def _receive_descriptor(connection: Connection, parent: int) -> int | None:
    """Wait for the next file descriptor; return None when there are no more, or the parent has ended."""
    while os.getppid() == parent:
        if connection.poll(PARENT_CHECK_INTERVAL):
            with _as_socket(connection) as peer:
                _, descriptors, _, _ = socket.recv_fds(peer, 1, 1)
            return descriptors[0] if descriptors else None
    return None


@contextmanager
def _as_socket(connection: Connection) -> Iterator[socket.socket]:
    """A socket on a duplicate of a connection's descriptor, which is closed after the block."""
    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        yield duplicate


def run_server(number: int) -> None:
    """Be the fork server, to whose parent the connection with this descriptor leads."""
    run_and_exit(partial(_serve_templates, Connection(number)))


def _serve_templates(connection: Connection) -> None:
    """Import the modules that are named first, then fork a template for each descriptor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that have ended vanish
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    parent = os.getppid()
    context, modules = deserialize(connection.recv_bytes())
    context.adopt()
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    _fork_for_each(connection, parent, _run_template)


def _run_template(connection: Connection) -> None:
    """Be a template: load the shared object, then fork a worker for each descriptor."""
    parent = os.getppid()
    descriptor = _receive_descriptor(connection, parent)
    if descriptor is None:
        return
    with open(descriptor, "rb") as file:
        file.seek(0)
        shared = load_shared(file)
    gc.freeze()
    _fork_for_each(connection, parent, partial(_run_forked_worker, shared))


def _run_forked_worker(shared: SharedState, connection: Connection) -> None:
    """Be a worker that was forked from a template."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    serve_requests(connection, shared)


def _fork_for_each(connection: Connection, parent: int, main: Callable[[Connection], None]) -> None:
    """For each descriptor that is received, fork a process that runs ``main`` with it as its connection."""
    while (descriptor := _receive_descriptor(connection, parent)) is not None:
        if os.fork() == 0:
            connection.close()
            run_and_exit(partial(main, Connection(descriptor)))
        os.close(descriptor)


def run_spawned_worker(number: int) -> None:
    """Be a worker that is a program of its own."""
    from multiprocessing import connection as kinds

    kind = kinds.PipeConnection if sys.platform == "win32" else Connection  # type: ignore[attr-defined,unused-ignore]
    connection = kind(number)
    run_and_exit(lambda: serve_requests(connection, load_shared(io.BytesIO(connection.recv_bytes()))))
