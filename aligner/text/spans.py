"""Stretches of a transcript that are not read as they stand: what finds them hands them to the reading.

A finder of marks is a function from a transcript to its spans; `aligner.text.normalise.normalise` takes
one.  It sees the transcript with its entities undone and its tags dropped, and whatever no span covers is
read as text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

_CHUNK = re.compile(r"\S*[^\w\s]\S*|\S*\d\S*")  # what is no plain word
MOST_TRIMMED = 3  # signs of punctuation at each end of a word
BRACKETED = re.compile(r"\[[^\]\s][^\]]*\]|<[^>\s][^>]*>|\{[^}\s][^}]*\}")


class Kind(StrEnum):
    """What becomes of a span."""

    NOISE = "noise"
    """A token that is no word.  What is said for it is in brackets (`BRACKETED`), whatever is written."""
    CUT_OFF = "cut-off"
    """A token of a word that was broken off: what is said for it ends in a hyphen, "ha-", and is never
    spelled."""
    WORDS = "words"
    """Other text is read in its place: "because" for ``(be)cause``."""
    PHONES = "phones"
    """The pronunciation of the word right before it, in braces: ``she{SH IY1}``."""
    ENTRY = "entry"
    """A word with signs, such as & or C++, that the user gave a pronunciation: a token, said as written."""
    BREAK = "break"
    """Nothing is said for it, and it parts the words beside it."""
    NOTHING = "nothing"
    """Nothing is said for it, and it parts no word: a mark within one, or around one."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of a transcript, and what becomes of it."""

    start: int
    """Index of its first character."""
    end: int
    """Index behind its last character."""
    kind: Kind
    """What becomes of it."""
    said: str = ""
    """What is read in its place: a bracketed word for `Kind.NOISE`, the beginning of a word and a hyphen for
    `Kind.CUT_OFF`, text for `Kind.WORDS`."""


Marks = Callable[[str], Sequence[Span]]
LONGEST_PHONE = 3  # characters of a phone that is written behind its word
VOWELS_OF_ARPABET = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
CONSONANTS_OF_ARPABET = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
PHONES_OF_ARPABET = frozenset(f"{VOWELS_OF_ARPABET} {CONSONANTS_OF_ARPABET}".split())


def bracketed(text: str) -> list[Span]:
    """Find words in brackets, which are noises.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of Span
        In their order; none overlaps another.

    Examples
    --------
    >>> [span] = bracketed("well [laughs] no")
    >>> span.said, span.kind.value, (span.start, span.end)
    ('[laughs]', 'noise', (5, 13))
    """
    return [
        Span(start=found.start(), end=found.end(), kind=Kind.NOISE, said=found[0])
        for found in BRACKETED.finditer(text)
    ]


def phones_in(said: str) -> tuple[str, ...]:
    """What may be the phones of a pronunciation in braces; none where it is in other brackets.

    Examples
    --------
    >>> phones_in("{SH IY1}"), phones_in("[SH IY1]")
    (('SH', 'IY1'), ())
    """
    return tuple(said[1:-1].split()) if said.startswith("{") else ()


def like_phones(pieces: Sequence[str]) -> bool:
    """Whether what stands in braces looks like phones, whatever the model: of ARPAbet, or short ones.

    Examples
    --------
    >>> [like_phones(pieces) for pieces in (["SH", "IY1"], ["ʃ"], ["S", "i:"], ["laughs"], ["NS"], ["uh"])]
    [True, True, True, False, False, False]
    """
    if any(piece.rstrip("012") in PHONES_OF_ARPABET for piece in pieces):
        return True
    short = all(len(piece) <= LONGEST_PHONE for piece in pieces)
    return short and (len(pieces) > 1 or any(not piece.isascii() for piece in pieces))


def with_pronunciations(spans: Sequence[Span], text: str) -> list[Span]:
    """Tell the pronunciations that are written behind their words from noises.

    Examples
    --------
    >>> text = "she{SH IY} {laughs}"
    >>> [str(s.kind) for s in with_pronunciations(bracketed(text), text)]
    ['phones', 'noise']
    """
    return [
        replace(span, kind=Kind.PHONES)
        if span.kind is Kind.NOISE
        and like_phones(phones_in(span.said))
        and text[: span.start][-1:].strip("([{<\"' \t\n")
        else span
        for span in spans
    ]


def with_entries(spans: Sequence[Span], text: str, entry: Callable[[str], bool]) -> list[Span]:
    """Leave what the user gave a pronunciation to the reading of words; where it has signs or digits, it is a
    word as it stands.

    Parameters
    ----------
    spans : sequence of Span
        The marks of a text, in their order.
    text : str
    entry : callable
        Whether the user gave what is written so a pronunciation.

    Examples
    --------
    >>> [span] = with_entries([], "you & me", {"&"}.__contains__)
    >>> span.said, span.start
    ('&', 4)
    """
    marks = [s for s in spans if not _is_entry(s, text[s.start : s.end], entry)]
    covered = {k for s in marks for k in range(s.start, s.end)}
    found = []
    for chunk in _CHUNK.finditer(text):
        inside = next((t for t in _trimmed(chunk[0]) if entry(chunk[0][slice(*t)])), None)
        if inside is not None and chunk.start() + inside[0] not in covered:
            start, end = (chunk.start() + k for k in inside)
            found.append(Span(start=start, end=end, kind=Kind.ENTRY, said=text[start:end]))
    return sorted([*marks, *found], key=lambda s: s.start)


def _is_entry(mark: Span, written: str, entry: Callable[[str], bool]) -> bool:
    """Whether a mark is a word that the user gave a pronunciation, or would drop one."""
    if BRACKETED.fullmatch(written):
        return False
    within = _trimmed(written) if mark.kind is Kind.BREAK else ()
    return entry(written) or any(entry(written[slice(*t)]) for t in within)


def _trimmed(chunk: str) -> Iterator[tuple[int, int]]:
    """Yield where a chunk begins and ends without some of the punctuation around it, the longest first; plain
    words are not among them, for they may be abbreviations without their dot.
    """
    size = len(chunk)
    lefts = [k for k in range(MOST_TRIMMED + 1) if k < size and all(map(_is_punctuation, chunk[:k]))]
    rights = [k for k in range(MOST_TRIMMED + 1) if k < size and all(map(_is_punctuation, chunk[size - k :]))]
    for left, right in sorted(product(lefts, rights), key=sum):
        if left + right < size and not chunk[left : size - right].isalpha():
            yield left, size - right


def _is_punctuation(c: str) -> bool:
    return unicodedata.category(c)[0] == "P"
