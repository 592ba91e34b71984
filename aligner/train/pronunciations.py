"""Estimating how often each pronunciation is said, and how often silence stands around it.

Chen, Xu, Povey & Khudanpur 2015, "Pronunciation and silence probability modeling for ASR" (Interspeech); the
numbers are those of the Montreal Forced Aligner's dictionaries.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from aligner.train.em import Example
from aligner.train.statistics import PronunciationCounts, SpokenForm
from aligner.types import Pronunciation

SAID_PRIOR = 1.0  # prior count of each pronunciation of a word
AFTER_PRIOR = 2.0  # prior count of the mean probability of silence (Chen et al.'s lambda 2)
BEFORE_PRIOR = 2.0  # prior count of a correction of 1 (Chen et al.'s lambda 3)


def with_probabilities(
    words: Mapping[str, Sequence[Pronunciation]], counts: PronunciationCounts
) -> dict[str, tuple[Pronunciation, ...]]:
    """Give pronunciations their probabilities, and those of silence around them.

    The likeliest pronunciation of a word gets probability 1, as dictionaries have it.

    Examples
    --------
    >>> from collections import Counter
    >>> from aligner.train.statistics import START
    >>> a, b = Pronunciation(("A",)), Pronunciation(("B",))
    >>> pairs = Counter({(START, ("w", ("A",)), True): 3, (("w", ("A",)), START, True): 3})
    >>> weighted = with_probabilities({"w": [a, b]}, PronunciationCounts(pairs))
    >>> [(p.phones, p.probability) for p in weighted["w"]]
    [(('A',), 1.0), (('B',), 0.25)]
    """
    estimates = _Estimates(counts)
    found = {}
    for word, pronunciations in words.items():
        most = max(estimates.count[word, p.phones] for p in pronunciations) + SAID_PRIOR
        found[word] = tuple(estimates.weighted(word, p, most) for p in pronunciations)
    return found


class _Estimates:
    """Probabilities of pronunciations and of silence around them, estimated from counts."""

    def __init__(self, counts: PronunciationCounts) -> None:
        self.count: Counter[SpokenForm] = Counter()
        self._followed: defaultdict[SpokenForm, Counter[bool]] = defaultdict(Counter)
        self._preceded: defaultdict[SpokenForm, Counter[bool]] = defaultdict(Counter)
        for (one, next_, silent), n in counts.pairs.items():
            self.count[next_] += n
            self._followed[one][silent] += n
            self._preceded[next_][silent] += n
        pauses = sum(c[True] for c in self._followed.values())
        self._mean = pauses / max(sum(self._followed[s].total() for s in self._followed), 1)
        # counts of silence and of none before each word, as the words before it let expect
        self._expected: defaultdict[SpokenForm, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for (one, next_, _), n in counts.pairs.items():
            share = self.silence_after(one)
            self._expected[next_][0] += n * share
            self._expected[next_][1] += n * (1 - share)

    def silence_after(self, form: SpokenForm) -> float:
        """Probability of silence behind a word."""
        followed = self._followed[form]
        return (followed[True] + AFTER_PRIOR * self._mean) / (followed.total() + AFTER_PRIOR)

    def weighted(self, word: str, p: Pronunciation, most: float) -> Pronunciation:
        """Give a pronunciation its probabilities; ``most`` is the count of the word's likeliest one."""
        form = (word, p.phones)
        before, none = (
            (self._preceded[form][silent] + BEFORE_PRIOR) / (e + BEFORE_PRIOR)
            for silent, e in zip((True, False), self._expected[form], strict=True)
        )
        return replace(
            p,
            probability=_rounded((self.count[form] + SAID_PRIOR) / most),
            silence_after=_rounded(self.silence_after(form)),
            silence_before=_rounded(before),
            no_silence_before=_rounded(none),
        )


def _rounded(number: float) -> float:
    """Round a probability as dictionaries do, but never to 0, which would forbid the pronunciation."""
    return max(round(number, 4), 0.0001)


def with_pronunciations(example: Example, weights: Mapping[str, Sequence[Pronunciation]]) -> Example:
    """Replace the pronunciations of an utterance's words by those in ``weights``, where there are some."""
    if not example.spelled:
        return example
    return replace(
        example,
        words=tuple(
            tuple(weights.get(word, old)) for word, old in zip(example.spelled, example.words, strict=True)
        ),
    )
