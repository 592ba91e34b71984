"""Words with figures in them: numbers, and all that may be joined to them.

The rules stand in `RULES`, in their order; the first that has something to say for the whole word says it.
What none of them reads is taken apart, at signs of arithmetic, hyphens and slashes, and its parts are read;
what cannot be taken apart is a code, such as H2O.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from aligner.text.english import clock, codes, fractions, money, signs, words
from aligner.text.english.numbers import (
    DECIMAL,
    DIGITS,
    LONGEST_NUMBER,
    NUMBER,
    VULGAR,
    agent,
    bare,
    cardinal,
    decimal,
    digits,
    fraction,
    letter_name,
    letters,
    number,
    ordinal,
    pairs,
    plural,
    year,
)
from aligner.text.english.place import Place
from aligner.text.english.units import SCALES, UNITS, WORDS_TOO, unit
from aligner.text.listed import listed

# words before a number that is a name
_LOTS = frozenset(
    listed("""
        apartment apt flat unit room rm suite ste gate section row seat block building lot platform bus
        route terminal exit level floor stage exhibit figure fig table appendix box class grade number no
    """)
)
# what is measured, behind a measure that stands before a noun: a 100W bulb
_MEASURED = frozenset(
    listed("""
        bulb bulbs lamp lamps lens lenses film pistol pistols rifle rifles round rounds gun guns charger
        engine race run dash walk radius pipe pipes monitor monitors screen screens tv tvs display laptop
        blade nail nails board boards pizza pizzas subwoofer speaker speakers adapter battery
    """)
)
_NO_NOUNS = frozenset(
    listed("""
        long tall wide high deep thick apart across away off of and or by in on from to at below above under
        over taller longer wider shorter is are was were the a an x than with for per shorter as if but so
        thin round square up down behind ahead
    """)
)
_OFTEN = frozenset(["a", "an", "per", "each", "every", "daily", "weekly", "monthly", "this", "in", "as"])
_TRILLIONS_OF = frozenset(listed("tokens dollars parameters trees"))
# words before a number that is a name
_NAMED = frozenset(
    listed("""
        flight room route highway interstate boeing porsche suite apartment apt hwy rt rte bus area
        extension ext
    """)
)
_SERVICES = frozenset(["211", "311", "411", "511", "611", "711", "811", "911", "988", "999", "112"])
_CALLING = frozenset(
    listed("call called calling calls dial dialed dialing dialled ring phone phoned text texted")
)
_CALLS = frozenset(listed("calls operators dispatchers services tapes"))  # of 911, though they are several
_THINGS = frozenset(["people", "men", "women", "children"])
_IN_YEARS = frozenset(
    listed("in since until till circa ca from by before after around during year years c early late")
)
_MILLIONS_OF = frozenset(
    listed("""
        users views followers subscribers people viewers copies downloads dollars customers jobs homes likes
        humans years euros pounds devices hits streams plays listeners readers fans
    """)
)
_PER = frozenset(listed("second minute hour day night week month quarter year person capita game unit piece"))
_RUNS = frozenset(listed("run race races runs runner fun charity ran running"))
_NAMES_IN_K = frozenset(["2K", "4K", "6K", "8K", "16K", "4k", "8k"])  # of pictures
_ALWAYS_SCALES = frozenset(["k", "K", "M", "bn", "Bn", "BN", "mn", "mln", "bln", "tn", "trn", "mil"])
_DAY = r"0?[1-9]|[12]\d|3[01]"  # of a month
_CODED = frozenset(["zip", "code", "zipcode"])  # before a ZIP code
_EARLIEST_YEAR, _LATEST_YEAR = 1000, 2100

Said = list[str] | None
Rule = Callable[[re.Match[str], Place], Said]


def read(word: str, place: Place) -> list[str]:
    """Say a word with figures in it.

    Parameters
    ----------
    word : str
        The word, or a part of it.
    place : Place
        The whole word and its neighbours.

    Returns
    -------
    list of str
        The words that are said for it.

    Examples
    --------
    >>> read("18-year-old", Place(["18-year-old"], 0))
    ['eighteen', 'year', 'old']
    """
    if idiom := codes.IDIOMS.get(word.lower()):
        return idiom.split()
    for pattern, rule in RULES:
        found = pattern.fullmatch(word)
        said = rule(found, place) if found else None
        if said:
            return said
    return _sum(word, place) or _joined(word, place) or codes.read(word)


def read_whole(place: Place) -> list[str] | None:
    """Say a word with figures in it; None if a word has none."""
    return read(place.word, place) if any(c.isnumeric() for c in place.word) else None


def _bare(m: re.Match[str], place: Place) -> Said:
    """A number with nothing joined to it: what it is depends on its neighbours."""
    text, before = m[0], place.before.rstrip(".")
    if clock.is_month(place.at(-1)) and not place.apart and re.fullmatch(_DAY, text):
        return ordinal(int(text))
    if before in _NAMED and len(text) in (3, 4):
        return pairs(text)
    if text in _SERVICES and (before in _CALLING or (text == "911" and _is_called(place.after))):
        return digits(text)
    if len(text) == 4 and before in _IN_YEARS and _EARLIEST_YEAR <= int(text) < _LATEST_YEAR:
        return year(int(text))
    if place.after == "hours" and re.fullmatch("0[1-9]00", text):
        return [*digits(text[:2]), "hundred"]
    if len(text) == 5 and (re.fullmatch("[A-Z]{2}", place.at(-1)) or before in _CODED):
        return digits(text)  # a ZIP code behind a state
    if len(text) == 3 and (before, place.at(-2).lower()) == ("code", "area"):
        return digits(text)
    if place.after[:1].isalpha() and _day_before_month(text, place):
        return [*(["the"] if before != "the" else []), *ordinal(int(text)), "of"]
    return bare(text)


def _day_before_month(text: str, place: Place) -> bool:
    """Whether a number is the day of the month behind it: 5 March 2021, but not "5 may be"."""
    month = place.at(1)
    return clock.is_month(month) and month[0].isupper() and re.fullmatch(_DAY, text) is not None


def _is_called(after: str) -> bool:
    """Whether 911 is the number to call, rather than a number of things."""
    return after in _CALLS or not ((after.endswith("s") and len(after) > 3) or after in _THINGS)


def _ordinals(m: re.Match[str], place: Place) -> Said:
    numbers = [n.replace(",", "") for n in re.findall(r"\d[\d,]*", m[0])]
    return [w for n in numbers for w in ["to", *ordinal(int(n))]][1:]


def _decade(m: re.Match[str], place: Place) -> Said:
    return plural(year(int(m["year"])) if len(m["year"]) == 4 else cardinal(m["year"]))


def _decades(m: re.Match[str], place: Place) -> Said:
    return [*read(m["first"] + "s", place), "to", *read(m["last"] + "s", place)]


def _hundreds(m: re.Match[str], place: Place) -> Said:
    said = cardinal(m["n"])
    return plural(said[1:] if said[0] == "one" else said)


def _short_year(m: re.Match[str], place: Place) -> Said:
    return ["oh", DIGITS[int(m["n"][1])]] if m["n"][0] == "0" else cardinal(m["n"])


def _feet(m: re.Match[str], place: Place) -> Said:
    if not m["inches"]:
        return [*cardinal(m["feet"]), "foot" if m["feet"] == "1" or before_noun(place) else "feet"]
    return [*cardinal(m["feet"]), "foot", *read(m["inches"], place)]


def _inches(m: re.Match[str], place: Place) -> Said:
    one = m["number"] in ("1", "½") or m["number"].startswith("1/") or before_noun(place)
    return [*read(m["number"], Place([m["number"]], 0)), "inch" if one else "inches"]


def before_noun(place: Place, before: str | None = None) -> bool:
    """Whether a measure stands before what is measured, as in a 12\" pipe, so that it has no plural.

    The word ``before`` the measure is the one before the place, unless given.
    """
    noun = place.after.isalpha() and place.after not in _NO_NOUNS and not place.stopped
    article = place.before if before is None else before.lower()
    return noun and (article in ("a", "an") or place.after in _MEASURED)


def _measured(m: re.Match[str], place: Place) -> Said:
    """A number with a unit or a magnitude joined to it, or a range of such numbers."""
    written = m["unit"]
    if written == "x" and not m["high"] and place.after in _OFTEN:
        return [*number(m["low"]), "times"]
    if written == "m" and (re.fullmatch(r"\d+h(?:rs?)?", place.before) or re.fullmatch(r"\d+s", place.after)):
        return [*number(m["low"]), "minute" if m["low"] == "1" else "minutes"]
    many = place.after in _MILLIONS_OF
    if (m["low"] + written in _NAMES_IN_K and not many) or (written in ("k", "K") and place.after in _RUNS):
        return [*number(m["low"]), "k"]
    if written.isupper() and len(written) == 1 and place.before.rstrip(".") in _LOTS:
        return [*number(m["low"]), letter_name(written)]
    scale = _scale(written, "." in m["low"] + (m["high"] or "") or _counts_many(written, place))
    if written == "m" and many:
        scale = "million"
    if written == "s" and re.fullmatch(r"\d+m(?:in)?", place.before):
        return [*number(m["low"]), "second" if m["low"] == "1" else "seconds"]
    if written == "s" and re.fullmatch(r"\d{3,4}", m["low"]):
        return plural(pairs(m["low"]))  # 747s
    one = (m["low"].lstrip("-") == "1" and not m["high"]) or (written in UNITS and before_noun(place))
    name = [scale] if scale else unit(written, one)
    if not name:
        return None
    high = ["to", *_value(m["high"])] if m["high"] else []
    return [*_value(m["low"]), *high, *name, *(["plus"] if m["plus"] else [])]


def _counts_many(written: str, place: Place) -> bool:
    """Whether B or T behind a number is a magnitude by what is counted: 5B people."""
    return place.after in _MILLIONS_OF if written == "B" else place.after in _TRILLIONS_OF


def _value(text: str) -> list[str]:
    return decimal(text.replace(",", ""))


def _scale(written: str, plain: bool) -> str:
    """Name the magnitude that a letter behind a number stands for; empty if it stands for none."""
    certain = written in _ALWAYS_SCALES or (written in ("B", "T") and plain)
    return SCALES[written.lower()] if certain else ""


def _unit_twice(m: re.Match[str], place: Place) -> Said:
    """10%-20%, 5km-10km: the unit is said once."""
    scale = _scale(m["unit"], False)
    name = [scale] if scale else unit(m["unit"])
    return [*_value(m["low"]), "to", *_value(m["high"]), *name] if name else None


def _range(m: re.Match[str], place: Place) -> Said:
    low, high = m["low"].replace(",", ""), m["high"].replace(",", "")
    sizes = (len(low), len(high))
    if (place.before in _NAMED and 3 in sizes) or (sizes == (3, 3) and re.fullmatch("7[0-9]7", low)):
        return [*pairs(low), *pairs(high)]  # Boeing 737-800
    if clock.is_month(place.at(-1)) and max(sizes) <= 2:
        return [*ordinal(int(low)), "to", *ordinal(int(high))]
    if sizes == (4, 2) and re.match(r"1[1-9]|20", low) and int(low[2:]) < int(high):
        return [*year(int(low)), "to", *bare(high)]  # 1990-95
    if "," not in m[0] and _is_telephone(low, high):
        return digits(m[0])
    if (low == high and low != "0") or (int(low) > int(high) and int(low) + int(high) == 100):
        return [*bare(low), *bare(high)]  # 50-50, 80-20
    return [*number(m["low"]), "to", *number(m["high"])]


def _is_telephone(low: str, high: str) -> bool:
    sizes = (len(low), len(high))
    begins_with_zero = "0" in (low[0], high[0]) and max(sizes) > 1 and low != "0"
    return begins_with_zero or sizes in ((3, 4), (5, 4)) or max(sizes) > 6


def _telephone(m: re.Match[str], place: Place) -> Said:
    return ["plus"] * m[0].startswith("+") + digits(m[0])


def _toll_free(m: re.Match[str], place: Place) -> Said:
    return digits(m["number"]) + [w for w in m["word"].split("-") if w]


def _ratio(m: re.Match[str], place: Place) -> Said:
    """The score 2:1, the ratio 1:100; or, behind a name, the verse 3:5."""
    joint = [] if place.at(-1)[:1].isupper() else ["to"]
    return [w for n in m[0].split(":") for w in [*joint, *number(n)]][len(joint) :]


def _verses(m: re.Match[str], place: Place) -> Said:
    return [*number(m["chapter"]), *number(m["from"]), "to", *number(m["to"])]


def _scientific(m: re.Match[str], place: Place) -> Said:
    return [*_value(m["base"]), "e", *decimal(m["exponent"])]


def _by(m: re.Match[str], place: Place) -> Said:
    parts = re.split("[x×]", m[0].lower())
    return [w for n in parts for w in ["by", *(pairs(n) if n.isdecimal() else _value(n))]][1:]


def _sides(m: re.Match[str], place: Place) -> Said:
    """The sides of a room or a picture: 10'x12'."""
    name = "foot" if m["sign"] == "'" else "inch"
    return [*cardinal(m["first"]), name, "by", *cardinal(m["last"]), name]


def _heights(m: re.Match[str], place: Place) -> Said:
    """A range of heights: 5'-6'."""
    return [*cardinal(m["low"]), "to", *cardinal(m["high"]), "feet"]


def _word_and_ordinal(m: re.Match[str], place: Place) -> Said:
    return [m["word"], *ordinal(int(m["nth"][:-2]))]


def _long(m: re.Match[str], place: Place) -> Said:
    """How long something takes: 1h30m, 5m30s."""
    parts = [(name, n) for name, n in m.groupdict().items() if n]
    return [w for name, n in parts for w in (*cardinal(n), name.removesuffix("s" * (n == "1")))]


def _old(m: re.Match[str], place: Place) -> Said:
    return [*cardinal(m["n"]), "year", "old"]


def _power(m: re.Match[str], place: Place) -> Said:
    exponent = m["exponent"].translate(codes.SUPERSCRIPTS).lstrip("^")
    base = letters(m["base"]) if m["base"].isalpha() else part(m["base"], place)
    small = {"2": "squared", "3": "cubed"}.get(exponent)
    if small:
        return [*base, small]
    if re.fullmatch(r"\d{1,3}", exponent):
        return [*base, "to", "the", *ordinal(int(exponent))]
    whole = re.fullmatch(r"[-+]?\d+", exponent)
    return [*base, "to", "the", *(decimal(exponent) if whole else letters(exponent))]


def _signed(m: re.Match[str], place: Place) -> Said:
    rest = read(m["rest"], place)
    return [*signs.BEFORE_A_NUMBER.get(m["sign"], "").split(), *rest] if rest else None


def _plus(m: re.Match[str], place: Place) -> Said:
    return [*part(m["rest"], place), "plus"]


def _agent(m: re.Match[str], place: Place) -> Said:
    """Who goes by a number: 49ers."""
    said = agent(cardinal(m["n"]))
    return said if not m["several"] else plural(said)


def _percenter(m: re.Match[str], place: Place) -> Said:
    """Who is of so many percent: the 1%ers."""
    return [*cardinal(m["n"]), "percenters" if m["several"] else "percenter"]


def _several(m: re.Match[str], place: Place) -> Said:
    said = part(m["rest"], Place([m["rest"]], 0))
    named = place.word.endswith("S") and place.capitals_tell and not place.word.endswith("'S")  # an iPhone 6S
    return [*said, "s"] if named else plural(said)


def _rule(read_: Callable[[str, Place], Said]) -> Rule:
    return lambda m, place: read_(m[0], place)


_UNIT = r"(?P<unit>[A-Za-zμΩ°%‰¢][A-Za-zμΩ/]*[²³23]?)"
_ANY = r"(?s:.+)"
RULES: tuple[tuple[re.Pattern[str], Rule], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), rule)
    for pattern, rule in (
        (r"\d+", _bare),
        (r"\d+\.\d+", _rule(clock.dotted)),
        (rf"-?{DECIMAL}", lambda m, _: _value(m[0])),
        (_ANY, _rule(money.read)),
        (rf"{NUMBER}(?:st|nd|rd|th)(?:[-–—]{NUMBER}(?:st|nd|rd|th))?", _ordinals),
        (r"'?(?P<year>[1-9]0|\d\d\d0)'?s", _decade),
        (r"'?(?P<first>[1-9]0|\d\d\d0)'?s[-–—]'?(?P<last>[1-9]0|\d\d\d0)'?s", _decades),
        (r"(?P<n>1,?0+|[1-9]00|[1-9],?000)s", _hundreds),
        (r"'(?P<n>\d\d)", _short_year),
        (_ANY, _rule(clock.read)),
        (rf"{DECIMAL}(?::{DECIMAL})+", _ratio),
        (r"(?P<chapter>\d{1,3}):(?P<from>\d{1,3})[-–—](?P<to>\d{1,3})", _verses),
        (r"(?P<base>\d+(?:\.\d+)?)e(?P<exponent>[-+]\d+)", _scientific),
        (r"(?P<feet>\d{1,2})'(?P<inches>\d{1,2}[½¼¾]?)?(?:\"|'')?", _feet),
        (r"(?P<number>\d+(?:\.\d+)?[½¼¾]?|[½¼¾]|\d{1,2}/\d{1,2}|\d-\d{1,2}/\d{1,2})\"", _inches),
        (_ANY, _rule(fractions.read)),
        (rf"(?P<low>-?{DECIMAL})(?:[-–—](?P<high>{DECIMAL}))?{_UNIT}(?P<plus>\+)?", _measured),
        (rf"(?P<low>-?{DECIMAL})(?P<unit>[^\W\d_]+|%|°[CF]?)[-–—](?P<high>{DECIMAL})(?P=unit)", _unit_twice),
        (rf"(?P<low>{NUMBER})[-–—](?P<high>{NUMBER})", _range),
        (r"\+?\d+(-\d+){2,}|\+\d{8,}|\(\d{3}\)\d{3}-\d{4}|\d{3}\.\d{3}\.\d{4}", _telephone),
        (r"(?P<number>1-8\d\d)-(?P<word>[a-z][a-z-]*)", _toll_free),
        (r"\d+(?:\.\d+){2,}", lambda m, _: codes.version(m[0])),
        (rf"{DECIMAL}(?:x{DECIMAL})+", _by),
        (r"(?P<first>\d+)(?P<sign>['\"])x(?P<last>\d+)(?P=sign)", _sides),
        (r"(?P<word>[a-z]{2,})(?P<nth>\d+(?:st|nd|rd|th))", _word_and_ordinal),
        (r"(?P<hours>\d+)h(?P<minutes>\d+)(?:m|min|mins)?", _long),
        (r"(?P<minutes>\d+)m(?P<seconds>\d+)s", _long),
        (r"(?P<n>\d{1,2})'?er(?P<several>'?s)?", _agent),
        (r"(?P<n>\d{1,2})%er(?P<several>'?s)?", _percenter),
        (r"(?P<n>\d+)-?y/?o", _old),
        (rf"(?P<number>{DECIMAL})\+%", lambda m, _: [*_value(m["number"]), "plus", "percent"]),
        (r"(?P<low>\d+)'[-–—](?P<high>\d+)'", _heights),
        (r"(?P<rest>.*\w)\+", _plus),
        (r"(?P<rest>\d+(?:-\d+)?|[a-z]+-?\d+)'?s", _several),
        (r"(?P<rest>[^\W\d_]{4,})[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m, _: [m["rest"]]),  # a note's number
        (r"(?P<base>[^\W_]{1,3}|\d[\d,.]*)(?P<exponent>\^[-+]?\w+|[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", _power),
        (r"(?P<sign>§§|[-±~≈<>≤≥=+√∛#§¶×÷/*@$≠])(?P<rest>.*[^\W_].*)", _signed),
    )
)
_OPERATORS = r"+×÷=*<>≤≥≠±≈&~·∙@"


def _sum(word: str, place: Place) -> Said:
    """Say sums: 2+2=4, E=mc².  A hyphen is a minus only where there is an equals sign."""
    if not re.search(rf"[{_OPERATORS}]", word):
        return None
    word = word.replace(">=", "≥").replace("<=", "≤")
    operators = _OPERATORS + (r"/\-" if "=" in word else "")
    pieces = re.findall(f"[{operators}]|[^{operators}]+", word)
    return [w for piece in pieces for w in (signs.said(piece) or part(piece, place))]


def _joined(word: str, place: Place) -> Said:
    """Say what hyphens join, part by part; or, where there are none, slashes and the like."""
    for joint in (r"[-–—]+", r"[/_:;,!?()\"\\|⁄]+"):
        pieces = [p for p in re.split(joint, word) if p]
        if len(pieces) == 2 and joint[1] == "/" and pieces[1].lower() in _PER and pieces[0][:1].isdecimal():
            return [*part(pieces[0], Place(pieces[:1], 0)), "per", pieces[1]]
        if pieces and pieces != [word]:
            ranges = joint[1] == "-"
            return [w for k in range(len(pieces)) for w in _one_of(pieces, k, ranges=ranges)]
    return None


def _one_of(pieces: list[str], k: int, *, ranges: bool) -> list[str]:
    """Say one of the pieces that hyphens join: 18-year-old, 5-ft, B-52, ½-inch; or slashes.

    Two numbers may be ``ranges``: 18-24-year-olds, 3-4x.
    """
    piece, before, follows = pieces[k], pieces[k - 1] if k else "", k + 1 < len(pieces)
    number_ = re.match(r"\d+", piece)
    if (
        ranges
        and number_
        and before.isdecimal()
        and int(before) < int(number_[0])
        and (follows or not piece.isdecimal())
    ):
        return ["to", *part(piece, Place([piece], 0))]
    if number_ and before.lower() in ("noon", "midnight"):
        return ["to", *part(piece, Place([piece], 0))]
    if piece.isdecimal() and (
        re.fullmatch("[A-Z]{1,3}", before) or (len(piece) == 3 and before[:1].isupper())
    ):
        return pairs(piece)
    if before[-1:].isdecimal() and len(piece) > 1 and piece.islower() and piece not in WORDS_TOO:
        return unit(piece, one=True) or part(piece, Place([piece], 0))
    if follows and piece in VULGAR:
        return [w for w in fraction(*VULGAR[piece]) if w != "one"]
    if follows and piece == "1/2":
        return ["half"]
    return part(piece, Place([piece], 0))


def part(piece: str, place: Place) -> list[str]:
    """Say a part of a word: a number, letters that are named, or a word.

    Examples
    --------
    >>> part("US", Place(["US-101"], 0)), part("year", Place(["year"], 0))
    (['u', 's'], ['year'])
    """
    if any(c.isdecimal() or c in VULGAR or c in "²³" for c in piece):
        return read(piece, place) if piece != place.word or len(piece) < LONGEST_NUMBER else codes.read(piece)
    core = piece.strip("'.\"-")
    if not any(c.isalnum() for c in core):
        return []
    if len(core) == 1 and core.isalpha():
        return ["a" if core == "a" else letter_name(core)]
    if core.isupper() and len(core) == 2:
        return letters(core)
    return [core.lower()] if core == "COVID" else words.plain_words(core)
