"""The whole path, from utterances to their alignments, on one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from aligner.backends.base import AnyBackend, align_heard, hear_for
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.corpus.samples import is_samples, plain
from aligner.models.base import Model
from aligner.parallel.schedule import in_order
from aligner.run import tasks
from aligner.run.known import joined, stretches
from aligner.run.looser import looser
from aligner.run.written import Writer
from aligner.types import SAMPLE_RATE, Alignment, Failure, Result, Utterance


def align(
    utterances: Iterable[Utterance],
    model: AnyBackend | Model | str | Path | None = None,
    options: Options | None = None,
    compute: Compute | None = None,
) -> Iterator[Result]:
    """Align utterances.

    Parameters
    ----------
    utterances : iterable of Utterance
    model : Model, str, Path or Backend, optional
        A model, or what `aligner.load_model` takes; unless given, the backend's own.  A whole backend has its
        options already, and none may be given beside it.
    options : Options, optional
        What is wanted.
    compute : Compute, optional
        How it is computed.

    Yields
    ------
    Alignment or Failure
        One for each utterance, in their order; a failure says why and what to do.

    Raises
    ------
    DataError
        If the dictionary is at fault, or the device cannot be used.
    ModelError
        If the model is at fault.

    Examples
    --------
    >>> import numpy as np
    >>> [failure] = align([Utterance("a", np.zeros(16000, np.float32), "hello")])
    >>> failure.message
    'the recording is silent throughout: check the channel and the level'
    """
    backend = chosen(model, options, compute)
    writer = Writer.of(backend)
    for result in in_order(completed(utterances, backend)):
        yield writer.alignment(result) if isinstance(result, Alignment) else result


def completed(
    utterances: Iterable[Utterance],
    model: AnyBackend | Model | str | Path | None = None,
    options: Options | None = None,
    compute: Compute | None = None,
) -> Iterator[tuple[int, Result]]:
    """Align as `align` does; yield results as they are done, each with the place of its utterance.

    Phones have the labels of the model or the dictionary, whatever alphabet the options name: who writes them
    has a `aligner.run.written.Writer`.
    """
    backend = chosen(model, options, compute)
    backend.compute.check()
    yield from tasks.each_result(map(plain, utterances), backend, align_utterance)


def align_file(
    recording: str | Path | ArrayLike,
    text: str,
    *,
    rate: int = SAMPLE_RATE,
    model: AnyBackend | Model | str | Path | None = None,
    options: Options | None = None,
    compute: Compute | None = None,
) -> Alignment:
    """Align one recording, from a file or from samples.

    Parameters
    ----------
    recording : str, Path or array_like
        A file, or samples (N,), (N, channels) or (channels, N), full scale 1 (or of an integer type): an
        array, a list, a tensor; or such samples with their rate, in a pair (see
        `aligner.corpus.samples.as_samples`).
    text : str
        What is said.
    rate : int
        Sample rate of samples that come without, in Hz.
    model : Model, str, Path or Backend, optional
        See `align`.
    options : Options, optional
    compute : Compute, optional

    Raises
    ------
    DataError
        If it cannot be aligned; the message says why and what to do.
    TypeError
        If ``text`` is not a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}, not str")
    if is_samples(recording):
        name, source = "recording", cast(np.ndarray, recording)
        utterance = Utterance(name, source, text, file=name, rate=rate)
    else:
        path = Path(cast(str, recording))
        name = path.stem
        utterance = Utterance(name, path, text, file=name)
    [result] = align([utterance], model, options, compute)
    if isinstance(result, Failure):
        raise result.error(name)
    return result


def align_utterance(utterance: Utterance, backend: AnyBackend) -> Alignment:
    """Align one utterance here and now; where that looks wrong, with sound that the transcript lacks.

    Raises
    ------
    DataError
        If it cannot be read, or no path through its graph is possible.
    """
    parts = stretches(utterance)
    if len(parts) > 1:
        return joined(utterance, [align_utterance(part, backend) for part in parts])
    heard = hear_for(backend, utterance)
    return looser(align_heard(heard, backend), heard, backend)
