"""What a first pass learns of the speakers of a corpus, before its utterances are aligned.

Two passes over the recordings, of sums only: the mean and spread of each speaker's cepstra, for models that
normalise by them; and each speaker's transform (fMLLR), from a first alignment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from aligner.backends.base import Traits, hear
from aligner.corpus import audio
from aligner.features import CepstralFrontend, Moments
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel, SpeakerTransform
from aligner.parallel.batches import windows
from aligner.text.lexicon import Pronouncer
from aligner.text.spelling import Speller
from aligner.train.em import Example, ShardTask
from aligner.train.transforms import TransformSums, added_by_speaker, fmllr, fmllr_gain, speaker_sums
from aligner.types import DataError, Utterance

S = TypeVar("S")
LONGEST_SUMMED = 200.0  # s; a longer utterance is not aligned in the first pass: that would need much memory
# nats a frame that a transform must gain where the model was not trained with such: speech like what a model
# knows gains less (quiet read speech 1.7 to 2.9 with the English one, 8.2 to 9.1 by a noisy telephone)
LEAST_GAIN = 3.5
UTTERANCES_AT_ONCE = 64  # utterances that the threads are given at once


@dataclass(frozen=True, kw_only=True)
class SpeakerAnalysis:
    """The first pass of a hidden Markov model over the utterances of a corpus."""

    model: MarkovModel
    """The model by which the utterances are aligned."""

    traits: Traits
    """The traits of the backend, which say how recordings and transcripts are read."""

    pronounce: Pronouncer | Speller
    """Gives words their pronunciations."""

    adapt: bool | None
    """Whether speakers get transforms; None: where the model was trained with such."""

    jobs: int
    """How many threads hear recordings."""

    @property
    def normalises(self) -> bool:
        """Whether the model normalises cepstra by the moments of the speaker's."""
        return isinstance(self.model.frontend, CepstralFrontend)

    @property
    def transforms(self) -> bool:
        """Whether speakers get transforms, as only Gaussian mixtures can give."""
        if not isinstance(self.model.mixtures, GaussianMixtures):
            return False
        return self.model.adapted is not None if self.adapt is None else self.adapt

    def voices(self, utterances: Sequence[Utterance]) -> dict[str, SpeakerTransform]:
        """What the model should know of each speaker, by name.

        An utterance that cannot be read or aligned is passed over; it fails when its turn to be aligned has
        come.
        """
        found: dict[str, SpeakerTransform] = {}
        with ThreadPoolExecutor(self.jobs, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            if isinstance(self.model.frontend, CepstralFrontend):
                moments = speaker_moments(self.model.frontend, utterances, pool)
                found = {name: SpeakerTransform(m) for name, m in moments.items()}
            if self.transforms:
                parts = _pooled(lambda u: self._transform_sums(u, found), utterances, pool)
                sums = added_by_speaker([s for s in parts if s])
                found = {
                    name: SpeakerTransform(
                        found[name].cepstra if name in found else None,
                        transform_for(self.model, sums.get(name)),
                    )
                    for name in {*found, *sums}
                }
        return found

    def _transform_sums(
        self, utterance: Utterance, voices: Mapping[str, SpeakerTransform]
    ) -> dict[str, TransformSums]:
        """What an utterance says of its speaker's transform; nothing where it cannot be aligned."""
        try:
            heard = hear(utterance, self.traits)
            if heard.seconds > LONGEST_SUMMED:
                return {}
            spoken, _ = self.pronounce.of(utterance.speaker)(heard.tokens)
        except DataError:
            return {}
        voice = voices.get(utterance.speaker)
        example = Example(
            id=utterance.id,
            speaker=utterance.speaker,
            cepstra=self.model.base_features(heard.wave, voice),
            words=tuple(w.pronunciations for w in spoken),
            spelled=tuple(w.word for w in spoken),
        )
        known = {utterance.speaker: voice} if voice else {}
        return speaker_sums(ShardTask(model=self.model, examples=[example], voices=known))


def transform_for(
    model: MarkovModel, sums: TransformSums | None, least: float | None = None
) -> Tensor | None:
    """A speaker's transform; None where there is too little speech, or the transform gains too little.

    Parameters
    ----------
    model : MarkovModel
    sums : TransformSums or None
        What the speaker's utterances say of the transform.
    least : float, optional
        Nats a frame that it must gain; unless given, 0 for a model that was trained with transforms, and
        `LEAST_GAIN` for any other: a voice like those that the model knows is left alone.
    """
    if sums is None:
        return None
    mixtures = model.for_adapted.mixtures
    assert isinstance(mixtures, GaussianMixtures)
    transform = fmllr(sums, [s.columns for s in mixtures.streams])
    least = least if least is not None else LEAST_GAIN if model.adapted is None else 0.0
    if transform is None or fmllr_gain(sums, transform) < least:
        return None
    return transform


def speaker_moments(
    frontend: CepstralFrontend, utterances: Sequence[Utterance], pool: ThreadPoolExecutor
) -> Mapping[str, Moments]:
    """The moments of each speaker's cepstra, by name; what cannot be read is passed over."""

    def moments_of(utterance: Utterance) -> Moments | None:
        try:
            wave = audio.read(utterance, frontend.clock.rate, rests=audio.Rests.CUT).wave
        except DataError:
            return None
        return frontend.moments(frontend.cepstra(torch.from_numpy(wave)))

    found: dict[str, Moments] = {}
    for u, moments in zip(utterances, _pooled(moments_of, utterances, pool), strict=True):
        if moments is not None:
            found[u.speaker] = found[u.speaker] + moments if u.speaker in found else moments
    return found


def _pooled(
    work: Callable[[Utterance], S], utterances: Iterable[Utterance], pool: ThreadPoolExecutor
) -> list[S]:
    """The results of work on each utterance, a few utterances at a time."""
    return [result for window in windows(utterances, UTTERANCES_AT_ONCE) for result in pool.map(work, window)]
