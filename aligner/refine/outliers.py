"""Utterances that differ from the rest of their corpus: in likelihood, and in the lengths of their phones.

What one utterance does not show by itself, a hundred others do: another language, another microphone, another
rate of speech.  Both figures are deviations in units of the corpus's own spread, which needs
`ENOUGH_UTTERANCES`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aligner.refine.thresholds import Test, threshold
from aligner.text.phones import unstressed
from aligner.types import SILENCE_LABEL, Interval, Suspicion

ENOUGH_UTTERANCES = 20  # from which a spread means something
ENOUGH_TO_WIDEN = 8  # utterances from which it shows that a corpus lies beyond the limits
WIDENED_SPREADS = 2.0  # deviations above the median within which nearly all of a corpus lies
ENOUGH_PHONES = 10  # of a kind in the corpus, and in an utterance
LEAST_SPREAD = 0.01  # of log-likelihoods per frame; a corpus of copies has none to compare with
SPREAD_OF_MAD = 1.4826  # standard deviations to one median absolute deviation, of a normal distribution


def likelihood_deviations(values: Sequence[float]) -> list[float | None]:
    """Return how far each utterance's log-likelihood per frame lies from the corpus's median, in robust
    deviations.

    Examples
    --------
    >>> likelihood_deviations([-150.0, -151.0])
    [None, None]
    """
    x = np.asarray(values, dtype=float)
    if len(x) < ENOUGH_UTTERANCES:
        return [None] * len(x)
    middle = float(np.median(x))
    spread = SPREAD_OF_MAD * float(np.median(np.abs(x - middle)))
    if spread < LEAST_SPREAD:
        return [None] * len(x)
    return [float(z) for z in (x - middle) / spread]


def widened(values: Sequence[float], leeway: float) -> float:
    """By how much limits of margins are wider in a corpus: as far beyond them as nearly all of it lies, by no
    more than the ``leeway``.

    Where half of it lies beyond by more than half of that, its transcripts are wrong, and nothing is wider.

    Parameters
    ----------
    values : sequence of float
        How far each utterance lies beyond the limits (see `aligner.types.Quality.misfit`).
    leeway : float

    Examples
    --------
    >>> widened([-3.0, -2.5, -2.0] * 10, 1.0), widened([0.1, 0.2, 0.3] * 10, 1.0), widened([2.0] * 9, 1.0)
    (0.0, 0.4965, 0.0)
    >>> widened([0.1, 0.2, 0.3], 1.0)
    0.0
    """
    x = np.asarray(values, dtype=float)
    if len(x) < ENOUGH_TO_WIDEN:
        return 0.0
    middle = float(np.median(x))
    if middle > leeway / 2:
        return 0.0
    spread = SPREAD_OF_MAD * float(np.median(np.abs(x - middle)))
    return round(min(max(middle + WIDENED_SPREADS * spread, 0.0), leeway), 4)


class Lengths:
    """The lengths of a corpus's phones, utterance by utterance, at six bytes a phone."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._rows: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, phones: Sequence[Interval]) -> None:
        """Add the lengths of an utterance's phones."""
        spoken = [p for p in phones if p.label != SILENCE_LABEL and p.duration > 0]
        codes = [self._codes.setdefault(unstressed(p.label), len(self._codes)) for p in spoken]
        logs = np.log([p.duration for p in spoken])
        self._rows.append((np.asarray(codes, np.int16), logs.astype(np.float32)))

    def deviations(self) -> list[float | None]:
        """Return the mean absolute deviation of each utterance's log lengths from those of the same phones in
        the corpus.
        """
        if len(self._rows) < ENOUGH_UTTERANCES:
            return [None] * len(self._rows)
        codes, logs = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        counts = np.bincount(codes, minlength=len(self._codes))
        enough = counts >= ENOUGH_PHONES
        mean = np.bincount(codes, logs, len(counts)) / np.maximum(counts, 1)
        variance = np.bincount(codes, (logs - mean[codes]) ** 2, len(counts)) / np.maximum(counts - 1, 1)
        spread = np.sqrt(np.maximum(variance, 1e-6))
        result: list[float | None] = []
        for own, lengths in self._rows:
            kept = enough[own]
            z = np.abs(lengths - mean[own]) / spread[own]
            result.append(float(z[kept].mean()) if kept.sum() >= ENOUGH_PHONES else None)
        return result


def unusual(likelihood: float | None, lengths: float | None) -> tuple[Suspicion, ...]:
    """Return what is unusual about an utterance of these deviations from its corpus (None: not known).

    Examples
    --------
    >>> [suspicion] = unusual(-6.2, 0.8)
    >>> suspicion.text
    'it fits the model far worse than the rest of the corpus (6.2 deviations): other language or microphone?'
    """
    found = []
    if likelihood is not None and threshold(Test.UNLIKELY).exceeded(likelihood):
        text = (
            f"it fits the model far worse than the rest of the corpus ({-likelihood:.1f} deviations): "
            "other language or microphone?"
        )
        found.append(Suspicion(test=Test.UNLIKELY, text=text))
    if lengths is not None and threshold(Test.ODD_LENGTHS).exceeded(lengths):
        text = (
            f"its phones are unlike in length what they are in the rest of the corpus ({lengths:.1f} "
            "deviations on average)"
        )
        found.append(Suspicion(test=Test.ODD_LENGTHS, text=text))
    return tuple(found)
