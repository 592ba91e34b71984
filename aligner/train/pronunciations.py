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

SAID_PRIOR = 1.0  # of each pronunciation of a word, as if it had been heard so often
AFTER_PRIOR = 2.0  # of the mean probability of silence (Chen et al.'s lambda 2)
BEFORE_PRIOR = 2.0  # of a correction of 1 (lambda 3)


def with_probabilities(
    words: Mapping[str, Sequence[Pronunciation]], counts: PronunciationCounts
) -> dict[str, tuple[Pronunciation, ...]]:
    """Give pronunciations their probabilities, and those of silence around them.

    Parameters
    ----------
    words : mapping of str to sequence of Pronunciation
        What is to be weighed; the likeliest of a word gets probability 1, as dictionaries have it.
    counts : PronunciationCounts

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
    said: Counter[SpokenForm] = Counter()
    followed: defaultdict[SpokenForm, Counter[bool]] = defaultdict(Counter)
    preceded: defaultdict[SpokenForm, Counter[bool]] = defaultdict(Counter)
    for (one, next_, silent), n in counts.pairs.items():
        said[next_] += n
        followed[one][silent] += n
        preceded[next_][silent] += n
    pauses = sum(c[True] for c in followed.values())
    mean = pauses / max(sum(followed[s].total() for s in followed), 1)

    def pause_after(s: SpokenForm) -> float:
        return (followed[s][True] + AFTER_PRIOR * mean) / (followed[s].total() + AFTER_PRIOR)

    expected: defaultdict[SpokenForm, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for (one, next_, _), n in counts.pairs.items():
        share = pause_after(one)
        expected[next_][0] += n * share
        expected[next_][1] += n * (1 - share)

    def weigh(word: str, p: Pronunciation, most: float) -> Pronunciation:
        s = (word, p.phones)
        before, none = (
            (preceded[s][silent] + BEFORE_PRIOR) / (e + BEFORE_PRIOR)
            for silent, e in zip((True, False), expected[s], strict=True)
        )
        return replace(
            p,
            probability=_rounded((said[s] + SAID_PRIOR) / most),
            silence_after=_rounded(pause_after(s)),
            silence_before=_rounded(before),
            no_silence_before=_rounded(none),
        )

    found = {}
    for word, pronunciations in words.items():
        most = max(said[word, p.phones] for p in pronunciations) + SAID_PRIOR
        found[word] = tuple(weigh(word, p, most) for p in pronunciations)
    return found


def _rounded(number: float) -> float:
    """Round a probability as dictionaries do, but never to 0, which would forbid the pronunciation."""
    return max(round(number, 4), 0.0001)


def with_pronunciations(example: Example, weights: Mapping[str, Sequence[Pronunciation]]) -> Example:
    """Replace the pronunciations of an utterance's words by those in ``weights``, where there are some."""
    return replace(
        example,
        words=tuple(
            tuple(weights.get(word, old)) for word, old in zip(example.spelled, example.words, strict=True)
        ),
    )
