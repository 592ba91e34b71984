"""Pronunciations that a transcript gives: whether they were taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aligner.refine.thresholds import Test
from aligner.text.normalise import BRACKETED, Token
from aligner.text.spans import like_phones
from aligner.text.stress import without_stress
from aligner.types import Interval, Suspicion


def not_taken(
    tokens: Sequence[Token], phones: Sequence[Interval], owners: Sequence[int]
) -> Iterator[Suspicion]:
    """Yield a suspicion for each pronunciation in a transcript that has phones which the model lacks.

    Parameters
    ----------
    tokens : sequence of Token
    phones : sequence of Interval
    owners : sequence of int
        The place in ``tokens`` of each phone's word; negative for a silence.

    Examples
    --------
    >>> token = Token("she", ("she",), ("SH", "YY1"))
    >>> [found] = not_taken([token], [Interval(0, 0.1, "SH"), Interval(0.1, 0.2, "IY1")], [0, 0])
    >>> found.text
    "'she' is not said as SH YY1, for the model lacks a phone of it"
    """
    for k, token in enumerate(tokens):
        if not like_phones(token.phones):
            continue
        own = [p for p, owner in zip(phones, owners, strict=True) if owner == k]
        if _plain([p.label for p in own]) != _plain(token.phones):
            at = own[0].start if own else None  # a noise may be left out
            yield Suspicion(test=Test.UNKNOWN_PHONES, text=_why(token), at=at)


def _plain(labels: Sequence[str]) -> list[str]:
    return [without_stress(label.upper()) for label in labels]


def _why(token: Token) -> str:
    noise = ": it is taken for a noise" if BRACKETED.fullmatch(token.spoken[0]) else ""
    said = " ".join(token.phones)
    return f"{token.spelling!r} is not said as {said}, for the model lacks a phone of it{noise}"
