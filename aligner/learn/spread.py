"""Work on examples spread over processes: a ``map`` to hand to what knows nothing of them.

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

SERIAL = 60_000  # frames, ten minutes, up to which one process is faster than starting others
FILE = ".cepstra"
AHEAD = 2  # tasks a process, done or waiting, so that none idles and memory does not grow with the corpus
PATIENCE, SLOWEST = (
    300.0,
    0.2,
)  # s, and s a frame, for which a process may work at a task without a sign of life
KILLED = (
    "one of the processes was killed twice over the same recordings, as happens where memory is short",
    "name fewer --jobs; a training goes on with --resume",
)
STUCK = (
    "one of the processes gave no sign of life for minutes, twice over the same recordings, and was ended",
    "a training goes on with --resume; please report this",
)

_Asked = Callable[[], Future[bytes]]


@contextmanager
def spread(jobs: int, examples: Sequence[Example], out: Path) -> Iterator[Map[Any]]:
    """A ``map`` over so many processes, each of which computes in one thread.

    It is Python's own with one job, for little speech, and for examples on a device, which does all at once.

    The cepstra are written to a file that all processes map into their memory, so that tasks only name the
    examples that they are about.  Results come in the order of the tasks: their sum is the same however many
    processes there are.  A task that is lost with its process is done once more.

    Parameters
    ----------
    jobs : int
    examples : sequence of Example
        That tasks will be about; others are sent with them.
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
        if jobs == 1 or elsewhere or sum(len(e.cepstra) for e in examples) <= SERIAL:
            yield map
            return
        with _processes(jobs, examples, out) as submit:
            names = {id(e): ("example", k) for k, e in enumerate(examples)}
            names |= {id(e.cepstra): ("cepstra", k) for k, e in enumerate(examples)}

            def mapped(work: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
                asked = (partial(_put, submit, *_packed((work, task), names)) for task in tasks)
                try:
                    for answer in _ahead(asked, AHEAD * jobs):
                        yield pickle.loads(answer)
                except WorkerLost as how:
                    raise ModelError(out, *(STUCK if isinstance(how, WorkerTimeout) else KILLED)) from how

            yield mapped
    finally:
        torch.set_num_threads(threads)


def _put(submit: Submit, question: bytes, frames: int) -> Future[bytes]:
    return submit(_answer, question, timeout=PATIENCE + SLOWEST * frames)


@contextmanager
def _processes(jobs: int, examples: Sequence[Example], out: Path) -> Iterator[Submit]:
    """Workers that know the examples."""
    path = out / FILE
    try:
        with room_in(out), path.open("wb") as file:
            for example in examples:
                example.cepstra.numpy().tofile(file)
            size, nothing = file.tell(), torch.zeros(0)
            pickle.dump([(replace(e, cepstra=nothing), tuple(e.cepstra.shape)) for e in examples], file)
        with worker_pool(jobs, _Kept(path.absolute(), size)) as submit:
            yield submit
    finally:
        path.unlink(missing_ok=True)


def _ahead(asked: Iterable[_Asked], number: int) -> Iterator[bytes]:
    """Answers in order, so many asked for before the first is given; what is lost is asked for once more,
    alone.
    """
    waiting: deque[tuple[_Asked, Future[bytes]]] = deque()

    def first() -> bytes:
        again, future = waiting.popleft()
        try:
            return future.result()
        except WorkerLost:
            wait([other for _, other in waiting])
            return again().result()

    for put in asked:
        waiting.append((put, put()))
        if len(waiting) >= number:
            yield first()
    while waiting:
        yield first()


class _Kept(NamedTuple):
    """Examples in a file, ``size`` bytes of which are cepstra; to whom it is sent it opens itself."""

    path: Path
    size: int

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path, int]]:
        return _opened, (self.path, self.size)


def _opened(path: Path, size: int) -> list[Example]:
    """In a worker, or whoever forks it, once."""
    with path.open("rb") as file:
        file.seek(size)
        bare, shapes = zip(*pickle.load(file), strict=True)
    flat = torch.from_numpy(np.memmap(path, np.float32, "c", shape=(size // 4,)))
    parts = torch.split(flat, [math.prod(shape) for shape in shapes])
    return [replace(e, cepstra=part.view(shape)) for e, part, shape in zip(bare, parts, shapes, strict=True)]


def _answer(examples: Sequence[Example], asked: bytes) -> bytes:
    """In a worker, for every task."""
    work, task = _Unpickler(io.BytesIO(asked), examples).load()
    return _packed(work(task), {})[0]


def _packed(thing: Any, names: Mapping[int, Any]) -> tuple[bytes, int]:
    """As bytes, and how many frames there are in what they only name."""
    file = io.BytesIO()
    pickler = _Pickler(file, names)
    pickler.dump(thing)
    return file.getvalue(), pickler.frames


class _Pickler(pickle.Pickler):
    """Names what the workers have; tensors go as arrays, which takes a tenth of the time."""

    def __init__(self, file: io.BytesIO, names: Mapping[int, Any]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._names, self.frames = names, 0

    def persistent_id(self, thing: Any) -> Any:
        name = self._names.get(id(thing))
        if name is not None:
            self.frames += len(thing if isinstance(thing, Tensor) else thing.cepstra)
        return name

    def reducer_override(self, thing: Any) -> Any:
        array = as_array(thing) if type(thing) is Tensor else None
        return NotImplemented if array is None else (torch.from_numpy, (array,))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, examples: Sequence[Example]) -> None:
        super().__init__(file)
        self._examples = examples

    def persistent_load(self, name: tuple[str, int]) -> Any:
        kind, k = name
        return self._examples[k] if kind == "example" else self._examples[k].cepstra
