"""Numbers, dates, times, currency and units as American English speaks them.

Each rule is a pattern and what to say for it; the first that fits the whole token speaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from num2words import num2words

CURRENCY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "sen")}
PLURAL = {"penny": "pence", "yen": "yen", "sen": "sen", "foot": "feet", "inch": "inches", "hertz": "hertz"}
MAGNITUDES = ("hundred", "thousand", "million", "billion", "trillion")
SYMBOLS = {
    "&": "and",
    "%": "percent",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "°": "degrees",
    "#": "number",
    "£": "pounds",
    "$": "dollars",
    "€": "euros",
    "×": "times",
    "÷": "divided by",
    "§": "section",
}
UNITS = {
    "km": "kilometer",
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "kg": "kilogram",
    "g": "gram",
    "mg": "milligram",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "ft": "foot",
    "in": "inch",
    "l": "liter",
    "ml": "milliliter",
    "ms": "millisecond",
    "s": "second",
    "sec": "second",
    "min": "minute",
    "h": "hour",
    "hr": "hour",
    "hrs": "hour",
    "hz": "hertz",
    "khz": "kilohertz",
    "mhz": "megahertz",
    "ghz": "gigahertz",
    "kb": "kilobyte",
    "mb": "megabyte",
    "gb": "gigabyte",
    "tb": "terabyte",
    "w": "watt",
    "kw": "kilowatt",
    "v": "volt",
}
FIXED_UNITS = {
    "mph": "miles per hour",
    "km/h": "kilometers per hour",
    "%": "percent",
    "°c": "degrees celsius",
    "°f": "degrees fahrenheit",
    "°": "degrees",
    "¢": "cents",
}
MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
LONGEST_NUMBER = 15  # digits; longer ones are read digit by digit


def letter_name(c: str) -> str:
    """Name a letter as CMUdict spells it: "a." is EY, "a" mostly AH."""
    return "a." if c == "a" else c


def measure(low: str, before: str) -> list[str]:
    """Say a magnitude or unit behind a number ("million" of "$5", "kg" of "12"); empty if it is neither."""
    if before[:1] in CURRENCY and low.removesuffix("s") in MAGNITUDES:
        return [low, _plural(CURRENCY[before[0]][0], False)]
    if re.fullmatch(_NUMBER + r"(\.\d+)?", before) and low in {*UNITS, *FIXED_UNITS} - {
        "in"
    }:  # "5 in" is a word
        return (FIXED_UNITS.get(low) or _plural(UNITS[low], before == "1")).split()
    return []


def _words(text: str) -> list[str]:
    """Reduce num2words' English to plain American words: no commas, hyphens or "and"."""
    return [w for w in re.split(r"[\s,-]+", text) if w and w != "and"]


def cardinal(digits: str) -> list[str]:
    """Say a whole number, or its digits where it begins with 0 or is very long."""
    plain = digits.replace(",", "")
    if len(plain) > LONGEST_NUMBER or (len(plain) > 1 and plain[0] == "0"):
        return [w for d in plain for w in _words(num2words(int(d)))]
    return _words(num2words(int(plain)))


def ordinal(number: int) -> list[str]:
    """Say an ordinal number: "first", "twenty second", and so on."""
    return _words(num2words(number, to="ordinal"))


def year(number: int) -> list[str]:
    """Say a year as people do: "nineteen oh five", "two thousand seven", "twenty twenty four"."""
    if 1 <= number % 100 <= 9 and number // 100 % 10 != 0:
        return [*cardinal(str(number // 100)), "oh", *cardinal(str(number % 100))]
    return _words(num2words(number, to="year"))


def decimal(text: str) -> list[str]:
    """Say a number that may have a point and a sign: "minus three point one four"."""
    sign = ["minus"] if text[:1] == "-" else []
    whole, _, part = text.lstrip("+-").partition(".")
    spoken = cardinal(whole) if whole else []
    return sign + spoken + (["point", *(w for d in part for w in cardinal(d))] if part else [])


def _plural(word: str, one: bool) -> str:
    return word if one else PLURAL.get(word, word + "s")


def _money(m: re.Match[str], after: str) -> list[str]:
    coin, small = CURRENCY[m["sign"]]
    whole, part, scale = m["whole"], m["part"] or "", m["scale"] or ""
    scale = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion", "tn": "trillion"}.get(
        scale, scale
    )
    follows = after.lower().rstrip("s") in MAGNITUDES
    if scale or follows:
        spoken = decimal(whole.replace(",", "") + ("." + part if part else ""))
        return spoken + ([scale, _plural(coin, False)] if scale else [])
    spoken = [*cardinal(whole), _plural(coin, whole == "1")] if whole.strip("0") or not part else []
    if part and len(part) <= 2 and int(part):
        cents = int(part.ljust(2, "0"))
        spoken += [*cardinal(str(cents)), _plural(small, cents == 1)]
    elif part and len(part) > 2:
        return [*decimal(f"{whole}.{part}"), _plural(coin, False)]
    return spoken or [*cardinal(whole), _plural(coin, False)]


def _clock_time(m: re.Match[str], after: str) -> list[str]:
    hour, minute, half = m["hour"], m["minute"], (m["half"] or "").replace(".", "")
    if int(minute):
        spoken = cardinal(hour) + (["oh", *cardinal(minute[1])] if minute[0] == "0" else cardinal(minute))
    else:
        spoken = cardinal(hour) + ([] if half or re.match(r"[ap]\.?m", after.lower()) else ["o'clock"])
    return spoken + [letter_name(c) for c in half]


def _date(month: str, day: str, when: str) -> list[str] | None:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    years = int(when) + (0 if len(when) > 2 else 2000 if int(when) < 50 else 1900) if when else None
    return [MONTHS[int(month) - 1], *ordinal(int(day)), *(year(years) if years else [])]


def _range(m: re.Match[str], after: str) -> list[str]:
    low, high = m["low"], m["high"]
    sizes = (len(low), len(high))
    if "0" not in (low[0], high[0]) and int(low) < int(high) and max(sizes) <= 4 and sizes != (3, 4):
        pair = [_plain(low), _plain(high)]
        return [*pair[0], "to", *pair[1]]
    return [w for c in m[0] if c.isdigit() for w in cardinal(c)]


def _plain(digits: str) -> list[str]:
    """Say a bare number; four digits from 1100 to 2099 are a year."""
    return year(int(digits)) if re.fullmatch(r"1[1-9]\d\d|20\d\d", digits) else cardinal(digits)


def _fraction(m: re.Match[str], after: str) -> list[str]:
    top, bottom = int(m["top"]), int(m["bottom"])
    if bottom in (2, 4):
        named = {2: ("half", "halves"), 4: ("quarter", "quarters")}[bottom]
        return [*cardinal(m["top"]), named[top != 1]]
    if 2 < bottom <= 10 and top < bottom:
        *stem, last = ordinal(bottom)
        return [*cardinal(m["top"]), *stem, last + ("" if top == 1 else "s")]
    return [*cardinal(m["top"]), *cardinal(m["bottom"])]  # 24/7, 9/11


def _with_unit(m: re.Match[str], after: str) -> list[str]:
    unit = m["unit"]
    name = FIXED_UNITS.get(unit) or _plural(UNITS[unit], m["number"] in ("1", "-1"))
    return decimal(m["number"].replace(",", "")) + name.split()


def _decade(m: re.Match[str], after: str) -> list[str]:
    *stem, last = year(int(m["year"])) if len(m["year"]) == 4 else cardinal(m["year"])
    return [*stem, last[:-1] + "ies" if last.endswith("y") else last + "s"]


_UNIT = "|".join(sorted(map(re.escape, [*UNITS, *FIXED_UNITS]), key=len, reverse=True))
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
Rule = Callable[[re.Match[str], str], "list[str] | None"]
RULES: tuple[tuple[re.Pattern[str], Rule], ...] = tuple(
    (re.compile(p), rule)
    for p, rule in (
        (rf"(?P<sign>[$£€¥])(?P<whole>{_NUMBER})(?:\.(?P<part>\d+))?(?P<scale>k|m|b|bn|tn)?", _money),
        (r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?::\d\d)?(?P<half>[ap]\.?m\.?)?", _clock_time),
        (
            r"(?P<hour>\d{1,2})(?P<minute>)(?P<half>[ap]\.?m\.?)",
            lambda m, _: cardinal(m["hour"]) + [letter_name(c) for c in m["half"] if c != "."],
        ),
        (r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)", lambda m, _: _date(m["m"], m["d"], m["y"])),
        (r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4}|\d\d)", lambda m, _: _date(m["m"], m["d"], m["y"])),
        (rf"(?P<n>{_NUMBER})(st|nd|rd|th)", lambda m, _: ordinal(int(m["n"].replace(",", "")))),
        (r"'?(?P<year>[1-9]0|\d\d\d0)'?s", _decade),
        (rf"(?P<number>-?{_NUMBER}(?:\.\d+)?|-?\.\d+)(?P<unit>{_UNIT})", _with_unit),
        (r"(?P<top>\d+)/(?P<bottom>\d+)", _fraction),
        (r"(?P<low>\d+)-(?P<high>\d+)", _range),
        (
            r"\+?\d+(-\d+){2,}",
            lambda m, _: [w for c in m[0] if c.isdecimal() for w in cardinal(c)],
        ),  # a telephone's
        (r"'(?P<n>\d\d)", lambda m, _: cardinal(m["n"])),
        (r"\d+", lambda m, _: _plain(m[0])),
        (rf"[-+]?{_NUMBER}(?:\.\d+)?|[-+]?\.\d+", lambda m, _: decimal(m[0].replace(",", ""))),
    )
)


def numeric(low: str, before: str, after: str) -> list[str]:
    """Say a token with digits in it, between the spelled-out word before it and the token after it."""
    if before in MONTHS and re.fullmatch(r"[1-9]|[12]\d|3[01]", low):
        return ordinal(int(low))
    for pattern, rule in RULES:
        found = pattern.fullmatch(low)
        spoken = rule(found, after) if found else None
        if spoken:
            return spoken
    # none fits: say its letters, numbers and symbols one after the other, as in "mp3" or "B2B"
    parts = re.findall(r"\d+(?:\.\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?|[&%+=@°#$£€]", low)
    spoken = []
    for part in parts:
        if part[0].isdecimal():
            spoken += (
                decimal(part) if part.count(".") < 2 else [w for n in part.split(".") for w in cardinal(n)]
            )
        elif part in SYMBOLS:
            spoken += SYMBOLS[part].split()
        else:
            spoken += [part] if len(part) > 3 else [letter_name(c) for c in part if c != "'"]
    return spoken
