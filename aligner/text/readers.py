"""Words and readings of languages that are written without spaces, or in signs that do not tell the sound.

Each language has a well-kept library for it, an extra of the package: fugashi (MeCab with UniDic) for
Japanese, rjieba (jieba in Rust) for Chinese, PyThaiNLP for Thai.  Users' characters are kept: a word is a
piece of what they wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from aligner.text.characters import Division, by_morae, by_syllables, evenly
from aligner.types import ModelError


class Piece(NamedTuple):
    """A word as it is written and as it is said."""

    written: str
    """A piece of the text."""

    said: str
    """What a voice is given for it."""


Reader = Callable[[str], Sequence[Piece]]
"""Cuts a text without spaces and punctuation into words, whose writings are the text."""

# what begins no word of its own in Japanese: endings of verbs, and suffixes, by UniDic's parts of speech
_ENDINGS = ("助動詞", "接尾辞")
_LINKS = ("て", "で", "ちゃ", "じゃ")
# sounds of the Royal Thai transcription as Indonesian writes them, which has no aspirated stops
_THAI = (("ch", "c"), ("kh", "k"), ("ph", "p"), ("th", "t"), ("ae", "e"), ("oe", "e"), ("ue", "u"))


def _library(name: str, extra: str, language: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelError(
            name, f"what reads {language} is not installed", f"pip install 'aligner[{extra}]'"
        ) from error


@cache
def japanese() -> Reader:
    """Words of Japanese, said in katakana; ModelError if what reads it is not installed.

    Examples
    --------
    >>> [tuple(piece) for piece in japanese()("今日は買った")]
    [('今日', 'キョー'), ('は', 'ワ'), ('買った', 'カッタ')]
    """
    tagger = _library("fugashi", "ja", "Japanese").Tagger()

    def read(text: str) -> list[Piece]:
        found: list[Piece] = []
        for word in tagger(text):
            said = word.feature.pron or word.surface
            links = word.feature.pos2 == "接続助詞" and word.surface in _LINKS
            if found and (word.feature.pos1 in _ENDINGS or links):
                before = found.pop()
                found.append(Piece(before.written + word.surface, before.said + said))
            else:
                found.append(Piece(word.surface, said))
        return found

    return read


@cache
def chinese() -> Reader:
    """Words of Chinese, which a voice reads as they are written: by the word it knows which of the readings
    of a sign is meant.

    Examples
    --------
    >>> [piece.written for piece in chinese()("行长在银行行走")]
    ['行长', '在', '银行', '行走']
    """
    cut = _library("rjieba", "zh", "Chinese").cut
    return lambda text: [Piece(word, word) for word in cut(text)]


@cache
def thai() -> Reader:
    """Words of Thai, said in Latin letters as Indonesian would write them: eSpeak's Thai voice spells.

    Examples
    --------
    >>> [tuple(piece) for piece in thai()("ฉันกินข้าว")]
    [('ฉัน', 'can'), ('กินข้าว', 'kinkao')]
    """
    cut = _library("pythainlp.tokenize", "th", "Thai").word_tokenize
    romanise = _library("pythainlp.transliterate", "th", "Thai").romanize

    def said(word: str) -> str:
        latin: str = romanise(word)
        for sound, letters in _THAI:
            latin = latin.replace(sound, letters)
        return latin or word

    return lambda text: [Piece(word, said(word)) for word in cut(text)]


READERS: dict[str, Callable[[], Reader]] = {
    "ja": japanese,
    "cmn": chinese,
    "zh": chinese,
    "zh-cmn": chinese,
    "yue": chinese,
    "zh-yue": chinese,
    "th": thai,
}
EXTRAS = {"ja": "ja", "th": "th"}  # languages that cannot be said without, and their extras
SAID_BY = {"th": "id"}  # whose voice says what is read


def division(language: str, alone: Callable[[str], Sequence[str] | None]) -> Division:
    """How the characters of a word are told in such a language, where ``alone`` gives the phones of one."""
    if language == "ja":
        return by_morae
    return evenly if language == "th" else by_syllables(alone)


def reader(language: str) -> Reader | None:
    """What reads a language; None where it needs none, or it is not installed."""
    make = READERS.get(language)
    try:
        return None if make is None else make()
    except ModelError:
        return None
