"""Amounts of money as they are written, with all that is joined to them: US$20, $5-10M, €3k, $20/hr."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aligner.text.english.numbers import DECIMAL, cardinal, decimal
from aligner.text.english.place import Place
from aligner.text.english.units import (
    CODES,
    COUNTRIES,
    CURRENCIES,
    CURRENCY_SIGNS,
    MAGNITUDES,
    SCALES,
    SHORT_MAGNITUDES,
    per,
)

_SCALE = "|".join(sorted(SCALES, key=len, reverse=True))
_COUNTRY = "|".join(map(re.escape, sorted(COUNTRIES, key=len, reverse=True)))
_MONEY = re.compile(
    rf"(?P<minus>-)?(?P<country>{_COUNTRY})(?P<sign>[{CURRENCY_SIGNS}])(?P<minus2>-)?"
    rf"(?P<low>{DECIMAL})(?P<scale>{_SCALE})?"
    rf"(?:[-–—~](?:(?:{_COUNTRY})[{CURRENCY_SIGNS}])?(?P<high>{DECIMAL})(?P<scale2>{_SCALE})?)?"
    r"(?P<tail>\+|/[A-Za-z]+|(?:-[A-Za-z]+)+|'?s)?",
    re.IGNORECASE,
)
_SIGN_BEHIND = re.compile(
    rf"(?P<minus>-)?(?P<low>{DECIMAL})(?P<scale>{_SCALE})?(?P<sign>[{CURRENCY_SIGNS}])", re.IGNORECASE
)
_BILLS = frozenset(["bill", "bills", "note", "notes", "coin", "coins"])


@dataclass(frozen=True, kw_only=True)
class Money:
    """An amount of money, or a range of amounts."""

    minus: bool
    """Whether it is negative."""
    country: str
    """What is said for the letters before the sign; empty where there are none."""
    sign: str
    """The sign of the currency."""
    low: str
    """The amount, in figures."""
    high: str
    """The upper end of a range, in figures; empty where there is no range."""
    scale: str
    """A magnitude behind the amount; empty where there is none."""
    low_scale: str
    """A magnitude behind the lower end of a range that has one at its upper end, too."""
    tail: str
    """What is joined to it behind: "+", "/hr", "-a-day"."""

    @property
    def currency(self) -> list[str]:
        """The words of the currency, in the plural."""
        return [*self.country.split(), CURRENCIES[self.sign][1]]


def parse(word: str) -> Money | None:
    """Take an amount of money apart; None if a word is none.

    Examples
    --------
    >>> parse("US$5-10M").currency, parse("five")
    (['u', 's', 'dollars'], None)
    """
    found = _MONEY.fullmatch(word) or _SIGN_BEHIND.fullmatch(word)
    if not found:
        return None
    parts = {name: text or "" for name, text in found.groupdict().items()}
    scale, low_scale = parts.get("scale2") or parts["scale"], parts["scale"] if parts.get("scale2") else ""
    return Money(
        minus=bool(parts["minus"] or parts.get("minus2")),
        country=COUNTRIES[parts.get("country", "").lower()] if parts["sign"] == "$" else "",
        sign="R$" if parts.get("country", "").lower() + parts["sign"] == "r$" else parts["sign"],
        low=parts["low"].replace(",", ""),
        high=parts.get("high", "").replace(",", ""),
        scale=SCALES.get(scale.lower(), ""),
        low_scale=SCALES.get(low_scale.lower(), ""),
        tail=parts.get("tail", ""),
    )


def read(word: str, place: Place) -> list[str] | None:
    """Say an amount of money; None if a word is none.

    Examples
    --------
    >>> " ".join(read("$5-10", Place(["$5-10"], 0)))
    'five to ten dollars'
    """
    money = parse(word)
    if money is None:
        return None
    minus = ["minus"] if money.minus else []
    magnitude = place.after.removesuffix("s") in MAGNITUDES or place.after.rstrip(".") in SHORT_MAGNITUDES
    if (magnitude and not money.tail) or place.at(1) in CODES:
        return [*minus, *_number(money)]  # what follows says the currency
    if money.tail == "+":
        return [*minus, *_amount(money, "", place), "plus"]
    if money.tail.startswith("/"):
        return [*minus, *_amount(money, "", place), "per", *per(money.tail[1:]).split()]
    words = money.tail[1:].split("-") if money.tail.startswith("-") else []
    joined = words.pop(0).lower() if words and words[0].lower() in MAGNITUDES else ""
    return [*minus, *_amount(money, joined, place), *words]


def currency_before(word: str) -> list[str]:
    """Return the words of the currency that a magnitude takes from the money before it; none without any.

    Examples
    --------
    >>> currency_before("US$5"), currency_before("five")
    (['u', 's', 'dollars'], [])
    """
    money = parse(word)
    return money.currency if money and not money.scale and not money.tail else []


def _number(money: Money) -> list[str]:
    """Say the number of an amount, or both numbers of a range."""
    low = [*decimal(money.low), *money.low_scale.split()]
    return [*low, "to", *decimal(money.high)] if money.high else low


def _amount(money: Money, magnitude: str, place: Place) -> list[str]:
    one, many, cent, cents = CURRENCIES[money.sign]
    single = place.after in _BILLS or (
        bool(magnitude) and place.after.isalpha() and money.tail.count("-") == 1
    )
    if money.high or money.scale or magnitude:
        scale = [w for w in (money.scale, magnitude) if w]
        return [*_number(money), *scale, *money.country.split(), one if single else many]
    whole, _, part = money.low.partition(".")
    if len(part) > 2 or (part and money.sign == "¢"):
        return [*decimal(money.low), *money.currency]
    spoken = []
    if whole.strip("0") or not part.strip("0"):
        last = one if single or whole == "1" else many
        spoken = [*cardinal(whole or "0"), *money.country.split(), last]
    if part.strip("0"):
        small = int(part.ljust(2, "0"))
        spoken += [*cardinal(str(small)), cent if small == 1 else cents]
    return spoken
