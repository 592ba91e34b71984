"""Work on examples spread over processes: a ``map`` to hand to what knows nothing of them.

Threads would not do.  Most of the work is outside Python, but in pieces so small that threads mostly wait for one
another to let them back in: two were no faster than one.
"""

from __future__ import annotations

import io
import math
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import loky
import numpy as np
import torch
from torch import Tensor

from aligner.run.corpus import room_in
from aligner.run.workers import obey_only
from aligner.train.em import Example, Map
from aligner.types import ModelError

SERIAL = 60_000  # frames, ten minutes, up to which one process is faster than starting others
FILE = ".cepstra"
AHEAD = 2  # tasks a process, done or waiting, so that none idles and memory does not grow with the corpus

_here: list[Example] = []  # in a worker: all that may be asked for


@contextmanager
def spread(jobs: int, examples: Sequence[Example], out: Path) -> Iterator[Map[Any]]:
    """A ``map`` over so many processes, each of which computes in one thread.

    It is Python's own with one job, for little speech, and for examples on a device, which does all at once.

    The cepstra are written to a file that all processes map into their memory, so that tasks only name the examples
    that they are about.  Results come in the order of the tasks: their sum is the same however many processes there
    are.

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
        If the file cannot be written.
    ModelError
        By the ``map``, if a process was killed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so that one job gives the same digits as many
    try:
        elsewhere = any(e.cepstra.device.type != "cpu" for e in examples[:1])
        if jobs == 1 or elsewhere or sum(len(e.cepstra) for e in examples) <= SERIAL:
            yield map
            return
        with _processes(jobs, examples, out) as pool:
            names = {id(e): ("example", k) for k, e in enumerate(examples)}
            names |= {id(e.cepstra): ("cepstra", k) for k, e in enumerate(examples)}

            def mapped(work: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
                try:
                    asked = (pool.submit(_answer, _packed((work, task), names)) for task in tasks)
                    yield from (pickle.loads(answer.result()) for answer in _ahead(asked, AHEAD * jobs))
                except BrokenProcessPool as error:
                    raise ModelError(out, "one of the processes was killed, as happens where memory is short",
                                     "name fewer --jobs; a training goes on with --resume") from error

            yield mapped
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _processes(jobs: int, examples: Sequence[Example], out: Path) -> Iterator[Any]:
    """A pool whose workers know the examples."""
    path = out / FILE
    try:
        with room_in(out), path.open("wb") as file:
            for example in examples:
                example.cepstra.numpy().tofile(file)
            size, nothing = file.tell(), torch.zeros(0)
            pickle.dump([(replace(e, cepstra=nothing), tuple(e.cepstra.shape)) for e in examples], file)
        pool = loky.ProcessPoolExecutor(jobs, initializer=_begin, initargs=(path, size, os.getpid()))
        try:
            yield pool
        finally:
            pool.shutdown(kill_workers=True)
    finally:
        path.unlink(missing_ok=True)


def _ahead(asked: Iterable[Future[bytes]], number: int) -> Iterator[Future[bytes]]:
    """The same, but so many are taken before the first is given."""
    waiting: deque[Future[bytes]] = deque()
    for future in asked:
        waiting.append(future)
        if len(waiting) >= number:
            yield waiting.popleft()
    yield from waiting


def _begin(path: Path, size: int, parent: int) -> None:
    """In a worker, once; ``size`` bytes of the file are cepstra, behind which are the examples."""
    obey_only(parent)
    torch.set_num_threads(1)
    with path.open("rb") as file:
        file.seek(size)
        bare, shapes = zip(*pickle.load(file), strict=True)
    flat = torch.from_numpy(np.memmap(path, np.float32, "c", shape=(size // 4,)))
    parts = torch.split(flat, [math.prod(shape) for shape in shapes])
    _here.extend(replace(e, cepstra=part.view(shape)) for e, part, shape in zip(bare, parts, shapes, strict=True))


def _answer(asked: bytes) -> bytes:
    """In a worker, for every task."""
    work, task = _Unpickler(io.BytesIO(asked)).load()
    return _packed(work(task), {})


def _packed(thing: Any, names: Mapping[int, Any]) -> bytes:
    file = io.BytesIO()
    _Pickler(file, names).dump(thing)
    return file.getvalue()


class _Pickler(pickle.Pickler):
    """Names what the workers have; tensors go as arrays, which takes a tenth of the time."""

    def __init__(self, file: io.BytesIO, names: Mapping[int, Any]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._names = names

    def persistent_id(self, thing: Any) -> Any:
        return self._names.get(id(thing))

    def reducer_override(self, thing: Any) -> Any:
        return (torch.from_numpy, (thing.numpy(force=True),)) if type(thing) is Tensor else NotImplemented


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: tuple[str, int]) -> Any:
        kind, k = name
        return _here[k] if kind == "example" else _here[k].cepstra
