"""A ``map`` that spreads work on examples over processes, for code that knows nothing of processes.

Threads would not do.  Most of the work is outside Python, but in pieces so small that threads mostly wait for
one another to let them back in: two were no faster than one.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.parallel.pool import Submit, WorkerLost, WorkerTimeout, worker_pool
from aligner.parallel.serialization import as_array
from aligner.run.plan import room_in
from aligner.train.em import Example, Map
from aligner.types import ModelError

MAX_SERIAL_FRAMES = 60_000  # frames, ten minutes, up to which one process is faster than starting others
CEPSTRA_FILE = ".cepstra"
# tasks a process, done or waiting, so that none idles and memory does not grow with the corpus
TASKS_AHEAD = 2
TASK_TIMEOUT, FRAME_TIMEOUT = 300.0, 0.2  # s, and s a frame, for which a worker may work at a task
KILLED = (
    "one of the processes was killed twice over the same recordings, as happens where memory is short",
    "name fewer --jobs; a training goes on with --resume",
)
TIMED_OUT = (
    "one of the processes gave no sign of life for minutes, twice over the same recordings, and was ended",
    "a training goes on with --resume; please report this",
)

_SubmitTask = Callable[[], Future[bytes]]  # of one task; called again where it was lost


@contextmanager
def spread(jobs: int, examples: Sequence[Example], out: Path) -> Iterator[Map[Any]]:
    """Yield a ``map`` over processes, each of which computes in one thread.

    It is Python's own with one job, for little speech, and for examples on a device, which does all at once.

    The cepstra are written to a file that all processes map into their memory, so that tasks only name the
    examples that they are about.  Results come in the order of the tasks: their sum is the same however many
    processes there are.  A task that is lost with its process is done once more.

    Parameters
    ----------
    jobs : int
        The number of processes.
    examples : sequence of Example
        The examples that tasks will be about; others are sent with the tasks.
    out : Path
        The folder of the model, where the file is kept meanwhile.

    Raises
    ------
    DataError
        If the file cannot be written, or processes cannot be started.
    ModelError
        By the ``map``, if a process was killed, or stuck, twice over the same task.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so that one job gives the same digits as many
    try:
        elsewhere = any(e.cepstra.device.type != "cpu" for e in examples[:1])
        if jobs == 1 or elsewhere or sum(len(e.cepstra) for e in examples) <= MAX_SERIAL_FRAMES:
            yield map
            return
        with _processes(jobs, examples, out) as submit:
            names = {id(e): ("example", k) for k, e in enumerate(examples)}
            names |= {id(e.cepstra): ("cepstra", k) for k, e in enumerate(examples)}

            def mapped(work: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
                submits = (partial(_submit, submit, *_packed((work, task), names)) for task in tasks)
                try:
                    for result in _in_order(submits, TASKS_AHEAD * jobs):
                        yield pickle.loads(result)
                except WorkerLost as how:
                    raise ModelError(out, *(TIMED_OUT if isinstance(how, WorkerTimeout) else KILLED)) from how

            yield mapped
    finally:
        torch.set_num_threads(threads)


def _submit(submit: Submit, request: bytes, frames: int) -> Future[bytes]:
    return submit(_respond, request, timeout=TASK_TIMEOUT + FRAME_TIMEOUT * frames)


@contextmanager
def _processes(jobs: int, examples: Sequence[Example], out: Path) -> Iterator[Submit]:
    """Start a pool of workers that share the examples."""
    path = out / CEPSTRA_FILE
    try:
        with room_in(out), path.open("wb") as file:
            for example in examples:
                example.cepstra.numpy().tofile(file)
            size, nothing = file.tell(), torch.zeros(0)
            pickle.dump([(replace(e, cepstra=nothing), tuple(e.cepstra.shape)) for e in examples], file)
        with worker_pool(jobs, _StoredExamples(path.absolute(), size)) as submit:
            yield submit
    finally:
        path.unlink(missing_ok=True)


def _in_order(submits: Iterable[_SubmitTask], ahead: int) -> Iterator[bytes]:
    """Yield results in the order of the tasks, ``ahead`` of which are submitted before the first is awaited.

    A task that was lost with its worker is submitted once more when no other is in work.
    """
    pending: deque[tuple[_SubmitTask, Future[bytes]]] = deque()

    def first_result() -> bytes:
        submit, future = pending.popleft()
        try:
            return future.result()
        except WorkerLost:
            wait([other for _, other in pending])
            return submit().result()

    for submit in submits:
        pending.append((submit, submit()))
        if len(pending) >= ahead:
            yield first_result()
    while pending:
        yield first_result()


class _StoredExamples(NamedTuple):
    """Examples in a file; a process that it is sent to receives the examples themselves."""

    path: Path
    """The file: cepstra, and behind them the pickled rest."""
    size: int
    """The number of bytes that are cepstra."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path, int]]:
        return _loaded, (self.path, self.size)


def _loaded(path: Path, size: int) -> list[Example]:
    """Load examples in a worker, or in the process that forks it; cepstra are mapped from the file."""
    with path.open("rb") as file:
        file.seek(size)
        bare, shapes = zip(*pickle.load(file), strict=True)
    flat = torch.from_numpy(np.memmap(path, np.float32, "c", shape=(size // 4,)))
    parts = torch.split(flat, [math.prod(shape) for shape in shapes])
    return [replace(e, cepstra=part.view(shape)) for e, part, shape in zip(bare, parts, shapes, strict=True)]


def _respond(examples: Sequence[Example], request: bytes) -> bytes:
    """Do a task in a worker."""
    work, task = _Unpickler(io.BytesIO(request), examples).load()
    return _packed(work(task), {})[0]


def _packed(value: Any, names: Mapping[int, Any]) -> tuple[bytes, int]:
    """Return a value as bytes, and the number of frames in the examples that they only name."""
    file = io.BytesIO()
    pickler = _Pickler(file, names)
    pickler.dump(value)
    return file.getvalue(), pickler.frames


class _Pickler(pickle.Pickler):
    """A pickler that only names the examples that workers have, and sends tensors as arrays, which takes a
    tenth of the time.
    """

    def __init__(self, file: io.BytesIO, names: Mapping[int, Any]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._names, self.frames = names, 0

    def persistent_id(self, value: Any) -> Any:
        name = self._names.get(id(value))
        if name is not None:
            self.frames += len(value if isinstance(value, Tensor) else value.cepstra)
        return name

    def reducer_override(self, value: Any) -> Any:
        array = as_array(value) if type(value) is Tensor else None
        return NotImplemented if array is None else (torch.from_numpy, (array,))


class _Unpickler(pickle.Unpickler):
    """An unpickler that puts examples in the place of their names."""

    def __init__(self, file: io.BytesIO, examples: Sequence[Example]) -> None:
        super().__init__(file)
        self._examples = examples

    def persistent_load(self, name: tuple[str, int]) -> Any:
        kind, k = name
        return self._examples[k] if kind == "example" else self._examples[k].cepstra
