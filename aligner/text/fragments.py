"""Words that were broken off, such as "ha-": they are said as far as they are written."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

VOWELS = frozenset("aeiouyаеёиоуыэюяіїєαεηιουωıæøœ")  # letters without accents


def is_cut_off(word: str) -> bool:
    """Whether a spoken word is one that was broken off: it ends in a hyphen (see `aligner.text.spans.Kind`).

    Examples
    --------
    >>> is_cut_off("ha-"), is_cut_off("well-known"), is_cut_off("-")
    (True, False, False)
    """
    return len(word) > 1 and word.endswith("-")


def stem(word: str) -> str:
    """The part of a broken-off word that is written.

    Examples
    --------
    >>> stem("ha-")
    'ha'
    """
    return word.rstrip("-")


def sayable(word: str) -> str:
    """A broken-off word as letters are read, with a vowel where it has none, so that nobody spells it.

    Examples
    --------
    >>> sayable("ha-"), sayable("st-")
    ('ha', 'sta')
    """
    written = stem(word)
    if is_readable(written):
        return written
    script = unicodedata.name(next(c for c in written if c.isalpha())).split()[0]
    return written + {"CYRILLIC": "а", "GREEK": "α"}.get(script, "a")


def by_letters(word: str, g2p: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """The phones of a broken-off word, by what reads letters.

    Parameters
    ----------
    word : str
        With its hyphen.
    g2p : callable
        Gives a word its phones.

    Examples
    --------
    >>> by_letters("st-", lambda word: tuple(word.upper()))
    ('S', 'T')
    """
    phones = g2p(sayable(word))
    return phones if is_readable(stem(word)) else phones[:-1]


def is_readable(written: str) -> bool:
    """Whether letters have a vowel among them, or are of a script in which that is not written so."""
    plain = unicodedata.normalize("NFKD", written.lower())
    letters = [c for c in plain if c.isalpha()]
    alphabetic = all(unicodedata.name(c, "").split()[0] in ("LATIN", "CYRILLIC", "GREEK") for c in letters)
    return not letters or not alphabetic or any(c in VOWELS for c in letters)
