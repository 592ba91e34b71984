"""A tier of characters: where each is that a user wrote, in languages that are written without spaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from aligner.text.characters import Division, characters
from aligner.text.normalise import BRACKETED, Token
from aligner.types import DECIMALS, SILENCE_LABEL, STAR_LABEL, Interval


def character_tier(
    words: Sequence[Interval], phones: Sequence[Interval], tokens: Sequence[Token], divide: Division
) -> tuple[Interval, ...]:
    """The characters of words, which tile the utterance as these do; noises, silences, and what the
    transcript lacks, are as they are among the words.

    Parameters
    ----------
    words, phones : sequence of Interval
        The tiers of words and of phones.
    tokens : sequence of Token
        The words of the transcript, in order; not all have to be among ``words``.
    divide : callable
        Where the characters of a word begin among its phones (see `aligner.text.characters`).

    Examples
    --------
    >>> words = [Interval(0.0, 0.9, "西安")]
    >>> phones = [Interval(0.0, 0.1, "ɕ"), Interval(0.1, 0.4, "i"), Interval(0.4, 0.9, "a")]
    >>> tokens = [Token("西安", ("西安",))]
    >>> [(c.start, c.end, c.label) for c in character_tier(words, phones, tokens, lambda *_: (0.0, 2.0))]
    [(0.0, 0.4, '西'), (0.4, 0.9, '安')]
    """
    rest = iter(tokens)
    first, found = 0, list[Interval]()
    for word in words:
        while first < len(phones) and phones[first].start < word.start:
            first += 1
        own = first
        while first < len(phones) and phones[first].start < word.end:
            first += 1
        if word.label in (SILENCE_LABEL, STAR_LABEL):
            found.append(word)
            continue
        token = next((t for t in rest if t.spelling == word.label), None)
        within = [p for p in phones[own:first] if p.label != SILENCE_LABEL]
        if token is None or not within or any(map(BRACKETED.fullmatch, token.spoken)):
            found.append(word)
        else:
            found += _of(word, within, token, divide)
    return tuple(found)


def _of(word: Interval, phones: Sequence[Interval], token: Token, divide: Division) -> Iterator[Interval]:
    """The characters of a word; a silence in it belongs to the character before."""
    places = divide(word.label, "".join(token.spoken), [p.label for p in phones])
    edges = [*(p.start for p in phones), word.end]
    starts = np.interp(places, range(len(edges)), edges).round(DECIMALS).tolist()
    starts[0] = word.start
    for a, b, label in zip(starts, (*starts[1:], word.end), characters(word.label), strict=True):
        if b > a:
            yield replace(word, start=a, end=b, label=label)
