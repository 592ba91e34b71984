"""How numbers are said: cardinals, ordinals, years, decimals, digits one by one.

American English: no "and" within a number, "oh" in years.  All functions return lists of words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from num2words import num2words

LONGEST_NUMBER = 15  # digits; longer ones are read digit by digit
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)"  # a whole number
DECIMAL = rf"(?:{NUMBER}(?:\.\d+)?|\.\d+)"
VULGAR = {
    "½": ("1", "2"),
    "⅓": ("1", "3"),
    "⅔": ("2", "3"),
    "¼": ("1", "4"),
    "¾": ("3", "4"),
    "⅕": ("1", "5"),
    "⅖": ("2", "5"),
    "⅗": ("3", "5"),
    "⅘": ("4", "5"),
    "⅙": ("1", "6"),
    "⅚": ("5", "6"),
    "⅐": ("1", "7"),
    "⅛": ("1", "8"),
    "⅜": ("3", "8"),
    "⅝": ("5", "8"),
    "⅞": ("7", "8"),
    "⅑": ("1", "9"),
    "⅒": ("1", "10"),
}
HALVES = {2: ("half", "halves"), 4: ("quarter", "quarters")}
# of which n/d is a fraction where n < d; 12 is not among them: 11/12 is more often a date
DENOMINATORS = frozenset([2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 20, 32, 64, 100, 1000])


def letter_name(c: str) -> str:
    """Name a letter as CMUdict spells it: "a." is EY, "a" mostly AH."""
    return "a." if c in "aA" else c.lower()


def letters(word: str) -> list[str]:
    """Name the letters of a word, leaving out what is none.

    Examples
    --------
    >>> letters("U.S.A")
    ['u', 's', 'a.']
    """
    return [letter_name(c) for c in word if c.isalpha()]


def digits(text: str) -> list[str]:
    """Say the digits of a text one by one, leaving out what is none.

    Examples
    --------
    >>> digits("555-20")
    ['five', 'five', 'five', 'two', 'zero']
    """
    return [DIGITS[int(c)] for c in text if c.isdecimal()]


@lru_cache(maxsize=4096)
def _in_words(number: int, to: str) -> tuple[str, ...]:
    """Reduce num2words' English to plain American words: no commas, hyphens or "and"."""
    return tuple(w for w in re.split(r"[\s,-]+", num2words(number, to=to)) if w and w != "and")


def cardinal(text: str) -> list[str]:
    """Say a whole number, or its digits where it begins with 0 or is very long.

    Examples
    --------
    >>> cardinal("1,250"), cardinal("007")
    (['one', 'thousand', 'two', 'hundred', 'fifty'], ['zero', 'zero', 'seven'])
    """
    plain = text.replace(",", "")
    if len(plain) > LONGEST_NUMBER or (len(plain) > 1 and plain[0] == "0"):
        return digits(plain)
    return list(_in_words(int(plain), "cardinal"))


def ordinal(number: int) -> list[str]:
    """Say an ordinal number: "first", "twenty second"; very long ones digit by digit."""
    if number >= 10**LONGEST_NUMBER:
        return [*digits(str(number)), "th"]
    return list(_in_words(number, "ordinal"))


def year(number: int) -> list[str]:
    """Say a year as people do: "nineteen oh five", "two thousand seven", "twenty twenty four"."""
    if 1000 < number < 10000 and 1 <= number % 100 <= 9 and number // 100 % 10 != 0:
        return [*cardinal(str(number // 100)), "oh", *cardinal(str(number % 100))]
    return list(_in_words(number, "year"))


def bare(text: str) -> list[str]:
    """Say a number without anything around it; four digits from 1100 to 2099 are a year."""
    return year(int(text)) if re.fullmatch(r"1[1-9]\d\d|20\d\d", text) else cardinal(text)


def pairs(text: str) -> list[str]:
    """Say a number that is a name, as that of a road or a flight: "four oh five", "ten eighty".

    Examples
    --------
    >>> " ".join(pairs("405")), " ".join(pairs("1080")), " ".join(pairs("52"))
    ('four oh five', 'ten eighty', 'fifty two')
    """
    if len(text) not in (3, 4) or text[0] == "0" or text.endswith("000"):
        return cardinal(text)
    head, tail = text[:-2], text[-2:]
    if tail == "00":
        return [*cardinal(head), "hundred"]
    return [*cardinal(head), *(["oh", DIGITS[int(tail[1])]] if tail[0] == "0" else cardinal(tail))]


def decimal(text: str) -> list[str]:
    """Say a number that may have a point and a sign: "minus three point one four"."""
    sign = {"-": ["minus"], "+": ["plus"]}.get(text[:1], [])
    whole, _, part = text.lstrip("+-").partition(".")
    spoken = cardinal(whole) if whole else []
    return sign + spoken + (["point", *digits(part)] if part else [])


def number(text: str) -> list[str]:
    """Say a number in whatever form: with groups, a point, a sign, or four digits that are a year."""
    return bare(text) if text.isdecimal() else decimal(text.replace(",", ""))


def fraction(top: str, bottom: str) -> list[str]:
    """Say a fraction: "three quarters", "one sixteenth"; other pairs of numbers one after the other.

    Examples
    --------
    >>> " ".join(fraction("3", "8")), " ".join(fraction("9", "11"))
    ('three eighths', 'nine eleven')
    """
    parts = int(bottom) if len(bottom) <= LONGEST_NUMBER else 0
    if top == bottom or parts not in DENOMINATORS or len(top) > 3 or top == "0" or bottom[0] == "0":
        return [*bare(top), *bare(bottom)]
    if int(top) > parts and parts > 10:
        return [*bare(top), *bare(bottom)]
    one = int(top) == 1
    if parts in HALVES:
        return [*cardinal(top), HALVES[parts][not one]]
    return [*cardinal(top), *(ordinal(parts) if one else plural(ordinal(parts)))]


def agent(words: Sequence[str]) -> list[str]:
    """Name who or what goes by a number: "forty niner", "sixer", "tenner".

    Examples
    --------
    >>> agent(["forty", "nine"]), agent(["ten"])
    (['forty', 'niner'], ['tenner'])
    """
    *stem, last = words
    return [*stem, last + ("r" if last.endswith("e") else "ner" if last == "ten" else "er")]


def plural(words: Sequence[str]) -> list[str]:
    """Put the last word in the plural: "nineties", "sixes", "hundreds", "b's".

    Examples
    --------
    >>> plural(["nineteen", "ninety"])
    ['nineteen', 'nineties']
    """
    *stem, last = words
    if len(last) == 1 or last == "a.":
        return [*stem, last.rstrip(".") + "'s"]
    if last.endswith("y"):
        return [*stem, last[:-1] + "ies"]
    return [*stem, last + ("es" if last.endswith(("x", "s")) else "s")]
