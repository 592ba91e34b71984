"""Words without figures: letters that are named, signs that stand alone, Greek letters."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from aligner.text.english import signs
from aligner.text.english.abbreviations import ABBREVIATIONS
from aligner.text.english.numbers import letter_name, letters
from aligner.text.english.place import Place
from aligner.text.english.units import PER
from aligner.text.listed import listed

GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        listed("""
            alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma
            sigma tau upsilon phi chi psi omega
        """),
        strict=True,
    )
)
_PITCH = re.compile(r"[A-Za-z](?P<sign>[#♭])(?P<minor>m)?(?P<rest>(?:-[a-z]+)*)")
_INITIALS = re.compile(
    r"(?:[^\W\d_]\.){1,}(?:[^\W\d_]\.?)?(?P<ending>'?s)?|(?:ph\.?d\.?|m\.?sc\.?|b\.?sc\.?)(?P<more>'?s)?",
    re.IGNORECASE,
)
# letters that are words in small letters
_LETTERED = frozenset(
    ["US", "UN", "LA", "ER", "AI", "ID", "PA", "MA", "TA", "VA", "DA", "PE", "GI", "UI", "RA"]
)
_HALF_OF_DAY = re.compile(r"^(?:\d[\d:]*)?[ap]\.?m\.?$", re.IGNORECASE)
_COMPOUND = re.compile(r"[a-z']{2,}(?:\+[a-z']{2,})+")
_WARS = {"WWI": "world war one", "WWII": "world war two"}
_LETTERS_AND = re.compile(r"(?P<left>[A-Za-z]{1,3})&(?P<right>[A-Za-z]{1,3}?)(?P<ending>'?s)?")


def initials(place: Place) -> list[str] | None:
    """Name the letters of U.S.A. and Ph.D.; None for other words.

    Examples
    --------
    >>> initials(Place(["U.S."], 0)), initials(Place(["Ph.D"], 0)), initials(Place(["so."], 0))
    (['u', 's'], ['p', 'h', 'd'], None)
    """
    found = _INITIALS.fullmatch(place.word)
    if not found:
        return None
    ending = found["ending"] or found["more"] or ""
    named = letters(place.word.removesuffix(ending))
    return [*named[:-1], named[-1].rstrip(".") + "'s"] if ending else named


def lettered(place: Place) -> list[str] | None:
    """Name the letters of US, LA and the like, which would be words in small letters; None for other words.

    Examples
    --------
    >>> lettered(Place(["the", "US", "Army"], 1)), lettered(Place(["TOLD", "US", "SO"], 1))
    (['u', 's'], None)
    """
    bare = place.word.removesuffix("'s")
    country = bare == "US" and (place.at(1)[:1] == "$" or place.before == "the")
    if bare not in _LETTERED or not (place.capitals_tell or country):
        return None
    if not country and any(
        w.isupper() and len(w) > 1 and w not in _LETTERED for w in (place.at(-1), place.at(1))
    ):
        return None  # said loudly
    named = letters(bare)
    return named if bare == place.word else [*named[:-1], named[-1].rstrip(".") + "'s"]


def letters_and(place: Place) -> list[str] | None:
    """Name the letters of AT&T and R&D; None for other words.

    Examples
    --------
    >>> letters_and(Place(["AT&T"], 0)), letters_and(Place(["M&Ms"], 0))
    (['a.', 't', 'and', 't'], ['m', 'and', "m's"])
    """
    found = _LETTERS_AND.fullmatch(place.word)
    if not found:
        return None
    right = letters(found["right"])
    if found["ending"]:
        right[-1] = right[-1].rstrip(".") + "'s"
    return [*letters(found["left"]), "and", *right]


def symbol(place: Place) -> list[str] | None:
    """Say a sign that stands alone; an empty list where it says nothing, None for words."""
    word = place.word
    if any(c.isalnum() for c in word) and word not in ("°C", "°F"):
        return None
    if word == "#":
        return signs.said(word) if place.at(1)[:1].isdecimal() else []
    if word in signs.ALONE or word in ("°C", "°F"):
        return signs.said(word)
    from_one = place.at(-1)[-1:].isdecimal() or _HALF_OF_DAY.search(place.at(-1))
    if word == "–" and from_one and place.at(1)[:1].isdecimal():
        return ["to"]
    if word == "-" and _HALF_OF_DAY.search(place.at(-1)) and place.at(1)[:1].isdecimal():
        return ["to"]
    if word in signs.BETWEEN and _counts(place.at(-1)) and _counts(place.at(1)):
        if word == "-":
            return ["minus"] if "=" in place.words else []
        return ["divided", "by"] if word == "/" else signs.said(word)
    return []


def _counts(word: str) -> bool:
    """Whether a word can be a term of a sum: a number, or a letter that stands for one."""
    return word[:1].isdecimal() or word[-1:].isdecimal() or (len(word) == 1 and word.isalpha())


def plain_words(word: str) -> list[str]:
    """Split a word at the signs that join words: slashes, underscores, ampersands and the like.

    Examples
    --------
    >>> plain_words("and/or"), plain_words("A+"), plain_words("α")
    (['and', 'or'], ['a.', 'plus'], ['alpha'])
    """
    head, hyphen, rest = word.partition("-")
    if hyphen and rest and (known := ABBREVIATIONS.get(head.lower())):
        return [*known.split(), *plain_words(rest)]
    if hyphen and rest and head in _LETTERED:
        return [*letters(head), *plain_words(rest)]
    if hyphen and (tail := _lettered_tail(word)):
        return tail
    if "&" in word and "-" in word:
        return [w for part in word.split("-") for w in letters_and(Place([part], 0)) or plain_words(part)]
    if "/" in word and (parts := _slashed(word)):
        return parts
    if pitch := _PITCH.fullmatch(word):
        sign = "flat" if pitch["sign"] == "♭" else "sharp"
        return [
            letter_name(word[0]),
            sign,
            *(["minor"] if pitch["minor"] else []),
            *pitch["rest"].lower().split("-")[1:],
        ]
    if _COMPOUND.fullmatch(word):
        return word.split("+")  # of CHAT: ice+cream
    if word.endswith("+") and word.strip("+"):
        base = word.rstrip("+")
        return [*([letter_name(base)] if len(base) == 1 else [base]), *(["plus"] * (len(word) - len(base)))]
    pieces = [piece.strip("-") for piece in _pieces(word) if piece.strip("-'.")]
    if len(pieces) > 1 and all(len(p) == 1 for p in pieces):
        return [letter_name(p) for p in pieces]
    return ["-".join(_greek(part) for part in p.split("-")) for p in pieces]


def _slashed(word: str) -> list[str]:
    """Say what slashes part: bucks/hr, he/she; nothing where they part single letters."""
    parts = word.split("/")
    if len(parts) == 2 and len(parts[0]) > 2 and len(parts[1]) > 1 and parts[1].lower() in PER:
        return [*plain_words(parts[0]), "per", *PER[parts[1].lower()].split()]
    if all(len(part) < 2 for part in parts):
        return []
    return [w for p in parts for w in (ABBREVIATIONS.get(p.lower()) or " ".join(plain_words(p))).split()]


def _lettered_tail(word: str) -> list[str] | None:
    """Say a compound whose last part is letters or a war: non-US, post-WWII; None for other words."""
    head, _, last = word.rpartition("-")
    bare = last.removesuffix("'s")
    if word.isupper() and not head.isupper():
        return None
    if bare in _LETTERED:
        named = letters(bare)
        return [*plain_words(head), *named[:-1], named[-1] if bare == last else named[-1].rstrip(".") + "'s"]
    known = _WARS.get(last)
    return [*plain_words(head), *known.split()] if known else None


def _pieces(word: str) -> list[str]:
    """Part a word at all that is neither letter nor hyphen nor apostrophe nor dot; some signs are said."""
    if word.replace("-", "").replace("'", "").isalpha():
        return [word]
    runs = [(inside, "".join(run)) for inside, run in groupby(word, _is_inside)]
    said = {"&", "@", "+", "=", "^"}
    return [w for inside, run in runs for w in ([run] if inside else signs.said(run) if run in said else [])]


def _is_inside(c: str) -> bool:
    return c.isalnum() or c in "'-." or unicodedata.category(c)[0] == "M"


def _greek(part: str) -> str:
    return GREEK.get(part.lower(), part) if len(part) == 1 else part
