"""Getting to know the speakers of a corpus before its utterances are aligned.

Two passes over the recordings, of sums only: the mean and spread of each speaker's cepstra, for models that
normalise by them; and each speaker's transform (fMLLR), from a first alignment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from aligner.backends.base import hear
from aligner.backends.hmm import HmmBackend
from aligner.corpus import audio
from aligner.features import CepstralFrontend, Moments
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel, Voice
from aligner.parallel.batches import windows
from aligner.train.em import Example, ShardTask
from aligner.train.transforms import TransformSums, added_by_speaker, fmllr, fmllr_gain, speaker_sums
from aligner.types import DataError, Utterance

S = TypeVar("S")
LONGEST = 200.0  # s; a longer utterance is not aligned beforehand: that would need much memory
# nats a frame that a transform must gain, lest it be left out where the model was not trained with such:
# speech like what a model knows gains less (quiet read speech 1.7 to 2.9 with the English one, 8.2 to 9.1 by
# a noisy telephone)
UNLIKE = 3.5
WINDOW = 64  # utterances that threads are given at once


def asks(backend: HmmBackend) -> bool:
    """Whether the backend wants to hear the speakers first."""
    return isinstance(backend.model.frontend, CepstralFrontend) or adapts(backend)


def adapts(backend: HmmBackend) -> bool:
    """Whether speakers get transforms: as the options say, or where the model was trained with such."""
    if not isinstance(backend.model.mixtures, GaussianMixtures):
        return False
    asked = backend.options.adapt
    return backend.model.adapted is not None if asked is None else asked


def acquainted(backend: HmmBackend, utterances: Sequence[Utterance]) -> HmmBackend:
    """The backend, once it has heard who speaks.

    What cannot be read or aligned says nothing here; it will be told when its turn to be aligned has come.

    Parameters
    ----------
    backend : HmmBackend
    utterances : sequence of Utterance
    """
    model = backend.model
    with ThreadPoolExecutor(backend.compute.jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        if isinstance(model.frontend, CepstralFrontend):
            voices = {name: Voice(m) for name, m in _moments(model.frontend, utterances, pool).items()}
            backend = replace(backend, voices=voices)
        if adapts(backend):
            known = backend
            sums = _summed(lambda u: _transform_sums(u, known), utterances, pool)
            of = added_by_speaker([s for s in sums if s])
            names = {*backend.voices, *of}
            backend = replace(
                backend,
                voices={
                    name: Voice(_cepstra(backend, name), transform_for(model, of.get(name))) for name in names
                },
            )
    return backend


def _cepstra(backend: HmmBackend, speaker: str) -> Moments | None:
    return backend.voices[speaker].cepstra if speaker in backend.voices else None


def transform_for(
    model: MarkovModel, sums: TransformSums | None, least: float | None = None
) -> Tensor | None:
    """A speaker's transform; None where there is too little speech, or the voice is like those that the model
    knows.

    That is, where the transform gains less than ``least`` nats a frame; unless given, anything will do for a
    model that was trained with such, and `UNLIKE` is asked of any other.
    """
    if sums is None:
        return None
    mixtures = model.for_adapted.mixtures
    assert isinstance(mixtures, GaussianMixtures)
    transform = fmllr(sums, [s.columns for s in mixtures.streams])
    least = least if least is not None else UNLIKE if model.adapted is None else 0.0
    if transform is None or fmllr_gain(sums, transform) < least:
        return None
    return transform


def _summed(
    work: Callable[[Utterance], S], utterances: Iterable[Utterance], pool: ThreadPoolExecutor
) -> list[S]:
    return [result for window in windows(utterances, WINDOW) for result in pool.map(work, window)]


def _moments(
    frontend: CepstralFrontend, utterances: Sequence[Utterance], pool: ThreadPoolExecutor
) -> Mapping[str, Moments]:
    """Of each speaker's cepstra."""

    def one(utterance: Utterance) -> Moments | None:
        try:
            wave = audio.read(utterance, frontend.clock.rate).wave
        except DataError:
            return None
        return Moments.of(frontend.cepstra(torch.from_numpy(wave)))

    found: dict[str, Moments] = {}
    for u, moments in zip(utterances, _summed(one, utterances, pool), strict=True):
        if moments is not None:
            found[u.speaker] = found[u.speaker] + moments if u.speaker in found else moments
    return found


def _transform_sums(utterance: Utterance, backend: HmmBackend) -> dict[str, TransformSums]:
    """What an utterance says of its speaker's transform; nothing where it cannot be aligned."""
    try:
        heard = hear(utterance, backend)
        if heard.end - heard.start > LONGEST:
            return {}
        spoken, _ = backend.pronounce(heard.tokens)
    except DataError:
        return {}
    model, voice = backend.model, backend.voices.get(utterance.speaker)
    example = Example(
        id=utterance.id,
        speaker=utterance.speaker,
        cepstra=model.base(heard.wave, voice),
        words=tuple(w.pronunciations for w in spoken),
        spelled=tuple(w.word for w in spoken),
    )
    return speaker_sums(
        ShardTask(model=model, examples=[example], voices={utterance.speaker: voice} if voice else {})
    )
