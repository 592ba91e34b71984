"""Stretches of a transcript that are not read as they stand: what finds them hands them to the reading.

A finder of marks is a function from a transcript to its spans; `aligner.text.normalise.normalise` takes
one.  It sees the transcript with its entities undone and its tags dropped, and whatever no span covers is
read as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

BRACKETED = re.compile(r"\[[^\]\s][^\]]*\]|<[^>\s][^>]*>|\{[^}\s][^}]*\}")


class Kind(StrEnum):
    """What becomes of a span."""

    NOISE = "noise"
    """A token that is no word.  What is said for it is in brackets (`BRACKETED`), whatever is written."""
    WORDS = "words"
    """Other text is read in its place: "because" for ``(be)cause``, "ha" for ``ha-``."""
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
    """What is read in its place: a bracketed word for `Kind.NOISE`, text for `Kind.WORDS`."""


Marks = Callable[[str], Sequence[Span]]


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
