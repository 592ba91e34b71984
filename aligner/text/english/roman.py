"""Roman numerals, and whether something is one, by the words around it."""

from __future__ import annotations

import re

from aligner.text.english.numbers import cardinal, letter_name, ordinal, year
from aligner.text.english.place import Place
from aligner.text.listed import listed

_VALUES = {"m": 1000, "d": 500, "c": 100, "l": 50, "x": 10, "v": 5, "i": 1}
_NUMERAL = re.compile(
    r"(?=[mdclxvi])m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})", re.IGNORECASE | re.ASCII
)
_LETTERED = re.compile(r"(?P<numeral>(?=[IVX])X{0,2}(?:IX|IV|V?I{0,3}))(?P<letter>[a-h]|[A-HJ-L])")
# no words, no abbreviations: numerals whatever stands around them
_CERTAIN = frozenset(
    listed("""
    II III VII VIII XII XIII XIV XVI XVII XVIII XIX XXI XXII XXIII XXIV
""")
)
# behind these words stands a number
COUNTED = frozenset(
    listed("""
    war chapter ch part parts pt act scene volume vol book section article articles title type phase
    stage grade class level figure fig table appendix bowl rocky episode fantasy schedule mark mk apollo
    vatican division tier category factor session unit lesson canto psalm amendment round group region
    olympiad pentium wrestlemania quartet symphony sonata concerto movement opus corps legion nerve
    dynasty page wars saw godfather halloween street civilization diablo warcraft hearts creed evil
    souls trek gemini saturn soyuz mercury titan angiotensin collagen glutamate annex exhibit clause
    item paragraph note step theorem lemma proposition cohort arm trial generation gen version iteration
    stages types parts chapters volumes sections phases levels acts scenes
""")
)
# kings, queens, popes: behind their names stands an ordinal
NAMES = frozenset(
    listed("""
    louis henry charles george edward richard william james elizabeth mary anne pius benedict leo
    innocent gregory clement napoleon nicholas alexander peter catherine frederick philip philippe
    ferdinand francis franz friedrich wilhelm ivan ramses rameses ramesses thutmose amenhotep ptolemy
    cleopatra darius xerxes harald haakon olaf gustav christian carlos juan pedro leopold albert otto
    baldwin paul john urban sixtus boniface joseph victor umberto vittorio rama ludwig maximilian rudolf
    constantine justinian theodosius robert david kenneth alfonso alphonse sancho margaret margrethe
    beatrix wilhelmina isabella eugene eugenius adrian hadrian celestine honorius martin nicholas
    sigismund stephen andrew bela casimir stanislaus augustus tiberius mehmed murad selim suleiman
    suleyman ahmed mustafa osman abdul hassan mohammed muhammad hussein abdullah faisal reza artaxerxes
    cyrus nebuchadnezzar tiglath-pileser seti philipp heinrich karl emmanuel emanuel manuel afonso joao
    john-paul jean jan wenceslas wladyslaw zygmunt antiochus seleucus mithridates basil michael alexios
    alexius romanos heraclius theodore dmitri vladimir yaroslav vasily feodor paul puyi hirohito akbar
    thomas walter samuel daniel harry frank edgar arthur ernest howard
""")
)
RULERS = frozenset(
    listed("""
    king queen pope tsar czar emperor empress kaiser prince saint st. sultan shah pharaoh
""")
)
CENTURIES = frozenset(listed("century centuries dynasty olympiad congress olympics"))
NO_NUMBERS = frozenset(
    listed("""
    drip drips fluid fluids line lines bag bags therapy pole poles needle antibiotics push access
""")
)
# small words that begin with a capital at the start of a sentence, and are no name
_SMALL = frozenset(
    listed("""
    the a an his her my your our their its this that these those and or but in on of with by for from at
    to as is was are were be no not if when so then there here i he she it we they you what who
""")
)
# what may stand behind a king's single letter: Charles I was; but "Charles I know"
_BEHIND_SINGLE = frozenset(
    listed("""
    was of ruled reigned died became who in and is had and, succeeded died, married to the as on by
""")
)


def value(text: str) -> int | None:
    """Return the value of a Roman numeral; None if it is none.

    Examples
    --------
    >>> value("XIV"), value("mmxxiv"), value("IIII")
    (14, 2024, None)
    """
    if not _NUMERAL.fullmatch(text):
        return None
    values = [_VALUES[c] for c in text.lower()]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def reading(numeral: str, before: str, before_that: str, after: str) -> str | None:
    """Say whether a word is a numeral by the words around it, and which kind.

    Parameters
    ----------
    numeral : str
        The word.
    before, before_that, after : str
        The words around it, as they are written; empty at an end of the text.

    Returns
    -------
    "cardinal", "ordinal" (of a century), "the" (of a king), "year" or None

    Examples
    --------
    >>> reading("II", "War", "World", ""), reading("VIII", "Henry", "", ""), reading("I", "", "", "am")
    ('cardinal', 'the', None)
    """
    number = value(numeral)
    if number is None or not (numeral.isupper() or numeral.islower()):
        return None
    previous = before.lower().removesuffix(".") if before.lower() != "ch" else ""
    capital = before[:1].isupper()
    if numeral.islower():
        return _in_small_letters(numeral, previous, before_that.lower(), after.lower())
    if len(numeral) == 1:
        return _single(numeral, previous, capital, before_that.lower(), after.lower())
    if after.lower() in CENTURIES:
        return "ordinal"
    if previous in NAMES and number <= 40 and capital:
        return "the"
    if len(numeral) >= 4 and numeral[0] == "M" and 1400 <= number < 2100:
        return "year"
    if previous in COUNTED or before.lower() in ("no.", "nos.", "nr."):
        return "cardinal"
    if before_that.lower() in NAMES and capital and numeral in ("II", "III", "IV", "V"):
        return "the"  # John Smith III
    named = capital and previous not in _SMALL and number <= 40 and after.lower() not in NO_NUMBERS
    return "cardinal" if numeral in _CERTAIN or (named and set(numeral) <= set("IVX")) else None


def _single(numeral: str, previous: str, capital: bool, before_that: str, after: str) -> str | None:
    if numeral not in "IVX" or not capital:
        return None
    if previous in COUNTED:
        return "cardinal"
    ruler = before_that in RULERS or numeral != "I" or not after or after in _BEHIND_SINGLE
    return "the" if previous in NAMES and ruler else None


def _in_small_letters(numeral: str, previous: str, before_that: str, after: str) -> str | None:
    """See `reading`, where case tells nothing."""
    if (before_that, previous) == ("world", "war"):
        return "cardinal"
    if len(numeral) >= 5 and numeral[0] == "m" and 1400 <= (value(numeral) or 0) < 2100:
        return "year"
    if len(numeral) == 1 or not set(numeral) <= set("ivxl") or numeral == "li":
        return None
    if after in CENTURIES:
        return "ordinal"
    if previous in NAMES and numeral not in ("vi", "xi", "iv"):
        return "the"
    return "cardinal" if previous in COUNTED or numeral.upper() in _CERTAIN else None


def may_be(word: str, before: str) -> bool:
    """Whether a word, in small letters, may be a numeral, by its letters; I is one only behind some words."""
    if word == "i":
        return before.lower() in COUNTED or before.lower() in NAMES
    return set(word) <= set(_VALUES) or (before.lower() in COUNTED and set(word[:-1]) <= set("ivx"))


def _with_letter(place: Place) -> list[str] | None:
    """A numeral with a letter of its own, behind a word that counts: Stage IIIb."""
    found = _LETTERED.fullmatch(place.word)
    if not found or place.before.removesuffix(".") not in COUNTED:
        return None
    return [*cardinal(str(value(found["numeral"]))), letter_name(found["letter"])]


def read(place: Place) -> list[str] | None:
    """Say a Roman numeral, by the words around it; None if a word is none.

    Examples
    --------
    >>> read(Place(["Henry", "VIII"], 1)), read(Place(["VIII"], 0)), read(Place(["I"], 0))
    (['the', 'eighth'], ['eight'], None)
    """
    bare, hyphen, compound = place.word.partition("-")  # World War II-era
    if hyphen and not compound.isalpha():
        return None
    bare, ending = (bare[:-2], "'s") if bare.endswith("'s") else (bare, "")
    number = value(bare)
    if number is None:
        return _with_letter(place)
    before = ("", "") if place.apart else (place.at(-1), place.at(-2))
    around = (bare, *before, "" if place.stopped else place.at(1))
    kind = reading(*(around if place.capitals_tell else map(str.lower, around)))
    if kind is None:
        return ["i", "v"] if place.word == "IV" else None
    if kind == "year":
        said = year(number)
    else:
        said = cardinal(str(number)) if kind == "cardinal" else ordinal(number)
    said = ["the", *said] if kind == "the" else said
    return [*said[:-1], said[-1] + ending, *([compound] if compound else [])]
