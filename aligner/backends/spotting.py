"""The scores of phones without context by which a first pass finds the sentences of a long recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from aligner.corpus import audio
from aligner.corpus.dead import is_dead
from aligner.models.markov import MarkovModel, SpeakerTransform
from aligner.text.lexicon import Pronouncer
from aligner.text.normalise import Token, normalise
from aligner.text.spans import Marks
from aligner.text.spelling import Speller
from aligner.types import Utterance

HEARD_STRIDE = 3  # frames from one that the first pass hears to the next: no phone is shorter
UNHEARD = -8.0  # nats of every phone but silence in a piece that is silent throughout


@dataclass(frozen=True, kw_only=True)
class Spotter:
    """Scores the phones of a hidden Markov model without context, in every third frame."""

    model: MarkovModel
    """The model whose phones are scored."""

    voices: Mapping[str, SpeakerTransform]
    """What is known of each speaker, by name."""

    pronounce: Pronouncer | Speller
    """Gives the words of a text their pronunciations."""

    english: bool
    """Whether texts are read as English."""

    marks: Marks
    """Finds what is no word in a text."""

    @property
    def step(self) -> float:
        """Seconds from one frame to the next."""
        return self.model.clock.seconds(HEARD_STRIDE)

    @property
    def silence(self) -> int:
        """The number of silence among the phones."""
        return self.model.topology.number(self.model.topology.silence)

    @property
    def phones(self) -> int:
        """The number of phones that the model knows."""
        return len(self.model.topology.alone)

    def is_spoken(self, text: str, speaker: str = "") -> bool:
        """Whether there is a word in a text."""
        return bool(self._tokens(text, speaker))

    def _tokens(self, text: str, speaker: str) -> Sequence[Token]:
        """The words of a text."""
        entry = partial(self.pronounce.entry, speaker=speaker)
        return normalise(text, self.english, self.marks, entry)

    def pronounced(self, text: str, speaker: str = "") -> list[list[int]]:
        """The numbers of the phones of each word of a text, by its first pronunciation; DataError if it has
        none.
        """
        spoken, _ = self.pronounce.of(speaker)(self._tokens(text, speaker))
        number = self.model.topology.number
        return [[number(p) for p in word.pronunciations[0].phones] for word in spoken]

    def scores(self, piece: Utterance) -> np.ndarray:
        """Log-likelihoods (T, phones) of the best state of each phone, in the frames of a piece of a
        recording.

        A piece that is silent throughout is heard as silence.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        alone, clock = self.model.topology.alone, self.model.clock
        assert piece.end is not None
        count = -(-round((piece.end - piece.start) * clock.rate / clock.hop) // HEARD_STRIDE)
        wave = audio.read(piece, clock.rate, silence=True, rests=audio.Rests.FILLED).wave
        if is_dead(wave, clock.rate):
            heard = np.full((count, len(alone)), UNHEARD, np.float32)
            heard[:, self.silence] = 0.0
            return heard
        frames = self.model.frames_of_wave(torch.from_numpy(wave), self.voices.get(piece.speaker))
        pdfs, place = np.unique(alone, return_inverse=True)
        scored = self.model.score(frames[HEARD_STRIDE // 2 :: HEARD_STRIDE][:count], pdfs).numpy()
        best = scored[:, place.reshape(alone.shape)].max(2)
        return np.pad(best, ((0, count - len(best)), (0, 0)), mode="edge")
