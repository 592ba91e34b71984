"""What stands behind a number and a space: units, magnitudes of money, currencies."""

from __future__ import annotations

import re

from aligner.text.english import figures, money
from aligner.text.english.numbers import VULGAR, letters
from aligner.text.english.place import Place
from aligner.text.english.units import CODES, CURRENCIES, MAGNITUDES, SHORT_MAGNITUDES, WORDS_TOO, unit

_NUMBER = re.compile(
    r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[-–]\d[\d,.]*)?|\d*[½¼¾]|\d/\d|\d{2,3}/\d{2,3}"
)
_LESS_THAN_ONE = re.compile(r"[½¼¾]|1/\d+")
_INCHES = re.compile(r"\d|1[01]")
_SQUARES = {"sq": "square", "cu": "cubic", "fl": "fluid"}


def read(place: Place) -> list[str] | None:
    """Say a unit, a magnitude or a currency behind a number; None if a word is none.

    Examples
    --------
    >>> read(Place(["12", "kg"], 1)), read(Place(["$5", "million"], 1)), read(Place(["a", "kg"], 1))
    (['kilograms'], ['million', 'dollars'], None)
    """
    if place.word in ("W.", "S.", "N.", "E.") and place.at(1):
        return None  # a point of the compass, or an initial
    word, before = place.word.removesuffix("."), place.at(-1)
    low = word.lower()
    if magnitude := _magnitude(low, before):
        return magnitude
    if place.word.isupper() and word in CODES and place.at(1)[:1].isdecimal():
        return letters(word)
    if low == "x" and place.at(1)[:1].isdecimal() and place.at(-2)[-1:].isdecimal() and unit(before):
        return ["by"]
    if place.before.rstrip(".") in _SQUARES and place.at(-2)[-1:].isdecimal():
        return unit(word) or None
    if not before[-1:].isdecimal() and before[-1:] not in VULGAR:
        return None
    if low in _SQUARES and place.at(1)[:1].isalpha():
        return [_SQUARES[low]]
    if low == "x" and place.at(1)[:1].isdecimal():
        return ["times" if "=" in place.words else "by"]
    if word in CODES:
        return CODES[word][before not in ("1", "$1")].split()
    return _unit(word, place)


def _magnitude(low: str, before: str) -> list[str]:
    """Say a magnitude that is written in short behind a number, or stands behind money: 5 mln, $5 million."""
    currency = money.currency_before(before)
    if low in SHORT_MAGNITUDES and before[-1:].isdecimal():
        return [SHORT_MAGNITUDES[low], *currency]
    return [low, *currency] if low.removesuffix("s") in MAGNITUDES and currency else []


def _unit(word: str, place: Place) -> list[str] | None:
    """Say a unit behind a number; feet are "foot" before inches, as in 6 ft 2."""
    before, low = place.at(-1), word.lower()
    if low == "v" and place.at(1)[:1].isdecimal():
        return ["versus"]
    one = before.lstrip("-") == "1" or _LESS_THAN_ONE.fullmatch(before) is not None
    one = one or figures.before_noun(place, place.at(-2))
    if low == "in" and place.at(-2).lower().rstrip(".") in ("ft", "feet", "foot"):
        return unit("in", one)
    goes_on = place.at(1)[:1].islower() or not place.at(1)
    if low == "in" and place.word.endswith(".") and goes_on and _NUMBER.fullmatch(before):
        return unit("in", one)
    if not _NUMBER.fullmatch(before) or low in WORDS_TOO:
        return None
    if word in CURRENCIES:
        return [CURRENCIES[word][not one]]
    if len(word) == 1 and word.isupper() and word not in "VWLΩ":
        return None
    if low == "ft" and _INCHES.fullmatch(place.at(1)):
        return ["foot"]
    return unit(word, one) or None
