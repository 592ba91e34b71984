"""Words without figures: abbreviations, letters that are named, signs that stand alone."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from aligner.text import signs
from aligner.text.listed import listed
from aligner.text.numbers import letter_name, letters
from aligner.text.places import Place

ABBREVIATIONS = {
    "mr.": "mister",
    "mrs.": "missus",
    "ms.": "miz",
    "mx.": "mix",
    "messrs.": "messieurs",
    "dr.": "doctor",
    "prof.": "professor",
    "jr.": "junior",
    "sr.": "senior",
    "esq.": "esquire",
    "vs.": "versus",
    "vs": "versus",
    "v.": "versus",
    "etc.": "et cetera",
    "etc": "et cetera",
    "&c.": "et cetera",
    "e.g.": "for example",
    "e.g": "for example",
    "i.e.": "that is",
    "i.e": "that is",
    "cf.": "compare",
    "viz.": "namely",
    "al.": "al",
    "gen.": "general",
    "col.": "colonel",
    "maj.": "major",
    "cmdr.": "commander",
    "capt.": "captain",
    "lt.": "lieutenant",
    "sgt.": "sergeant",
    "cpl.": "corporal",
    "pvt.": "private",
    "adm.": "admiral",
    "rev.": "reverend",
    "hon.": "honorable",
    "gov.": "governor",
    "sen.": "senator",
    "rep.": "representative",
    "pres.": "president",
    "supt.": "superintendent",
    "inc.": "incorporated",
    "ltd.": "limited",
    "corp.": "corporation",
    "co.": "company",
    "cos.": "companies",
    "bros.": "brothers",
    "assn.": "association",
    "univ.": "university",
    "inst.": "institute",
    "ave.": "avenue",
    "blvd.": "boulevard",
    "rd.": "road",
    "ln.": "lane",
    "hwy.": "highway",
    "pkwy.": "parkway",
    "ste.": "saint",
    "apt.": "apartment",
    "bldg.": "building",
    "mt.": "mount",
    "mtn.": "mountain",
    "ft.": "fort",
    "pt.": "point",
    "dept.": "department",
    "est.": "established",
    "approx.": "approximately",
    "govt.": "government",
    "intl.": "international",
    "natl.": "national",
    "misc.": "miscellaneous",
    "avg.": "average",
    "tel.": "telephone",
    "asst.": "assistant",
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
    "tues.": "tuesday",
    "thurs.": "thursday",
    "thur.": "thursday",
    "w/o": "without",
    "w/": "with",
    "b/c": "because",
    "c/o": "care of",
    "w/in": "within",
    "w/out": "without",
    "aka": "a. k a.",
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "blvd": "boulevard",
    "wwii": "world war two",
    "wwi": "world war one",
    "c++": "c plus plus",
}
# what is said for an abbreviation only where a number, or what counts as one, follows
BEFORE_NUMBERS = {
    "no.": "number",
    "nos.": "numbers",
    "nr.": "number",
    "p.": "page",
    "pp.": "pages",
    "pg.": "page",
    "vol.": "volume",
    "vols.": "volumes",
    "fig.": "figure",
    "figs.": "figures",
    "ch.": "chapter",
    "chap.": "chapter",
    "sec.": "section",
    "art.": "article",
    "eq.": "equation",
    "eqs.": "equations",
    "ref.": "reference",
    "refs.": "references",
    "tab.": "table",
    "ex.": "example",
    "op.": "opus",
    "ca.": "circa",
    "c.": "circa",
    "ext.": "extension",
    "ext": "extension",
    "rte.": "route",
    "rm.": "room",
    "ln.": "line",
    "v.": "verse",
    "vol": "volume",
    "fig": "figure",
    "apt": "apartment",
    "ste": "suite",
    "ver.": "version",
    "ste.": "suite",
    "est.": "established",
    "jan": "january",
    "feb": "february",
    "mar": "march",
    "apr": "april",
    "jun": "june",
    "jul": "july",
    "aug": "august",
    "sep": "september",
    "sept": "september",
    "oct": "october",
    "nov": "november",
    "dec": "december",
}
# what is said before a name, that is before a capital, and for which there is a word otherwise
BEFORE_NAMES = {
    "mt": "mount",
    "ft": "fort",
    "st": "saint",
    "lt": "lieutenant",
    "sgt": "sergeant",
    "capt": "captain",
    "prof": "professor",
    "gov": "governor",
    "sen": "senator",
    "rep": "representative",
    "rev": "reverend",
    "ms": "miz",
}
# what is said behind a name, that is behind a capital
BEHIND_NAMES = {
    "jr": "junior",
    "sr": "senior",
    "inc": "incorporated",
    "ltd": "limited",
    "corp": "corporation",
    "ave": "avenue",
    "st": "street",
    "rd": "road",
    "bros": "brothers",
    "esq": "esquire",
    "blvd": "boulevard",
    "hwy": "highway",
}
# days, before a date only
DAYS = {
    "mon.": "monday",
    "tue.": "tuesday",
    "tues.": "tuesday",
    "wed.": "wednesday",
    "thu.": "thursday",
    "fri.": "friday",
    "sat.": "saturday",
    "sun.": "sunday",
}
# which end in a dot only where they are abbreviations
DOTTED_WORDS = frozenset(
    w for w in (*BEFORE_NUMBERS, *DAYS, "in.", "sq.", "cu.") if w.endswith(".") and w not in ABBREVIATIONS
)
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
ERAS = frozenset(["bc", "ad", "bce", "ce"])
_INITIALS = re.compile(
    r"(?:[^\W\d_]\.){1,}(?:[^\W\d_]\.?)?(?P<ending>'?s)?|(?:ph\.?d\.?|m\.?sc\.?|b\.?sc\.?)(?P<more>'?s)?",
    re.IGNORECASE,
)
_LETTERS_AND = re.compile(r"(?P<left>[A-Za-z]{1,3})&(?P<right>[A-Za-z]{1,3}?)(?P<ending>'?s)?")


def with_number(place: Place) -> bool:
    """Whether what follows is a number, or a letter or numeral that counts."""
    return place.at(1)[:1].isdecimal() or bool(
        re.fullmatch(r"[ivxlc]+|[#§]?\d.*|[A-Z]\d*|[.(]\d.*", place.at(1))
    )


def abbreviation(place: Place) -> list[str] | None:
    """Say an abbreviation, by the words around it; None if the word is none."""
    word, low = place.word, place.word.lower()
    if low in BEFORE_NUMBERS and place.at(1)[:1].isdecimal():
        return BEFORE_NUMBERS[low].split()
    if (
        low in DAYS
        and word[:1].isupper()
        and (place.at(1)[:1].isdecimal() or place.after.rstrip(".") in _MONTHS)
    ):
        return [DAYS[low]]
    if low in ("st.", "st", "dr.") and (said := _saint_or_street(place)):
        return said
    if low == "covid":
        return [low]
    if low in ABBREVIATIONS:
        return ABBREVIATIONS[low].split()
    if word[:1].isupper() and low in BEFORE_NAMES and place.at(1)[:1].isupper() and not word.isupper():
        return [BEFORE_NAMES[low]]
    if word[:1].isupper() and low in BEHIND_NAMES and place.at(-1)[:1].isupper() and not word.isupper():
        return [BEHIND_NAMES[low]]
    if low in ("am", "pm") and re.fullmatch(r"\d{1,2}(?::\d\d)?|\d.*[-–]\d{1,2}(?::\d\d)?", place.at(-1)):
        return letters(low)
    if low in ERAS and (
        re.fullmatch(r"\d{1,4}s?", place.at(-1)) or (low == "ad" and re.fullmatch(r"\d{1,4}", place.at(1)))
    ):
        return letters(low) if word.isupper() or low == "bce" else None
    return None


_MONTHS = frozenset(
    listed("""
    january february march april may june july august september october november december jan feb mar
    apr jun jul aug sep sept oct nov dec
""")
)


# behind St., where capitals do not tell names from words
_SAINTS = frozenset(
    listed("""
        louis paul petersburg john johns mary peter joseph george james thomas patrick nicholas
        francis augustine andrew andrews anne anthony bernard catherine charles christopher clair
        cloud croix david elizabeth helena helens ives jude kitts lawrence lucia luke mark martin
        matthew michael stephen valentine vincent
    """)
)


def _saint_or_street(place: Place) -> list[str] | None:
    word, low = place.word, place.word.lower()
    before, after = place.at(-1)[:1], place.at(1)[:1]
    follows = after.isupper() if place.capitals_tell else place.after in _SAINTS
    follows = follows and not place.stopped
    if low == "dr.":
        ends = not after or place.stopped
        return ["drive"] if before.isupper() and ends and place.capitals_tell else None
    if low == "st.":
        return ["saint"] if follows and not before.isdecimal() else ["street"]
    if word != "St":
        return None
    return ["saint"] if follows else ["street"] if before.isupper() or before.isdecimal() else None


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
    if word == "–" and place.at(-1)[-1:].isdecimal() and place.at(1)[:1].isdecimal():
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
    if "/" in word or "'n'" in word:
        parts = re.sub(r"(?<=\w)'n'(?=\w)", "/'n/", word).split("/")
        if len(parts) > 1 and any(len(part) > 1 for part in parts):
            return [
                w
                for part in parts
                for w in (ABBREVIATIONS.get(part.lower()) or " ".join(plain_words(part))).split()
            ]
    if re.fullmatch("[A-Za-z]#", word):
        return [letter_name(word[0]), "sharp"]
    if word.endswith("+") and word.strip("+"):
        base = word.rstrip("+")
        return [*([letter_name(base)] if len(base) == 1 else [base]), *(["plus"] * (len(word) - len(base)))]
    pieces = [piece.strip("-") for piece in _pieces(word) if piece.strip("-'.")]
    if len(pieces) > 1 and all(len(p) == 1 for p in pieces):
        return [letter_name(p) for p in pieces]
    return ["-".join(_greek(part) for part in p.split("-")) for p in pieces]


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
