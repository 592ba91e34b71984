"""Abbreviations, and what is said for them, by the words around them."""

from __future__ import annotations

import re
from collections.abc import Callable

from aligner.text.english.clock import MONTHS, is_month
from aligner.text.english.numbers import letters
from aligner.text.english.place import Place
from aligner.text.listed import listed

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
    "ios": "i o s",
    "phds": "p h d's",
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "blvd": "boulevard",
    "covid": "covid",
    "wwii": "world war two",
    "wwi": "world war one",
    "c++": "c plus plus",
    "'n'": "'n",
    "n'": "'n",
}
# what is said for an abbreviation only where a number, or what counts as one, follows
BEFORE_NUMBERS = {
    "no.": "number",
    "nos.": "numbers",
    "nr.": "number",
    "nº": "number",
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
    "hwy": "highway",
    "rte": "route",
    "rm": "room",
    "bldg": "building",
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
    "rs.": "rupees",
    "rs": "rupees",
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
# books of the Bible, before a chapter and a verse
BOOKS = dict(
    pair.split("=")
    for pair in listed("""
        gen=genesis exod=exodus ex=exodus lev=leviticus num=numbers deut=deuteronomy josh=joshua judg=judges
        sam=samuel chron=chronicles neh=nehemiah ps=psalm prov=proverbs eccl=ecclesiastes eccles=ecclesiastes
        isa=isaiah jer=jeremiah lam=lamentations ezek=ezekiel dan=daniel hos=hosea mic=micah hab=habakkuk
        zech=zechariah mal=malachi matt=matthew mt=matthew mk=mark lk=luke jn=john rom=romans cor=corinthians
        gal=galatians eph=ephesians phil=philippians col=colossians thess=thessalonians tim=timothy
        heb=hebrews jas=james pet=peter rev=revelation
    """)
)
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
    "ln": "lane",
    "ct": "court",
    "pl": "place",
    "sq": "square",
    "pkwy": "parkway",
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
# points of the compass, in addresses
DIRECTIONS = {
    "n.": "north",
    "s.": "south",
    "e.": "east",
    "w.": "west",
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
}
_STREETS = frozenset(
    listed(
        "st st. street ave ave. avenue rd rd. road blvd blvd. boulevard dr dr. drive ln ln. lane way hwy hwy."
    )
)
# as letters behind the name of a town
STATES = dict(
    pair.split("=")
    for pair in listed("""
        AL=alabama AK=alaska AZ=arizona AR=arkansas CA=california CO=colorado CT=connecticut DE=delaware
        FL=florida GA=georgia HI=hawaii ID=idaho IL=illinois IN=indiana IA=iowa KS=kansas KY=kentucky
        LA=louisiana ME=maine MD=maryland MA=massachusetts MI=michigan MN=minnesota MS=mississippi
        MO=missouri MT=montana NE=nebraska NV=nevada NH=new_hampshire NJ=new_jersey NM=new_mexico
        NY=new_york NC=north_carolina ND=north_dakota OH=ohio OK=oklahoma OR=oregon PA=pennsylvania
        RI=rhode_island SC=south_carolina SD=south_dakota TN=tennessee TX=texas UT=utah VT=vermont
        VA=virginia WA=washington WV=west_virginia WI=wisconsin WY=wyoming
    """)
)
ZONES = frozenset(listed("est edt et cst cdt ct mst mdt mt pst pdt pt gmt utc cet bst"))  # of time
ERAS = frozenset(["bc", "ad", "bce", "ce"])
_OF_OKLAHOMA = frozenset(["tulsa", "city", "norman", "edmond", "lawton", "stillwater"])  # "Bob, OK?"
_AT_TIME = re.compile(r"\d{1,2}:\d\d(?:[ap]\.?m)?|\d{1,2}[ap]\.?m\.?", re.IGNORECASE)
_NTH = re.compile(r"\d+(?:st|nd|rd|th)", re.IGNORECASE)
_NUMERAL = re.compile(r"[IVXLC]+")
_TIME = re.compile(r"(?:^|\d)[ap]\.?m\.?$|^\d?\d:\d\d$")
_HOUR = re.compile(r"\d{1,2}(?::\d\d){0,2}|\d{1,2}\.\d\d|\d.*[-–]\d{1,2}(?::\d\d)?")
_NTH_BOOK = {"1": "first", "2": "second", "3": "third", "I": "first", "II": "second", "III": "third"}
_VERSE = re.compile(r"\d{1,3}:\d{1,3}\b")
_YEAR = re.compile(r"\d{1,4}s?")
_SHORT_DAYS = {day.rstrip("."): name for day, name in DAYS.items()}
# behind St., where capitals do not tell names from words
_SAINTS = frozenset(
    listed("""
        louis paul petersburg john johns mary peter joseph george james thomas patrick nicholas
        francis augustine andrew andrews anne anthony bernard catherine charles christopher clair
        cloud croix david elizabeth helena helens ives jude kitts lawrence lucia luke mark martin
        matthew michael stephen valentine vincent
    """)
)


def read(place: Place) -> list[str] | None:
    """Say an abbreviation, by the words around it; None if a word is none.

    Examples
    --------
    >>> read(Place(["p.", "5"], 0)), read(Place(["Dr.", "Lee"], 0)), read(Place(["so"], 0))
    (['page'], ['doctor'], None)
    """
    return next((said for rule in _RULES if (said := rule(place))), None)


def _book(place: Place) -> list[str] | None:
    """A book of the Bible before its chapter and verse: Gen. 1:1, 1 Cor 13:4-7."""
    if place.word in _NTH_BOOK and _VERSE.match(place.at(2)):
        name = place.at(1).rstrip(".").lower()
        return [_NTH_BOOK[place.word]] if name in BOOKS or name in BOOKS.values() else None
    known = BOOKS.get(place.word.rstrip(".").lower())
    return [known] if known and place.word[0].isupper() and _VERSE.match(place.at(1)) else None


def _before_number(place: Place) -> list[str] | None:
    numeral = place.word[-1] == "." and place.at(1) != "I" and _NUMERAL.fullmatch(place.at(1))
    counted = place.at(1)[:1].isdecimal() or numeral
    known = BEFORE_NUMBERS.get(place.word.lower(), "") if counted else ""
    return known.split() or None


def _day(place: Place) -> list[str] | None:
    """A day before a date, or days and months from one to another."""
    low, capital = place.word.lower(), place.word[:1].isupper()
    if low in DAYS and capital and (place.at(1)[:1].isdecimal() or is_month(place.at(1))):
        return [DAYS[low]]
    if low in _SHORT_DAYS and capital and _is_dated(place):
        return [_SHORT_DAYS[low]]
    first, hyphen, last = low.replace("–", "-").replace(".", "").partition("-")
    if not hyphen or not capital:
        return None
    ends = [_SHORT_DAYS.get(end) or _month(end) for end in (first, last)]
    return [ends[0], "to", ends[1]] if all(ends) else None


def _is_dated(place: Place) -> bool:
    """Whether a date or a time follows a day: Wed 3 May, Fri 5pm."""
    following = place.at(1)
    day = following.isdecimal() and is_month(place.at(2))
    return day or is_month(following) or _AT_TIME.fullmatch(following) is not None


def _month(word: str) -> str:
    return next((m for m in MONTHS if is_month(word) and m.startswith(word)), "")


def _direction(place: Place) -> list[str] | None:
    """A point of the compass in an address: 123 N. Main St., 500 NW 5th Ave."""
    said = DIRECTIONS.get(place.word.lower())
    following = place.at(1)
    if said and place.word.isupper() and place.before in _STREETS and len(place.word.rstrip(".")) > 1:
        return [said]  # 1600 Pennsylvania Ave NW
    if not said or place.stopped or not (following[:1].isupper() or _NTH.fullmatch(following)):
        return None
    road = place.before.isdecimal() or place.at(2).lower() in _STREETS
    return [said] if place.word.isupper() and road else None


def _state(place: Place) -> list[str] | None:
    """A state behind a town: Portland, OR; Boston MA 02139."""
    known = STATES.get(place.word)
    town = place.at(-1)
    if not known or not town[:1].isupper() or town.isupper() or not place.capitals_tell:
        return None
    ends = place.stopped or not place.at(1) or not place.at(1)[:1].isalpha()
    coded = re.fullmatch(r"\d{5}(?:-\d{4})?", place.at(1))
    behind = place.apart and ends and (place.word != "OK" or town.lower() in _OF_OKLAHOMA)
    return known.split("_") if coded or behind else None


def _known(place: Place) -> list[str] | None:
    return ABBREVIATIONS.get(place.word.lower(), "").split() or None


def _beside_name(place: Place) -> list[str] | None:
    """A title before a name, or what stands behind one; without dots, so that capitals must tell."""
    low = place.word.lower()
    if not place.word[:1].isupper() or place.word.isupper():
        return None
    if low in BEFORE_NAMES and place.at(1)[:1].isupper():
        return [BEFORE_NAMES[low]]
    behind = place.at(-1)[:1].isupper() or _NTH.fullmatch(place.at(-1))
    known = BEHIND_NAMES.get(low.removesuffix("."))
    return [known] if known and behind else None


def _of_time(place: Place) -> list[str] | None:
    """Letters behind a time or a year: AM, EST, BC."""
    word, low, before = place.word, place.word.lower(), place.at(-1)
    if low in ("am", "pm") and _HOUR.fullmatch(before):
        return letters(low)
    if low in ZONES and word.isupper() and _TIME.search(before.lower()):
        return letters(word)
    dated = _YEAR.fullmatch(before) or (low == "ad" and _YEAR.fullmatch(place.at(1)))
    return letters(low) if low in ERAS and dated and (word.isupper() or low == "bce") else None


def _saint_or_street(place: Place) -> list[str] | None:
    word, low = place.word, place.word.lower()
    if low not in ("st.", "st", "dr."):
        return None
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


_RULES: tuple[Callable[[Place], list[str] | None], ...] = (
    _book,
    _before_number,
    _day,
    _direction,
    _state,
    _saint_or_street,
    _known,
    _beside_name,
    _of_time,
)
