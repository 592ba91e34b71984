"""Times of day and dates as they are written: 10:30am, 9-5 p.m., 5/3/2024, 2024-05-03."""

from __future__ import annotations

import re

from aligner.text.english.numbers import DIGITS, cardinal, digits, letters, ordinal, year
from aligner.text.english.place import Place
from aligner.text.listed import listed

MONTHS = listed("january february march april may june july august september october november december")
_TIME = r"(?:[01]?\d|2[0-4])(?::[0-5]\d){0,2}"
_HALF = r"[ap]\.?m\.?"
_CLOCK = re.compile(
    rf"(?P<time>{_TIME}|(?:0?\d|1[0-2])\.[0-5]\d)(?P<half>{_HALF})|(?P<exact>\d{{1,2}}(?::[0-5]\d){{1,2}})",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"(?:0?\d|1[0-2])\.[0-5]\d")  # a time only where a.m. or p.m. follows
_RANGE = re.compile(
    rf"(?P<from>{_TIME})(?P<first>{_HALF})?[-–—](?P<to>{_TIME})(?P<half>{_HALF})?", re.IGNORECASE
)
_HALF_TO = re.compile(rf"(?P<first>{_HALF})[-–—](?P<to>{_TIME})(?P<half>{_HALF})?", re.IGNORECASE)
_YEAR_FIRST = re.compile(r"(?P<y>\d{4})(?P<sign>[-/.])(?P<m>\d\d?)(?P=sign)(?P<d>\d\d?)")
_MONTH_FIRST = re.compile(  # or the day, where it cannot be a month
    r"(?P<m>\d{1,2})(?:(?P<sign>[-.])(?P<d>\d{1,2})(?P=sign)(?P<y>\d{4})|/(?P<d2>\d{1,2})/(?P<y2>\d{4}|\d\d))"
)
_NUMBERED = frozenset(listed("version versions v ver release build section clause rule firmware"))
_RECENT = 40  # two figures of a year below it are of 2000 and later


def is_month(word: str) -> bool:
    """Whether a word is a month, or an abbreviation of one.

    Examples
    --------
    >>> is_month("Sept."), is_month("May"), is_month("Mary")
    (True, True, False)
    """
    low = word.lower().rstrip(".")
    return low in MONTHS or low == "sept" or (len(low) == 3 and any(m.startswith(low) for m in MONTHS))


def read(word: str, place: Place) -> list[str] | None:
    """Say a time, a range of times, or a date; None if a word is none."""
    return _date(word, place) or _time(word, place) or _times(word, place)


def dotted(word: str, place: Place) -> list[str] | None:
    """Say a time of day with a dot before a.m. or p.m.; None if a word is none.

    Examples
    --------
    >>> dotted("5.45", Place(["5.45", "p.m."], 0)), dotted("5.45", Place(["5.45"], 0))
    (['five', 'forty', 'five'], None)
    """
    known = place.half_follows and _DOTTED.fullmatch(word)
    return _clock(word.replace(".", ":"), oclock=False) if known else None


def _time(word: str, place: Place) -> list[str] | None:
    found = _CLOCK.fullmatch(word)
    if not found:
        return None
    half = letters(found["half"] or "")
    time = (found["time"] or found["exact"]).replace(".", ":")
    return _clock(time, not half and not place.half_follows) + half


def _times(word: str, place: Place) -> list[str] | None:
    if (late := _HALF_TO.fullmatch(word)) is not None:  # 8 a.m.-5
        return [
            *letters(late["first"]),
            "to",
            *_clock(late["to"], oclock=False),
            *letters(late["half"] or ""),
        ]
    found = _RANGE.fullmatch(word)
    if not found or not (found["first"] or found["half"] or ":" in word or place.half_follows):
        return None
    first, second = letters(found["first"] or ""), letters(found["half"] or "")
    oclock = not (first or second or place.half_follows)
    return [*_clock(found["from"], oclock), *first, "to", *_clock(found["to"], oclock), *second]


def _clock(text: str, oclock: bool) -> list[str]:
    """Say a time of day: "ten thirty", "eight oh five", "seven o'clock", "fourteen hundred"."""
    hour, *rest = text.split(":")
    said = _hour(hour)
    if not rest:
        return said
    if rest == ["00"]:
        if not oclock:
            return said
        return [*said, "hundred" if int(hour) > 12 or hour == "00" else "o'clock"]
    return said + [w for part in rest for w in _two_figures(part)]


def _hour(hour: str) -> list[str]:
    return digits(hour) if hour == "00" else cardinal(hour.removeprefix("0") or "0")


def _two_figures(part: str) -> list[str]:
    return ["oh", DIGITS[int(part[1])]] if part[0] == "0" else cardinal(part)


def _date(word: str, place: Place) -> list[str] | None:
    found = _YEAR_FIRST.fullmatch(word) or _MONTH_FIRST.fullmatch(word)
    if not found:
        return None
    parts = {name[0]: int(text) for name, text in found.groupdict().items() if text and name != "sign"}
    first, second = parts["m"], parts["d"]
    if "." in word and place.before.rstrip(".") in _NUMBERED:
        return None
    if not (1 <= min(first, second) <= 12 and 1 <= max(first, second) <= 31):
        return None
    when = year(parts["y"] if parts["y"] > 99 else parts["y"] + (2000 if parts["y"] < _RECENT else 1900))
    if first > 12:
        the = [] if place.before == "the" else ["the"]
        return [*the, *ordinal(first), "of", MONTHS[second - 1], *when]
    return [MONTHS[first - 1], *ordinal(second), *when]
