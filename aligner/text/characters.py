"""Where the characters of a word begin among its phones: for languages that are written without spaces.

A sign of Chinese is a syllable, so its phones are known; a kana of Japanese is a mora, and the morae that a
row of other signs is read by are shared out among these, as readings of Chinese origin usually go; Thai,
whose vowels stand around their consonants, and whatever does not come out even, shares the phones out evenly.

N phones, C characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from aligner.text.phones import kind

Starts = tuple[float, ...]
"""Where each of C characters begins among N phones: 0.0 the first, ascending; 1.5 is the midst of the second
phone."""
Division = Callable[[str, str, Sequence[str]], Starts]
"""Divides a word, as it is written and as it is said, with the labels of its phones."""

_SMALL = "ャュョァィゥェォヮ"  # kana that are no mora of their own
_LONG, _ALONE = "ー", "ンッ"  # the length of the vowel before, and kana without a vowel
_NEVER_FIRST, _OFTEN_LAST = "ーンッ", "イウクツキチ"  # morae of a sign that is not kana
# kana that stand for other sounds as particles, and in long vowels, by the kana in which these are written
_OTHERWISE = {"ハ": "ワ", "ヘ": "エ", "ヲ": "オ", "ウ": "ー", "イ": "ー", "ア": "ー", "エ": "ー", "オ": "ー"}
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fc]")
_THAI_AM = "\u0e33"  # a vowel that is written behind its consonant and sounds with it, though it is a letter


def characters(written: str) -> list[str]:
    """The characters of a word as people count them: marks belong to what they stand on.

    Examples
    --------
    >>> characters("银行"), characters("กำลัง"), characters("が".encode().decode())
    (['银', '行'], ['กำ', 'ลั', 'ง'], ['が'])
    """
    found: list[str] = []
    for c in written:
        if found and (unicodedata.category(c).startswith("M") or c == _THAI_AM):
            found[-1] += c
        else:
            found.append(c)
    return found


def evenly(written: str, said: str, phones: Sequence[str]) -> Starts:
    """Divide a word so that each character has as many phones.

    Examples
    --------
    >>> evenly("ที่", "ti", ["t", "i"]), evenly("มา", "ma", ["m", "a"])
    ((0.0,), (0.0, 1.0))
    """
    count = len(characters(written))
    return tuple(k * len(phones) / count for k in range(count))


def by_syllables(alone: Callable[[str], Sequence[str] | None]) -> Division:
    """The division by what each character is said like ``alone``, where that makes up the word.

    Examples
    --------
    >>> divide = by_syllables({"西": ("ɕ", "i"), "安": ("a", "n")}.get)
    >>> divide("西安", "西安", ["ɕ", "i", "a", "n"])
    (0.0, 2.0)
    """

    def divide(written: str, said: str, phones: Sequence[str]) -> Starts:
        lengths = [len(alone(c) or ()) for c in characters(written)]
        if not all(lengths) or sum(lengths) != len(phones):
            return evenly(written, said, phones)
        return tuple(float(t) for t in np.cumsum([0, *lengths[:-1]]))

    return divide


def by_morae(written: str, said: str, phones: Sequence[str]) -> Starts:
    """Divide a word of Japanese by the morae of its reading, in katakana.

    Examples
    --------
    >>> by_morae("買った", "カッタ", ["k", "ä", "t", "t", "ä"])
    (0.0, 2.0, 3.0)
    >>> by_morae("東京", "トーキョー", ["t", "o̞", "kʲ", "o̞"])
    (0.0, 2.0)
    >>> by_morae("コーヒー", "コーヒー", ["k", "o̞", "ç", "i"])
    (0.0, 1.5, 2.0, 3.5)
    """
    own, kana = characters(written), tuple(said)
    begins = _kana_starts(kana, tuple(phones))
    spans = _read_by(tuple(own), said)
    if begins is None or spans is None:
        return evenly(written, said, phones)
    found: list[float] = []
    for first, last, signs in spans:
        morae = [k for k in range(first, last) if kana[k] not in _SMALL]
        found += [begins[first], *(begins[morae[k]] for k in _shared([kana[m] for m in morae], signs))]
    return tuple(found)


def _shared(morae: Sequence[str], signs: int) -> list[int]:
    """The mora that each sign but the first begins with, of a row that is read by ``morae``.

    Each begins near where it would if all had as many, but never with what begins no syllable, and rather not
    with what ends many readings of Chinese origin.
    """
    found = [0]
    for k in range(1, signs):
        middle = k * len(morae) / signs
        choice = range(found[-1] + 1, len(morae) - (signs - k) + 1)
        near = [m for m in choice if abs(m - middle) <= 1] or choice
        found.append(min(near, key=lambda m: (_unlikely(morae[m]), abs(m - middle))))
    return found[1:]


def _unlikely(mora: str) -> int:
    """How unlikely a sign begins with a mora; the greater, the more."""
    return 2 if mora in _NEVER_FIRST else int(mora in _OFTEN_LAST)


def _kana_starts(kana: Sequence[str], phones: Sequence[str]) -> list[float] | None:
    """Where each kana begins among the phones, and where the last ends; None where they do not fit.

    The length of a vowel has no phone of its own: it is the second half of the vowel's.
    """
    found: list[float] = []
    at = 0
    for c, then in zip(kana, (*kana[1:], ""), strict=True):
        if c == _LONG:
            found.append((found[-1] + at) / 2 if found and found[-1] > at - 1 else at - 0.5)
            continue
        found.append(float(at))
        if c in _ALONE:
            at += 1
            continue
        while at < len(phones) and not _is_vowel(phones[at]) and c not in _SMALL:
            at += 1
        if then and then in _SMALL:
            continue
        at += 1
    ascending = all(a < b for a, b in zip(found, [*found[1:], at], strict=True))
    return [*found, float(at)] if at == len(phones) and ascending else None


@lru_cache(maxsize=4096)
def _read_by(written: tuple[str, ...], said: str) -> tuple[tuple[int, int, int], ...] | None:
    """First and last + 1 kana of a reading that each kana of a word, or row of other signs, is read by, and
    how many signs that are; None where word and reading do not fit.
    """
    rows: list[list[str]] = []
    for c in written:
        if rows and not _is_kana(c) and not _is_kana(rows[-1][-1]):
            rows[-1].append(c)
        else:
            rows.append([c])
    parts = []
    for row in rows:
        wide = _katakana(row[0])
        parts.append(f"([{wide}{_OTHERWISE.get(wide, '')}])" if _is_kana(row[0]) else f"(.{{{len(row)},}}?)")
    found = re.fullmatch("".join(parts), said)
    if found is None:
        return None
    return tuple((*found.span(k), len(row)) for k, row in enumerate(rows, 1))


def _is_vowel(phone: str) -> bool:
    return kind(unicodedata.normalize("NFD", phone)[0]) == "vowel"


def _is_kana(character: str) -> bool:
    return _KANA.fullmatch(character[0]) is not None


def _katakana(character: str) -> str:
    """A kana as katakana, with its marks composed."""
    first = unicodedata.normalize("NFC", character)[0]
    return chr(ord(first) + 0x60) if "\u3041" <= first <= "\u3096" else first
