"""A transcript in plain characters, each of which knows where it stands in what the user wrote.

Rules of reading are written for plain characters: one apostrophe, one hyphen, one kind of quotation mark,
letters that are not dressed up.  The spelling of a word is what the user wrote all the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from aligner.text.spans import Kind, Span

NOISE_CHARACTER = "\ue000"  # stands for a noise; a transcript's own private characters become spaces
UNEQUAL = "\ue001"  # stands for a character in place of which none or several are read
APOSTROPHES = frozenset("'’‘‛ʼʻʽ´`′＇‵՚ꞌ")
HYPHENS = frozenset("-‐‑‒−﹣－֊᠆⁃")
DASHES = frozenset("–—―⸺⸻⸗〜〰゠﹘︱︲")
JOINERS = frozenset("\u200c\u200d")  # within words of Persian and of Indian scripts
ACCENTS = frozenset(map(chr, (*range(0x300, 0x370), *range(0x20D0, 0x2100))))  # over letters, of Latin ones
_ENGLISH = {"ı": "i", "İ": "I", "♯": "#", **dict.fromkeys(ACCENTS, "")}  # in English text alone
WITHIN_ARMENIAN = frozenset("՛՜՞")  # stand within a word, on the vowel that they are about
# decompositions of letters that are dressed up, in any language: full width, bold, in the form of a place
DRESSED = frozenset(["wide", "narrow", "font", "initial", "medial", "final", "isolated"])
_SMALL_CAPITAL = re.compile(r"(?:MODIFIER LETTER |LATIN LETTER )SMALL CAPITAL ([A-Z])")
_NAMED_LETTER = re.compile(r"(?:CIRCLED|SQUARED|PARENTHESIZED) LATIN (?:CAPITAL|SMALL) LETTER ([A-Z])$")


@dataclass(frozen=True)
class Plain:
    """A text in plain characters."""

    text: str
    """The plain characters."""
    source: str
    """What they were made of."""
    starts: Sequence[int]
    """For each plain character, the index in ``source`` at which what it was made of begins."""
    ends: Sequence[int]
    """For each plain character, the index in ``source`` behind what it was made of."""

    def written(self, start: int, end: int) -> str:
        """Return what the user wrote for the plain characters from ``start`` up to ``end``."""
        return self.source[self.starts[start] : self.ends[end - 1]]


class _Table(dict[int, str]):
    """Plain characters by code points, made when they are first asked for."""

    def __init__(self, english: bool, single: bool) -> None:
        super().__init__()
        self.english = english
        self.single = single

    def __missing__(self, code: int) -> str:
        found = plain_character(chr(code), self.english)
        self[code] = found if len(found) == 1 or not self.single else UNEQUAL
        return self[code]


_SINGLE = {english: _Table(english, single=True) for english in (False, True)}
_WHOLE = {english: _Table(english, single=False) for english in (False, True)}


def plain_character(c: str, english: bool = True) -> str:
    """Return what is read in place of a character: itself, a plain one, several, or nothing.

    Parameters
    ----------
    c : str
        One character.
    english : bool
        Whether signs such as ½ are written out; elsewhere they are left to the language.

    Examples
    --------
    >>> [plain_character(c) for c in "’‑“ａﬁ\\u00ad！"]
    ["'", '-', '"', 'a', 'fi', '', '!']
    """
    if c.isascii() and c != "`":
        return c if c.isprintable() else " "
    if c in APOSTROPHES:
        return "'"
    if english and c in _ENGLISH:
        return _ENGLISH[c]
    if c in HYPHENS:
        return "-"
    if c in DASHES:
        return "—" if c != "–" else c
    category = unicodedata.category(c)
    if category[0] in "ZC":
        return _of_spaces(c, category, english)
    if category[0] == "P":
        return _of_punctuation(c, category)
    if category in ("So", "Sk") and c != "°":
        return _of_symbols(c, english)
    return _of_letters(c, category, english)


def _of_spaces(c: str, category: str, english: bool) -> str:
    if category != "Cf" or c == "\u200b":
        return " "
    return c if c in JOINERS and not english else ""


def _of_punctuation(c: str, category: str) -> str:
    if c in WITHIN_ARMENIAN:
        return ""
    if category in ("Pi", "Pf") or c in "„‟″〝〞〟＂״":
        return c if c == "״" else '"'
    plain = unicodedata.normalize("NFKC", c)
    return plain if len(plain) == 1 else c


def _of_symbols(c: str, english: bool) -> str:
    if not english:
        return " "
    if c == "♭":
        return c
    letter = _NAMED_LETTER.search(unicodedata.name(c, ""))
    plain = letter[1].lower() if letter else unicodedata.normalize("NFKC", c)
    return {"℃": "°C", "℉": "°F", "№": "No."}.get(c) or (
        plain if plain != c and plain.isalnum() and c not in "™®℠℗" else " "
    )


def _of_letters(c: str, category: str, english: bool) -> str:
    if english and category == "Nd":
        return str(unicodedata.decimal(c))
    form = unicodedata.decomposition(c).partition(">")[0].removeprefix("<")
    if english and form == "circle":
        return f" {unicodedata.normalize('NFKC', c)} "
    raised = form in ("super", "fraction") and (category == "No" or c in "ªº")
    if raised or (not english and form not in DRESSED):
        small = _SMALL_CAPITAL.fullmatch(unicodedata.name(c, "")) if english else None
        return small[1].lower() if small else c
    small = _SMALL_CAPITAL.fullmatch(unicodedata.name(c, "")) if english and category == "Ll" else None
    return small[1].lower() if small else unicodedata.normalize("NFKC", c)


def plain(source: str, spans: Sequence[Span] = (), english: bool = True) -> Plain:
    """Write a transcript in plain characters.

    Parameters
    ----------
    source : str
        The transcript, without markup.
    spans : sequence of Span
        In their order, none overlapping another.  A noise becomes `NOISE_CHARACTER`.
    english : bool
        See `plain_character`.

    Returns
    -------
    Plain
    """
    if not spans and unicodedata.is_normalized("NFC", source):
        text = source.translate(_SINGLE[english])
        if UNEQUAL not in text:
            return Plain(text, source, range(len(source)), range(1, len(source) + 1))
    return _assembled(source, spans, english)


def _assembled(source: str, spans: Sequence[Span], english: bool) -> Plain:
    pieces: list[tuple[str, int, int]] = []
    done = 0
    for span in spans:
        _add(pieces, source, done, span.start, english)
        pieces += [(c, span.start, span.end) for c in _instead(span, english)]
        done = span.end
    _add(pieces, source, done, len(source), english)
    characters, starts, ends = zip(*pieces, strict=True) if pieces else ((), (), ())
    return Plain("".join(characters), source, starts, ends)


def _instead(span: Span, english: bool) -> str:
    if span.kind in (Kind.NOISE, Kind.CUT_OFF, Kind.ENTRY):
        return f" {NOISE_CHARACTER} "
    if span.kind is Kind.PHONES:
        return f"{NOISE_CHARACTER} "
    if span.kind is Kind.WORDS:
        return unicodedata.normalize("NFC", span.said).translate(_WHOLE[english])
    return " " if span.kind is Kind.BREAK else ""


def _add(pieces: list[tuple[str, int, int]], source: str, start: int, end: int, english: bool) -> None:
    """Add the plain characters of a stretch; signs on a letter are composed with it where they can be."""
    table = _WHOLE[english]
    first = len(pieces)
    for k in range(start, end):
        c = source[k]
        if len(pieces) > first and (unicodedata.combining(c) or "\u1160" <= c <= "\u11ff"):
            whole = unicodedata.normalize("NFC", pieces[-1][0] + c)
            if len(whole) == 1:
                pieces[-1] = (whole, pieces[-1][1], k + 1)
                continue
            if english and c in ACCENTS:
                pieces[-1] = (*pieces[-1][:2], k + 1)
                continue
        pieces += [(p, k, k + 1) for p in table[ord(c)]]
