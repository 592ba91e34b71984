"""When two spellings are one word: the rule that dictionaries and transcripts share.

A word of a dictionary and a word of a transcript are the same where their keys are (`key`).  Where a
dictionary has no such key, those that `spellings` lists are looked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from aligner.text.plain import APOSTROPHES, HYPHENS

OWN_APOSTROPHES = "׳ʹ"  # of Hebrew, and of transliterations
OWN_HYPHENS = "–־"  # a dash within a word is one; and the one of Hebrew
ACCENTS = re.compile("[\u0300-\u036f]")  # those that no letter has taken in, such as stress marks in Russian
_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u064b-\u065f\u0670]")  # Hebrew, Arabic
_ACCENTED_SCRIPTS = ("LATIN", "GREEK", "FEMININE", "MASCULINE")
TATWEEL = "ـ"  # stretches a word of Arabic
_ALIKE = str.maketrans(
    {
        **dict.fromkeys((*APOSTROPHES, *OWN_APOSTROPHES), "'"),
        **dict.fromkeys((*HYPHENS, *OWN_HYPHENS), "-"),
        TATWEEL: None,
        "ς": "σ",
    }
)
_DRESSED = ("<wide>", "<narrow>", "<compat>", "<font>", "<initial>", "<medial>", "<final>", "<isolated>")
_TURKISH = str.maketrans({"I": "ı", "İ": "i"})
MOST_SS = 3  # places at which "ss" may stand for ß, in each combination


def key(word: str) -> str:
    """Return the form in which a word is looked up, the same for all its spellings.

    Case, the form of accents (NFC or not), the kinds of apostrophe and hyphen, letters that are dressed up
    (ligatures, full width, presentation forms), and characters without a sound or a shape make no difference.

    Examples
    --------
    >>> key("Don’t"), key("RE‑DO"), key("ﬁne"), key("co\\u00adop"), key("ΟΔΟΣ")
    ("don't", 're-do', 'fine', 'coop', 'οδοσ')
    """
    if word.isascii():
        return word.lower().replace("`", "'")
    plain = "".join(map(_plain, unicodedata.normalize("NFC", word)))
    return unicodedata.normalize("NFC", plain.replace("İ", "i").lower().translate(_ALIKE))


def _plain(c: str) -> str:
    """Return what stands for a character in a key: nothing for one that is not seen."""
    if c.isascii():
        return c
    if unicodedata.category(c) == "Cf" or "\ufe00" <= c <= "\ufe0f":
        return ""
    if unicodedata.decomposition(c).partition(" ")[0] not in _DRESSED:
        return c
    plain = unicodedata.normalize("NFKC", c)
    return plain if all(unicodedata.category(p)[0] in "LMN" for p in plain) else c


def spellings(word: str, dotless: bool = False) -> dict[str, None]:
    """List the keys under which a dictionary may have a word, the likeliest first.

    Parameters
    ----------
    word : str
    dotless : bool
        Whether the dictionary tells ı from i, as those of Turkish do.

    Examples
    --------
    >>> list(spellings("Straße")), list(spellings("ISI", dotless=True))
    (['straße', 'strasse'], ['ısı', 'isi'])
    """
    return dict.fromkeys(s for s in _spellings(word, dotless) if s)


def _spellings(word: str, dotless: bool) -> Iterator[str]:
    if dotless:
        yield key(word.translate(_TURKISH))
    low = key(word)
    yield low
    if not low.isascii():
        unmarked = ACCENTS.sub("", low)
        yield unmarked
        yield unmarked.replace("ß", "ss")
    else:
        unmarked = low
    if "ss" in low:
        yield from _sharp(low)
    plain = unmarked if unmarked.isascii() else without_accents(unmarked)
    yield plain
    yield plain.rstrip(".")
    yield plain.strip("'")


def _sharp(word: str) -> Iterator[str]:
    """List the words in which ß stands for some "ss", as capitals hide it."""
    head, *rest = word.split("ss", MOST_SS)
    forms = [head]
    for part in rest:
        forms = [form + between + part for form in forms for between in ("ss", "ß")]
    yield from forms[1:]


def without_accents(word: str) -> str:
    """Strip the letters of a word of their accents, and write its signs plainly.

    The points of Hebrew and Arabic go, too; marks that make another letter, as those of й, が and Thai vowels
    do, stay.

    Examples
    --------
    >>> without_accents("café"), without_accents("ёлка"), without_accents("мой")
    ('cafe', 'елка', 'мой')
    """
    return "".join(c if c.isascii() else _unaccented(c) for c in word)


@lru_cache(maxsize=4096)
def _unaccented(c: str) -> str:
    if _POINTS.fullmatch(c):
        return ""
    if c == "ё":
        return "е"
    if unicodedata.category(c)[0] == "L" and not unicodedata.name(c, "").startswith(_ACCENTED_SCRIPTS):
        return c
    return ACCENTS.sub("", unicodedata.normalize("NFKD", c))
