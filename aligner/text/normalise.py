"""From transcripts to tokens: what the user wrote, and the words that are said for it.

Numbers, dates, times, currency, units and abbreviations are spoken out in English; everything else
is left to the dictionary.  American readings are used: 1984 is "nineteen eighty four", 250 "two
hundred fifty", 5/3 "may third".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from num2words import num2words


@dataclass(frozen=True)
class Token:
    """A word of the transcript as written, with the words that are spoken for it."""

    spelling: str
    """The word as the user wrote it, without the punctuation around it."""
    spoken: tuple[str, ...]
    """The words that are said for it, one or more; ``[laughter]`` and the like stay as they are."""


SPACED = str.maketrans(
    {"–": " – ", "—": " — ", "…": " ", "\u00a0": " ", "\u200b": " ", "\ufeff": None, "\u00ad": None}
)
# one character for one, so that places in the text stay
ASCII_EQUIVALENTS = str.maketrans("’‘ʼ´`‐‑“”−", "'''''--\"\"-")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
BRACKETED = re.compile(r"\[[^\]\s][^\]]*\]|<[^>\s][^>]*>|\{[^}\s][^}]*\}")
WORD = re.compile(rf"{BRACKETED.pattern}|[^\s\[\]{{}}]+")
# numbers with spaces in them
SPACED_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?: \d{3})+(?!\d)|(?<=\d) (?=[%‰°€$£¥])")
WORD_JOINER = "\u2060"  # stands for a space within a number, where it splits no word
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002ffff]")
SEGMENTED = re.compile(rf"{HAN.pattern} +{HAN.pattern}")
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
ABBREVIATIONS = {
    "mr.": "mister",
    "mrs.": "missus",
    "ms.": "miz",
    "dr.": "doctor",
    "prof.": "professor",
    "jr.": "junior",
    "sr.": "senior",
    "vs.": "versus",
    "vs": "versus",
    "etc.": "et cetera",
    "etc": "et cetera",
    "e.g.": "for example",
    "i.e.": "that is",
    "gen.": "general",
    "col.": "colonel",
    "capt.": "captain",
    "lt.": "lieutenant",
    "sgt.": "sergeant",
    "rev.": "reverend",
    "hon.": "honorable",
    "gov.": "governor",
    "sen.": "senator",
    "rep.": "representative",
    "inc.": "incorporated",
    "ltd.": "limited",
    "corp.": "corporation",
    "co.": "company",
    "bros.": "brothers",
    "ave.": "avenue",
    "blvd.": "boulevard",
    "rd.": "road",
    "mt.": "mount",
    "ft.": "fort",
    "dept.": "department",
    "est.": "established",
    "approx.": "approximately",
    "jan.": "january",
    "feb.": "february",
    "mar.": "march",
    "apr.": "april",
    "jun.": "june",
    "jul.": "july",
    "aug.": "august",
    "sep.": "september",
    "sept.": "september",
    "oct.": "october",
    "nov.": "november",
    "dec.": "december",
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
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
FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4"}
LONGEST_NUMBER = 15  # digits; longer ones are read digit by digit


def spoken_english(language: str | None) -> bool:
    """Whether transcripts are English, as they are unless a language is named.

    Examples
    --------
    >>> spoken_english("en-GB"), spoken_english(None), spoken_english("sw")
    (True, True, False)
    """
    return language is None or language.lower().replace("_", "-").split("-")[0] in ("en", "eng", "english")


def normalise(text: str, english: bool = True) -> tuple[Token, ...]:
    """Split a transcript into tokens; punctuation alone gives none.

    Parameters
    ----------
    text : str
        The transcript, in any case and with punctuation.
    english : bool
        Whether numbers and the like are spoken out, in English; otherwise what is written is what is said,
        and every Chinese character is a word unless there are spaces between some.  Numbers in groups (20
        000) and what stands behind a number (20 %) are one word with it.

    Examples
    --------
    >>> [t.spelling for t in normalise("Dr. Smith's 2 dogs -- [laughter] they cost $5.50!")]
    ['Dr.', "Smith's", '2', 'dogs', '[laughter]', 'they', 'cost', '$5.50']
    >>> normalise("In 1984,")[1]
    Token(spelling='1984', spoken=('nineteen', 'eighty', 'four'))
    """
    clean = unicodedata.normalize("NFC", CONTROL.sub(" ", text)).translate(SPACED)
    if not english:
        clean = SPACED_NUMBER.sub(lambda number: number[0].replace(" ", WORD_JOINER), clean)
        clean = clean if SEGMENTED.search(clean) else HAN.sub(r" \g<0> ", clean)
    capitals_tell = any(c.islower() for c in clean)  # of abbreviations; not where all is in capitals
    written = [piece for word in WORD.findall(clean) for piece in _split_punctuation(word)]
    plain = [
        w.translate(ASCII_EQUIVALENTS) if capitals_tell else w.translate(ASCII_EQUIVALENTS).lower()
        for w in written
    ]
    cores = [w if BRACKETED.fullmatch(w) else _strip(w) for w in plain]
    if english:
        around = zip(cores, ["", *cores], [*cores[1:], ""], strict=False)
        spoken = [
            tuple(_spoken(core, before.lower(), after)) if core else () for core, before, after in around
        ]
    else:
        spoken = [_as_written(core) for core in cores]
    return tuple(_tokens(written, plain, cores, spoken))


def _tokens(
    written: Sequence[str], plain: Sequence[str], cores: Sequence[str], spoken: Sequence[tuple[str, ...]]
) -> Iterator[Token]:
    """Yield a token for each word that is spoken, spelled as it was written but without its punctuation."""
    for own, word, core, said in zip(written, plain, cores, spoken, strict=True):
        if said:
            first = word.find(core)
            length = len(core) - (said == ("no",) and core.endswith("."))
            yield Token(own[first : first + length].replace(WORD_JOINER, " "), said)


def _as_written(core: str) -> tuple[str, ...]:
    """The word itself, in lower case, as what is spoken for it."""
    said = core if BRACKETED.fullmatch(core) else core.lower().replace(WORD_JOINER, "")
    return (said,) if any(c.isalnum() for c in core) else ()


def _split_punctuation(word: str) -> list[str]:
    """Separate words that only punctuation joins: "yes,no" is two words, "1,000" and "U.S." are one."""
    if BRACKETED.fullmatch(word):
        return [word]
    return (
        [
            w
            for w in re.split(r"(?<=[^\W\d_]{2})[,;:!?.\"]+(?=[^\W\d_]{2})|(?<=\w)(?:--+|\.\.+)(?=\w)", word)
            if w
        ]
        if not _ADDRESS.fullmatch(_strip(word))
        else [word]
    )


_ADDRESS = re.compile(
    r"[\w.+-]+@[\w-]+(\.[\w-]+)+|(https?://)?(www\.)?[\w-]+(\.[\w-]+)*\.(com|org|net|edu|gov|io)(/\S*)?", re.I
)


def _strip(word: str) -> str:
    """Strip a word of the punctuation around it; abbreviations keep their dot, numbers their signs."""
    word = word.lstrip("\"'([{<*_~^|/\\-–—.,;:!?¿¡«»„‚›‹") if not re.match(r"-\d|\.\d|'\w", word) else word
    if re.fullmatch(r"\W+", word) and word not in SYMBOLS:
        return ""
    ended = word.rstrip("\"'([{<>)]}*_~^|/\\-–—,;:!?«»“„›‹")
    dotless = ended.rstrip(".")
    abbreviated = ended.lower() in (*ABBREVIATIONS, "st.", "no.") or re.fullmatch(
        r"([^\W\d_]\.)+|[Pp]h\.?D\.", ended
    )
    if ended != dotless and abbreviated:
        return ended
    if dotless.startswith("'") and dotless.lower() not in KEPT_APOSTROPHES and not dotless[1:2].isdigit():
        return dotless.lstrip("'")
    dropped = word[len(dotless) : len(dotless) + 1]
    return dotless + "'" if dropped == "'" and re.search(r"(in|o)$", dotless.lower()) else dotless


KEPT_APOSTROPHES = frozenset(
    [
        "'em",
        "'til",
        "'tis",
        "'twas",
        "'bout",
        "'cause",
        "'course",
        "'cuse",
        "'round",
        "'n",
        "'s",
        "'m",
        "'d",
        "'ll",
        "'re",
        "'ve",
        "'t",
    ]
)


def _spoken(core: str, before: str, after: str) -> list[str]:
    """List the words that are said for one token, given the tokens around it."""
    if BRACKETED.fullmatch(core):
        return [core]
    low = FRACTIONS.get(core, core.lower())
    if re.fullmatch(r"[a-z]{1,3}&[a-z]{1,3}", low):  # AT&T, R&D
        return [w for c in low for w in (["and"] if c == "&" else [_letter(c)])]
    if low in ("st.", "no."):
        return _saint_or_street(low, before, after)
    if low in ABBREVIATIONS:
        return ABBREVIATIONS[low].split()
    if measured := _measure(low, before):
        return measured
    if core in SYMBOLS:
        return SYMBOLS[core].split()
    if re.fullmatch(r"([^\W\d_]\.){1,}([^\W\d_])?|ph\.?d\.?", low):
        return [_letter(c) for c in low if c.isalpha()]
    if any(c.isdecimal() for c in low):
        return _numeric(low, before, after)
    if _ADDRESS.fullmatch(core):
        return _address(low)
    return [w for w in re.split(r"[\s/_+=]+|(?<=\w)&(?=\w)", core.replace("&", " and ")) if w.strip("-'.")]


def _measure(low: str, before: str) -> list[str]:
    """What "million" and "kg" say behind "$5" and "12"; nothing where a token is no measure of a number
    before it.
    """
    if before[:1] in CURRENCY and low.removesuffix("s") in MAGNITUDES:
        return [low, _plural(CURRENCY[before[0]][0], False)]
    if re.fullmatch(_NUMBER + r"(\.\d+)?", before) and low in {*UNITS, *FIXED_UNITS} - {
        "in"
    }:  # "5 in" is a word
        return (FIXED_UNITS.get(low) or _plural(UNITS[low], before == "1")).split()
    return []


def _saint_or_street(low: str, before: str, after: str) -> list[str]:
    if low == "no.":
        return ["number"] if after[:1].isdigit() else ["no"]
    return ["saint"] if after[:1].isupper() and not before[:1].isdigit() else ["street"]


def _letter(c: str) -> str:
    """Name a letter as CMUdict spells it: "a." is EY, "a" mostly AH."""
    return "a." if c == "a" else c


def _address(low: str) -> list[str]:
    named = {".": "dot", "@": "at", "/": "slash", "-": "dash", ":": "colon", "_": "underscore", "+": "plus"}
    return [
        w for part in re.findall(r"\w+|[.@/:+-]", low.replace("://", " ")) for w in [named.get(part, part)]
    ]


# Numbers.  Each rule is a pattern and what to say for it; the first that fits the whole token speaks.


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
    return spoken + [_letter(c) for c in half]


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
            lambda m, _: cardinal(m["hour"]) + [_letter(c) for c in m["half"] if c != "."],
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


def _numeric(low: str, before: str, after: str) -> list[str]:
    """Say a token with digits in it."""
    month = ABBREVIATIONS.get(before, before)
    if month in MONTHS and re.fullmatch(r"[1-9]|[12]\d|3[01]", low):
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
            spoken += [part] if len(part) > 3 else [_letter(c) for c in part if c != "'"]
    return spoken
