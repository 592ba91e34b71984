"""The whole path, from utterances to their alignments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike

from aligner.models.base import Model
from aligner.run.backend import Backend, Options, Prepared, finish, hear
from aligner.run.batches import by_length, windows
from aligner.run.choose import chosen
from aligner.run.hmm import HmmBackend
from aligner.run.voices import acquainted, asks
from aligner.types import SAMPLE_RATE, Alignment, DataError, Failure, Utterance

R = TypeVar("R")
log = logging.getLogger(__name__)

WINDOW = 128  # utterances that are prepared before any is searched: enough to sort by length
BATCH = 16  # utterances that are searched together


def align(utterances: Iterable[Utterance], model: Backend | Model | str | Path | None = None,
          options: Options | None = None) -> Iterator[Alignment | Failure]:
    """Align utterances.

    Parameters
    ----------
    utterances : iterable of Utterance
    model : Model, str or Path, optional
        A model, or what `aligner.load_model` takes; unless given, the backend's own.  Or a whole `Backend`.
    options : Options, optional

    Yields
    ------
    Alignment or Failure
        One for each utterance, in their order; a failure says why and what to do.

    Raises
    ------
    DataError
        If the dictionary is at fault.
    ModelError
        If the model is.

    Examples
    --------
    >>> import numpy as np
    >>> [failure] = align([Utterance("a", np.zeros(16000, np.float32), "hello")])
    >>> failure.message
    'the recording is silent throughout: check the channel and the level'
    """
    options = options or Options()
    backend = chosen(model, options)
    if isinstance(backend, HmmBackend) and asks(backend):
        utterances = list(utterances)
        backend = acquainted(backend, utterances)
    with ThreadPoolExecutor(options.jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for window in windows(utterances, WINDOW):
            made = list(pool.map(lambda u: _guarded(u, lambda: prepare(u, backend)), window))
            yield from _search(made, backend, pool)


def align_file(recording: str | Path | ArrayLike, text: str, *, rate: int = SAMPLE_RATE,
               model: Backend | Model | str | Path | None = None, options: Options | None = None) -> Alignment:
    """Align one recording, from a file or from samples.

    Parameters
    ----------
    recording : str, Path or array_like
        A file, or samples (N,) or (N, channels), full scale 1 (or of an integer type).
    text : str
        What is said.
    rate : int
        Sample rate of an array, in Hz.
    model : Model, str or Path
    options : Options, optional

    Raises
    ------
    DataError
        If it cannot be aligned; the message says why and what to do.
    TypeError
        If ``text`` is not a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}, not str")
    source = Path(recording) if isinstance(recording, (str, Path)) else np.asarray(recording)
    name = "recording" if isinstance(source, np.ndarray) else source.stem
    [result] = align([Utterance(name, source, text, file=name, rate=rate)], model, options)
    if isinstance(result, Failure):
        raise DataError(name, result.reason, result.remedy)
    return result


def prepare(utterance: Utterance, backend: Backend) -> Prepared:
    """Read an utterance, take its features and build its graph.

    Raises
    ------
    DataError
        If any of it cannot be done.
    """
    return backend.prepare(hear(utterance, backend))


def solve(prepared: Prepared, backend: Backend) -> Alignment:
    """Find an utterance's best path and turn it into intervals.

    Raises
    ------
    DataError
        If no path through the graph is possible.
    """
    return finish(prepared, backend.find(prepared), backend)


def _search(made: Sequence[Prepared | Failure], backend: Backend,
            pool: ThreadPoolExecutor) -> list[Alignment | Failure]:
    """Align what was prepared, in batches of like length; results in the order given."""
    results: dict[int, Alignment | Failure] = {k: m for k, m in enumerate(made) if isinstance(m, Failure)}
    ready = [(k, m) for k, m in enumerate(made) if isinstance(m, Prepared)]
    for batch in by_length([len(m.frames) for _, m in ready], BATCH):
        jobs = [ready[b] for b in batch]
        solved = pool.map(lambda job: _guarded(job[1].heard.utterance, lambda: solve(job[1], backend)), jobs)
        results.update({k: result for (k, _), result in zip(jobs, solved, strict=True)})
    return [results[k] for k in range(len(made))]


def _guarded(utterance: Utterance, work: Callable[[], R]) -> R | Failure:
    """What ``work`` returns, or the failure that its error amounts to: one bad file never ends a run."""
    try:
        return work()
    except DataError as error:
        return Failure(utterance, error.rule, error.remedy)
    except MemoryError:
        return Failure(utterance, "there is not enough memory for it", "cut it into utterances with a TextGrid")
    except Exception as error:  # a fault of ours must not take the other files with it
        log.debug("%s", utterance.id, exc_info=True)
        return Failure(utterance, f"the aligner failed on it ({type(error).__name__}: {error})",
                       "please report this, with the output of --verbose")
