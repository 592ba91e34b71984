"""The scripts that eSpeak's voices read; of others they say the names of letters, as nobody does."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from aligner.text.readers import EXTRAS
from aligner.types import DataError, Fault

LATIN = "LATIN"
# scripts beside Latin, by the first word of the names of their letters in Unicode, and who reads them; the
# Thai voice does not, but spells
_OF_VOICES = {
    "CYRILLIC": "ba be bg cv kk ky mk ru ru-cl ru-lv sr tt uk",
    "GREEK": "el grc",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "cmn zh zh-cmn yue zh-yue",
    "BOPOMOFO": "cmn zh zh-cmn",
    "ARABIC": "ar fa sd ug ur",
    "HEBREW": "he",
    "DEVANAGARI": "hi kok mr ne",
    "BENGALI": "as bn bpy",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "ORIYA": "or",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "MYANMAR": "my shn",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy hyw hy-arevela hy-arevmda",
    "ETHIOPIC": "am ti",
}
_ALSO_LATIN = frozenset({"sr"})  # read in either
# whose letters are not told here: some have scripts of their own, some may be written in several
_UNKNOWN = frozenset(
    [
        "chr-us-qaaa-x-west",
        "en-shaw",
        "hak",
        "jbo",
        "piqd",
        "qdb",
        "qya",
        "sjn",
        "bs",
        "hbs",
        "hr",
        "az",
        "uz",
        "tk",
        "ku",
        "tt",
        "sd",
    ]
)
# what is said and not spelled though it has no vowel: hmm, psst, brr
_INTERJECTION = re.compile(
    r"h+m+|m+h+m+|m{2,}|p+s+t*|p+f{2,}|t+s{2,}|t+s+k+|b+r{2,}|g+r{2,}|s+h{2,}|s{2,}|z{2,}"
    r"|х+м+|м{2,}|п+с+т*|п+ф{2,}|т+с{2,}|б+р{2,}|ш{2,}|с{2,}"
)


@cache
def scripts_of(voice: str) -> frozenset[str]:
    """The scripts that a voice reads; none where that is not known.

    Examples
    --------
    >>> sorted(scripts_of("ja")), sorted(scripts_of("fi"))
    (['HIRAGANA', 'KATAKANA'], ['LATIN'])
    """
    if voice in _UNKNOWN:
        return frozenset()
    own = frozenset(script for script, voices in _OF_VOICES.items() if voice in voices.split())
    return own | {LATIN} if not own or voice in _ALSO_LATIN else own


@cache
def script_of(letter: str) -> str:
    """The script of a letter, by its name; empty for what is no letter, or of all scripts.

    Examples
    --------
    >>> [script_of(c) for c in "aж漢か1"]
    ['LATIN', 'CYRILLIC', 'CJK', 'HIRAGANA', '']
    """
    name = unicodedata.name(letter, "")
    if not letter.isalpha() or "FULLWIDTH" in name or "MODIFIER" in name or "PROLONGED" in name:
        return ""
    return name.split(" ", 1)[0].split("-", 1)[0]


def check_scripts(words: Sequence[str], voice: str) -> None:
    """Raise DataError, naming a word, where words are not written as a voice reads them.

    Words in Latin letters may stand among others, and are read as English; by themselves they are in the
    wrong script.
    """
    read = scripts_of(voice)
    if not read:
        return
    scripts = [[s for s in map(script_of, word) if s] for word in words]
    own = sum(s in read for word in scripts for s in word)
    other = sum(s not in read for word in scripts for s in word)
    for word, found in zip(words, scripts, strict=True):
        foreign = [s for s in found if s not in read]
        if foreign and (foreign[0] != LATIN or other > own):
            raise _unread(word, foreign[0], voice)


def _unread(word: str, script: str, voice: str) -> DataError:
    extra = EXTRAS.get(voice)
    if extra is not None and script != LATIN:
        remedy = f"pip install 'aligner[{extra}]', which reads it; or write it as it sounds"
    else:
        remedy = "name its language with --language, or write it as this one does"
    names = " and ".join(sorted(s.capitalize() for s in scripts_of(voice)))
    rule = f"{word!r} is in {_named(script)}, and the voice of {voice!r} reads {names}"
    return DataError("transcript", rule, remedy, fault=Fault.OOV)


def _named(script: str) -> str:
    return {"CJK": "Chinese characters"}.get(script, f"{script.capitalize()} letters")


def sounded(word: str, voice: str) -> str:
    """What a voice is given for a word, where it would read the names of letters.

    An interjection without a vowel gets one; Maltese articles are joined to their word, and what begins with
    ng' in Swahili is said as if it began with ng.

    Examples
    --------
    >>> sounded("hmm", "fi"), sounded("psst", "de"), sounded("тсс", "ru"), sounded("prst", "cs")
    ('hem', 'pest', 'тес', 'prst')
    >>> sounded("l-ilma", "mt"), sounded("ng'ombe", "sw")
    ('lilma', 'ngombe')
    """
    if voice.startswith("en"):
        return word  # such voices know what is said
    if voice == "mt":
        return word.replace("-", "")
    if voice == "sw" and word.startswith("ng'"):
        return word.replace("'", "", 1)
    if not _INTERJECTION.fullmatch(word):
        return word
    once = re.sub(r"(.)\1+", r"\1", word)
    vowel = "e" if once.isascii() else "е"
    return vowel + once if len(once) == 1 else once[0] + vowel + once[1:]
