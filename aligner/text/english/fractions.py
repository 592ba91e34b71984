"""Fractions as they are written: 1/2, 2/3rds, ½, 3½, 2-1/2, and 5 1/2."""

from __future__ import annotations

import re

from aligner.text.english.clock import is_month
from aligner.text.english.numbers import HALVES, VULGAR, cardinal, fraction, ordinal, plural
from aligner.text.english.place import Place

_VULGAR = re.compile(rf"(?P<whole>\d+)?[-–⁄]?(?P<vulgar>[{''.join(VULGAR)}])")
_FRACTION = re.compile(r"(?P<top>\d+)[/⁄](?P<bottom>[1-9]\d*)(?P<ending>st|nds?|rds?|ths?)?", re.IGNORECASE)
_MIXED = re.compile(r"(?P<whole>\d+)[-–](?P<top>\d)/(?P<bottom>[1-9]\d?)")
LARGEST_MIXED = 64  # the largest part of inches and the like that a whole number stands before: 2 3/64


def read(word: str, place: Place) -> list[str] | None:
    """Say a fraction; None if a word is none.

    Examples
    --------
    >>> [" ".join(read(word, Place(["3", word], 1))) for word in ("2/3rds", "½", "2-1/2")]
    ['two thirds', 'and a half', 'two and a half']
    """
    if found := _VULGAR.fullmatch(word):
        parts = VULGAR[found["vulgar"]]
        if found["whole"]:
            return [*cardinal(found["whole"]), *_and(*parts)]
        return _and(*parts) if place.before.isdecimal() else fraction(*parts)
    if found := _MIXED.fullmatch(word):
        mixed = int(found["top"]) < int(found["bottom"])
        return [*cardinal(found["whole"]), *_and(found["top"], found["bottom"])] if mixed else None
    if found := _FRACTION.fullmatch(word):
        if not found["ending"] and _is_pressure(int(found["top"]), int(found["bottom"])):
            return [*cardinal(found["top"]), "over", *cardinal(found["bottom"])]
        return _simple(found["top"], found["bottom"], bool(found["ending"]), place)
    return None


def _is_pressure(top: int, bottom: int) -> bool:
    """Whether two numbers are those of blood pressure: 120/80, but not 80/20."""
    return bottom < top and 70 <= top <= 250 and 40 <= bottom <= 150 and top + bottom != 100


def _simple(top: str, bottom: str, ended: bool, place: Place) -> list[str]:
    if ended:
        parts = ordinal(int(bottom))
        return [*cardinal(top), *(parts if int(top) == 1 else plural(parts))]
    behind_whole = place.before.isdecimal() and not is_month(place.at(-2))
    if behind_whole and len(bottom) < 3 and int(top) < int(bottom) <= LARGEST_MIXED:
        return _and(top, bottom)
    return fraction(top, bottom)


def _and(top: str, bottom: str) -> list[str]:
    if top == "1" and bottom in ("2", "4"):
        return ["and", "a", HALVES[int(bottom)][0]]
    return ["and", *fraction(top, bottom)]
