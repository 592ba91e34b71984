"""Stress of English words in ARPAbet: 1 is primary, 2 secondary, 0 none; vowels alone have it.

The dictionary has it written down.  Where there is only a guess of the phones, stress is guessed here, by
weights that ``recipes/dictionary.py`` learns from the dictionary: of words that it has not seen, 93 in a
hundred get their primary stress where the dictionary has it, and 91 in a hundred vowels their digit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

VOWELS = frozenset(
    ["AA", "AE", "AH", "AO", "AW", "AX", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
)
DIGITS = "012"
NONE, PRIMARY, SECONDARY = "0", "1", "2"
TABLE = Path(__file__).with_suffix(".json")
MOST_COUNTED = 5  # vowels of a word that are told apart by their number
FAR = 3  # vowels from a vowel to the end or to the primary stress that are told apart


def is_stressed(label: str) -> bool:
    """Whether a label is a vowel of ARPAbet with a digit of stress, 0 included.

    Examples
    --------
    >>> [is_stressed(label) for label in ("AH0", "AH", "T0", "9", "a1")]
    [True, False, False, False, False]
    """
    return label[-1:] in DIGITS and label[:-1] in VOWELS and label != ""


def without_stress(label: str) -> str:
    """A label without its digit of stress; what is no vowel of ARPAbet stays (tones are no stress).

    Examples
    --------
    >>> without_stress("AH0"), without_stress("a1"), without_stress("S")
    ('AH', 'a1', 'S')
    """
    return label[:-1] if is_stressed(label) else label


def with_stress(phones: Sequence[str]) -> tuple[str, ...]:
    """Phones of an English word, with the stress that words of such phones usually have.

    Parameters
    ----------
    phones : sequence of str
        In ARPAbet, without stress.

    Examples
    --------
    >>> " ".join(with_stress("K AA N S T AH N T IH N OW P AH L".split()))
    'K AA2 N S T AH0 N T IH0 N OW1 P AH0 L'
    """
    return laid(phones, _guess(phones))


def as_in(phones: Sequence[str], known: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Phones of an English word, with the stress of the pronunciation of it that is nearest.

    Parameters
    ----------
    phones : sequence of str
        Without stress.
    known : sequence of sequences of str
        Pronunciations of the word with stress; where none has as many vowels, stress is guessed.

    Examples
    --------
    >>> as_in(["P", "ER", "M", "IH", "T"], [["P", "ER0", "M", "IH1", "T"], ["P", "ER1", "M", "IH2", "T"]])
    ('P', 'ER0', 'M', 'IH1', 'T')
    """
    vowels = [p for p in phones if p in VOWELS]
    fitting = [of for one in known if len(of := list(filter(is_stressed, one))) == len(vowels)]
    if not fitting:
        return with_stress(phones)
    nearest = max(fitting, key=lambda of: sum(a == b[:-1] for a, b in zip(vowels, of, strict=True)))
    return laid(phones, [label[-1] for label in nearest])


def spelled_out(letters: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The phones of an abbreviation that is read letter by letter: the last letter has the primary stress.

    Examples
    --------
    >>> spelled_out([["B", "IY1"], ["B", "IY1"], ["S", "IY1"]])
    ('B', 'IY2', 'B', 'IY2', 'S', 'IY1')
    """
    *others, last = letters
    lowered = [p.replace(PRIMARY, SECONDARY) if is_stressed(p) else p for name in others for p in name]
    return (*lowered, *last)


def laid(phones: Sequence[str], digits: Sequence[str]) -> tuple[str, ...]:
    """Phones with a digit of stress on each vowel, in their order."""
    left = iter(digits)
    return tuple(p + next(left) if p in VOWELS else p for p in phones)


def _guess(phones: Sequence[str]) -> list[str]:
    """The likeliest digit of each vowel."""
    facts = list(clues(phones))
    if not facts:
        return []
    weights = _weights()
    scores = [sum(weights.primary.get(f, 0.0) for f in own) for own in facts]
    first = max(range(len(scores)), key=scores.__getitem__)
    digits = []
    for k, own in enumerate(facts):
        seen = [*own, *clues_of_distance(k - first, k == len(facts) - 1), ""]
        strong = sum(weights.secondary.get(f, 0.0) for f in seen) > 0
        digits.append(PRIMARY if k == first else SECONDARY if strong else NONE)
    return digits


class _Weights(NamedTuple):
    """What each clue is worth, as log odds; the empty one is the bias."""

    primary: dict[str, float]
    """For a primary stress."""
    secondary: dict[str, float]
    """For a secondary stress, on a vowel that has no primary one."""


@cache
def _weights() -> _Weights:
    return _Weights(**json.loads(TABLE.read_text(encoding="utf-8")))


def clues(phones: Sequence[str]) -> Iterator[list[str]]:
    """Yield what is known of each vowel that may tell its stress.

    They are the vowel, its place among the vowels, the consonants around it, the vowels beside it, and how
    the word begins and ends.

    Parameters
    ----------
    phones : sequence of str
        Without stress.
    """
    at = [i for i, p in enumerate(phones) if p in VOWELS]
    count = len(at)
    bounds = [-1, *at, len(phones)]
    for k, i in enumerate(at):
        vowel, last = phones[i], count - 1 - k
        place = f"{min(k, FAR)}/{min(count, MOST_COUNTED)}"
        before, after = phones[bounds[k] + 1 : i], phones[i + 1 : bounds[k + 2]]
        found = [
            f"place {place}",
            f"vowel {vowel}",
            f"vowel {vowel} place {place}",
            f"after {vowel} {' '.join(after)} {int(last == 0)}",
            f"before {' '.join(before)} {vowel}",
            f"consonants {min(len(after), FAR)} {min(last, 2)}",
            f"ends {min(last, FAR)} {' '.join(phones[at[-1] :])}",
            f"begins {min(k, 2)} {' '.join(phones[: at[0] + 1])}",
        ]
        if count > 1:
            found.append(f"ends {min(last, FAR)} {' '.join(phones[at[-2] :])}")
            found.append(f"begins {min(k, 2)} {' '.join(phones[: at[1]])}")
        if k:
            found += [f"left {phones[at[k - 1]]} {vowel}", f"left {phones[at[k - 1]]} place {place}"]
        if last:
            found += [f"right {phones[at[k + 1]]} {vowel}", f"right {phones[at[k + 1]]} place {place}"]
        yield found


def clues_of_distance(distance: int, final: bool) -> list[str]:
    """What the distance in vowels from the primary stress tells of a secondary one."""
    near = max(min(distance, FAR), -FAR)
    return [f"distance {near}", f"distance {near} {int(final)}"]
