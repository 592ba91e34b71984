"""English words as they are said: numbers, units, abbreviations and letters spoken out.

The rules stand in `RULES`, in their order; each looks at a word between its neighbours, and the first that
has something to say says it.  A word that none of them knows is left to the dictionary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aligner.text.english import abbreviations, counted, figures, roman, words
from aligner.text.english.numbers import letters
from aligner.text.english.place import Place
from aligner.text.english.units import CODES, MAGNITUDES
from aligner.text.listed import listed


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a text in plain characters."""

    start: int
    """Index of its first character in the text."""
    end: int
    """Index behind its last character."""
    core: str
    """The word without the punctuation around it."""
    said: tuple[str, ...] | None = None
    """What is said for it, where that is known; None where it is still to be read."""
    stopped: bool = False
    """Whether a comma or the like stands behind it."""
    phones: tuple[str, ...] = ()
    """Its phones, where a pronunciation was written behind it in braces."""


Rule = Callable[[Place], "list[str] | None"]
RULES: tuple[Rule, ...] = (
    roman.read,
    counted.read,
    abbreviations.read,
    words.lettered,
    words.symbol,
    figures.read_whole,
    words.letters_and,
    words.initials,
)
# words of letters that a rule may have something to say for
_ASKED = (
    frozenset(abbreviations.ABBREVIATIONS)
    | frozenset(abbreviations.BEFORE_NUMBERS)
    | frozenset(abbreviations.BEFORE_NAMES)
    | frozenset(abbreviations.BEHIND_NAMES)
    | frozenset(abbreviations.BOOKS)
    | abbreviations.ERAS
    | frozenset(day.rstrip(".") for day in abbreviations.DAYS)
    | frozenset(abbreviations.DIRECTIONS)
    | frozenset(state.lower() for state in abbreviations.STATES)
    | abbreviations.ZONES
    | frozenset(listed("am pm sq cu fl us un la er ai id pa ma ta va da pe gi ui ra covid x"))
    | frozenset(code.lower() for code in CODES)
    | frozenset(MAGNITUDES)
    | frozenset(m + "s" for m in MAGNITUDES)
)


def in_english(found: Sequence[Word], capitals_tell: bool) -> tuple[list[Word], list[tuple[str, ...]]]:
    """Read the words of a text in English.

    Parameters
    ----------
    found : sequence of Word
    capitals_tell : bool
        Whether capitals tell names and abbreviations from words, as they do not where all is in capitals.

    Returns
    -------
    list of Word
        The same words, without the dots that end sentences.
    list of tuple of str
        What is said for each word; nothing for a sign that says nothing.

    Examples
    --------
    >>> words = [Word(start=0, end=3, core="Dr."), Word(start=4, end=7, core="Lee")]
    >>> in_english(words, capitals_tell=True)[1]
    [('doctor',), ('Lee',)]
    """
    found = _without_dots(found)
    cores, stops = [w.core for w in found], [w.stopped for w in found]
    said = []
    for k, word in enumerate(found):
        spoken = word.said or _spoken(Place(cores, k, capitals_tell, stops))
        if not capitals_tell and word.said is None and not any(map(str.isdecimal, word.core)):
            spoken = [s.lower() for s in spoken]
        said.append(tuple(unicodedata.normalize("NFC", s) for s in spoken))
    return found, said


_NO_VOWELS = re.compile("[BCDFGHJKLMNPQRSTVWXZ]{2,5}")
_WORDS_WITHOUT_VOWELS = frozenset(
    listed("hmm mmm mm hm shh sh psst pst brr tsk nth pfft zzz grr mr mrs dr st vs jr sr ms mt tv")
)


def _without_dots(found: Sequence[Word]) -> list[Word]:
    """Take the dot off words that are abbreviations only before a number, as "fig.", where none follows."""
    cores = [w.core for w in found]
    return [
        replace(word, end=word.end - 1, core=word.core[:-1].lower())
        if word.core.lower() in abbreviations.DOTTED_WORDS and not _is_abbreviation(Place(cores, k))
        else word
        for k, word in enumerate(found)
    ]


def _is_abbreviation(place: Place) -> bool:
    return bool(counted.read(place) or abbreviations.read(place))


def _spoken(place: Place) -> Sequence[str]:
    """List the words that are said for one word, given the words around it."""
    core = place.word
    if core.isalpha() and _is_plain(place):
        return [core] if place.capitals_tell or not _is_letters(core) else letters(core)
    for rule in RULES:
        said = rule(place)
        if said is not None:
            return said
    return words.plain_words(core)


def _is_letters(core: str) -> bool:
    """Whether capitals can be no word, whatever capitals stand around them: RTX."""
    return bool(_NO_VOWELS.fullmatch(core)) and core.lower() not in _WORDS_WITHOUT_VOWELS


def _is_plain(place: Place) -> bool:
    """Whether a word of letters is nothing but a word, so that no rule has to be asked."""
    low = place.word.lower()
    if low in _ASKED or (len(low) == 1 and not low.isascii()):
        return False
    before = place.at(-1)
    if any(c.isnumeric() for c in before) or before in ("sq", "cu", "fl"):
        return False
    return not roman.may_be(low, before)
