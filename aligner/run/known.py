"""Long recordings whose words have known times: cut between words, and put together again.

Since the bounds are known, nothing has to be heard to cut: each stretch is aligned by itself, and takes no
more memory than any utterance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from aligner.formats.silences import is_silence
from aligner.run.joining import quality_of
from aligner.types import Alignment, Interval, Utterance

LONGEST_STRETCH = 40.0  # s; a longer utterance with known words is cut
LEAST_PAUSE = 0.1  # s of a pause that is rather cut in than a place between two words that touch


def stretches(utterance: Utterance, longest: float = LONGEST_STRETCH) -> list[Utterance]:
    """Cut an utterance with known words into stretches that last at most ``longest`` seconds, where pauses
    and the ends of words allow it; itself alone where nothing is to be cut.

    Examples
    --------
    >>> from pathlib import Path
    >>> words = (Interval(0, 2, "a"), Interval(2, 3, ""), Interval(3, 5, "b"), Interval(5, 8, "c"))
    >>> whole = Utterance("x", Path("x.wav"), "a b c", known=words)
    >>> [(u.start, u.end, u.transcript) for u in stretches(whole, 4.0)]
    [(0.0, 2.5, 'a'), (2.5, 5, 'b'), (5, None, 'c')]
    """
    spoken = [w for w in utterance.known if not is_silence(w.label)]
    if not spoken or spoken[-1].end - utterance.start <= longest:
        return [utterance]
    edges = [utterance.start, *_cuts(utterance.start, spoken, longest), utterance.end]
    return [_part(utterance, a, b) for a, b in pairwise(edges) if a is not None]


def _cuts(begin: float, spoken: Sequence[Interval], longest: float) -> Iterator[float]:
    """Yield where to cut: in the last pause that leaves no more than ``longest``, or else between words."""
    places: list[tuple[bool, float]] = []
    for before, after in pairwise(spoken):
        pause = after.start - before.end >= LEAST_PAUSE
        places.append((pause, (before.end + after.start) / 2 if pause else before.end))
        while places and after.end - begin > longest:
            begin = max(places)[1]
            yield begin
            places = [place for place in places if place[1] > begin]


def _part(utterance: Utterance, start: float, end: float | None) -> Utterance:
    """The stretch from ``start`` to ``end``, with the words that are in it."""
    known = tuple(
        replace(w, start=max(w.start, start), end=w.end if end is None else min(w.end, end))
        for w in utterance.known
        if w.end > start and (end is None or w.start < end)
    )
    said = " ".join(w.label for w in known if not is_silence(w.label))
    return replace(utterance, start=start, end=end, known=known, transcript=said)


def joined(utterance: Utterance, parts: Sequence[Alignment]) -> Alignment:
    """The alignment of an utterance that was cut by `stretches`."""
    edges = {t for w in utterance.known for t in (w.start, w.end)}
    whole = [a.utterance.end not in edges for a in parts[:-1]]  # whether it was cut within a silence
    start, end = parts[0].utterance.start, parts[-1].utterance.end
    assert end is not None
    return Alignment(
        utterance=replace(utterance, start=start, end=end),
        words=_tiled([p.words for p in parts], whole),
        phones=_tiled([p.phones for p in parts], whole),
        duration=parts[0].duration,
        quality=quality_of(parts, end - start),
        oovs=tuple(oov for p in parts for oov in p.oovs),
        suspicions=tuple(s for p in parts for s in p.suspicions),
        characters=_tiled([p.characters for p in parts], whole) if parts[0].characters else (),
        edges=tuple(edge for p in parts for edge in p.edges),
    )


def _tiled(parts: Sequence[Sequence[Interval]], whole: Sequence[bool]) -> tuple[Interval, ...]:
    """The intervals of all parts, where one that was cut is whole again."""
    found = list(parts[0])
    for intervals, was_whole in zip(parts[1:], whole, strict=True):
        rest = list(intervals)
        if was_whole:
            rest[0] = replace(rest[0], start=found.pop().start)
        found += rest
    return tuple(found)
